"""Sine: samples of a sine go in, a shifted sine comes out; one sample is a frame of 1x1 pixel."""

import math
from pathlib import Path

import torch
from torch import Tensor

from framegen.config.tasks import Sine
from framegen.data.clips import Data, TensorClips

WINDOWS_APART = 3
"""Every 3rd window is shown as it is trained on; in the article it is every 15th."""


def samples(config: Sine, start: int, count: int) -> Tensor:
    """sin(n * pi / window) for n = start ... start + count - 1: float32 (1, count, 1, 1, 1)."""
    n = torch.arange(start, start + count, dtype=torch.float64)
    return (n * math.pi / config.window).sin().float().view(1, -1, 1, 1, 1)


def load(config: Sine, folder: Path) -> Data:
    """One stream, cut into windows [k pi, (k + 1) pi]; validation and test go on where training ends.

    Those two are fed from the stream's beginning, which carries the state into the windows that are scored.
    Clips for closed loops begin all around the circle, a period of them the prompt. `folder` is not used.
    """

    def split(first_window: int, windows: int) -> TensorClips:
        burn_in = first_window * config.window
        count = burn_in + windows * config.window
        return TensorClips(samples(config, 0, count), samples(config, -config.lag, count), burn_in)

    train = split(0, config.num_windows)
    windows = (config.num_windows, config.window, 1, 1, 1)
    period = 2 * config.window
    starts = range(0, period, max(1, config.window // 10))
    frames = torch.cat([samples(config, start, 2 * period) for start in starts])
    return Data(
        train=TensorClips(train.inputs.view(windows), train.targets.view(windows)),
        val=split(config.num_windows, config.num_val_windows),
        test=split(config.num_windows + config.num_val_windows, config.num_test_windows),
        carry_state=True,
        windows_apart=WINDOWS_APART,
        test_frames=frames if config.next_frame else None,
        context=period,
    )


def optimal_weights(config: Sine) -> Tensor:
    """Weights (2, 1) of the last two samples, newest first, that give the target exactly: from sin(a - b) =
    sin a cos b - cos a sin b, with cos a read off two neighbouring samples."""
    step = math.pi / config.window
    shift = config.lag * step
    newest = math.cos(shift) - math.sin(shift) / math.tan(step)
    return torch.tensor([[newest], [math.sin(shift) / math.sin(step)]], dtype=torch.float64)
