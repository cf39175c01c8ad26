"""Where a film's shots begin: found as its frames pass by, in constant memory."""

import itertools
from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np

from framegen.data.films.pictures import Array

AROUND = 4
"""Frames before and behind a cut that are looked at: longer than a flash, or a drawing held for three."""

LEAST = 6.0
"""Levels of 255 by which pictures on both sides of a cut differ at least."""

TIMES = 2.0
"""Change at a cut, as a multiple of that between neighbouring frames."""

BACK = 0.5
"""The picture has come back where it differs by less than this part of the leap."""

ALIKE = 0.4
"""From here on two pictures show one take: see `_one_take`. Of 400 pairs of different films it was at most
0.30, where films had dropped a frame or changed the exposure 0.99 and more."""

THUMBNAIL = 64
"""Longer side of the pictures in which motion is looked for, pixels."""

GRID = 16
"""Blocks along each side of a frame: what moves a little changes little in them."""


def shot_starts(frames: Iterable[Array]) -> Iterator[int]:
    """The numbers of the frames, (H, W, C) uint8, that begin a shot: 0, and those behind a cut.

    At a cut every picture shortly before differs from every picture shortly behind (after a flash it comes
    back), by much more than neighbouring frames do (a fast pan is no cut), and motion and exposure do not
    make one of the other (nor is a dropped frame). Fades and dissolves are not found.
    """
    window: deque[tuple[Array, Array]] = deque(maxlen=2 * AROUND)
    count = 0
    for count, frame in enumerate(frames, 1):
        if count == 1:
            yield 0
        window.append((frame, _blocks(frame)))
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


def _is_cut(window: list[tuple[Array, Array]], place: int) -> bool:
    """Whether the frame at `place` in the window, pictures and their blocks, begins a shot."""
    pictures, blocks = zip(*window, strict=True)
    before, behind = blocks[max(0, place - AROUND) : place], blocks[place:]
    across = min(_difference(one, other) for one in before for other in behind)
    if across < max(LEAST, BACK * _difference(before[-1], behind[0])):
        return False
    steps = [_difference(a, b) for part in (before, behind) for a, b in itertools.pairwise(part)]
    if not steps:
        return False
    # in the middle of a film one of its neighbours may be a cut itself
    usual = sorted(steps)[-2] if len(steps) == 2 * (AROUND - 1) else max(steps)
    return across > TIMES * usual and not _one_take(pictures[place - 1], pictures[place])


def _one_take(one: Array, other: Array) -> bool:
    """Whether motion and exposure make one picture, (H, W, C) uint8, of the other: their correlation along
    the optical flow (DIS, Kroeger et al. 2016), times the part of them that the flow leads there and back."""
    here, there = _thumbnail(one), _thumbnail(other)
    flat = [picture.std() < 1 for picture in (here, there)]
    if any(flat):
        return all(flat)
    there = (there - there.mean()) / there.std() * here.std() + here.mean()
    forth, back = _flow(here, there), _flow(there, here)
    moved, returned = _moved(there, forth), _moved(back, forth)
    same = np.hypot(*np.moveaxis(forth + returned, 2, 0)) < 1  # pixels
    alike = np.corrcoef(here.ravel(), moved.ravel())[0, 1] if moved.std() > 0 else 0.0
    return float(alike * same.mean()) > ALIKE


def _flow(one: Array, other: Array) -> Array:
    """(H, W, 2) float32: where what one picture shows is in the other, in pixels right and down."""
    import cv2

    levels = [np.clip(picture, 0, 255).astype(np.uint8) for picture in (one, other)]
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return dis.calc(levels[0], levels[1], np.zeros((*one.shape, 2), np.float32))


def _moved(picture: Array, flow: Array) -> Array:
    """(H, W[, C]) float32: of each place what the picture shows where the flow leads."""
    import cv2

    rows, columns = np.indices(flow.shape[:2], np.float32)
    places = (columns + flow[..., 0], rows + flow[..., 1])
    return cv2.remap(picture, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _thumbnail(picture: Array) -> Array:
    """(H, W, C) uint8 -> (h, w) float32, the longer side THUMBNAIL."""
    import cv2

    height, width = picture.shape[:2]
    scale = THUMBNAIL / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(picture.astype(np.float32).mean(2), size, interpolation=way)


def _difference(one: Array, other: Array) -> float:
    return float(np.abs(one - other).mean())
