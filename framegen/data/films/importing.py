"""Films of one's own become a data set: each is decoded once, then all are split and kept as arrays.

Meanwhile they lie in a hidden folder, each whole or not there; the data set gets its name in the end.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from framegen.config.checks import check
from framegen.config.tasks import SPLITS
from framegen.data.films.dataset import MANIFEST, Skipped, describe, folder_of, open_split, read_manifest
from framegen.data.films.facts import probe
from framegen.data.films.parts import Known, Part, Reading, assemble, expected, read_film
from framegen.data.films.pictures import MULTIPLE, by_system, frame_size
from framegen.data.films.sources import Found, as_paths, content_digest, find_films, printable
from framegen.machine.errors import UserError
from framegen.machine.files import blaming, make_parents, remove_leftovers
from framegen.machine.plugins import command
from framegen.machine.progress import advancing, answer, count_of, say

MAX_SIZE, MAX_FPS = 1024, 240.0


def import_films(
    paths: Sequence[Path | str] | Path | str,
    name: str,
    size: int = 64,
    channels: int = 3,
    fps: float | None = None,
    data_dir: Path | str = "data",
    show: bool = True,
    strict: bool = False,
) -> Path:
    """Bring films into the data set `name`, once: the same films with the same options are known again, and
    an import that was stopped is resumed.

    `paths` are films, moving pictures, and folders of them or of pictures. `size` is the longer side, pixels;
    the other keeps the first film's aspect ratio, and other films are scaled to cover that. `channels` are 1
    (grey) or 3; `fps` None keeps each film's own rate; `strict` leaves out a film that cannot be read whole.

    Returns the data set's folder, see `framegen.data.films.dataset`. A film that cannot be read is named and
    left out; raises UserError where none can be, they are too short, the name is taken, or the disk is full.
    """
    folder = folder_of(name, Path(data_dir))
    check_size(size)
    check(channels in (1, 3), f"--channels {channels}: 1 (grey) or 3 (colour)")
    check(fps is None or 0.01 <= fps <= MAX_FPS, f"--fps {fps}: must lie between 0.01 and {MAX_FPS:g}")
    films, options = find_films(as_paths(paths)), Reading(size, channels, fps, strict)
    parts = folder.with_name(f".{name}.import")
    with _alone(folder, show):
        known, skipped = _identify(films, show)
        if not _is_there(folder, options, known, show):
            make_parents(parts / "set")
            remove_leftovers(parts)
            shape, read = _read_films(parts, known, skipped, options, show)
            assemble(parts, folder, options, shape, read, skipped)
        else:
            say(f"{folder}: holds these films already", show)
        shutil.rmtree(parts, ignore_errors=True)
    say(describe(read_manifest(folder)), show)
    return folder


@contextmanager
def _alone(folder: Path, show: bool) -> Iterator[None]:
    """Nobody else imports into the folder meanwhile: a second import waits, and says so."""
    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    make_parents(folder)
    with blaming(folder):
        Path(lock.lock_file).touch()  # says why it cannot be, where the lock would wait
        try:
            lock.acquire(timeout=0)
        except Timeout:
            say(f"{folder}: another import into it is under way; waiting for its end", show)
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


def print_imported(folder: Path, name: str, **_: Any) -> None:
    """Print the result of `import_films`."""
    answer(folder, f"Next: {command('data', 'show', name)}")


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
                if not film.path.is_symlink():  # which leads nowhere
                    _check_fault(error)
                skipped.append(Skipped(film.name, "", printable(str(error))))
            advance(1)
    return list(known.values()), skipped


def _check_fault(error: UserError) -> None:
    """Raises the error where the system failed and not the film: a network drive may come back."""
    if by_system(error):
        raise UserError(f"{error}; what was read is kept, and the same command resumes it") from error


def _is_there(folder: Path, options: Reading, known: Sequence[Known], show: bool) -> bool:
    """Whether the data set is there with these films, whole. Raises UserError where another has its name."""
    if not os.path.lexists(folder):
        return False
    if not (folder / MANIFEST).is_file():
        raise UserError(f"{folder}: is there already, and is no data set of films; choose another --name")
    there = read_manifest(folder)
    given = {film.sha256: film.found.given for film in known}
    read = {source.sha256: source.given for source in there.sources}
    left = {film.sha256 for film in there.skipped if film.sha256}
    same = read.items() <= given.items() and given.keys() - read.keys() == left
    asked = (options.size, options.channels, options.fps)
    if not same or (there.size, there.shape[0], there.fps) != asked:
        names = [source.name for source in there.sources]
        held = ", ".join([*names[:3], "…"] if len(names) > 3 else names)
        rate = "" if there.fps is None else f" --fps {there.fps}"
        held += f" with --size {there.size} --channels {there.shape[0]}{rate}"
        raise UserError(f"{folder}: holds {held}; choose another --name, or delete that folder")
    broken = [f"{source.name} {source.missing}" for source in there.sources if source.missing]
    if options.strict and broken:
        raise UserError(f"{folder}: {broken[0]}; without --strict it is taken, or delete that folder")
    try:
        for split in SPLITS:
            open_split(folder, there, split)
    except UserError as error:
        say(f"{error}: the films are read again", show)
        return False
    return True


def _read_films(
    parts: Path, known: Sequence[Known], left: list[Skipped], options: Reading, show: bool
) -> tuple[tuple[int, int, int], list[Part]]:
    """The frames' shape (C, H, W), and the films' parts; what cannot be read joins what is `left` out."""
    total = sum(expected(film.facts, options.fps) for film in known)
    read, shape = list[Part](), (0, 0, 0)
    for film in known[:1]:
        shape = (options.channels, *frame_size((film.facts.height, film.facts.width), options.size))
    with advancing(total, "reading the films", show) as advance:
        for film in known:
            try:
                part = read_film(parts, film, shape, options, advance)
                read.append(part)
                count = f"{count_of(part.source.frames, 'frame')}, {count_of(len(part.starts), 'shot')}"
                notes = "".join(f"; {note}" for note in film.facts.notes)
                say(f"{len(read)} of {len(known)}: {film.found.path}: {count}{notes}", show)
                if part.source.missing:
                    taken = f"{film.found.path}: {part.source.missing}; what can be read is taken"
                    say(f"{taken}, which --strict refuses", show)
            except UserError as error:
                _check_fault(error)
                left.append(Skipped(film.found.name, film.sha256, printable(str(error))))
    for film in left:
        say(f"skipped: {film.reason}", show and bool(read))
    if not read:
        others = f" ({len(left)} films were tried, and none can be read)" if len(left) > 1 else ""
        raise UserError(f"{left[0].reason}{others}")
    return shape, read


def check_size(size: int) -> None:
    """Raises OptionError where frames cannot have that longer side."""
    whole = size % MULTIPLE == 0 and MULTIPLE <= size <= MAX_SIZE
    check(whole, f"--size {size}: the longer side is a multiple of {MULTIPLE}, at most {MAX_SIZE}")
