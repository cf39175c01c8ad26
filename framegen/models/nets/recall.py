"""A film that repeats itself: which of its earlier frames comes next, where one does.

The seasonal naive forecast (Hyndman and Athanasopoulos, "Forecasting: principles and practice", 5.2), whose
period is the lag at which frames were lately most like those before them.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

MEMORY = 128
"""Frames that are remembered; a longer loop is not found."""
SMALL = 16
"""Places a side at which frames are compared, whatever their size."""
AVERAGED = 0.2
"""The part of a new frame's error in the running means: a lag is trusted after some two dozen frames."""
TRUSTED_AFTER = 32
"""Frames of a second round that are surely enough for that."""
CLEARLY = 0.4
"""An error is clearly smaller below this share of its rival's."""
NEVER = 2.0
"""The value of frames that were not seen: nothing within [0, 1] is near it."""


class Recall(NamedTuple):
    """The memory of each clip."""

    frames: tuple[Tensor, ...]
    """MEMORY times (B, C, H, W), the newest last."""
    small: Tensor
    """The same, averaged to SMALL places a side: (B, MEMORY, C, SMALL, SMALL)."""
    errors: Tensor
    """(B, 1 + MEMORY): running mean absolute errors of another predictor and of each lag. They begin at 1, so
    that what was hardly tried is not trusted."""


def begin(frames: Tensor) -> Recall:
    """Nothing is remembered yet of clips (B, C, H, W), with values in [0, 1]."""
    small = _small(frames)[:, None].expand(-1, MEMORY, -1, -1, -1)
    errors = frames.new_ones(len(frames), 1 + MEMORY)
    return Recall((frames,) * MEMORY, torch.full_like(small, NEVER), errors)


@torch.no_grad()
def recall(memory: Recall, frame: Tensor, said: Tensor, own: Tensor) -> tuple[Recall, Tensor, Tensor]:
    """The memory with a frame added, and the next frame if the film repeats itself.

    Args:
        frame: (B, C, H, W).
        said: what another predictor said of it, of the same shape.
        own: (B,) bool: the frame was generated, and says nothing of how good a prediction is.

    Returns:
        The memory; the next frame (B, C, H, W) by the best lag; and that lag (B,), 0 where it is not trusted,
        its errors not being clearly below the other predictor's. There the next frame is this one.
    """
    now, errors = _small(frame), memory.errors
    if not own.all():
        rival, lags = (
            (each - now[:, None]).abs().mean((2, 3, 4)) for each in (_small(said)[:, None], memory.small)
        )
        new = torch.cat([rival, lags.flip(1)], 1)  # the newest frame is lag 1
        errors = torch.where(own[:, None], errors, errors.lerp(new, AVERAGED))
    frames = (*memory.frames[1:], frame)
    smallest, best = errors[:, 1:].min(1)
    lag, following = torch.where(smallest < CLEARLY * errors[:, 0], best + 1, 0), frame
    if lag.any():
        following = torch.stack([frames[min(-each, -1)][clip] for clip, each in enumerate(lag.tolist())])
    return Recall(frames, torch.cat([memory.small[:, 1:], now[:, None]], 1), errors), following, lag


def repeats(frames: Tensor) -> bool:
    """Whether at its end earlier frames of a film (T, C, H, W) say clearly more of the next than its last."""
    memory, said, lag = begin(frames[:1]), frames[:1], torch.zeros(1)
    for frame in frames.split(1):
        memory, _, lag = recall(memory, frame, said, torch.tensor([False]))
        said = frame
    return bool(lag)


def _small(frames: Tensor) -> Tensor:
    return functional.adaptive_avg_pool2d(frames, SMALL)
