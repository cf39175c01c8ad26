"""Where a film's shots begin: found as its frames pass by, in constant memory."""

import itertools
from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np

from framegen.data.pictures import Array

AROUND = 4
"""Frames before and behind a cut that are looked at: longer than a flash, and than a drawing that is held for
three frames."""

LEAST = 6.0
"""Levels of 255 by which pictures on both sides of a cut differ at least."""

TIMES = 2.0
"""So many times as much as neighbouring frames do."""

BACK = 0.5
"""The picture has come back where it differs by less than this part of the leap."""

GRID = 16
"""A frame is looked at in so many blocks along each side: what moves a little changes little in them."""


def shot_starts(frames: Iterable[Array]) -> Iterator[int]:
    """The numbers of the frames, (H, W, C) uint8, that begin a shot: 0, and those behind a cut.

    A cut lies between two frames where every picture shortly before differs from every picture shortly behind
    (a flash is no cut: the picture comes back), and by much more than neighbouring frames do (a fast pan is
    none). Fades and dissolves are not found: nothing in them is sudden.
    """
    window: deque[Array] = deque(maxlen=2 * AROUND)
    count = 0
    for count, frame in enumerate(frames, 1):
        if count == 1:
            yield 0
        window.append(_blocks(frame))
        begins = count - AROUND  # has AROUND frames from it on
        if begins > 0 and _is_cut(list(window), len(window) - AROUND):
            yield begins
    for begins in range(max(1, count - AROUND + 1), count):
        if _is_cut(list(window), len(window) - (count - begins)):
            yield begins


def _blocks(frame: Array) -> Array:
    """Means over at most GRID x GRID blocks, (rows, columns, C) float32."""
    sums = frame.astype(np.float32)
    for axis in (0, 1):
        size = sums.shape[axis]
        edges = np.unique(np.linspace(0, size, min(GRID, size) + 1).astype(int))
        shape = [-1 if each == axis else 1 for each in range(3)]
        sums = np.add.reduceat(sums, edges[:-1], axis) / np.diff(edges).reshape(shape)
    return sums


def _is_cut(window: list[Array], place: int) -> bool:
    """Whether the window's frame at `place` begins a shot."""
    before, behind = window[max(0, place - AROUND) : place], window[place:]
    across = min(_difference(one, other) for one in before for other in behind)
    if across < max(LEAST, BACK * _difference(before[-1], behind[0])):
        return False
    steps = [_difference(a, b) for part in (before, behind) for a, b in itertools.pairwise(part)]
    if not steps:
        return False
    # in the middle of a film one of its neighbours may be a cut itself
    usual = sorted(steps)[-2] if len(steps) == 2 * (AROUND - 1) else max(steps)
    return across > TIMES * usual


def _difference(one: Array, other: Array) -> float:
    return float(np.abs(one - other).mean())
