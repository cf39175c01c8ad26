"""Errors of predictions, and how they vary from seed to seed.

All errors are means over clips, frames and pixels of values in the task's own range.
"""

import math
from collections.abc import Sequence

import numpy as np
from torch import Tensor

CONVENTION = {
    "mse": "squared error, mean over clips, frames, channels and pixels, in units of the task's values",
    "mae": "absolute error, mean over the same",
    "psnr": "10 log10(range^2 / mse) in dB, range the width of the task's value range; of the mean mse, not a mean",
    "skill": "(mse of copy-last - mse) / (mse of copy-last - mse of the optimum): 0 copies the last frame, 1 is optimal",
}


def psnr(mse: float, value_range: tuple[float, float]) -> float:
    """Peak signal-to-noise ratio in dB; infinite for an mse of 0, and -infinite or NaN as the mse is infinite or NaN."""
    width = value_range[1] - value_range[0]
    if mse == 0 or not math.isfinite(mse):
        return math.inf if mse == 0 else -mse
    return 10 * math.log10(width**2 / mse)


def skill(mse: float, mse_copy_last: float, mse_optimal: float) -> float:
    """How far a predictor has come from copying the last frame (0) to the best possible (1); below 0 it is worse.

    NaN where there is nothing to gain: copying is optimal.
    """
    gain = mse_copy_last - mse_optimal
    return (mse_copy_last - mse) / gain if gain > 0 else math.nan


def spread(values: Sequence[float]) -> dict[str, float]:
    """Mean, standard deviation (of a sample: n - 1), smallest and largest of at least two values."""
    array = np.array(values)
    with np.errstate(invalid="ignore"):  # of what is infinite there is no deviation
        return {
            "mean": array.mean().item(),
            "sd": array.std(ddof=1).item(),
            "min": array.min().item(),
            "max": array.max().item(),
        }


def median_index(values: Sequence[float]) -> int:
    """Where the median stands; of an even number of values the smaller of the two in the middle; NaN is the largest."""
    return sorted(range(len(values)), key=lambda k: (math.isnan(values[k]), values[k]))[
        (len(values) - 1) // 2
    ]


def over_members(name: str, values: Tensor) -> dict[str, Tensor]:
    """What is logged of values (..., K): of one net these, of a population mean, sd, smallest and largest."""
    if values.shape[-1] == 1:
        return {name: values[..., 0]}
    low, high = values.aminmax(dim=-1)
    return {name: values.mean(-1), f"{name}_sd": values.std(-1), f"{name}_min": low, f"{name}_max": high}
