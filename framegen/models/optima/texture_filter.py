"""The Bayes-optimal predictor for an unseen texture that slides across a torus at an unknown velocity."""

import math

import torch
from torch import Tensor

from framegen.config.tasks import LEAST_DEVIATION, LEVEL
from framegen.models.predictor import Forecaster, State


class TextureFilter(Forecaster):
    """The exact posterior over velocity and texture, and the mean of the next frame under it.

    With X the unitary DFT of a frame less its mean, seen t times, the texture S and the velocity v:

        X_t(k) = S(k) exp(-i k v t) + noise,    S(k) ~ N(0, P(k)),    noise ~ N(0, s^2)

    A sum over the frames, turned along with the texture, is all that they say of it at a given velocity:

        A_v <- A_v exp(-i k v) + X
        log p(frames | v) = 1/2 sum_k P |A_v|^2 / (s^2 (t P + s^2)) + what does not depend on v
        E[S | v] = P A_v / (t P + s^2)

    The prediction is the sum over v of p(v | frames) E[S | v], moved on by v. Pixels are taken as Gaussian,
    here and in `log_prob`: that a few of ten thousand are cut to [0, 1] is left out of account.

    The state is A, (B, V, H, W // 2 + 1) complex64, and t, (B,) int64.
    """

    def __init__(self, power: Tensor, velocities: Tensor, deviation: float, middle: float) -> None:
        """
        Args:
            power: (H, W), P, the variance of each coefficient of a texture.
            velocities: (V, 2) integers, pixels a frame, down and to the right; all are as probable.
            deviation: s, of a pixel about its clean value.
            middle: the mean of all pixels.
        """
        super().__init__()
        height, width = power.shape
        half = width // 2 + 1  # a frame is real: the other half mirrors this one
        down = torch.fft.fftfreq(height, dtype=torch.float64)[:, None]
        across = torch.arange(half, dtype=torch.float64) / width
        turns = velocities[:, 0, None, None] * down + velocities[:, 1, None, None] * across  # (V, H, half)
        # A net moves with .to(device), these tables stay on the CPU, as those of the other optima.
        self.turn = torch.polar(torch.ones_like(turns), -2 * math.pi * turns).to(torch.complex64)
        self.power = power[:, :half].float()
        self.twice = torch.full((half,), 2.0)  # how often a column stands in the whole transform
        self.twice[0] = 1
        if width % 2 == 0:
            self.twice[-1] = 1
        self.variance, self.middle = deviation**2, middle

    def forward(self, frames: Tensor, state: State = None) -> tuple[Tensor, State]:
        batch, (height, width) = len(frames), frames.shape[3:]
        if state is None:
            none = torch.zeros(batch, *self.turn.shape, dtype=torch.complex64)
            state = none, torch.zeros(batch, dtype=torch.int64)
        gathered, count = state
        predictions = []
        for frame in frames.cpu().unbind(1):
            seen = ~frame.isnan().flatten(1).any(1)  # (B,)
            coefficients = torch.fft.rfft2(frame[:, 0].nan_to_num(self.middle) - self.middle, norm="ortho")
            gathered = gathered * self.turn + coefficients[:, None]
            count = count + seen
            gain, log_odds = self.known(gathered, count)
            odds = log_odds.softmax(1).float()  # (B, V)
            coming = torch.einsum("bv,bvhw,vhw->bhw", odds.to(gathered.dtype), gathered, self.turn) * gain
            predictions.append(torch.fft.irfft2(coming, (height, width), norm="ortho") + self.middle)
        return torch.stack(predictions, 1)[:, :, None].to(frames), (gathered, count)

    def known(self, gathered: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
        """A state's evidence: of a coefficient as a share of the same without noise, over
        t, (B, H, half), and of each velocity its log odds, up to a constant, (B, V) float64."""
        gain = self.power / (count[:, None, None] * self.power + self.variance)
        evidence = gathered.abs().square() * (gain * self.twice)[:, None]  # (B, V, H, half)
        return gain, evidence.sum((2, 3)).double() / (2 * self.variance)

    @property
    def has_bits(self) -> bool:
        """Not where the noise is less than a level: rounding is then no noise of its own."""
        return self.variance >= LEAST_DEVIATION**2

    @torch.inference_mode()
    def log_prob(self, frames: Tensor, targets: Tensor) -> Tensor:
        """log p(target at t | frames up to t), the density times the width of a level: (B, T) float64.

        Given the velocity, the coming frame's coefficients are independent and normal, with mean E[S | v]
        moved on, and variance P s^2 / (t P + s^2) + s^2.
        """
        height, width = frames.shape[3:]
        found, state = [], None
        for frame, target in zip(frames.cpu().split(1, 1), targets.cpu().unbind(1), strict=True):
            _, state = self(frame, state)
            gathered, count = state
            gain, log_odds = self.known(gathered, count)
            variance = (gain * self.variance + self.variance).double()
            coming = torch.fft.rfft2(target[:, 0] - self.middle, norm="ortho")
            off = (coming[:, None] - gathered * self.turn * gain[:, None]).abs().square().double()
            exponents = (off / variance[:, None] * self.twice).sum((2, 3))  # (B, V)
            volumes = ((2 * math.pi * variance).log() * self.twice).sum((1, 2))  # (B,)
            each = log_odds.log_softmax(1) - (exponents + volumes[:, None]) / 2
            found.append(each.logsumexp(1) + height * width * math.log(LEVEL))
        return torch.stack(found, 1)
