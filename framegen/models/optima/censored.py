"""A normal value that is cut to [0, 1]: the censored Gaussian (Tobin, 1958)."""

import math

import torch
from torch import Tensor


def censored_mean(mean: Tensor, deviation: Tensor | float) -> Tensor:
    """E[clip(x, 0, 1)] for x normal with this mean and standard deviation (Greene, Econometric Analysis,
    19.3)."""
    low, high = -mean / deviation, (1 - mean) / deviation
    density = [(-(z**2) / 2).exp() / math.sqrt(2 * math.pi) for z in (low, high)]
    below, above = torch.special.ndtr(low), torch.special.ndtr(-high)
    return mean * (1 - below - above) + deviation * (density[0] - density[1]) + above
