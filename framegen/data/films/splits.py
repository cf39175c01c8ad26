"""Which shots are trained on, and which are kept for validation and test: by film, by shot, or by time."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from framegen.data.clips import SPLITS, Split
from framegen.machine.errors import UserError

PART = 0.1
"""Of all frames at least so many are held out, twice: for the test and for validation."""

MOST = 0.4
"""And of whole shots never more; of a longer one the last part is taken."""

MOST_FILMS = 0.5
"""The same of whole films."""

TIME_PART = 0.15
"""The same where a single shot is split."""

LONG = 24
"""Frames of a shot that is worth holding out (a clip, and a little more), where there are longer ones: else
half of the longest."""

MAX_GAP = 25
"""Frames that are left out before a part that is held out, so that the two sides are not almost the same."""

LEAST = 6
"""Frames of a shot that can be split by time."""


LEAST_CLIP = 4
"""Frames of the shortest clip: a motion is seen in two, and goes on in two that are generated, the second
from the first."""


@dataclass(frozen=True)
class Piece:
    """A shot, or a part of one."""

    film: int
    first: int
    """Its first frame, counted in the film."""
    frames: int


def split_pieces(shots: Sequence[Piece], given: Sequence[Split | None]) -> dict[Split, list[Piece]]:
    """The shots of all films by split; what is held out is always the end.

    Args:
        shots: of all films, in order.
        given: by film, the split that was asked for. Films without one are for training where any film has
            one.

    A split that was not given takes the last films, where there are several; else the last shots, or of a
    long one its last part, with a gap before.

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
    return next(frames for frames in itertools.count(LEAST) if _shortest_part(frames) >= LEAST_CLIP)


def _shortest_part(frames: int) -> int:
    """Of a single shot that is split twice."""
    rest, test = _by_time(Piece(0, 0, frames))
    return min(part.frames for part in (*_by_time(rest), test))


def _hold_out(pool: list[Piece]) -> tuple[list[Piece], list[Piece]]:
    """What stays, and what is held out, in order."""
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
    """The same of films that cannot be held out whole: shots from the end on, or the last part of one that
    is too long. Raises UserError where that one is too short to be split."""
    rest, held = list(pool), []
    while not _is_enough(held, pool):
        last = rest.pop()
        if rest and _frames(held) + last.frames <= MOST * _frames(pool):
            held.insert(0, last)
            continue
        if last.frames < LEAST:
            raise UserError(
                f"too few frames to train, validate and test on: the last shot that is left has {last.frames}"
                f"; import a longer film ({frames_needed()} frames of one shot are enough), or several"
            )
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
