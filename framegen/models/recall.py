"""A film that repeats itself: which of its earlier frames comes next, where one does.

The seasonal naive forecast (Hyndman and Athanasopoulos, "Forecasting: principles and practice", 5.2), whose
period is found as the film is seen: the lag at which frames were lately most like those before them.
"""

from typing import NamedTuple

import torch
from torch import Tensor

MEMORY = 128
"""Frames that are remembered; a longer loop is not found."""
AVERAGED = 0.4
"""The part that a new frame's error has in the running means: a lag is trusted after a dozen frames."""
CLEARLY = 0.5
"""So much smaller than its rival's an error has to be."""


class Recall(NamedTuple):
    """What is remembered of each clip."""

    frames: Tensor
    """(B, N, C, H, W), at most `MEMORY`, the newest last."""
    errors: Tensor
    """(B, 1 + MEMORY): running means of the mean absolute errors of what another predictor said, and of each
    lag. They begin at 1, so that what was hardly tried is not trusted."""


def begin(frames: Tensor) -> Recall:
    """Nothing is remembered yet of clips (B, C, H, W)."""
    return Recall(frames[:, None][:, :0], frames.new_ones(len(frames), 1 + MEMORY))


@torch.no_grad()
def recall(memory: Recall, frame: Tensor, said: Tensor, own: Tensor) -> tuple[Recall, Tensor, Tensor]:
    """What a frame adds, and what comes next if the film repeats itself.

    Args:
        frame: (B, C, H, W).
        said: what another predictor said of it, of the same shape.
        own: (B,) bool: the frame was generated, and says nothing of how good a prediction is.

    Returns:
        The memory; the next frame (B, C, H, W) by the best lag; and (B,) bool, whether that lag's errors are
        clearly below the other predictor's.
    """
    made = torch.cat([said[:, None], memory.frames.flip(1)], 1)  # the rival, then lags 1, 2, …
    errors = (made - frame[:, None]).abs().mean((2, 3, 4))
    known = torch.where(own[:, None], memory.errors[:, : errors.shape[1]], errors)
    running = memory.errors.clone()
    running[:, : errors.shape[1]] = running[:, : errors.shape[1]].lerp(known, AVERAGED)
    frames = torch.cat([memory.frames, frame[:, None]], 1)[:, -MEMORY:]
    best = running[:, 1 : 1 + frames.shape[1]].argmin(1)  # of lag 1 + best
    following = frames[torch.arange(len(frame)), frames.shape[1] - 1 - best]
    found = running[torch.arange(len(frame)), 1 + best] < CLEARLY * running[:, 0]
    return Recall(frames, running), following, found


def repeats(frames: Tensor) -> bool:
    """Whether a film (T, C, H, W) repeats itself at its end: by then its earlier frames say clearly more of
    the next one than the last one does."""
    memory, said, found = begin(frames[:1]), frames[:1], torch.tensor(False)
    for frame in frames.split(1):
        memory, _, found = recall(memory, frame, said, torch.tensor([False]))
        said = frame
    return bool(found)
