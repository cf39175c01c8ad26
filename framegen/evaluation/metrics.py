"""Metrics of errors, and how they vary over clips and seeds; None where there is no number."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

Range = tuple[float, float]
"""Lowest and highest value of a pixel."""

AT_REST = 1e-9
"""Squared error below which nothing moves: less than one level at one pixel of a small frame."""

CONVENTION = {
    "mse": "squared error, mean over clips, frames, channels and pixels, in units of the task's values",
    "mse_se": "standard error of mse over the clips",
    "mae": "absolute error, mean over the same",
    "psnr": "10 log10(range^2 / mse) in dB, range the width of the task's value range; of the mean mse, not "
    "a mean",
    "skill": "(mse of copy-last - mse) / (mse of copy-last - mse of the optimum): 0 copies the last frame, 1 "
    "is optimal",
    "skill_se": "standard error of skill over the clips, each clip's errors of the three predictors taken "
    "together",
    "memory": "the same with the observer of one frame in copy-last's place, over the frames in which "
    "something comes back into sight: 0 knows what one frame shows, 1 all that can be known",
    "memory_se": "standard error of memory over the clips, as skill's",
    "excess": "closed-loop (mse - floor) / (mse of the optimum - floor), the floor is the mse given the "
    "frames without noise: 1 is optimal",
    "excess_se": "standard error of excess over the clips, each clip's errors of the three taken together",
    "mse_frame": "squared error summed over a frame's channels and pixels, mean over clips and frames",
    "mae_frame": "absolute error summed and averaged the same way",
    "ssim": "structural similarity: Gaussian window of 11 x 11 (sd 1.5), range 1, no border; 1 is equal",
    "ssim_literature": "the same with a uniform window of 7 x 7 and range 2, as published tables of Moving "
    "MNIST have it: too high, to be set beside those alone",
    "motion_ratio": "mean absolute difference of a frame from the one before it, over the truth's: 0 is "
    "frozen",
    "sharpness_ratio": "mean length of the brightness gradient, over the truth's: below 1 is blurred (noise "
    "counts as sharp)",
    "bits": "-log2 of the probability that the predictor gave to the stored frame that came, one step ahead; "
    "mean over frames and clips",
    "bits_se": "standard error of bits over the clips",
    "regret": "bits less the optimum's: 0 is to know all that can be known",
    "regret_se": "standard error of regret over the clips, both predictors' bits of a clip taken together",
    "coverage_50": "share of pixels that lay within the central 50 % of what was predicted, one step ahead",
    "coverage_90": "share of pixels that lay within the central 90 % of what was predicted, one step ahead",
}
"""The meaning of each metric. Skill needs a known optimum, memory something that hides, excess frames known
without noise, bits a density head; the six from mse_frame on frames of at least 11 pixels a side, which the
last four see clipped to the value range. LPIPS and FVD are left out: the weights of their nets cannot be had
offline."""


def psnr(mse: float, value_range: Range) -> float | None:
    """Peak signal-to-noise ratio in dB; None for an mse of 0, where it is infinite, or not finite."""
    if mse == 0 or not math.isfinite(mse):
        return None
    return 10 * math.log10((value_range[1] - value_range[0]) ** 2 / mse)


def ratio(error: float | None, reference: float | None) -> float | None:
    """An error over that of a reference; None where one of them is no number, or where the reference has no
    error to speak of: there the error itself has to say it."""
    if error is None or reference is None or not reference > AT_REST:
        return None
    return number(error / reference)


def skill(mse: float, mse_copy_last: float, mse_optimal: float) -> float | None:
    """How far a predictor has come from copying the last frame (0) to the best possible (1); below 0 it is
    worse. None where there is nothing to gain, since copying is optimal."""
    return ratio(mse_copy_last - mse, mse_copy_last - mse_optimal)


def numbers(values: Sequence[float | None]) -> list[float]:
    """The values, with NaN where there is no number, as figures and tables take them."""
    return [math.nan if value is None else value for value in values]


def standard_error(values: Tensor) -> float | None:
    """The standard error of the mean of values (N,), one per clip; None for a single clip."""
    return number(values.std().item() / math.sqrt(len(values))) if len(values) > 1 else None


def excess(errors: Tensor, optimal: Tensor, floor: Tensor) -> tuple[float | None, float | None]:
    """A predictor's error as a multiple of the optimum's, the noise subtracted from both; and its standard
    error. None where the optimum's error is noise alone.

    Args:
        errors, optimal, floor: each clip's mse (N,); `floor` given the frames without noise.
    """
    over, least = errors - floor, optimal - floor
    times = ratio(over.mean().item(), least.mean().item())
    return times, None if times is None else ratio_standard_error(over, least)


def ratio_standard_error(part: Tensor, whole: Tensor) -> float | None:
    """Standard error of the ratio of two means over the same clips, (N,) each, by the delta method, or None.

    Paired: a clip that is hard for all predictors moves skill little.
    """
    mean = whole.mean().item()
    reached = ratio(part.mean().item(), mean)
    return None if reached is None else standard_error((part - reached * whole) / mean)


def number(value: float) -> float | None:
    """The value, or None where it is not finite."""
    return value if math.isfinite(value) else None


@dataclass(frozen=True)
class Spread:
    """How a value varies over the members of a population."""

    mean: float | None
    sd: float | None
    """Standard deviation of a sample (n - 1)."""
    min: float | None
    max: float | None


def spread(values: Sequence[float | None]) -> Spread:
    """Over the values that are numbers; all None where fewer than two are."""
    known = np.array([value for value in values if value is not None])
    if len(known) < 2:
        return Spread(None, None, None, None)
    return Spread(known.mean().item(), known.std(ddof=1).item(), known.min().item(), known.max().item())


def over_members(name: str, values: Tensor) -> dict[str, Tensor]:
    """Logged numbers of values (..., K): one net's own, or a population's mean, sd, smallest and largest."""
    if values.shape[-1] == 1:
        return {name: values[..., 0]}
    low, high = values.aminmax(dim=-1)
    return {name: values.mean(-1), f"{name}_sd": values.std(-1), f"{name}_min": low, f"{name}_max": high}


def summary(values: dict[str, list[float | None]]) -> dict[str, float]:
    """`over_members` of values by name, a list over the members each, as plain numbers, where all are."""
    columns = {name: torch.tensor(each) for name, each in values.items() if None not in each}
    rows = (over_members(name, column) for name, column in columns.items())
    return {key: value.item() for row in rows for key, value in row.items()}


def median_index(values: Sequence[float | None]) -> int:
    """Where the median stands, of an even number of values the smaller of the two; None is the largest."""
    known = [math.inf if value is None or math.isnan(value) else value for value in values]
    return sorted(range(len(known)), key=known.__getitem__)[(len(known) - 1) // 2]
