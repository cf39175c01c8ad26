"""A continuation at a film's own size: the model's own prediction, on more pixels."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from framegen.config.models import MotionFilter
from framegen.models import MotionFilterNet, build
from framegen.models.baselines import MeanFrame
from framegen.models.blend import Blend
from framegen.models.nets.change import Change, coarsely, enlarged, mean_over
from framegen.models.rollout import generate
from framegen.report.own_size import Place, at_own_size
from tests.data.films import scene

SHAPE = (3, 24, 32)
COUNT = 14


@pytest.fixture
def model() -> MotionFilterNet:
    """A net some steps away from its first weights, which moves and blurs."""
    model, random = build(MotionFilter(4), SHAPE, 0), torch.Generator().manual_seed(1)
    assert isinstance(model, MotionFilterNet)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=random)
        model.head.get_parameter("bias")[1] = 1  # the belief's share
    return model


def _pictures(folder: Path, frames: Tensor) -> Tensor:
    """Write frames (T, C, H, W) as pictures, and return them as these hold them."""
    folder.mkdir()
    levels = (255 * frames).round().byte()
    for number, level in enumerate(levels.permute(0, 2, 3, 1).numpy()):
        Image.fromarray(level).save(folder / f"{number:03}.png")
    return levels / 255


def _film(count: int) -> Tensor:
    return torch.from_numpy(scene(3, count, SHAPE[1:])).permute(0, 3, 1, 2) / 255


def _enlarged(frames: Tensor) -> Tensor:
    return functional.interpolate(frames, scale_factor=2, mode="bilinear")


def _made(
    model: MotionFilterNet, prompt: Tensor, place: Place, count: int = COUNT, blend: Blend | None = None
) -> Tensor:
    return torch.stack([*itertools.islice(at_own_size(model, blend, prompt, place), count)])


@pytest.mark.parametrize("start", [None, 0.7])
def test_at_the_models_own_size_it_is_the_models_prediction(
    start: float | None, model: MotionFilterNet, tmp_path: Path
) -> None:
    prompt = _pictures(tmp_path / "film", _film(12))[: None if start is None else 7]
    expected = generate(model, prompt, COUNT)
    assert (expected - prompt[-1]).abs().mean() > 0.05
    made = _made(model, prompt, Place(tmp_path / "film", 10, start))
    torch.testing.assert_close(made, expected, atol=1e-5, rtol=0)


def test_a_picture_that_is_enlarged_goes_on_as_the_enlarged_prediction(
    model: MotionFilterNet, tmp_path: Path
) -> None:
    prompt = _film(12)
    _pictures(tmp_path / "film", _enlarged(prompt))
    expected = _enlarged(generate(model, prompt, COUNT))
    made = _made(model, prompt, Place(tmp_path / "film", 10, None))
    copied = _enlarged(prompt[-1:])
    assert (made - expected).abs().mean() < 0.06 * (copied - expected).abs().mean()


def test_a_blend_is_shown_as_far_as_it_shows_and_the_rest_is_the_films(
    model: MotionFilterNet, tmp_path: Path
) -> None:
    prompt, grey = _film(12), MeanFrame(torch.full(SHAPE, 0.5))
    blend = Blend({"model": model, "grey": grey}, torch.tensor([[0.7, 0.3]]))
    shown = _pictures(tmp_path / "film", prompt)
    made = _made(model, shown, Place(tmp_path / "film", 10, None), blend=blend)
    torch.testing.assert_close(made, generate(blend, shown, COUNT), atol=1e-5, rtol=0)
    large = _pictures(tmp_path / "large", _enlarged(prompt))
    pattern = (torch.arange(64) % 2 - 0.5) / 10  # finer than the model's pixels
    made = coarsely(large[-1:] * 0.8 + 0.1 + pattern, shown[-1:] * 0.5 + 0.25, 2)
    small = functional.avg_pool2d(made, 2)
    torch.testing.assert_close(small, shown[-1:] * 0.5 + 0.25, atol=0.03, rtol=0)
    assert (made[..., 1::2] - made[..., ::2]).mean().item() == pytest.approx(0.1, rel=0.2)


def test_a_loop_goes_on_with_the_films_own_frames(model: MotionFilterNet, tmp_path: Path) -> None:
    wide = scene(0, 1, (24, 96))[0]
    once = np.stack([np.roll(wide, -4 * t, 1)[:, :32] for t in range(24)])
    prompt = torch.from_numpy(once).permute(0, 3, 1, 2).repeat(3, 1, 1, 1) / 255
    whole = _enlarged(prompt)
    for name, frames in (("seen", whole), ("once", whole[:24])):  # a GIF's loop is in its file once
        expected = _pictures(tmp_path / name, frames)[:24]
        made = _made(model, prompt, Place(tmp_path / name, 10, None), 48)
        assert torch.equal(made, expected.repeat(2, 1, 1, 1))


def test_maps_lie_around_the_middle_whatever_the_pictures_shape() -> None:
    """A way that grows by a pixel each pixel from the middle, at 2.5 times the size and wider."""
    across = (torch.arange(32) - 15.5).expand(24, 32)
    down = (torch.arange(24) - 11.5)[:, None].expand(24, 32)
    change = Change(
        torch.stack([across, down])[None], torch.zeros(1, 3, 24, 32), torch.ones(1), torch.zeros(1)
    )
    way = enlarged(change, 2.5, (60, 90)).way[0]
    torch.testing.assert_close(way[0, 0], (torch.arange(90) - 44.5).clamp(-15.5 * 2.5, 15.5 * 2.5))
    torch.testing.assert_close(way[1, :, 0], (torch.arange(60) - 29.5).clamp(-11.5 * 2.5, 11.5 * 2.5))


def test_wide_means_are_those_of_the_picture_alone() -> None:
    pictures = torch.rand(2, 3, 20, 50, generator=torch.Generator().manual_seed(0))
    expected = functional.avg_pool2d(pictures, 31, 1, 15, count_include_pad=False)
    torch.testing.assert_close(mean_over(pictures, 31), expected, atol=1e-5, rtol=0)
