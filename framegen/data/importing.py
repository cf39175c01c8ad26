"""Films of one's own become a data set: each is decoded once, then all are split and kept as arrays.

While an import is under way its films lie in a hidden folder, each whole or not there; the data set gets its
name when all of it is written.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from framegen.config.checks import check
from framegen.data.assembling import Part, assemble
from framegen.data.dataset import MANIFEST, VERSION, Skipped, describe, folder_of, read_manifest
from framegen.data.frames import USUAL_RATE, read_frames
from framegen.data.pictures import MULTIPLE, Array, frame_size
from framegen.data.probing import Facts, probe
from framegen.data.shots import shot_starts
from framegen.data.sources import Found, as_paths, content_digest, find_films
from framegen.errors import UserError
from framegen.files import make_parents, read_json, remove_leftovers, replacing, to_json, write_bytes
from framegen.progress import advancing, count_of, say

MAX_SIZE, MAX_FPS = 1024, 240.0

Advance = Callable[[float], None]


class UnreadableFilm(UserError):
    """A film that is left out; the others are read on."""


@dataclass(frozen=True)
class Known:
    """A film and what it holds."""

    found: Found
    sha256: str
    facts: Facts


def import_films(
    paths: Sequence[Path | str] | Path | str,
    name: str,
    size: int = 64,
    channels: int = 3,
    fps: float | None = None,
    data_dir: Path | str = "data",
    show: bool = True,
) -> Path:
    """Bring films into the data set `name`, once: the same films with the same options are known by their
    digests, and an import that was stopped at any moment goes on where it was.

    Args:
        paths: films, moving pictures, and folders of them or of pictures.
        size: the longer side in pixels; the other keeps the first film's aspect ratio, as a multiple of 4.
            Other films are scaled to cover that, and cut from the middle.
        channels: 1 (grey) or 3 (colour).
        fps: frames a second; None keeps each film's own rate.
        show: whether to say on stderr what is done.

    Returns:
        The data set's folder, which `framegen.data.dataset` describes.

    Raises:
        UserError: no film can be read, they are too short, the name is taken, or the disk refuses. A film
            that cannot be read is named and left out, where another can.
    """
    folder = folder_of(name, Path(data_dir))
    check_size(size)
    check(channels in (1, 3), f"--channels {channels}: 1 (grey) or 3 (colour)")
    check(fps is None or 0.01 <= fps <= MAX_FPS, f"--fps {fps}: lies between 0.01 and {MAX_FPS:g}")
    films = find_films(as_paths(paths))
    parts = folder.with_name(f".{name}.import")
    with _alone(folder, show):
        known, skipped = _identify(films, show)
        if not _is_there(folder, (size, channels, fps), known):
            make_parents(parts / "set")
            remove_leftovers(parts)
            shape, read, skipped = _read_films(parts, known, skipped, size, channels, fps, show)
            assemble(parts, folder, (size, fps, shape), read, skipped)
        else:
            say(f"{folder}: holds these films already", show)
        shutil.rmtree(parts, ignore_errors=True)
    say(describe(read_manifest(folder)), show)
    return folder


@contextmanager
def _alone(folder: Path, show: bool) -> Iterator[None]:
    """Nobody else imports into the folder meanwhile: a second import waits, and says so."""
    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        Path(lock.lock_file).touch()  # says why it cannot be, where the lock would wait
        try:
            lock.acquire(timeout=0)
        except Timeout:
            say(f"{folder}: another import into it is under way; waiting for its end", show)
            lock.acquire()
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.release()


def _identify(films: Sequence[Found], show: bool) -> tuple[list[Known], list[Skipped]]:
    """Each film once, with its digest; and those that cannot be opened, of which no more is read."""
    known: dict[str, Known] = {}
    skipped = []
    with advancing(len(films), "looking at the films", show) as advance:
        for film in films:
            try:
                facts, digest = probe(film.path), content_digest(film.path)
                if digest in known:
                    same = known[digest].found.path
                    say(f"{film.path}: is the same film as {same}; it is taken once", show)
                known.setdefault(digest, Known(film, digest, facts))
            except UserError as error:
                skipped.append(Skipped(film.name, "", str(error)))
            advance(1)
    return list(known.values()), skipped


def _is_there(folder: Path, options: tuple[int, int, float | None], known: Sequence[Known]) -> bool:
    """Whether the data set is there with these films. Raises UserError where the name is taken by another."""
    if not os.path.lexists(folder):
        return False
    if not (folder / MANIFEST).is_file():
        raise UserError(f"{folder}: is there already, and is no data set of films; choose another --name")
    there = read_manifest(folder)
    given = {film.sha256: film.found.given for film in known}
    read = {source.sha256: source.given for source in there.sources}
    left = {film.sha256 for film in there.skipped if film.sha256}
    size, channels, fps = options
    same_films = read.items() <= given.items() and given.keys() - read.keys() == left
    if same_films and (there.size, there.shape[0], there.fps) == (size, channels, fps):
        return True
    names = ", ".join(source.name for source in there.sources[:3]) + ", …" * (len(there.sources) > 3)
    what = f"--size {there.size} --channels {there.shape[0]}" + f" --fps {there.fps}" * (
        there.fps is not None
    )
    raise UserError(f"{folder}: holds {names} with {what}; choose another --name, or delete that folder")


def _read_films(
    parts: Path,
    known: Sequence[Known],
    skipped: Sequence[Skipped],
    size: int,
    channels: int,
    fps: float | None,
    show: bool,
) -> tuple[tuple[int, int, int], list[Part], list[Skipped]]:
    """Read every film into its part. Returns the frames' shape, the parts, and all films that are left
    out."""
    total = sum(_expected(film.facts, fps) for film in known)
    read: list[Part] = []
    left = list(skipped)
    first = [(film.facts.height, film.facts.width) for film in known[:1]]
    shape = (channels, *frame_size(first[0], size)) if first else (0, 0, 0)
    with advancing(total, "reading the films", show) as advance:
        for film in known:
            try:
                part = _read_film(parts, film, shape, fps, advance)
                read.append(part)
                count = f"{count_of(part.frames, 'frame')}, {count_of(len(part.starts), 'shot')}"
                say(f"{len(read)} of {len(known)}: {film.found.path}: {count}", show)
            except UnreadableFilm as error:
                left.append(Skipped(film.found.name, film.sha256, str(error)))
    for film in left:
        say(f"skipped: {film.reason}", show and bool(read))
    if not read:
        others = f" ({len(left)} films were tried, and none can be read)" * (len(left) > 1)
        raise UserError(f"{left[0].reason}{others}")
    return shape, read, left


def _expected(facts: Facts, fps: float | None) -> float:
    """About how many frames of a film will pass by: at its own rate, or at a higher one where it is asked
    for."""
    if facts.fps and facts.seconds:
        return facts.seconds * max(facts.fps, fps or 0.0)
    return facts.frames or 1000


def check_size(size: int) -> None:
    """Raises OptionError where frames cannot have that longer side."""
    whole = size % MULTIPLE == 0 and MULTIPLE <= size <= MAX_SIZE
    check(whole, f"--size {size}: the longer side is a multiple of {MULTIPLE}, at most {MAX_SIZE}")


def _read_film(
    parts: Path, film: Known, shape: tuple[int, int, int], fps: float | None, advance: Advance
) -> Part:
    """A film's frames, read now or taken from an import that was stopped.

    Shots are looked for at about the film's own rate, where frames lie closest together; at a higher one
    frames come several times, and only the first is looked at.
    """
    facts = film.facts
    key = hashlib.sha256(f"{VERSION} {film.sha256} {shape} {fps} {film.found.name}".encode()).hexdigest()[:32]
    described, frames = parts / f"{key}.json", parts / f"{key}.frames"
    if described.exists():
        advance(_expected(facts, fps))
        return read_json(described, Part)
    rate = fps or facts.fps or USUAL_RATE
    apart = max(1, round(facts.fps / rate)) if facts.fps else 1
    pictures = _readable(film.found.path, shape, rate * apart)
    again = facts.fps is not None and rate > facts.fps
    looked_at: list[int] = []
    with replacing(frames) as temporary, temporary.open("wb") as file:
        kept = _kept(pictures, apart, file, advance)
        starts = [looked_at[start] for start in shot_starts(_once(kept, again, looked_at))]
        file.flush()
        count = temporary.stat().st_size // (shape[0] * shape[1] * shape[2])
        if count < 2:
            raise UnreadableFilm(f"{film.found.path}: holds {count_of(count, 'frame')}: nothing moves")
    begins = tuple(sorted({-(-start // apart) for start in starts if -(-start // apart) < count}))
    found = film.found
    part = Part(
        found.name, film.sha256, found.given, frames.name, facts.width, facts.height, rate, count, begins
    )
    write_bytes(described, to_json(part))
    return part


def _readable(path: Path, shape: tuple[int, int, int], fps: float) -> Iterator[Array]:
    """The frames of a film, (H, W, C). Raises UnreadableFilm where they cannot be read to their end."""
    try:
        yield from read_frames(path, shape[1:], shape[0], fps, complete=True)
    except UserError as error:
        raise UnreadableFilm(str(error)) from error


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
