"""Which shots are trained on, and which are kept for validation and test: by film, by shot, or by time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from framegen.config.tasks import SPLITS, Split
from framegen.machine.errors import UserError

PART = 0.1
"""Least share of all frames that is held out, twice: for the test and for validation."""

MOST, MOST_FILMS = 0.4, 0.5
"""At most this part, as whole shots or whole films; of a longer shot the last part is taken."""

TIME_PART = 0.15
"""At least this part of a single shot that is split by time."""

LONG = 24
"""Frames of a shot that is worth holding out (a clip, and a little more), or half of the longest."""

MAX_GAP = 25
"""Frames that are left out before a part that is held out: the two sides shall not be almost the same."""

LEAST = 6
"""Frames of a shot that can be split by time."""

LEAST_CLIP = 4
"""Frames of the shortest clip: a motion is seen in two, and goes on in two."""


@dataclass(frozen=True)
class Piece:
    """A shot, or a part of one."""

    film: int
    first: int
    """Its first frame, counted in the film."""
    frames: int


def split_pieces(shots: Sequence[Piece], given: Sequence[Split | None]) -> dict[Split, list[Piece]]:
    """The shots of all films, in order, by split; what is held out is always the end.

    `given` is the split that was asked for, by film; films without one are for training. A split that was
    not given takes the last films, else the last shots, or of a long one the last part, behind a gap.

    Raises UserError where nothing is for training, or all shots are too short.
    """
    splits: dict[Split, list[Piece]] = {name: [] for name in SPLITS}
    for shot in shots:
        splits[given[shot.film] or "train"].append(shot)
    if not splits["train"]:
        raise UserError("no film is for training: all lie in folders for validation and test")
    for name in ("test", "val"):
        if not splits[name]:
            splits["train"], splits[name] = _hold_out(splits["train"])
    return splits


def frames_needed() -> int:
    """The fewest frames of a single shot that give each split a clip of LEAST_CLIP."""
    frames, shortest = LEAST - 1, 0
    while shortest < LEAST_CLIP:
        frames += 1
        rest, test = _by_time(Piece(0, 0, frames))
        shortest = min(part.frames for part in (*_by_time(rest), test))
    return frames


def _hold_out(pool: list[Piece]) -> tuple[list[Piece], list[Piece]]:
    """The rest, and the held-out part, in order."""
    films = sorted({piece.film for piece in pool})
    for first in films[:0:-1]:
        held = [piece for piece in pool if piece.film >= first]
        if _frames(held) > MOST_FILMS * _frames(pool):
            break
        if _is_enough(held, pool):
            return [piece for piece in pool if piece.film < first], held
    return _last_shots(pool)


def _is_enough(held: list[Piece], pool: list[Piece]) -> bool:
    longest = max(piece.frames for piece in pool)
    worth = min(LONG, longest // 2)
    return _frames(held) >= PART * _frames(pool) and any(piece.frames >= worth for piece in held)


def _last_shots(pool: list[Piece]) -> tuple[list[Piece], list[Piece]]:
    """The same of films that cannot be held out whole: the last shots, or the last part of one that is too
    long. Raises UserError where that one is too short to be split."""
    rest, held = list(pool), []
    while not _is_enough(held, pool):
        last = rest.pop()
        if rest and _frames(held) + last.frames <= MOST * _frames(pool):
            held.insert(0, last)
            continue
        if last.frames < LEAST:
            few = f"too few frames to train, validate and test on: the last shot left has {last.frames}"
            enough = f"{frames_needed()} frames of one shot are enough"
            raise UserError(f"{few}; import a longer film ({enough}), or several")
        kept, part = _by_time(last)
        return [*rest, kept], [part, *held]
    before = rest[-1]
    if before.film == held[0].film:  # what was taken for a cut may be none
        rest[-1] = replace(before, frames=before.frames - _gap(before))
    return rest, held


def _by_time(piece: Piece) -> tuple[Piece, Piece]:
    """The beginning of a shot, and its last part."""
    part = max(min(LONG, piece.frames // 4), math.ceil(TIME_PART * piece.frames))
    rest = piece.frames - part
    return replace(piece, frames=rest - _gap(piece)), Piece(piece.film, piece.first + rest, part)


def _gap(piece: Piece) -> int:
    return min(MAX_GAP, max(1, piece.frames // 20))


def _frames(pieces: list[Piece]) -> int:
    return sum(piece.frames for piece in pieces)
