"""Orbit: a light circles a small picture. One frame tells where it is, but not which way it goes."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from framegen.config.tasks import Orbit
from framegen.data.bar import hidden
from framegen.data.clips import Data, Split
from framegen.data.kept import draws, load_kept

RADIUS = 0.7

BASE, AMPLITUDE = 0.2, 0.6

MAX_ANGLES = 4096
"""Where a clip would pin the angle down further, between two of these the picture differs by less than its
rounding: four times as many lower a closed-loop mse by less than 2e-8 (size 8 and 16, noise 0 and 0.001)."""

CONTEXT = 10
"""Frames of a test clip that are the prompt; half of a clip with less than twice as many."""


def render(config: Orbit, phase: Tensor) -> Tensor:
    """The clean picture of a light at angle `phase`.

    Args:
        phase: any shape (...), radians.

    Returns:
        (..., 1, size, size), brightness in [0.2, 0.8]: BASE + AMPLITUDE * exp(-d^2 / (2 width^2)), d the
        distance from the pixel's centre to the light at RADIUS (cos phase, sin phase); the picture spans [-1,
        1]^2.
    """
    width = width_of(config)
    centres = (2 * torch.arange(config.size, dtype=phase.dtype) + 1) / config.size - 1  # (size,)
    dx = centres - RADIUS * phase.cos()[..., None]  # (..., size)
    dy = centres - RADIUS * phase.sin()[..., None]  # (..., size)
    squared_distance = dy[..., :, None] ** 2 + dx[..., None, :] ** 2  # (..., size, size)
    return (BASE + AMPLITUDE * (-squared_distance / (2 * width**2)).exp())[..., None, :, :]


def width_of(config: Orbit) -> float:
    """The light's width, of a picture that spans [-1, 1]."""
    return config.light_width * math.sqrt(2 / config.size)


def angular_velocities(config: Orbit) -> Tensor:
    """Every angular velocity a clip may have, (2 * len(speeds),), radians a frame."""
    speeds = torch.tensor([sign * speed for speed in config.speeds for sign in (1, -1)], dtype=torch.float64)
    return speeds * 2 * math.pi / config.period


def sample(config: Orbit, split: Split) -> Tensor:
    """Make the clips of one split: uint8 (N, num_frames, 1, size, size).

    The same config gives the same clips; splits draw from independent streams of `data_seed`. What a bar
    hides is 0.
    """
    random, start, _ = _beginnings(config, split)
    clips = torch.empty(len(start), config.num_frames, 1, config.size, config.size, dtype=torch.uint8)
    for clip, picture in zip(clips, clean(config, split), strict=True):
        noisy = picture + config.noise * torch.from_numpy(random.standard_normal(picture.shape))
        clip.copy_((noisy.clamp(0, 1) * 255).round())
    clips[..., hidden(config.size, config.bar)] = 0
    return clips


def clean(config: Orbit, split: Split) -> Iterator[Tensor]:
    """The same clips without noise and without a bar, one at a time: (num_frames, 1, size, size) float64."""
    return (render(config, phase) for phase in phases(config, split))


def phases(config: Orbit, split: Split) -> Tensor:
    """The angle of the light in each frame of a split's clips, radians: (N, num_frames) float64."""
    _, start, velocity = _beginnings(config, split)
    return start[:, None] + velocity[:, None] * torch.arange(config.num_frames)


def _beginnings(config: Orbit, split: Split) -> tuple[np.random.Generator, Tensor, Tensor]:
    """Each clip's first angle and its angular velocity, (N,) each; and the generator of its noise."""
    random, num_clips = draws(config, split)
    start = torch.from_numpy(random.uniform(0, 2 * math.pi, num_clips))
    velocities = angular_velocities(config)
    return random, start, velocities[torch.from_numpy(random.integers(len(velocities), size=num_clips))]


def phase_grid(config: Orbit, refine: int = 1) -> tuple[Tensor, Tensor]:
    """Tables for the optimal predictor: the clean picture at each of G angles, and the shifts between frames.

    The grid is as fine as the angle can be known after all frames of a clip (the Cramer-Rao bound at its
    sharpest), where sums over it have converged; `refine` makes it finer by that factor. G is a multiple of
    the period, so that every speed moves by whole grid points.

    Returns:
        (G, 1, size, size) float64 pictures, and (2 * len(speeds),) shifts in grid points a frame.
    """
    phase = torch.linspace(0, 2 * math.pi, 1001, dtype=torch.float64)
    slope = render(config, phase).diff(dim=0) / (phase[1] - phase[0])
    information = (slope**2).sum((1, 2, 3)).max().item() / config.deviation**2 * config.num_frames
    needed = min(2 * math.pi * math.sqrt(information), MAX_ANGLES)
    per_step = max(1, math.ceil(needed / config.period)) * refine
    angles = per_step * config.period
    grid = torch.arange(angles, dtype=torch.float64) * 2 * math.pi / angles
    shifts = [sign * speed * per_step for speed in config.speeds for sign in (1, -1)]
    return render(config, grid), torch.tensor(shifts)


def load(config: Orbit, folder: Path) -> Data:
    """The clips from `folder`, made there first where they are missing; see `load_kept`."""
    counter_clockwise = _beginnings(config, "test")[2] > 0  # rows are drawn from the top, so y points down
    kinds = {"counter-clockwise": ~counter_clockwise, "clockwise": counter_clockwise}
    context = min(CONTEXT, config.num_frames // 2)
    return load_kept(config, folder, lambda split: sample(config, split), context, kinds)
