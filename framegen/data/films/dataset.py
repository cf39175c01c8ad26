"""Data sets of films on disk: a manifest, and a memory-mapped array of frames for each split.

    data/NAME/manifest.json     what it is: films, shots, splits
    data/NAME/train.npy         uint8 (N, C, H, W), the split's shots one after another; val.npy, test.npy

A folder with a manifest is whole: the folder gets its name when all is written.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from framegen.config.checks import check_name
from framegen.config.tasks import SPLITS, Split
from framegen.data.films.pictures import Array, frame_size
from framegen.data.films.sources import content_digest
from framegen.machine.errors import UserError
from framegen.machine.files import check_file, read_json
from framegen.machine.progress import answer, count_of

MANIFEST = "manifest.json"
VERSION = 1
"""Version of the manifest."""

READING = 3
"""Version of the way in which films are read: parts of an older one are read again."""


@dataclass(frozen=True)
class Source:
    """A film that was read."""

    name: str
    sha256: str
    """Digest of the file; for a folder of pictures, of their names and digests."""
    width: int
    height: int
    """As it is shown, upright."""
    fps: float
    """Frames a second that were read."""
    frames: int
    """As read; between training and the other splits a few may be left out."""
    cuts: int
    given: Split | None = None
    """The split that its folder's name asks for."""
    missing: str = ""
    """The part that cannot be read."""


@dataclass(frozen=True)
class Skipped:
    """A file that could not be read."""

    name: str
    sha256: str
    reason: str


@dataclass(frozen=True)
class Shot:
    """A shot, or a part of one: no clip crosses its edges."""

    source: str
    sha256: str
    first_frame: int
    """In its source, counted at `fps`."""
    time: float
    """Seconds from the source's beginning."""
    fps: float
    frames: int
    split: Split
    row: int
    """Where it begins in its split's array."""


@dataclass(frozen=True)
class Manifest:
    """A data set's content."""

    version: int
    size: int
    """The longer side."""
    fps: float | None
    """The rate in frames per second; None is each film's own."""
    shape: tuple[int, int, int]
    """(C, H, W) of every frame."""
    sources: tuple[Source, ...]
    skipped: tuple[Skipped, ...]
    shots: tuple[Shot, ...]
    arrays: dict[Split, str]
    """SHA-256 of each split's array file."""

    def of(self, split: Split) -> list[Shot]:
        """A split's shots."""
        return [shot for shot in self.shots if shot.split == split]

    def frames(self, split: Split) -> int:
        """Frames in a split's array."""
        return sum(shot.frames for shot in self.of(split))


def folder_of(name: str, data_dir: Path) -> Path:
    """A data set's folder. Raises OptionError where a name cannot be one."""
    check_name(name, name or "the name of the data set")
    return data_dir / name


def names(data_dir: Path) -> list[str]:
    """The data sets of films in a folder."""
    return sorted(path.parent.name for path in data_dir.glob(f"[!.]*/{MANIFEST}"))


def find_dataset(name: str, data_dir: Path) -> Path:
    """A data set's folder. Raises UserError where there is none of that name."""
    if name and (data_dir / name / MANIFEST).is_file():
        return folder_of(name, data_dir)
    raise unknown(f"{name or '--dataset'}:", data_dir)


def unknown(what: str, data_dir: Path) -> UserError:
    """That there is no such data set, and the way out."""
    known = ", ".join(names(data_dir))
    place = f"{data_dir.resolve()} ({f'there are {known}' if known else 'none is there'})"
    return UserError(f"{what} no such data set in {place}; framegen data import FILM --name NAME makes one")


def read_manifest(folder: Path) -> Manifest:
    """Raises UserError where it is missing, damaged or of another version."""
    path = folder / MANIFEST
    manifest = read_json(path, Manifest)
    if manifest.version != VERSION:
        other = f"{path}: is of version {manifest.version}, this is {VERSION}"
        raise UserError(f"{other}; delete the folder and import again")
    rows = dict.fromkeys(SPLITS, 0)
    for shot in manifest.shots:
        if shot.row != rows[shot.split] or shot.frames < 1:
            raise UserError(f"{path}: is damaged: its shots are not one after another")
        if not (0 <= shot.time < inf and 0 < shot.fps < inf):
            time = f"a shot begins at {shot.time} s, of {shot.fps} frames a second"
            raise UserError(f"{path}: is damaged: {time}")
        rows[shot.split] += shot.frames
    return manifest


