"""The Bayes-optimal predictor for a known shape that moves across a torus and now and then turns."""

import math

import torch
from torch import Tensor

from framegen.models.predictor import Forecaster, State

LEVELS = 256
IMPOSSIBLE = -1e6
"""The least log probability of a level: one such pixel leaves no weight, and float64 holds sums of many."""


class SpriteFilter(Forecaster):
    """The exact posterior over shape, velocity and place, and the mean of the next frame under it.

    The forward algorithm of a hidden Markov model (Rabiner, 1989) over K shapes, V velocities and all H W
    places. Before each frame the velocity is drawn anew with a given probability, then the shape moves. A
    pixel is bright where the shape covers it, else dark, plus Gaussian noise, cut to [0, 1] and rounded to
    256 levels. What a frame says of all places is a correlation of its pixels' log odds with a shape, and the
    coming frame's mean a convolution: both through FFTs. Pixels behind a bar are 0, and say nothing.

    Several things, each in a channel of its own, are independent before each frame and after it: the filter
    takes (clip, channel) for clips of their own, and log probabilities add up. Channels without one are dark.

    The state is the probability of each thing's shape, velocity and place in the coming frame, (B, things, K,
    V, H, W) float32.
    """

    def __init__(
        self,
        shapes: Tensor,
        velocities: Tensor,
        turning: float,
        levels: tuple[float, float],
        noise: float,
        hidden: Tensor,
        blinks: bool = False,
        things: int = 1,
    ) -> None:
        """
        Args:
            shapes: (K, H, W) bool, the pixels that a shape covers where it stands at row and column 0.
            velocities: (V, 2) integers, pixels a frame, down and to the right; all are as probable.
            turning: probability that the velocity is drawn anew.
            levels: a pixel's clean value, dark and bright.
            noise: standard deviation of a pixel about it.
            hidden: (H, W) bool, the pixels behind the bar.
            blinks: whether a frame that is black in every pixel was not seen, and says nothing.
            things: how many move, in the first channels.
        """
        super().__init__()
        self.blinks, self.things = blinks, things
        self.turning, self.ways = turning, [tuple(way) for way in velocities.tolist()]
        self.shape = len(shapes), len(velocities), *shapes.shape[1:]
        # Log odds of many pixels lose in float32 what tells places apart; probabilities do not.
        self.transformed = torch.fft.rfft2(shapes.double())  # (K, H, W // 2 + 1)
        self.covering = self.transformed.to(torch.complex64)
        dark, bright = (_log_probabilities(level, noise) for level in levels)
        self.odds, self.log_dark = bright - dark, dark  # (256,) each
        values = torch.arange(LEVELS, dtype=torch.float64) / (LEVELS - 1)
        self.dark, self.bright = (float(each.exp() @ values) for each in (dark, bright))
        self.visible = (~hidden).float()

    def forward(self, frames: Tensor, state: State = None) -> tuple[Tensor, State]:
        _, ways, height, width = self.shape
        if state is None:
            state = torch.full((len(frames), self.things, *self.shape), 1 / math.prod(self.shape))
        state = state.flatten(0, 1)  # (B, K, V, H, W): from here on each thing is a clip
        places = state.sum(2)  # (B, K, H, W), of the coming frame
        predictions = []
        for frame in frames.cpu()[:, :, : self.things].transpose(1, 2).flatten(0, 1).unbind(1):
            if self.blinks:
                frame = frame.masked_fill(~frame.nan_to_num().flatten(1).any(1)[:, None, None], math.nan)
            gained = self._gain(places, frame)  # (B, K, H, W)
            anew = gained * places * (self.turning / ways)
            turned = torch.addcmul(anew[:, :, None], state, (gained * (1 - self.turning))[:, :, None])
            moved = [turned[:, :, v].roll(way, (2, 3)) for v, way in enumerate(self.ways)]
            state = torch.stack(moved, 2)  # (B, K, V, H, W)
            places = state.sum(2)
            waves = torch.fft.rfft2(places)  # (B, K, H, W // 2 + 1)
            covered = torch.fft.irfft2((waves * self.covering).sum(1), (height, width))
            mean = self.dark + (self.bright - self.dark) * covered  # (B, H, W)
            predictions.append(mean * self.visible)
        made = torch.stack(predictions, 1).unflatten(0, (-1, self.things)).transpose(1, 2)
        nothing = (self.dark * self.visible).expand_as(frames[:, :, self.things :])
        return torch.cat([made, nothing], 2).to(frames), state.unflatten(0, (-1, self.things))

    def _gain(self, places: Tensor, frame: Tensor) -> Tensor:
        """By how much a frame (B, H, W) makes each shape and place (B, K, H, W) more probable."""
        evidence = self._evidence(frame)
        logs = places.log() + evidence  # float64, as the evidence is
        # Where it was held for all but impossible, the gain may be beyond float32: no more than that.
        gain = (evidence - logs.amax((1, 2, 3), keepdim=True)).float().clamp(max=85).exp()
        return gain / (gain * places).sum((1, 2, 3), keepdim=True)

    @property
    def has_bits(self) -> bool:
        return True

    @torch.inference_mode()
    def log_prob(self, frames: Tensor, targets: Tensor) -> Tensor:
        """log p(target at t | frames up to t) of the stored levels, exact: (B, T) float64; of pixels of NaN
        nothing is asked."""
        found, state = [], None
        for frame, target in zip(frames.split(1, 1), targets.cpu().unbind(1), strict=True):
            _, state = self(frame, state)
            levels = (target.nan_to_num() * (LEVELS - 1)).round().clamp(0, LEVELS - 1).long()
            # As if no shape were there, (B,); and what those that are there change.
            empty = (self.log_dark[levels] * self.visible * ~target.isnan()).sum((1, 2, 3))
            evidence = self._evidence(target[:, : self.things].flatten(0, 1))  # (B things, K, H, W)
            chances = state.flatten(0, 1).sum(2).double().log() + evidence
            found.append(empty + chances.logsumexp((1, 2, 3)).unflatten(0, (-1, self.things)).sum(1))
        return torch.stack(found, 1)

    def _evidence(self, frame: Tensor) -> Tensor:
        """log p(frame | shape, place), up to what depends on neither: (B, H, W) -> (B, K, H, W) float64."""
        levels = (frame.nan_to_num(0) * (LEVELS - 1)).round().clamp(0, LEVELS - 1).long()
        odds = self.odds[levels] * self.visible * ~frame.isnan()
        seen = torch.fft.rfft2(odds)[:, None] * self.transformed.conj()
        return torch.fft.irfft2(seen, odds.shape[1:])


def _log_probabilities(value: float, noise: float) -> Tensor:
    """Log probability of each level, given a pixel's clean value, (256,) float64; the ends hold the tails."""
    edges = (torch.arange(LEVELS - 1, dtype=torch.float64) + 0.5) / (LEVELS - 1)  # between levels
    standard = (edges - value) / noise
    below, above = (torch.special.log_ndtr(z).clamp(min=IMPOSSIBLE) for z in (standard, -standard))
    # Between two edges: of the two tails the one that is not near 1, so that nothing cancels.
    left = below[1:] + torch.log1p(-(below[:-1] - below[1:]).exp())
    right = above[:-1] + torch.log1p(-(above[1:] - above[:-1]).exp())
    between = torch.where(standard[1:] < 0, left, right)
    return torch.cat([below[:1], between, above[-1:]]).clamp(min=IMPOSSIBLE)
