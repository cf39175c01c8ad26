"""What frames that are pictures are measured by, beside their errors."""

from collections.abc import Mapping

from torch import Tensor

from framegen.evaluation.metrics import Range, number
from framegen.evaluation.similarity import MIN_SIDE, ssim, ssim_literature

PICTURE_CONVENTION = {
    "mse_frame": "squared error summed over a frame's channels and pixels, mean over clips and frames",
    "mae_frame": "absolute error summed and averaged the same way",
    "ssim": "structural similarity: Gaussian window of 11 x 11 (sd 1.5), range 1, no border; 1 is equal",
    "ssim_literature": "the same with a uniform window of 7 x 7 and range 2, as published tables of Moving "
    "MNIST have it: too high, to be set beside those alone",
    "motion_ratio": "mean absolute difference of a frame from the one before it, over the truth's: 0 is "
    "frozen",
    "sharpness_ratio": "mean length of the brightness gradient, over the truth's: below 1 is blurred (noise "
    "counts as sharp)",
}
"""Where both sides have at least 11 pixels. All but the first two see frames clipped to the value range.

LPIPS and FVD are left out: the weights of their nets cannot be had offline.
"""


def are_pictures(frame_shape: tuple[int, int, int]) -> bool:
    """Whether frames of (C, H, W) are large enough to be measured as pictures."""
    return min(frame_shape[1:]) >= MIN_SIDE


def measure_pictures(
    frames: tuple[Tensor, Tensor], before: tuple[Tensor, Tensor], value_range: Range
) -> dict[str, Tensor]:
    """Each clip's values at one step, (B,) float64, by name; `picture_scores` makes metrics of their means.

    Args:
        frames: predicted and true, (B, C, H, W) each.
        before: what was predicted and what was true one frame earlier; where the earlier frame was observed,
            it twice.
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
    """The metrics of PICTURE_CONVENTION over the clips; {} of {}. A share of nothing is None."""
    if not values:
        return {}
    mean = {name: each.mean().item() for name, each in values.items()}
    plain = ("mse_frame", "mae_frame", "ssim", "ssim_literature")
    return {name: number(mean[name]) for name in plain} | {
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