def describe(manifest: Manifest) -> str:
    """The films as they were read, in a sentence."""
    sources, (channels, height, width) = manifest.sources, manifest.shape
    seen = list(dict.fromkeys(f"{each.width}x{each.height} at {each.fps:.4g} a second" for each in sources))
    sizes = ", ".join([*seen[:3], "…"] if len(seen) > 3 else seen)
    shapes = [frame_size((each.height, each.width), manifest.size) for each in sources]
    cuts = sum(each.cuts for each in sources)
    frames, kept = sum(each.frames for each in sources), sum(manifest.frames(split) for split in SPLITS)
    made = f"{width}x{height} {'grey' if channels == 1 else 'colour'}"
    if others := sum(shape != (height, width) for shape in shapes):
        made += f" ({count_of(others, 'film')} of another shape cropped to the first one's)"
    said = [f"{count_of(len(sources), 'film')}, {count_of(frames, 'frame')}, {sizes} -> {made}"]
    said.append(f"{count_of(cuts, 'cut')} found, no clip crosses one" if cuts else "no cut found")
    for split, name in zip(SPLITS, ("training", "validation", "the test"), strict=True):
        said.append(f"for {name} {count_of(manifest.frames(split), 'frame')} {_of(manifest, split)}")
    if frames > kept:
        said.append(f"{count_of(frames - kept, 'frame')} before held-out parts left out")
    if manifest.skipped:
        said.append(f"{count_of(len(manifest.skipped), 'file')} could not be read")
    return "; ".join(said)


def _of(manifest: Manifest, split: Split) -> str:
    """The parts of a split: whole films, or shots, and their times in the film."""
    shots = manifest.of(split)
    films = {shot.sha256 for shot in shots}
    elsewhere = {shot.sha256 for shot in manifest.shots if shot.split != split}
    if not films & elsewhere:
        return f"({count_of(len(films), 'film')})"
    ends = max(shot.time + shot.frames / shot.fps for shot in shots)
    where = f", {clock(min(shot.time for shot in shots))} to {clock(ends)}" if len(films) == 1 else ""
    return f"({count_of(len(shots), 'shot')}{where})"


def clock(seconds: float) -> str:
    """As players show it: "1:02.5"."""
    return f"{int(seconds // 60)}:{seconds % 60:04.1f}"


def open_split(folder: Path, manifest: Manifest, split: Split) -> Path:
    """The file of a split's frames, uint8 (N, C, H, W). Raises UserError where it is not the manifest's."""
    path, shape = folder / f"{split}.npy", (manifest.frames(split), *manifest.shape)
    try:
        check_file(path)
        if content_digest(path) != manifest.arrays[split]:
            raise ValueError("its SHA-256 is another than the manifest's")
        found = frames_of(path)
        if found.dtype != np.uint8 or found.shape != shape:
            raise ValueError(f"{found.dtype} {found.shape}, where the manifest says uint8 {shape}")
    except (OSError, ValueError, EOFError, KeyError, UserError) as error:
        raise UserError(f"{path}: is damaged ({error}); importing the same films again mends it") from error
    return path


def frames_of(path: Path) -> Array:
    """A split's frames, mapped into memory and read only as they are looked at."""
    status = path.stat()
    return _mapped(path, status.st_ino, status.st_mtime_ns)


@lru_cache(maxsize=16)
def _mapped(path: Path, inode: int, changed: int) -> Array:
    """One map a process, for a file as it is now."""
    return np.load(path, mmap_mode="r", allow_pickle=False)


def list_datasets(data_dir: Path) -> dict[str, str]:
    """Every data set of films in a folder, described in a sentence; one that is damaged says so."""
    listed = {}
    for name in names(data_dir):
        try:
            listed[name] = describe(read_manifest(data_dir / name))
        except UserError as error:
            listed[name] = str(error)
    return listed


def print_listed(listed: dict[str, str], data_dir: Path, **_: Any) -> None:
    """Print the result of `list_datasets`."""
    none = f"{data_dir}: holds no films; framegen data import FILM --name NAME brings some in"
    answer(*(f"{name}: {text}" for name, text in listed.items()) if listed else (none,))
