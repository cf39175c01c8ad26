"""The kind of a file: its first bytes decide, not its name."""

import re
import stat
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Literal

from framegen.machine.errors import UserError
from framegen.machine.files import check_file, status_of

MJPEG = {".mjpeg", ".mjpg"}
"""Films of JPEGs, one behind the other: their first bytes are those of a picture."""

FILMS = {
    *(".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".avi", ".wmv", ".asf", ".flv", ".mpg", ".mpeg"),
    *(".ts", ".mts", ".m2ts", ".ogv", ".mxf", ".y4m", ".ivf", ".vob", ".dv", ".nut", ".rm", ".3g2", ".f4v"),
    *(".qt", ".divx", ".mod", ".gxf", ".wtv", ".m2v", ".m2p", ".h264", ".h265", ".265", ".hevc", ".obu"),
    *MJPEG,
}
"""Endings by which a film is found in a folder."""

PICTURES = {".png", ".apng", ".gif", ".webp", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"}

FOREIGN = {".heic", ".heif", ".avif", ".jxl", ".dng", ".cr2", ".nef", ".arw"}
"""Pictures that are not read: of video codings FFmpeg would give a tile, of raw ones Pillow a thumbnail."""

ARRAYS = {".npy", ".npz"}

Kind = Literal["film", "picture", "array"]

_SIGNS: dict[str, bytes] = {
    "picture": rb"\x89PNG\r\n|GIF8|\xff\xd8\xff|RIFF....WEBP|BM|II[*+]\0|MM\0[*+]",
    "HEIC": rb"....ftyp(hei[cxms]|hev[cx]|mif1|msf1)",
    "AVIF": rb"....ftypavi[fs]",
    "JXL": rb"\xff\x0a|\0\0\0\x0cJXL ",
    "npy": rb"\x93NUMPY",
    "zip": rb"PK\x03\x04",
}


def kind_of(path: Path) -> Kind:
    """The kind of a regular file by its first bytes; anything unknown may be a film.

    Raises UserError where it is a picture of a kind that is not read, missing or no regular file.
    """
    check_file(path)
    with path.open("rb") as file:
        start = file.read(16)
    ending = path.suffix.lower()
    sign = next((name for name, sign in _SIGNS.items() if re.match(sign, start, re.DOTALL)), "")
    if sign in ("HEIC", "AVIF", "JXL") or ending in FOREIGN:
        unread = f"{path}: is a picture of kind {sign or ending[1:].upper()}, which is not read"
        raise UserError(f"{unread}; convert it to PNG or JPEG first")
    if sign == "picture" and ending not in MJPEG:
        return "picture"
    return "array" if sign == "npy" or (sign == "zip" and _holds_array(path)) or ending in ARRAYS else "film"


def _holds_array(path: Path) -> bool:
    with suppress(zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
        return any(name.endswith(".npy") for name in archive.namelist())
    return False


def check_path(path: Path) -> None:
    """Raises UserError where a path is a URL, or leads to no file and no folder."""
    if address := re.match(r"([a-z][a-z0-9+.-]+):/+", str(path), re.IGNORECASE):
        url = f"{address[1]}://{str(path)[address.end() :]}"  # a Path has lost a slash
        raise UserError(f"{url}: is a URL; download the film, then name its file")
    kind = status_of(path, "file or folder").st_mode
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        raise UserError(f"{path}: is neither a file nor a folder; save what it gives as a file first")


def visible(folder: Path) -> list[Path]:
    """A folder's files in natural order, without hidden ones, such as a Mac's "._" notes."""
    return sorted((path for path in folder.iterdir() if not path.name.startswith(".")), key=natural_order)


def natural_order(path: Path) -> list[tuple[int, str]]:
    """Sorts names as people do: frame2 before frame10."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", path.name)]
