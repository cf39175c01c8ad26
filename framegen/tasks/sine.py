"""Sine: samples of a sine go in, a shifted sine comes out; one sample is a frame of 1x1 pixel."""

import math

import torch
from torch import Tensor

from framegen.config import Sine
from framegen.tasks.clips import Clips, Data

ROLLOUT_FRAMES = 50
"""Length of the test clips for closed-loop generation."""


def samples(config: Sine, start: int, count: int) -> Tensor:
    """sin(n * pi / window) for n = start ... start + count - 1: float32 (1, count, 1, 1, 1)."""
    n = torch.arange(start, start + count, dtype=torch.float64)
    return (n * math.pi / config.window).sin().float().view(1, -1, 1, 1, 1)


def load(config: Sine) -> Data:
    """One stream, cut into windows [k pi, (k + 1) pi]; validation and test go on where training ends.

    Those two begin with one full period that is fed but not scored, which brings the state into step.
    """

    def split(first_window: int, windows: int, burn_in: int = 0) -> Clips:
        start, count = first_window * config.window - burn_in, windows * config.window + burn_in
        return Clips(samples(config, start, count), samples(config, start - config.lag, count), burn_in)

    train = split(0, config.num_windows)
    windows = (config.num_windows, config.window, 1, 1, 1)
    test_start = config.num_windows + config.num_val_windows
    test = split(test_start, config.num_test_windows, 2 * config.window)
    starts = range(0, 2 * config.window, max(1, config.window // 10))  # phases all around the circle
    frames = torch.cat([samples(config, start, ROLLOUT_FRAMES) for start in starts])  # (N, T, 1, 1, 1)
    return Data(
        train=Clips(train.inputs.view(windows), train.targets.view(windows)),
        val=split(config.num_windows, config.num_val_windows, 2 * config.window),
        test=test,
        value_range=(-1.0, 1.0),
        carry_state=True,
        test_frames=frames if config.lag == -1 else None,
    )


def optimal_weights(config: Sine) -> Tensor:
    """Weights (2, 1) of the last two samples, newest first, that give the target exactly.

    From sin(a - b) = sin a cos b - cos a sin b, with cos a read off two neighbouring samples.
    """
    step = math.pi / config.window
    shift = config.lag * step
    newest = math.cos(shift) - math.sin(shift) / math.tan(step)
    return torch.tensor([[newest], [math.sin(shift) / math.sin(step)]], dtype=torch.float64)
