"""Films that have been read become a data set: its splits' arrays and its manifest, whole or not there."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from framegen.data.clips import SPLITS, Split
from framegen.data.films.dataset import MANIFEST, VERSION, Manifest, Shot, Skipped
from framegen.data.films.parts import Part
from framegen.data.films.sources import content_digest
from framegen.data.films.splits import Piece, split_pieces
from framegen.machine.errors import UserError
from framegen.machine.files import make_parents, replacing, to_json, write_bytes

ROWS = 256
"""Frames that are copied at once."""


def assemble(
    parts: Path,
    folder: Path,
    made: tuple[int, float | None, tuple[int, int, int]],
    films: Sequence[Part],
    skipped: Sequence[Skipped],
) -> None:
    """Split the films in `parts`, write the data set beside them, and give it its name; one of that name that
    is damaged goes.

    Args:
        made: size and fps as they were asked for, and the frames' shape (C, H, W).

    Raises:
        UserError: there are too few frames, or the disk refuses.
    """
    size, fps, shape = made
    try:
        splits = split_pieces(
            [piece for number, film in enumerate(films) for piece in _shots(number, film)],
            [film.source.given for film in films],
        )
    except UserError as error:
        raise UserError(f"{folder}: {error}") from error
    unfinished = parts / "set"
    shutil.rmtree(unfinished, ignore_errors=True)
    make_parents(unfinished / MANIFEST)
    for split, pieces in splits.items():
        _write_frames(unfinished / f"{split}.npy", pieces, films, parts, shape)
    manifest = Manifest(
        VERSION,
        size,
        fps,
        shape,
        tuple(film.source for film in films),
        tuple(skipped),
        tuple(shot for split in SPLITS for shot in _described(split, splits[split], films)),
        {split: content_digest(unfinished / f"{split}.npy") for split in SPLITS},
    )
    write_bytes(unfinished / MANIFEST, to_json(manifest))
    try:
        if folder.exists():
            shutil.rmtree(folder)
        unfinished.rename(folder)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror or error}") from error


def _shots(number: int, film: Part) -> list[Piece]:
    ends = (*film.starts[1:], film.source.frames)
    return [Piece(number, start, end - start) for start, end in zip(film.starts, ends, strict=True)]


def _described(split: Split, pieces: Sequence[Piece], films: Sequence[Part]) -> list[Shot]:
    shots, row = [], 0
    for piece in pieces:
        film = films[piece.film].source
        time = piece.first / film.fps
        shots.append(Shot(film.name, film.sha256, piece.first, time, film.fps, piece.frames, split, row))
        row += piece.frames
    return shots


def _write_frames(
    path: Path, pieces: Sequence[Piece], films: Sequence[Part], parts: Path, shape: tuple[int, int, int]
) -> None:
    """The pieces one after another, as .npy uint8 (N, C, H, W)."""
    count = sum(piece.frames for piece in pieces)
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, *shape)}
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for piece in pieces:
            film = films[piece.film]
            frames = np.memmap(parts / film.file, np.uint8, "r", shape=(film.source.frames, *shape))
            for first in range(piece.first, piece.first + piece.frames, ROWS):
                file.write(frames[first : min(first + ROWS, piece.first + piece.frames)].tobytes())
