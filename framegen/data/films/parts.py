"""A film's frames are read into its part, a file of its own, and its shots are found as they pass by."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from framegen.data.films.dataset import READING, Source
from framegen.data.films.facts import Facts, by_system
from framegen.data.films.frames import USUAL_RATE, read_frames
from framegen.data.films.pictures import Array, Incomplete
from framegen.data.films.shots import shot_starts
from framegen.data.films.sources import Found
from framegen.machine.errors import UserError
from framegen.machine.files import read_json, replacing, to_json, write_bytes
from framegen.machine.progress import count_of

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
    """About how many frames of a film will pass by: at its own rate, or at a higher one where it is asked
    for."""
    if facts.fps and facts.seconds:
        return facts.seconds * max(facts.fps, fps or 0.0)
    return facts.frames or 1000


def read_film(
    parts: Path, film: Known, shape: tuple[int, int, int], options: Reading, advance: Advance
) -> Part:
    """A film's frames, read now or taken from an import that was stopped.

    Shots are looked for at about the film's own rate, where frames lie closest together; at a higher one
    frames come several times, and only the first is looked at.
    """
    facts, found, fps = film.facts, film.found, options.fps
    said = f"{READING} {film.sha256} {shape} {fps} {options.strict} {found.name}"
    key = hashlib.sha256(said.encode()).hexdigest()[:32]
    described, frames = parts / f"{key}.json", parts / f"{key}.frames"
    if described.exists():
        advance(expected(facts, fps))
        return read_json(described, Part)
    rate = fps or facts.fps or USUAL_RATE
    apart = max(1, round(facts.fps / rate)) if facts.fps else 1
    faults: list[str] = []
    pictures = _readable(found.path, shape, rate * apart, options.strict, faults)
    again = facts.fps is not None and rate > facts.fps
    looked_at: list[int] = []
    with replacing(frames) as temporary, temporary.open("wb") as file:
        kept = _kept(pictures, apart, file, advance)
        starts = [looked_at[start] for start in shot_starts(_once(kept, again, looked_at))]
        file.flush()
        count = temporary.stat().st_size // (shape[0] * shape[1] * shape[2])
        if count < 2:
            raise UserError(f"{found.path}: holds {count_of(count, 'frame')}: nothing moves")
    begins = tuple(sorted({-(-start // apart) for start in starts if -(-start // apart) < count}))
    size, cuts = (facts.width, facts.height), len(begins) - 1
    source = Source(found.name, film.sha256, *size, rate, count, cuts, found.given, "".join(faults))
    part = Part(source, frames.name, begins)
    write_bytes(described, to_json(part))
    return part


def _readable(
    path: Path, shape: tuple[int, int, int], fps: float, strict: bool, faults: list[str]
) -> Iterator[Array]:
    """The frames of a film, (H, W, C); what of it cannot be read becomes a fault, unless that is an error."""
    try:
        yield from read_frames(path, shape[1:], shape[0], fps, complete=True)
    except Incomplete as error:
        if strict or by_system(error):
            raise
        faults.append(str(error).removeprefix(f"{path}: "))


def _kept(frames: Iterator[Array], apart: int, file: BinaryIO, advance: Advance) -> Iterator[Array]:
    """The same frames; every so many-th is written, (C, H, W), as it passes by."""
    for number, frame in enumerate(frames):
        if number % apart == 0:
            file.write(frame.transpose(2, 0, 1).tobytes())
        advance(1)
        yield frame


def _once(frames: Iterator[Array], again: bool, numbers: list[int]) -> Iterator[Array]:
    """The same frames, but where they come `again` each once; `numbers` gets theirs."""
    before = None
    for number, frame in enumerate(frames):
        if not (again and frame is before):
            numbers.append(number)
            yield frame
        before = frame
