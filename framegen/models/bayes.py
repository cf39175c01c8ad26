"""The Bayes-optimal predictor for a picture that is a function of an angle which turns at an unknown constant
speed."""

import math

import torch
from torch import Tensor

from framegen.config.data import LEVEL
from framegen.models.censored import censored_mean
from framegen.models.predictor import Forecaster, State


class BayesFilter(Forecaster):
    """The exact posterior over (speed, angle) on a grid, and the mean of the next frame under it.

    The hidden process: an angle on a ring of G grid points moves by one of S constant shifts a frame; both
    start uniform. A frame is the clean picture of its angle plus Gaussian noise, clipped to [0, 1] and
    rounded to 256
    levels: a censored Gaussian (Tobin, 1958). Since the grid moves with the angle, the filter is the forward
    algorithm of a hidden Markov model whose transition is a rotation. Approximations are the grid, and that
    rounding counts as noise of its own: it is none where the true noise is less than a level, for then the
    same picture is rounded the same way each time, and up to 1/(12 * 255^2) = 1.3e-6 of mse could be saved.

    The state is the log posterior over shift and angle of the *coming* frame, (B, S, G) float64. But for
    that, no predictor has a smaller expected squared error than the posterior mean that this one returns.

    Closed-loop it is shown nothing (a frame of NaN is a frame that was not observed), since its own
    prediction is no
    evidence: h steps on, it renders the same posterior h frames later, which is the exact h-step forecast.
    """

    def __init__(self, clean: Tensor, shifts: Tensor, deviation: float) -> None:
        """
        Args:
            clean: (G, C, H, W), the clean picture at each angle, values in [0, 1].
            shifts: (S,) integers, grid points that the angle may move by in one frame.
            deviation: standard deviation of a pixel about its clean value, noise and rounding together.
        """
        super().__init__()
        self.deviation = deviation
        picture = clean.double().flatten(1)  # (G, P)
        grid = torch.arange(len(picture))
        # A net moves with .to(device), these tables stay on the CPU: not every accelerator has float64.
        self.source = (grid - shifts[:, None]) % len(
            picture
        )  # (S, G): where each coming angle was one frame ago
        self.expected = censored_mean(picture, deviation)  # (G, P)
        self.linear = ((picture - 0.5) / deviation**2).T  # (P, G)
        self.square = ((picture - 0.5) ** 2 / (2 * deviation**2)).T  # (P, G)
        half_level = 0.5 / 255
        self.dark = torch.special.log_ndtr(
            (half_level - picture) / deviation
        ).T  # (P, G): log p(clipped to 0)
        self.bright = torch.special.log_ndtr(
            (picture - 1 + half_level) / deviation
        ).T  # (P, G): log p(clipped to 1)

    def forward(self, frames: Tensor, state: State = None) -> tuple[Tensor, State]:
        batch, steps = frames.shape[:2]
        shifts, angles = self.source.shape
        evidence = self._log_likelihood(frames.to("cpu", torch.float64).flatten(2))  # (B, T, G)
        prior = torch.zeros(batch, shifts, angles, dtype=torch.float64) if state is None else state
        speed = torch.arange(shifts)[:, None]  # (S, 1)
        predictions = []
        for t in range(steps):
            posterior = prior + evidence[:, t, None]  # (B, S, G)
            posterior = posterior - posterior.amax((1, 2), keepdim=True)
            prior = posterior[:, speed, self.source]  # (B, S, G)
            weight = prior.exp().sum(1)  # (B, G)
            predictions.append(weight @ self.expected / weight.sum(1, keepdim=True))
        return torch.stack(predictions, 1).view(frames.shape).to(frames), prior

    @property
    def has_bits(self) -> bool:
        """Not where the noise is less than a level: rounding is then no noise of its own."""
        return self.deviation >= LEVEL

    @torch.inference_mode()
    def log_prob(self, frames: Tensor, targets: Tensor) -> Tensor:
        """log p(target at t | frames up to t), exact but for the grid: (B, T) float64. A level's
        probability is the density times its width, at 0 and 1 what is cut off."""
        seen, coming = (each.to("cpu", torch.float64).flatten(2) for each in (frames, targets))
        inside = ((coming > 0) & (coming < 1)).double()
        # What `_log_likelihood` leaves out, since it does not depend on the angle.
        width = math.log(LEVEL / (self.deviation * math.sqrt(2 * math.pi)))
        left_out = (inside * (width - (coming - 0.5) ** 2 / (2 * self.deviation**2))).sum(2)  # (B, T)
        evidence, likelihood = self._log_likelihood(seen), self._log_likelihood(coming)  # (B, T, G)
        speed = torch.arange(len(self.source))[:, None]
        prior = torch.zeros(len(frames), *self.source.shape, dtype=torch.float64)
        found = []
        for now, then in zip(evidence.unbind(1), likelihood.unbind(1), strict=True):
            prior = (prior + now[:, None])[:, speed, self.source]  # (B, S, G)
            angles = prior.logsumexp(1)  # (B, G)
            found.append((angles + then).logsumexp(1) - angles.logsumexp(1))
        return torch.stack(found, 1) + left_out

    def _log_likelihood(self, frames: Tensor) -> Tensor:
        """log p(frame | angle), up to what does not depend on the angle: (B, T, P) -> (B, T, G)."""
        observed = ~frames.isnan()
        dark, bright = observed & (frames <= 0), observed & (frames >= 1)
        between = (observed & ~dark & ~bright).double()
        result = ((frames.nan_to_num(0.5) - 0.5) * between) @ self.linear - between @ self.square
        if dark.any() or bright.any():
            result = result + dark.double() @ self.dark + bright.double() @ self.bright
        return result
