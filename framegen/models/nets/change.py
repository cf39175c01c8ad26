"""How a motion filter changes the last frame that it saw, as maps that hold for pictures of any size."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from framegen.models.motion import warp
from framegen.models.nets.answers import to_range

BLURS = 3, 7
"""Pixels over which predictions are blurred."""


class Change(NamedTuple):
    """What a net says of the next frame."""

    way: Tensor
    """(B, 2, H, W): how far each pixel has moved since the last frame that was seen, pixels."""
    shares: Tensor
    """(B, 3, H, W): the part that gives way to the blurred pictures, and to the running mean."""
    part: Tensor
    """(B, 1, 1, 1): how much of all this is made; the rest is a copy."""
    lag: Tensor
    """(B,) int64: so many frames before the next one lies the one that it repeats; 0: it repeats none."""


def apply(seen: Tensor, average: Tensor, change: Change, factor: float = 1.0) -> tuple[Tensor, Tensor]:
    """The last frame seen (B, C, H, W), moved and blurred as the maps say: wholly, and as far as `part` says.

    Args:
        average: the running mean of the frames seen.
        factor: the pictures' pixels in a pixel at which motion was found.
    """
    sharp = warp(seen, change.way, mirror=True)
    softer = (*(mean_over(sharp, 2 * round((factor * blur - 1) / 2) + 1) for blur in BLURS), average)
    shares = change.shares.split(1, 1)
    blurred = sum((b * (each - sharp) for b, each in zip(shares, softer, strict=True)), sharp)
    moved = to_range(blurred)
    return moved, torch.lerp(seen, moved, change.part)


def enlarged(change: Change, factor: float, size: tuple[int, int]) -> Change:
    """The same for pictures of another height and width, with whose middle the maps' middle falls together.
    Between the maps' pixels it is bilinear; beyond them, as at their border."""
    rows, columns = (
        _spread(have, want, factor).to(change.way)
        for have, want in zip(change.way.shape[2:], size, strict=True)
    )
    way, shares = (rows @ each @ columns.T for each in (change.way, change.shares))
    return change._replace(way=factor * way, shares=shares)


def coarsely(pictures: Tensor, coarse: Tensor, factor: float) -> Tensor:
    """Pictures (B, C, H, W) in [0, 1] with another's (B, C, h, w) large forms in place of their own: what is
    finer than its pixels stays."""
    rows, columns = (
        _spread(have, want, factor).to(pictures)
        for have, want in zip(coarse.shape[2:], pictures.shape[2:], strict=True)
    )
    over_rows, over_columns = (each / each.sum(0) for each in (rows, columns))  # means around each pixel
    apart = coarse - over_rows.T @ pictures @ over_columns
    return to_range(pictures + rows @ apart @ columns.T)


def _spread(have: int, want: int, factor: float) -> Tensor:
    """(want, have): how much each place of a map counts at each of a picture's."""
    places = (torch.arange(want) - (want - 1) / 2) / factor + (have - 1) / 2
    return (1 - (places.clamp(0, have - 1)[:, None] - torch.arange(have)).abs()).clamp(min=0)


def mean_over(pictures: Tensor, window: int) -> Tensor:
    """Over a square around each pixel, of an odd number of pixels a side, as far as it lies within the
    picture."""
    if window <= max(BLURS):
        return functional.avg_pool2d(pictures, window, 1, window // 2, count_include_pad=False)
    for side in (2, 3):  # running sums: as fast for any window
        lines = pictures.movedim(side, -1)
        total, count = (
            sums[..., window:] - sums[..., :-window]
            for each in (lines, lines.new_ones(lines.shape[-1]))
            for sums in [functional.pad(each, (window // 2 + 1, window // 2)).cumsum(-1)]
        )
        pictures = (total / count).movedim(-1, side)
    return pictures
