"""The films that paths lead to, found in folders and known by what they hold."""

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from framegen.config.tasks import Split
from framegen.data.films.kinds import FILMS, FOREIGN, PICTURES, check_path, visible
from framegen.data.films.pictures import folder_files, frame_count, open_picture
from framegen.machine.errors import OptionError, UserError
from framegen.machine.files import blaming
from framegen.machine.plugins import command

ALWAYS_MOVE, MAY_MOVE = {".gif", ".apng"}, {".png", ".webp", ".tif", ".tiff"}

RUN = {"config.json", "checkpoint.safetensors"}
"""The content of a run's folder, whose pictures are no films."""

SAME: dict[str, Split] = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
"""Names of folders that say what their films are for."""


@dataclass(frozen=True)
class Found:
    """A film file, or a folder of pictures that is one."""

    path: Path
    name: str
    """Its path from the one that was given on, the same wherever the films lie."""
    given: Split | None
    """The split that a folder's name asks for."""


def as_paths(films: Sequence[Path | str] | Path | str) -> list[Path]:
    """One path, or several, as a list: a single name is no sequence of letters."""
    return [Path(each) for each in ([films] if isinstance(films, Path | str) else films)]


def printable(name: str) -> str:
    """A name as text that any file can hold and any terminal can show: bytes that are no UTF-8 as \\xNN."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def find_films(paths: Sequence[Path]) -> list[Found]:
    """The films in files and folders, to any depth, in natural order. A folder's pictures that do not move
    are one film, where they are two or more and no film lies beside them.

    Raises UserError where a path leads to nothing, or to a folder without films.
    """
    if not paths:
        raise OptionError("name a film, or a folder of films")
    found: dict[str, Found] = {}
    for path in paths:
        check_path(path)
        here = _in_folder(path) if path.is_dir() else [path]
        if not here:
            kinds = "MP4, MKV, WebM, AVI, GIF, …"
            raise UserError(f"{path}: a folder without films ({kinds}) and without pictures of one")
        for each in here:
            inside = [path.resolve().name, *each.relative_to(path).parts]
            folders = inside if each.is_dir() else inside[:-1]
            given: list[Split] = [SAME[part] for part in map(str.lower, folders) if part in SAME]
            entry = Found(each, printable("/".join(inside)), given[-1] if given else None)
            found.setdefault(os.path.realpath(each), entry)  # of links in a circle too
    return list(found.values())


def _in_folder(folder: Path) -> list[Path]:
    found: list[Path] = []
    for place, folders, _ in os.walk(folder):
        inside = visible(Path(place))
        if {each.name for each in inside} >= RUN:
            way_out = f"{command('train', '--resume', place)} goes on with it"
            raise OptionError(f"{place}: is a run, not films; {way_out}")
        folders[:] = [each.name for each in inside if each.name in folders]
        files = [each for each in inside if each.name not in folders]
        films = [file for file in files if file.suffix.lower() in FILMS | ALWAYS_MOVE or _moves(file)]
        stills = [file for file in files if file.suffix.lower() in PICTURES | FOREIGN and file not in films]
        found += films or [Path(place)] * (len(stills) > 1)
    return found


def _moves(file: Path) -> bool:
    if file.suffix.lower() in MAY_MOVE:
        with suppress(Exception), open_picture(file) as image:  # what is damaged is named where it is read
            return frame_count(image) > 1
    return False


def content_digest(path: Path) -> str:
    """SHA-256 of a file, or of a folder's pictures and names. Raises UserError where one cannot be read."""
    with blaming(path, "read"):
        if not path.is_dir():
            status = path.stat()
            return _file_digest(path, status.st_ino, status.st_size, status.st_mtime_ns)
        digest = hashlib.sha256()
        for file in folder_files(path):
            check_path(file)
            digest.update(os.fsencode(file.name) + f"\0{content_digest(file)}\n".encode())
        return digest.hexdigest()


@lru_cache(maxsize=4096)
def _file_digest(path: Path, inode: int, size: int, changed: int) -> str:
    """SHA-256, computed once a process for a file as it is now: a film has gigabytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
