"""Orbit: a light circles a small picture. One frame tells where it is, but not which way it goes."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from framegen.config.tasks import Orbit, Split
from framegen.data.clips import Data
from framegen.data.kept import draws, load_kept, observed

RADIUS = 0.7

BASE, AMPLITUDE = 0.2, 0.6

MAX_ANGLES = 4096
"""Four times as many lower a closed-loop mse by less than 2e-8 (size 8 and 16, noise 0 and 0.001)."""

CONTEXT = 10
"""Frames of a test clip that are the prompt; half of a clip with less than twice as many."""


def render(config: Orbit, phase: Tensor) -> Tensor:
    """The clean picture (..., 1, size, size) of a light at angle `phase` (...), radians.

    Its brightness, in [0.2, 0.8], is BASE + AMPLITUDE * exp(-d^2 / (2 width^2)), d the distance from the
    pixel's centre to the light at RADIUS (cos phase, sin phase); the picture spans [-1, 1]^2.
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
    """The clips of one split, uint8 (N, num_frames, 1, size, size), what a bar hides 0; see `draws`."""
    random, _, _ = _beginnings(config, split)
    return observed(config, clean(config, split), random)


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
    """Tables for the optimal predictor: the clean picture at each of G angles, (G, 1, size, size) float64,
    and the shifts between frames in grid points, (2 * len(speeds),).

    The grid is as fine as the angle can be known after all frames of a clip (the Cramer-Rao bound at its
    sharpest), where sums over it have converged; `refine` makes it finer by that factor. G is a multiple of
    the period, so that every speed moves by whole grid points.
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
    return replace(load_kept(config, folder, sample, context), kinds=kinds)
