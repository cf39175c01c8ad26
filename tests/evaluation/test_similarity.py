"""SSIM against scikit-image, and by hand."""

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from torch import Tensor

from framegen.evaluation.image_quality import ssim, ssim_literature


def _pictures(shape: tuple[int, int, int]) -> dict[str, tuple[Tensor, Tensor]]:
    """Pairs of pictures (C, H, W) in [0, 1], float64."""
    random = torch.Generator().manual_seed(0)
    noise, other = torch.rand(2, *shape, generator=random, dtype=torch.float64)
    column = torch.arange(shape[2]).double()
    waves = (0.5 + 0.5 * (column / 3).sin()).expand(shape)
    black = torch.zeros(shape).double()
    return {
        "equal": (noise, noise),
        "noise": (noise, other),
        "black": (black, noise),
        "shifted": (waves.roll(2, -1), waves),
        "faint noise": ((black + 0.05 * noise), (black + 0.05 * other)),
        "brighter": (waves * 0.5 + 0.4, waves * 0.5),
        "flat": (black + 0.3, black + 0.9),
    }


@pytest.mark.parametrize("shape", [(1, 11, 11), (1, 28, 64), (3, 32, 32)])
def test_both_are_scikit_images(shape: tuple[int, int, int]) -> None:
    for name, (one, other) in _pictures(shape).items():
        pair = one.numpy(), other.numpy()
        wang = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        expected = structural_similarity(*pair, data_range=1.0, channel_axis=0, **wang)
        assert ssim(one, other).item() == pytest.approx(expected, abs=1e-12), name
        assert ssim(one.float(), other.float()).item() == pytest.approx(expected, abs=3e-5), name
        expected = structural_similarity(*pair, data_range=2.0, channel_axis=0)
        assert ssim_literature(one, other).item() == pytest.approx(expected, abs=1e-12), name
        assert ssim_literature(one.float(), other.float()).item() == pytest.approx(expected, abs=3e-5), name


def test_by_hand() -> None:
    pairs = _pictures((1, 20, 30))
    for measure, c1 in ((ssim, 0.01**2), (ssim_literature, 0.02**2)):
        assert measure(*pairs["equal"]).item() == pytest.approx(1)
        assert measure(*pairs["flat"]).item() == pytest.approx((2 * 0.27 + c1) / (0.09 + 0.81 + c1))
        zero, one = torch.zeros(1, 20, 30), torch.ones(1, 20, 30)
        assert measure(zero, one).item() == pytest.approx(c1 / (1 + c1), rel=1e-4)
        assert measure(one, zero).item() == pytest.approx(c1 / (1 + c1), rel=1e-4)
        assert measure(*pairs["shifted"]).item() < 0.9
        assert abs(measure(*pairs["noise"]).item()) < 0.15


def test_the_literatures_is_too_high_where_noise_is_faint() -> None:
    pair = _pictures((1, 64, 64))["faint noise"]
    assert ssim_literature(*pair) > ssim(*pair) + 0.2


def test_each_picture_of_a_batch_has_its_own() -> None:
    batch = torch.rand(2, 3, 2, 3, 16, 12, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    found = ssim(*batch)
    assert found.shape == (3, 2)
    for place in np.ndindex(3, 2):
        assert found[place].item() == pytest.approx(ssim(batch[0][place], batch[1][place]).item())
