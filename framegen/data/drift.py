"""Drift: an unseen texture slides across a torus at an unknown velocity."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from framegen.config.tasks import Drift, Split, Sprites
from framegen.data.clips import Data
from framegen.data.kept import draws, load_kept

MIDDLE = 0.5
"""Mean brightness."""
SPREAD = 0.125
"""Standard deviation of a stored pixel, noise included: four of them lie within [0, 1]."""


def spectrum(config: Drift) -> Tensor:
    """The variance P of each coefficient of a texture's unitary DFT, (size, size) float64. Its mean is the
    variance of a clean pixel.

    As in photographs (Field, 1987) it falls as 1/f^2; the mean varies as the lowest frequencies do.
    """
    frequency = torch.fft.fftfreq(config.size, dtype=torch.float64)
    squared = frequency[:, None] ** 2 + frequency**2
    power = 1 / squared.clamp(min=config.size**-2)
    return power * (SPREAD**2 - config.noise**2) / power.mean()


def velocities(config: Drift | Sprites) -> Tensor:
    """Every velocity that a clip may have, (V, 2) int64: pixels a frame, down and to the right."""
    return ways(config.reach)


def ways(most: int) -> Tensor:
    """Every motion of at most so many pixels in height and in width, (V, 2) int64."""
    steps = range(-most, most + 1)
    return torch.tensor(list(itertools.product(steps, steps)))


def sample(config: Drift, split: Split) -> Tensor:
    """The clips of one split, uint8 (N, num_frames, 1, size, size); see `draws`."""
    made = [(noisy.clip(0, 1) * 255).round().astype(np.uint8) for _, noisy in _made(config, split)]
    return torch.from_numpy(np.stack(made)[:, :, None])


def clean(config: Drift, split: Split) -> Iterator[Tensor]:
    """The same clips without noise, one at a time: (num_frames, 1, size, size) float64."""
    return (torch.from_numpy(frames)[:, None] for frames, _ in _made(config, split))


def _made(config: Drift, split: Split) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each clip without noise and with it, (num_frames, size, size) float64 each."""
    random, num_clips = draws(config, split)
    amplitude, ways = spectrum(config).sqrt().numpy(), velocities(config).numpy()
    shape = (config.size, config.size)
    for _ in range(num_clips):
        white = np.fft.fft2(random.standard_normal(shape), norm="ortho")
        texture = MIDDLE + np.fft.ifft2(white * amplitude, norm="ortho").real
        way = random.choice(ways)
        frames = np.stack([np.roll(texture, tuple(way * t), (0, 1)) for t in range(config.num_frames)])
        yield frames, frames + config.noise * random.standard_normal(frames.shape)


def load(config: Drift, folder: Path) -> Data:
    """The clips from `folder`, made there first where they are missing; see `load_kept`."""
    return load_kept(config, folder, sample, config.context)
