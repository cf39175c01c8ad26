"""Mixtures of Gaussians over frames of stored levels: what a net says of the next frame beside its mean."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from framegen.config.tasks import LEVEL

SMALLEST = LEVEL / 2
"""The smallest standard deviation: no level is then more probable than 1. All probabilities sum to 1
within 2 %, beside the ends 7 %; from a deviation of one level on within 1e-8, beside the ends 1 %."""


class Mixture(NamedTuple):
    """K Gaussians, at every step of B sequences, cut to [0, 1] and rounded to levels of 1/255 (Tobin, 1958).

    A component's values are independent of each other. Where one weight stands for the whole frame, all
    values share which component it is; where each value has weights of its own, they are independent.
    """

    means: Tensor
    """(B, T, K, C, H, W), of the Gaussians before they are cut; they may lie outside of [0, 1]."""
    deviations: Tensor
    """(B, T, K, C, H, W), at least SMALLEST."""
    log_weights: Tensor
    """(B, T, K, 1, 1, 1) of whole frames, or (B, T, K, C, H, W) of each value; normalised over K."""

    @property
    def mean(self) -> Tensor:
        """The mean after values are cut to [0, 1]: (B, T, C, H, W)."""
        return (self.log_weights.exp() * censored_mean(self.means, self.deviations)).sum(2)

    def log_prob(self, targets: Tensor) -> Tensor:
        """Natural logarithm of the probability of stored frames (B, T, C, H, W): (B, T).

        Inside a level's probability is the density times the level's width, at 0 and 1 what is cut off. That
        of a frame of NaN, which is not asked for, is 1.
        """
        unasked, target = targets.isnan().flatten(2).any(2), targets.nan_to_num()[:, :, None]
        standard = (target - self.means) / self.deviations
        width = math.log(LEVEL / math.sqrt(2 * math.pi))
        inside = width - self.deviations.log() - standard.square() / 2
        each, dark, bright = inside, target <= 0, target >= 1
        # Many a world has none, and these take as long as all the rest; but a GPU one would have to wait for.
        if targets.device.type != "cpu" or dark.any() or bright.any():
            below = torch.special.log_ndtr((LEVEL / 2 - self.means) / self.deviations)
            above = torch.special.log_ndtr((self.means - 1 + LEVEL / 2) / self.deviations)
            each = torch.where(dark, below, torch.where(bright, above, inside))
        if self.log_weights.shape[3:].numel() == 1:
            frames = self.log_weights.flatten(2) + each.flatten(3).sum(3)  # (B, T, K)
            return frames.logsumexp(2).masked_fill(unasked, 0)
        return (self.log_weights + each).logsumexp(2).flatten(2).sum(2).masked_fill(unasked, 0)

    def cdf(self, values: Tensor) -> Tensor:
        """The probability that a stored value is at most this level, pixel by pixel: (B, T, C, H, W) both."""
        edges = values[:, :, None] + LEVEL / 2  # a level holds what is rounded to it
        below = torch.special.ndtr((edges - self.means) / self.deviations)
        inside = (self.log_weights.exp() * below).sum(2).clamp(0, 1)
        return torch.where(values < 0, 0.0, torch.where(edges[:, :, 0] >= 1, 1.0, inside))

    def sample(self, generator: torch.Generator, temperature: float = 1.0) -> Tensor:
        """Frames of stored levels drawn from it, (B, T, C, H, W); the same on every device.

        Below 1 the temperature sharpens: weights to the power of 1/T, variances times T (Ha and Eck, "A
        neural representation of sketch drawings", 2017, eq. 8). The generator is on the CPU.
        """
        weights = (self.log_weights / temperature).softmax(2)
        drawn = torch.rand(weights[:, :, :1].shape, generator=generator).to(weights)
        index = (drawn > weights.cumsum(2)).sum(2, keepdim=True).clamp(max=weights.shape[2] - 1)
        index = index.expand(*index.shape[:3], *self.means.shape[3:])
        mean, deviation = (each.gather(2, index)[:, :, 0] for each in (self.means, self.deviations))
        noise = torch.randn(mean.shape, generator=generator).to(mean)
        values = mean + math.sqrt(temperature) * deviation * noise
        return (values.clamp(0, 1) / LEVEL).round() * LEVEL


def censored_mean(mean: Tensor, deviation: Tensor | float) -> Tensor:
    """E[clip(x, 0, 1)], x normal with that mean and deviation (Greene, Econometric Analysis, 19.3)."""
    low, high = -mean / deviation, (1 - mean) / deviation
    density = [(-(z**2) / 2).exp() / math.sqrt(2 * math.pi) for z in (low, high)]
    below, above = torch.special.ndtr(low), torch.special.ndtr(-high)
    return mean * (1 - below - above) + deviation * (density[0] - density[1]) + above


def mean_of(made: Tensor | Mixture) -> Tensor:
    """The point prediction, (B, T, C, H, W)."""
    return made.mean if isinstance(made, Mixture) else made


def join(parts: Sequence[Any]) -> Any:
    """Predictions, or mixtures, one after another in time."""
    if isinstance(parts[0], Mixture):
        return Mixture(*(torch.cat(each, 1) for each in zip(*parts, strict=True)))
    return torch.cat(list(parts), 1)
