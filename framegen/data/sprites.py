"""Sprites: known shapes move across a torus and now and then turn; a bar may hide a part of them, and an eye
that closes all. What is seen may be a window that pans over the torus."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from framegen.config.tasks import SPLITS, TOLD, Split, Sprites
from framegen.data.clips import Data
from framegen.data.drift import ways
from framegen.data.kept import draws, hidden, load_kept, observed

DARK, BRIGHT = 0.25, 0.75
"""Brightness of the background, and of a shape."""
CLOSING = 1 / 8
"""Probability that the eye closes after a frame that was seen."""
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
    """The noise's generator; the shape of each clip's things, (N * things,), and their rows and columns from
    the upper left pixel of each frame on, (N * things, num_frames, 2) int64."""
    random, num_clips = draws(config, split)
    count = num_clips * config.things
    shape = random.integers(4, size=count)
    steps = _steps(config, random, count, config.reach)  # the first one leads to the first place
    start = random.integers(config.size, size=(count, 1, 2))
    places = start + steps.cumsum(1)
    if config.view:
        moves = panning(config, split).numpy()
        places -= (moves.cumsum(1) - moves).repeat(config.things, 0)
    return random, torch.from_numpy(shape), torch.from_numpy(places % config.size)


def _steps(config: Sprites, random: np.random.Generator, count: int, most: int) -> np.ndarray:
    """Motions of at most so many pixels, now and then drawn anew, (count, num_frames, 2) int64."""
    every, size = ways(most).numpy(), (count, config.num_frames)
    drawn = random.integers(len(every), size=size)
    anew = random.random(size) < config.turning
    anew[:, 0] = True  # the velocity before the second frame is drawn as all others are
    latest = np.maximum.accumulate(np.where(anew, np.arange(config.num_frames), 0), 1)
    return every[np.take_along_axis(drawn, latest, 1)]


def panning(config: Sprites, split: Split) -> Tensor:
    """The window's motion from each frame to the next, (N, num_frames, 2) int64: down and to the right."""
    _, num_clips = draws(config, split)
    random = np.random.default_rng([config.data_seed, SPLITS.index(split), 2])
    return torch.from_numpy(_steps(config, random, num_clips, config.pan))


def telling(motion: Tensor) -> Tensor:
    """The stored levels that tell a motion of the window, uint8; see `told_motion`."""
    return ((0.5 + motion / TOLD) * 255).round().to(torch.uint8)


def told(config: Sprites, split: Split) -> Tensor:
    """The channels that tell the window's motion, uint8 (N, num_frames, 2, side, side); (…, 0, …) where there
    are none."""
    count = 2 if config.view and config.told else 0
    levels = telling(panning(config, split))[:, :, :count, None, None]
    return levels.expand(-1, -1, -1, config.side, config.side)


def sample(config: Sprites, split: Split) -> Tensor:
    """The clips of one split, uint8 (N, num_frames, C, side, side), what the bar or a closed eye hides 0, and
    what is told of the window; see `draws`."""
    random, _, _ = paths(config, split)
    made = observed(config, clean(config, split), random)
    made[~awake(config, split)] = 0
    return torch.cat([made, told(config, split)], 2)


def awake(config: Sprites, split: Split) -> Tensor:
    """In which frames the eye is open, (N, num_frames) bool: the first ones are seen, and at most `away` in a
    row are not."""
    _, num_clips = draws(config, split)
    seen = np.ones((num_clips, config.num_frames), bool)
    if not config.away:
        return torch.from_numpy(seen)
    random = np.random.default_rng([config.data_seed, SPLITS.index(split), 1])
    left = np.zeros(num_clips, int)  # for so many frames it stays closed
    for time in range(1, config.num_frames):
        closes = seen[:, time - 1] & (random.random(num_clips) < CLOSING)
        left = np.where(closes, random.integers(1, config.away + 1, num_clips), left)
        seen[:, time] = left == 0
        left = np.maximum(left - 1, 0)
    return torch.from_numpy(seen)


def clean(config: Sprites, split: Split) -> Iterator[Tensor]:
    """The same pictures without noise and without a bar, one clip at a time: (num_frames, C, side, side)
    float64."""
    return (torus[..., : config.side, : config.side] for torus in scenes(config, split))


def scenes(config: Sprites, split: Split) -> Iterator[Tensor]:
    """The whole torus of each frame, where a window stands at row and column 0: (num_frames, C, size, size)
    float64, one clip at a time."""
    _, shape, places = paths(config, split)
    masks = shapes(config)
    for kinds, courses in zip(shape.split(config.things), places.split(config.things), strict=True):
        covers = torch.zeros(config.num_frames, config.channels, config.size, config.size, dtype=torch.bool)
        for channel, (kind, way) in enumerate(zip(kinds, courses.tolist(), strict=True)):
            covers[:, channel] = torch.stack([masks[kind].roll(place, (0, 1)) for place in way])
        yield torch.where(covers, BRIGHT, DARK).double()


def unseen(config: Sprites, split: Split) -> Tensor:
    """For how many frames a shape was out of sight, whatever hid it, before it came back in this one,
    (N, num_frames) int64; 0 where it did not, or had never been seen. Of several things the longest time."""
    _, shape, places = paths(config, split)
    masks, visible = shapes(config).double(), torch.zeros(config.size, config.size, dtype=torch.float64)
    visible[: config.side, : config.side] = (~hidden(config.side, config.bar)).double()
    pixels = torch.fft.rfft2(visible) * torch.fft.rfft2(masks).conj()
    in_sight = torch.fft.irfft2(pixels, visible.shape) > 0.5  # (4, H, W): of a shape that stands there
    seen = in_sight[shape[:, None], places[..., 0], places[..., 1]]  # (N things, T)
    seen &= awake(config, split).repeat_interleave(config.things, 0)
    time = torch.arange(config.num_frames)
    last = torch.where(seen, time, -1).cummax(1).values  # when it was seen last, -1 if never
    before = torch.cat([torch.full_like(last[:, :1], -1), last[:, :-1]], 1)
    gone = torch.where(seen & (before >= 0), time - before - 1, 0)
    return gone.unflatten(0, (-1, config.things)).amax(1)


def load(config: Sprites, folder: Path) -> Data:
    """The clips from `folder`, made there first where they are missing; see `load_kept`."""
    asked = partial(awake, config) if config.away else None
    data = load_kept(config, folder, sample, config.context, asked)
    hides = config.bar or config.away or config.view
    return replace(data, unseen=unseen(config, "test")) if hides else data
