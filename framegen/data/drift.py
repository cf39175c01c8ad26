"""Drift: an unseen texture slides across a torus at an unknown velocity."""

import itertools
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from framegen.config.worlds import Drift, Sprites
from framegen.data.clips import Data, Split
from framegen.data.kept import draws, load_kept

MIDDLE = 0.5
"""Mean brightness."""
SPREAD = 0.125
"""Standard deviation of a stored pixel, noise included: four of them lie within [0, 1]."""


def spectrum(config: Drift) -> Tensor:
    """The variance P of each coefficient of a texture's unitary DFT, (size, size) float64.

    That of photographs (Field, 1987): amplitudes fall as 1/f, so variances as 1/f^2; the mean varies as the
    lowest frequencies do. Its mean is the variance of a clean pixel.
    """
    frequency = torch.fft.fftfreq(config.size, dtype=torch.float64)
    squared = frequency[:, None] ** 2 + frequency**2
    power = 1 / squared.clamp(min=config.size**-2)
    return power * (SPREAD**2 - config.noise**2) / power.mean()


def velocities(config: Drift | Sprites) -> Tensor:
    """Every velocity that a clip may have, (V, 2) int64: pixels a frame, down and to the right."""
    steps = range(-config.reach, config.reach + 1)
    return torch.tensor(list(itertools.product(steps, steps)))


def sample(config: Drift, split: Split) -> Tensor:
    """Make the clips of one split: uint8 (N, num_frames, 1, size, size).

    The same config gives the same clips; splits draw from independent streams of `data_seed`.
    """
    random, num_clips = draws(config, split)
    amplitude, ways = spectrum(config).sqrt().numpy(), velocities(config).numpy()
    shape = (config.size, config.size)
    clips = np.empty((num_clips, config.num_frames, 1, *shape), np.uint8)
    for clip in clips:
        white = np.fft.fft2(random.standard_normal(shape), norm="ortho")
        texture = MIDDLE + np.fft.ifft2(white * amplitude, norm="ortho").real
        way = random.choice(ways)
        for time, frame in enumerate(clip):
            clean = np.roll(texture, tuple(way * time), (0, 1))
            noisy = clean + config.noise * random.standard_normal(shape)
            frame[0] = (noisy.clip(0, 1) * 255).round()
    return torch.from_numpy(clips)


def load(config: Drift, folder: Path) -> Data:
    """The clips from `folder`, made there first where they are missing; see `load_kept`."""
    return load_kept(config, folder, lambda split: sample(config, split), config.context)
