"""A recurrent filter of motion: a belief of how each pixel moves, corrected by what is seen of it.

A film has few shots, and a net that must find motion by itself learns those by heart. Here optical flow finds
it, and the net learns what is the same in all films: how far to trust what was measured, how motion goes on,
and how blurred a guess is best. It sees no colours and no shapes, only flows, errors and edges, and has some
thousand weights, so it holds on shots that it was never shown.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from framegen.config.checks import check
from framegen.config.models import MotionFilter
from framegen.models.mixture import Mixture, join, mean_of
from framegen.models.motion import optical_flow, warp
from framegen.models.nets.answers import begin_at_zero
from framegen.models.nets.change import Change, apply, mean_over
from framegen.models.nets.conv_layers import MinConvGRU
from framegen.models.nets.density import ConvDensity, Net
from framegen.models.nets.recall import Recall, begin, recall
from framegen.models.predictor import Forecaster, State

FEATURES = 9
"""Innovation and belief, two each; three errors; two edges."""
SMALLEST = 16
"""Pixels a side below which no flow is found."""
REACH = 1 / 8
"""The fastest motion, as a part of the longer side."""
NOTICED = 0.003
"""Mean error of a prediction at which half of a correction is made."""
GAIN = 2.0
"""The untrained filter's gain before the sigmoid: it trusts its measurements."""
AVERAGED = 0.2
"""The part that a new frame has in the running mean."""
SHARPENED = 10
"""Own frames up to which a picture may be sharpened; after as many again it is no more."""
WINDOW = 5
"""Pixels over which errors are averaged."""
KEPT = 0.8
"""The part of what was found of a clip's change that is kept each frame."""
TRUSTED = 1e-5
"""Squared change that counts as having come true before anything is found."""


class Filtered(NamedTuple):
    """The state: what is known of each clip after a frame; pictures are (B, C, H, W), flows (B, 2, H, W)."""

    seen: Tensor
    """The last frame that was seen."""
    change: Change
    """What becomes of it."""
    alone: Tensor
    """(B,): how many frames have been predicted since then and taken for true."""
    average: Tensor
    """The running mean of the frames seen."""
    frame: Tensor
    """The last frame, seen or predicted."""
    predicted: Tensor
    """The prediction of the next one; with a density head its mean."""
    best: Tensor
    """That without the density head."""
    trusted: Tensor
    """That without recall."""
    moved: Tensor
    """That without copies."""
    belief: Tensor
    """The motion that is believed in."""
    came_true: Tensor
    """(B, 2): see `_came_true`, a running sum."""
    earlier: Recall
    """Earlier frames."""
    memory: Tensor | None
    """The state of the layer of minGRU."""


