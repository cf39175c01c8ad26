"""Films are read into parts, a file of frames each, and their shots found; the parts become a data set."""

import hashlib
import itertools
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from framegen.config.tasks import Split
from framegen.data.films.dataset import MANIFEST, READING, VERSION, Manifest, Shot, Skipped, Source
from framegen.data.films.facts import Facts
from framegen.data.films.frames import USUAL_RATE, read_frames
from framegen.data.films.pictures import Array, Incomplete, by_system
from framegen.data.films.shots import shot_starts
from framegen.data.films.sources import Found, content_digest
from framegen.data.films.splits import Piece, split_pieces
from framegen.machine.errors import UserError
from framegen.machine.files import blaming, make_parents, read_json, replacing, to_json, write_bytes
from framegen.machine.progress import count_of

ROWS = 256
"""Frames that are copied at once."""

Advance = Callable[[float], None]


@dataclass(frozen=True)
class Reading:
    """How films are read; see `import_films`."""

    size: int
    channels: int
    fps: float | None
    strict: bool


@dataclass(frozen=True)
class Known:
    """A film and what it holds."""

    found: Found
    sha256: str
    facts: Facts


@dataclass(frozen=True)
class Part:
    """A film that has been read."""

    source: Source
    file: str
    """Name of the file of its frames, uint8 (N, C, H, W) without a header."""
    starts: tuple[int, ...]
    """The frames that begin a shot, 0 first."""


def expected(facts: Facts, fps: float | None) -> float:
    """About how many frames of a film will be read: at its own rate, or at `fps` where that is higher."""
    if facts.fps and facts.seconds:
        return facts.seconds * max(facts.fps, fps or 0.0)
    return facts.frames or 1000


def read_film(
    parts: Path, film: Known, shape: tuple[int, int, int], options: Reading, advance: Advance
) -> Part:
    """A film's part in the folder `parts`, read now or by an import that was stopped.

    Shots are looked for at about the film's own rate; frames that come again are left out.
    """
    facts, found, fps = film.facts, film.found, options.fps
    said = f"{READING} {film.sha256} {shape} {fps} {options.strict} {found.name}"
    key = hashlib.sha256(said.encode()).hexdigest()[:32]
    described, frames = parts / f"{key}.json", parts / f"{key}.frames"
    if described.exists():
        advance(expected(facts, fps))
        return read_json(described, Part)
    rate = fps or facts.fps or USUAL_RATE
    own = facts.fps or rate
    apart, again = max(1, round(own / rate)), rate > own
    looked_at, fault = list[int](), ""

    def passing() -> Iterator[Array]:
        """The frames that are looked at; every `apart`-th is written, (C, H, W), as it passes by."""
        nonlocal fault
        before = None
        try:
            pictures = read_frames(found.path, shape[1:], shape[0], rate * apart, complete=True)
            for number, picture in enumerate(pictures):
                if number % apart == 0:
                    file.write(picture.transpose(2, 0, 1).tobytes())
                advance(1)
                if not (again and picture is before):
                    looked_at.append(number)
                    yield picture
                before = picture
        except Incomplete as error:
            if options.strict or by_system(error):
                raise
            fault = str(error).removeprefix(f"{found.path}: ")

    with replacing(frames) as temporary, temporary.open("wb") as file:
        starts = [-(-looked_at[start] // apart) for start in shot_starts(passing())]
        file.flush()
        count = temporary.stat().st_size // (shape[0] * shape[1] * shape[2])
        if count < 2:
            raise UserError(f"{found.path}: holds {count_of(count, 'frame')}: nothing moves")
    begins = tuple(sorted({start for start in starts if start < count}))
    size, cuts = (facts.width, facts.height), len(begins) - 1
    source = Source(found.name, film.sha256, *size, rate, count, cuts, found.given, fault)
    part = Part(source, frames.name, begins)
    write_bytes(described, to_json(part))
    return part


def assemble(
    parts: Path,
    folder: Path,
    options: Reading,
    shape: tuple[int, int, int],
    films: Sequence[Part],
    skipped: Sequence[Skipped],
) -> None:
    """Split the films in `parts`, of frames (C, H, W) of that shape, write the data set there, and move it to
    `folder`, in place of a damaged one. Raises UserError where there are too few frames."""
    shots_of_films = [
        Piece(number, start, end - start)
        for number, film in enumerate(films)
        for start, end in itertools.pairwise((*film.starts, film.source.frames))
    ]
    try:
        splits = split_pieces(shots_of_films, [film.source.given for film in films])
    except UserError as error:
        raise UserError(f"{folder}: {error}") from error
    unfinished, shots = parts / "set", list[Shot]()
    shutil.rmtree(unfinished, ignore_errors=True)
    make_parents(unfinished / MANIFEST)
    for split, pieces in splits.items():
        row = 0
        for piece in pieces:
            film = films[piece.film].source
            place = (piece.first, piece.first / film.fps, film.fps, piece.frames)
            shots.append(Shot(film.name, film.sha256, *place, split, row))
            row += piece.frames
        _write_frames(unfinished / f"{split}.npy", (row, *shape), pieces, films, parts)
    digests: dict[Split, str] = {split: content_digest(unfinished / f"{split}.npy") for split in splits}
    sources = tuple(film.source for film in films)
    said = (VERSION, options.size, options.fps, shape, sources, tuple(skipped), tuple(shots), digests)
    write_bytes(unfinished / MANIFEST, to_json(Manifest(*said)))
    with blaming(folder):
        if folder.exists():
            shutil.rmtree(folder)
        unfinished.rename(folder)


def _write_frames(
    path: Path, shape: tuple[int, ...], pieces: Sequence[Piece], films: Sequence[Part], parts: Path
) -> None:
    """The pieces one after another, as .npy uint8 of that shape, (N, C, H, W)."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for piece in pieces:
            film, end = films[piece.film], piece.first + piece.frames
            frames = np.memmap(parts / film.file, np.uint8, "r", shape=(film.source.frames, *shape[1:]))
            for first in range(piece.first, end, ROWS):
                file.write(frames[first : min(first + ROWS, end)].tobytes())
