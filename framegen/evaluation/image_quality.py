"""Measures of frames as pictures, beside their errors."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from framegen.evaluation.metrics import Range, number

MIN_SIDE = 11
"""Pixels a picture needs in height and width: the larger window's."""
PICTURES = ("mse_frame", "mae_frame", "ssim", "ssim_literature", "motion_ratio", "sharpness_ratio")
"""The metrics of pictures; see `CONVENTION`."""


def measure_pictures(
    frames: tuple[Tensor, Tensor], before: tuple[Tensor, Tensor], value_range: Range
) -> dict[str, Tensor]:
    """Each clip's values at one step, (B,) float64, by name; `picture_scores` makes metrics of their means.

    Args:
        frames: predicted and true, (B, C, H, W) each.
        before: what was predicted and what was true one frame earlier; an observed frame stands for both.
        value_range: lowest and highest value of a pixel.
    """
    low, high = value_range
    error = (frames[0] - frames[1]).double().flatten(1)
    made, true, made_before, true_before = (
        ((each - low) / (high - low)).clamp(0, 1) for each in (*frames, *before)
    )
    return {
        "mse_frame": error.square().sum(1),
        "mae_frame": error.abs().sum(1),
        "ssim": ssim(made, true).double(),
        "ssim_literature": ssim_literature(made, true).double(),
        "motion": _motion(made, made_before),
        "true motion": _motion(true, true_before),
        "sharpness": _sharpness(made),
        "true sharpness": _sharpness(true),
    }


def picture_scores(values: Mapping[str, Tensor]) -> dict[str, float | None]:
    """PICTURES from what `measure_pictures` gave; {} where it gave nothing. A share of nothing is None."""
    if "ssim" not in values:
        return {}
    mean = {name: each.mean().item() for name, each in values.items()}
    return {name: number(mean[name]) for name in PICTURES if name in mean} | {
        f"{name}_ratio": number(mean[name] / true) if (true := mean[f"true {name}"]) else None
        for name in ("motion", "sharpness")
    }


def _motion(frames: Tensor, before: Tensor) -> Tensor:
    """Mean absolute difference, (B, C, H, W) twice -> (B,)."""
    return (frames - before).double().abs().flatten(1).mean(1)


def _sharpness(frames: Tensor) -> Tensor:
    """Mean length of the gradient, of differences to the right and lower neighbour: (B, C, H, W) -> (B,)."""
    right = frames[..., :-1, 1:] - frames[..., :-1, :-1]
    down = frames[..., 1:, :-1] - frames[..., :-1, :-1]
    return (right**2 + down**2).sqrt().double().flatten(1).mean(1)


def ssim(predictions: Tensor, targets: Tensor) -> Tensor:
    """As its authors define it, (...): Gaussian window of 11 x 11 pixels, standard deviation 1.5, dynamic
    range 1; mean over channels and all places where the window lies within the picture.

    Args:
        predictions, targets: (..., C, H, W), values in [0, 1], H and W at least 11.
    """
    offsets = torch.arange(11).to(predictions) - 5
    weights = (-(offsets**2) / (2 * 1.5**2)).exp()
    return _ssim(predictions, targets, weights / weights.sum(), dynamic_range=1.0)


def ssim_literature(predictions: Tensor, targets: Tensor) -> Tensor:
    """SSIM as in the literature's tables of Moving MNIST: too high, comparable with these alone. They were
    made with scikit-image's defaults up to 0.19: a uniform window of 7 x 7 pixels, sample covariances, and
    for floats a dynamic range of 2, though the pictures lie in [0, 1]. Arguments and result as of `ssim`."""
    weights = predictions.new_full((7,), 1 / 7)
    return _ssim(predictions, targets, weights, dynamic_range=2.0, sample=49 / 48)


def _ssim(one: Tensor, other: Tensor, weights: Tensor, dynamic_range: float, sample: float = 1.0) -> Tensor:
    """Equation 13 with K1 = 0.01 and K2 = 0.03; `sample` multiplies the covariances."""
    c1, c2 = (0.01 * dynamic_range) ** 2, (0.03 * dynamic_range) ** 2
    # The windows as two products with band matrices: at these sizes faster than convolutions.
    rows, columns = (_band(size, weights) for size in one.shape[-2:])

    def local(values: Tensor) -> Tensor:
        return rows @ values @ columns.T  # (..., C, H - k + 1, W - k + 1)

    # Covariances from values about 0: of those near 1 float32 would keep too few digits.
    one, other = one - 0.5, other - 0.5
    mean_one, mean_other = local(one), local(other)
    covariance = sample * (local(one * other) - mean_one * mean_other)
    variances = sample * (local(one**2 + other**2) - mean_one**2 - mean_other**2)
    mean_one, mean_other = mean_one + 0.5, mean_other + 0.5
    luminance = (2 * mean_one * mean_other + c1) / (mean_one**2 + mean_other**2 + c1)
    structure = (2 * covariance + c2) / (variances + c2)
    return (luminance * structure).mean((-3, -2, -1))


def _band(size: int, weights: Tensor) -> Tensor:
    """(size - k + 1, size): row i holds the k weights from column i on."""
    free = size - len(weights)
    return torch.stack([nn.functional.pad(weights, (i, free - i)) for i in range(free + 1)])