class MotionFilterNet(Net, Forecaster):
    """Frames with values in [0, 1], of at least 16 pixels a side; predictions in [0, 1] as well.

    With F the flow measured between the last two frames and B the belief, 7 numbers a pixel come from one
    layer of convolutional minGRU and two convolutions: a gain k, a share a, an own flow o (2), and how much
    of the picture gives way to what is blurred over 3 pixels, over 7 pixels, and over the last few frames. As
    in a Kalman filter (1960),

        B <- B + sigmoid(2 + k) s (F - B),      s = e / (e + .003), e the error of the last prediction
        prediction = the last frame moved by a B + o, and blurred

    The share begins at 1 and all others at 0: an untrained net moves the last frame on as it believes, and
    is no worse than a copy on films that move. Closed-loop it takes its predictions for the frames and so
    keeps its motion, and moves and blurs the last frame that it did not make itself, along each pixel's way
    since then: they stay as sharp as the net says, to any length. Only ten frames on may be sharper than
    that one; twenty on none is.

    The predicted change is scaled by how much of the recent ones came true, by least squares; the rest is a
    copy (a combination of two forecasts, as in Bates and Granger, 1969). Closed-loop this fades. Where an
    earlier frame says clearly more of the next one than motion does, it is the prediction: loops go on (see
    `recall.py`).
    """

    def __init__(self, config: MotionFilter, frame_shape: tuple[int, int, int]) -> None:
        super().__init__()
        height, width = frame_shape[1:]
        least = f"at least {SMALLEST} pixels a side, not {width}x{height}; import with a larger --size"
        check(min(height, width) >= SMALLEST, f"a motion filter takes frames of {least}")
        self.reach = max(height, width) * REACH
        self.memory = MinConvGRU(FEATURES, config.hidden_size, 3)
        self.mix = nn.Conv2d(config.hidden_size, config.hidden_size, 3, padding=1)
        self.head = begin_at_zero(nn.Conv2d(config.hidden_size, 7, 1))
        with torch.no_grad():
            assert self.head.bias is not None
            self.head.bias[1] = 1  # the share
        heads = config.density, config.hidden_size, frame_shape[0], 1
        self.spread = ConvDensity(*heads) if config.density else None

    def predict(self, frames: Tensor, state: State) -> tuple[Tensor | Mixture, State]:
        if state is None:  # as if all had been at rest
            first, found = frames[:, 0], frames.new_zeros(len(frames), 2)
            still = frames.new_zeros(len(frames), 2, *frames.shape[3:])
            pictures = first, first, first, first, first, first
            none = Change(still, still, still, still)  # only its way is asked for
            state = Filtered(first, none, found[:, 0], *pictures, still, found, begin(first), None)
        parts = []
        for frame in frames.unbind(1):
            made, state = self._step(frame, state)
            parts.append(made)
        return join(parts), state

    def _step(self, frame: Tensor, state: Filtered) -> tuple[Tensor | Mixture, Filtered]:
        """The prediction of the next frame, T = 1, and the state after a frame (B, C, H, W)."""
        unseen = frame.isnan().flatten(1).any(1)  # (B,)
        own = unseen[:, None, None, None]
        frame = torch.where(own, state.predicted, frame)
        seen, way = torch.where(own, state.seen, frame), torch.where(own, state.change.way, 0)
        alone = torch.where(unseen, state.alone + 1, 0)
        average = torch.where(own, state.average, torch.lerp(state.average, frame, AVERAGED))
        came_true = torch.where(unseen[:, None], 0, _came_true(frame, state.frame, state.moved))
        came_true = KEPT * state.came_true + came_true
        came, said = (came_true + TRUSTED).unbind(1)
        part = (came / said).clamp(0, 1)[:, None, None, None]
        innovation = self._innovation(frame, ~unseen, state)
        features = torch.cat([innovation, state.belief, *_features(frame, state)], 1)
        hidden, memory = self.memory(features[None], state.memory)
        mixed = self.mix(hidden[0].relu()).relu() + hidden[0]
        gain, share, own_flow, shares = self.head(mixed).to(frame.dtype).split([1, 1, 2, 3], 1)
        belief = (state.belief + (GAIN + gain).sigmoid() * innovation).clamp(-self.reach, self.reach)
        flow = (share * belief + own_flow).clamp(-self.reach, self.reach)
        remembered = torch.where(own, state.best, frame).detach()
        earlier, following, lag = state.earlier, frame, torch.zeros_like(unseen).long()
        if not (self.training and torch.is_grad_enabled()):  # a training's clips are too short to repeat
            earlier, following, lag = recall(earlier, remembered, state.trusted, unseen)
        change = Change(flow + warp(way, flow), _faded(shares, alone), part, lag)
        moved, trusted = apply(seen, average, change)
        best = torch.where(lag[:, None, None, None] > 0, following, trusted)
        made = self.say(best[:, None], mixed[:, None])
        predicted = mean_of(made)[:, 0]
        pictures = average, frame, predicted, best, trusted, moved
        return made, Filtered(seen, change, alone, *pictures, belief, came_true, earlier, memory)

    @torch.no_grad()
    def _innovation(self, frame: Tensor, is_seen: Tensor, state: Filtered) -> Tensor:
        """Measured less believed motion, (B, 2, H, W), where the last prediction was wrong."""
        error = mean_over((frame - state.predicted).abs().mean(1, keepdim=True), WINDOW)
        innovation = torch.zeros_like(state.belief)
        if is_seen.any():
            measured = optical_flow(frame[is_seen], state.frame[is_seen], (0.0, 1.0))
            innovation[is_seen] = measured - state.belief[is_seen]
        return innovation * error / (error + NOTICED)


def _faded(shares: Tensor, alone: Tensor) -> Tensor:
    """The same (B, 3, H, W), and after many own frames such that no picture gets sharper: none negative, and
    together at most 1. Training sees few own frames, and so would not keep what is sharpened from growing."""
    blurring = shares.clamp(min=0)
    blurring = blurring / blurring.sum(1, keepdim=True).clamp(min=1)
    kept = (2 - (alone + 1) / SHARPENED).clamp(0, 1)
    return blurring.lerp(shares, kept[:, None, None, None])


@torch.no_grad()
def _came_true(frame: Tensor, before: Tensor, said: Tensor) -> Tensor:
    """Mean products of the predicted change of a frame (B, C, H, W) with the true one and itself: (B, 2)."""
    change = said - before
    return torch.stack([(change * each).mean((1, 2, 3)) for each in (frame - before, change)], 1)


@torch.no_grad()
def _features(frame: Tensor, state: Filtered) -> list[Tensor]:
    """How wrong prediction and copy are around each pixel, how wrong the prediction is at it, its edges."""
    wrong = (frame - state.predicted).abs().mean(1, keepdim=True)
    moved = (frame - state.frame).abs().mean(1, keepdim=True)
    grey = functional.pad(frame.mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    across = (grey[:, :, 1:-1, 2:] - grey[:, :, 1:-1, :-2]).abs()
    down = (grey[:, :, 2:, 1:-1] - grey[:, :, :-2, 1:-1]).abs()
    return [5 * each for each in (mean_over(wrong, WINDOW), mean_over(moved, WINDOW), wrong, across, down)]
