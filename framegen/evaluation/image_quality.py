"""What frames that are pictures are measured by, beside their errors."""

from collections.abc import Mapping

from torch import Tensor

from framegen.evaluation.metrics import Range, number
from framegen.evaluation.similarity import ssim, ssim_literature

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
