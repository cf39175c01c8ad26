"""What can be said on the command line of data sets of films: the options of `framegen data`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from framegen.config.options import Positional


@dataclass(frozen=True)
class Import:
    """Bring films into a data set: decoded once, cut into shots, split, kept in data/NAME. The same films
    again are known; an import that was stopped goes on."""

    paths: Positional[tuple[Path, ...]]
    """Films (MP4, MOV, MKV, WebM, AVI, GIF, APNG, WebP, …), folders of them, folders of pictures."""
    name: str
    """Name of the data set."""
    size: int = 64
    """Longer side of a frame in pixels, a multiple of 4; the other keeps the first film's aspect ratio."""
    channels: Literal[1, 3] = 3
    """1 is grey, 3 is colour."""
    fps: float | None = None
    """Frames a second; None keeps each film's own."""
    strict: bool = False
    """Leave out a film of which a part cannot be read, instead of taking the rest of it."""
    data_dir: Path = Path("data")
    """Folder of the data sets."""


@dataclass(frozen=True)
class ListData:
    """List the data sets of films."""

    data_dir: Path = Path("data")
    """Folder of the data sets."""


@dataclass(frozen=True)
class ShowData:
    """Show what a data set holds, or how a film is read: statistics, a contact sheet, and of a data set a
    GIF."""

    what: Positional[str]
    """Name of a data set, or a film, or a folder of pictures."""
    size: int = 64
    """Longer side at which a film is shown, in pixels; a data set has its own."""
    out: Path | None = None
    """Folder for the pictures; None: the data set's own, or for a film the folder of the data sets."""
    data_dir: Path = Path("data")
    """Folder of the data sets."""
