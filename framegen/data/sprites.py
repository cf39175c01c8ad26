"""Sprites: a known shape moves across a torus and now and then turns; a bar may hide a part of it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from framegen.config.tasks import Split, Sprites
from framegen.data.clips import Data
from framegen.data.drift import velocities
from framegen.data.kept import draws, hidden, load_kept, observed

DARK, BRIGHT = 0.25, 0.75
"""Brightness of the background, and of a shape."""
PART = 3 / 8
"""Side of a shape over that of the picture."""


def shapes(config: Sprites) -> Tensor:
    """The pixels of a disc, a frame, a cross and a triangle at row and column 0, (4, size, size) bool."""
    side = max(3, round(config.size * PART))
    middle = (np.arange(side) - (side - 1) / 2) / (side / 2)  # (-1, 1)
    down, across = middle[:, None], middle[None]
    thick = max(1 / 3, 1.01 / side)
    disc = down**2 + across**2 <= 1
    frame = np.maximum(np.abs(down), np.abs(across)) >= 1 - 2 * thick
    cross = np.minimum(np.abs(down), np.abs(across)) <= thick
    triangle = np.abs(across) <= (down + 1) / 2
    masks = np.zeros((4, config.size, config.size), bool)
    masks[:, :side, :side] = [disc, frame, cross, triangle]
    return torch.from_numpy(masks)


def paths(config: Sprites, split: Split) -> tuple[np.random.Generator, Tensor, Tensor]:
    """The noise's generator; each clip's shape (N,), and its rows and columns (N, num_frames, 2) int64."""
    random, num_clips = draws(config, split)
    ways, size = velocities(config).numpy(), (num_clips, config.num_frames)
    shape = random.integers(4, size=num_clips)
    drawn = random.integers(len(ways), size=size)
    anew = random.random(size) < config.turning
    anew[:, 0] = True  # the velocity before the second frame is drawn as all others are
    latest = np.maximum.accumulate(np.where(anew, np.arange(config.num_frames), 0), 1)
    steps = ways[np.take_along_axis(drawn, latest, 1)]  # (N, T, 2); the first one leads to the first place
    start = random.integers(config.size, size=(num_clips, 1, 2))
    places = (start + steps.cumsum(1)) % config.size
    return random, torch.from_numpy(shape), torch.from_numpy(places)


def sample(config: Sprites, split: Split) -> Tensor:
    """The clips of one split, uint8 (N, num_frames, 1, size, size), what the bar hides 0; see `draws`."""
    random, _, _ = paths(config, split)
    return observed(config, clean(config, split), random)


def clean(config: Sprites, split: Split) -> Iterator[Tensor]:
    """The same clips without noise and without a bar, one at a time: (num_frames, 1, size, size) float64."""
    _, shape, places = paths(config, split)
    masks = shapes(config)
    for kind, way in zip(shape.tolist(), places.tolist(), strict=True):
        covers = torch.stack([masks[kind].roll(place, (0, 1)) for place in way])
        yield torch.where(covers, BRIGHT, DARK).double()[:, None]


def unseen(config: Sprites, split: Split) -> Tensor:
    """For how many frames a shape was behind the bar before it came back in this one, (N, num_frames) int64;
    0 where it did not, or had never been seen."""
    _, shape, places = paths(config, split)
    columns = shapes(config).any(1)  # (4, W), where a shape stands that stands at column 0
    open_columns = ~hidden(config.size, config.bar)[0]
    at_column = torch.stack([columns.roll(c, 1) for c in range(config.size)], 1)  # (4, W, W)
    seen = (at_column & open_columns).any(2)[shape[:, None], places[..., 1]]  # (N, T)
    time = torch.arange(config.num_frames)
    last = torch.where(seen, time, -1).cummax(1).values  # when it was seen last, -1 if never
    before = torch.cat([torch.full_like(last[:, :1], -1), last[:, :-1]], 1)
    return torch.where(seen & (before >= 0), time - before - 1, 0)


def load(config: Sprites, folder: Path) -> Data:
    """The clips from `folder`, made there first where they are missing; see `load_kept`."""
    data = load_kept(config, folder, sample, config.context)
    return replace(data, unseen=unseen(config, "test")) if config.bar else data
