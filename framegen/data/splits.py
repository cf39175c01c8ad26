"""Which shots are trained on, and which are kept for validation and test: by film, by shot, or by time."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from framegen.data.clips import SPLITS, Split
from framegen.errors import UserError

PART = 0.1
"""Of all frames at least so many are held out, twice: for the test and for validation."""

MOST = 0.5
"""And never more."""

TIME_PART = 0.15
"""The same where a single shot is split."""

LONG = 24
"""Frames of a shot that is worth holding out (a clip, and a little more), where there are longer ones: else
half of the longest."""

MAX_GAP = 25
"""Frames that are left out between the parts of a shot, so that they are not almost the same."""

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
    """The shots of all films by split; what is held out comes from the end.

    Args:
        shots: of all films, in order.
        given: by film, the split that was asked for. Films without one are for training where any film has
            one.

    A split that was not given takes whole films, where there are several; else whole shots; else the last
    part of the longest shot, with a gap before it.

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
    by_film = [[piece for piece in pool if piece.film == film] for film in films]
    for groups in (by_film, [[piece] for piece in pool]):
        held = _last(groups, PART * _frames(pool), MOST * _frames(pool))
        if held:
            return [piece for piece in pool if piece not in held], held
    longest = max(pool, key=lambda piece: piece.frames)
    if longest.frames < LEAST:
        raise UserError(
            "too few frames to train, validate and test on: the longest shot that is left has "
            f"{longest.frames}; import a longer film ({frames_needed()} frames of one shot are enough), or"
            " several"
        )
    kept, held_part = _by_time(longest)
    return [kept if piece is longest else piece for piece in pool], [held_part]


def _last(groups: list[list[Piece]], least: float, most: float) -> list[Piece]:
    """The last groups that hold a shot worth it, until they have the least number of frames; never more than
    the most."""
    held: list[list[Piece]] = []
    worth = min(LONG, max(piece.frames for group in groups for piece in group) // 2)
    for group in reversed(groups):
        count = sum(map(_frames, held))
        longest = max(piece.frames for piece in group)
        if count < least and longest >= worth and count + _frames(group) <= most:
            held.insert(0, group)
    return [piece for group in held for piece in group]


def _by_time(piece: Piece) -> tuple[Piece, Piece]:
    """The beginning of a shot, and its last part."""
    part = max(min(LONG, piece.frames // 4), math.ceil(TIME_PART * piece.frames))
    gap = min(MAX_GAP, max(1, piece.frames // 20))
    rest = piece.frames - part
    return replace(piece, frames=rest - gap), Piece(piece.film, piece.first + rest, part)


def _frames(pieces: list[Piece]) -> int:
    return sum(piece.frames for piece in pieces)
