"""The Bayes-optimal predictor of a picture of an angle that turns at an unknown constant speed."""

import math
from functools import cached_property

import torch
from torch import Tensor

from framegen.config.tasks import LEAST_DEVIATION, LEVEL
from framegen.models.mixture import censored_mean
from framegen.models.predictor import Forecaster, State


class BayesFilter(Forecaster):
    """The exact posterior over (speed, angle) on a grid, and the mean of the next frame under it.

    An angle on a ring of G grid points moves by one of S constant shifts a frame; both start uniform. A frame
    is the clean picture of its angle plus Gaussian noise, clipped to [0, 1] and rounded to 256 levels: a
    censored Gaussian (Tobin, 1958). The filter is the forward algorithm of a hidden Markov model whose
    transition is a rotation. Approximate are the grid, and that rounding counts as noise: where the true
    noise is less than a level it is none, and up to 1/(12 * 255^2) = 1.3e-6 of mse could be saved.

    The state is the log posterior over shift and angle of the *coming* frame, (B, S, G) float64. Closed-loop
    it renders the same posterior h frames later: the exact h-step forecast.
    """

    def __init__(self, clean: Tensor, shifts: Tensor, deviation: float, hidden: Tensor | None = None) -> None:
        """
        Args:
            clean: (G, C, H, W), the clean picture at each angle, values in [0, 1].
            shifts: (S,) integers, grid points that the angle may move by in one frame.
            deviation: standard deviation of a pixel about its clean value, noise and rounding together.
            hidden: (H, W) bool, pixels behind a bar, which are 0 and say nothing; None: there is no bar.
        """
        super().__init__()
        picture = clean.double().flatten(1)  # (G, P)
        visible = torch.ones(clean.shape[1:]).flatten() if hidden is None else (~hidden).flatten()
        # A net moves with .to(device), these tables stay on the CPU: not every accelerator has float64.
        self.picture, self.visible, self.deviation = picture, visible.double(), deviation
        self.shifts = shifts.tolist()
        expected = _harmonics(censored_mean(picture, deviation) * self.visible)  # (P, K)
        expected[:, 1:] *= 2  # each but the first stands for its mirror image too
        self.expected = torch.view_as_real(expected / len(clean)).flatten(1).T  # (2 K, P)
        linear = _harmonics((picture - 0.5) * self.visible / deviation**2)
        self.linear = torch.view_as_real(linear).flatten(1)  # (P, 2 K)
        self.square = ((picture - 0.5) ** 2 @ self.visible) / (2 * deviation**2)  # (G,)

    def forward(self, frames: Tensor, state: State = None) -> tuple[Tensor, State]:
        batch, angles = len(frames), len(self.picture)
        evidence = self._log_likelihood(frames.to("cpu", torch.float64).flatten(2))  # (B, T, G)
        prior = torch.zeros(batch, len(self.shifts), angles, dtype=torch.float64) if state is None else state
        predictions = []
        for seen in evidence.unbind(1):
            posterior = prior + seen[:, None]  # (B, S, G)
            posterior = posterior - posterior.amax((1, 2), keepdim=True)
            prior = self._moved(posterior)
            weight = prior.exp().sum(1)  # (B, G)
            waves = torch.fft.rfft(weight)[:, : len(self.expected) // 2]
            mean = torch.view_as_real(waves).flatten(1) @ self.expected  # sum of weight * picture (Parseval)
            predictions.append(mean / weight.sum(1, keepdim=True))
        return torch.stack(predictions, 1).view(frames.shape).to(frames), prior

    def posterior(self, state: State) -> Tensor:
        """Over shift and angle of the last frame seen, (B, S, G) float64: the state, turned back."""
        back = [each.roll(-by, 1) for each, by in zip(state.unbind(1), self.shifts, strict=True)]
        log = torch.stack(back, 1)  # (B, S, G)
        return log.flatten(1).softmax(1).view_as(log)

    @property
    def has_bits(self) -> bool:
        """Not where the noise is less than a level: rounding is then no noise of its own."""
        return self.deviation >= LEAST_DEVIATION

    @torch.inference_mode()
    def log_prob(self, frames: Tensor, targets: Tensor) -> Tensor:
        """log p(target at t | frames up to t), exact but for the grid: (B, T) float64."""
        seen, coming = (each.to("cpu", torch.float64).flatten(2) for each in (frames, targets))
        inside = ((coming > 0) & (coming < 1)).double()
        # What `_log_likelihood` leaves out, since it does not depend on the angle.
        width = math.log(LEVEL / (self.deviation * math.sqrt(2 * math.pi)))
        left_out = (inside * (width - (coming - 0.5) ** 2 / (2 * self.deviation**2))).sum(2)  # (B, T)
        evidence, likelihood = self._log_likelihood(seen), self._log_likelihood(coming)  # (B, T, G)
        prior = torch.zeros(len(frames), len(self.shifts), len(self.picture), dtype=torch.float64)
        found = []
        for now, then in zip(evidence.unbind(1), likelihood.unbind(1), strict=True):
            prior = self._moved(prior + now[:, None])
            angles = prior.logsumexp(1)  # (B, G)
            found.append((angles + then).logsumexp(1) - angles.logsumexp(1))
        return torch.stack(found, 1) + left_out

    def _moved(self, posterior: Tensor) -> Tensor:
        """The belief about the coming frame, (B, S, G): each angle moves on by its shift."""
        parts = zip(posterior.unbind(1), self.shifts, strict=True)
        return torch.stack([each.roll(by, 1) for each, by in parts], 1)

    def _log_likelihood(self, frames: Tensor) -> Tensor:
        """log p(frame | angle), up to what does not depend on the angle: (B, T, P) -> (B, T, G)."""
        seen = ~frames.isnan().any(2, keepdim=True)  # (B, T, 1)
        cut = torch.cat([frames <= 0, frames >= 1], 2).flatten(0, 1)  # (B * T, 2 P)
        waves = (frames.nan_to_num(0.5).clamp(0, 1) - 0.5) @ self.linear
        waves = torch.view_as_complex(waves.unflatten(2, (-1, 2)))  # (B, T, K)
        result = torch.fft.irfft(waves, len(self.picture)) - self.square
        if cut.any():
            result += torch.sparse.mm(cut.double().to_sparse(), self.cut).view_as(result)
        return result * seen

    @cached_property
    def cut(self) -> Tensor:
        """The evidence of a pixel at 0 or at 1, which gather the tails, about each angle, beyond the
        normal density there: (2 P, G)."""
        half_level, picture, deviation = LEVEL / 2, self.picture, self.deviation
        ends = {0: (half_level - picture) / deviation, 1: (picture - 1 + half_level) / deviation}
        tables = [
            torch.special.log_ndtr(tail) + ((end - picture) ** 2 - (end - 0.5) ** 2) / (2 * deviation**2)
            for end, tail in ends.items()
        ]
        return (torch.cat(tables, 1) * self.visible.repeat(2)).T.contiguous()


def _harmonics(pictures: Tensor) -> Tensor:
    """Each pixel's Fourier coefficients over the angle, (G, P) -> (P, K) complex128, without the high ones
    that are only rounding: pictures of a light that goes round change smoothly."""
    waves = torch.fft.rfft(pictures, dim=0)
    strength = waves.abs().amax(1)  # (G // 2 + 1,)
    (strong,) = torch.nonzero(strength > 1e-15 * strength.max(), as_tuple=True)
    # The last coefficient of an even number of angles has no mirror image: it is left out, being rounding.
    return waves[: min(int(strong.max()) + 1, (len(pictures) + 1) // 2)].T.contiguous()
