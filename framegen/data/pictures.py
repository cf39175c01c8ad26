"""Pictures from files: single ones, folders of them, and those that move (GIF, APNG, WebP, TIFF)."""

import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from framegen.errors import UserError
from framegen.files import check_file

MAX_PIXELS = 64_000_000

MAX_BYTES = 2**40
"""Of a file that is read bit by bit; more is no film."""

PICTURES = {".png", ".apng", ".gif", ".webp", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"}

FOREIGN = {".heic", ".heif", ".avif", ".jxl"}
"""Pictures that are kept in a video's coding: FFmpeg would give a tile of them."""

Array = np.ndarray[Any, np.dtype[Any]]


def folder_frames(path: Path) -> Iterator[Tensor]:
    """The first frame of each picture in a folder, in the order of their names: frame2 before frame10."""
    files = sorted(path.iterdir(), key=_natural_order)
    foreign = [file.name for file in files if file.suffix.lower() in FOREIGN]
    if foreign:
        raise UserError(f"{path}: {_refusal(path / foreign[0])}")
    pictures = [file for file in files if file.suffix.lower() in PICTURES]
    if not pictures:
        raise UserError(f"{path}: a folder without pictures ({', '.join(sorted(PICTURES))})")
    for file in pictures:
        try:
            frame = next(picture_frames(file))
        except UserError:
            raise
        except Exception as error:  # Pillow's plugins raise a dozen kinds, and do not name the file
            raise ValueError(f"{file.name}: {error}") from error
        yield frame


def picture_frames(path: Path) -> Iterator[Tensor]:
    """The frames of a picture file, (3 or 4, H, W) in [0, 1]; the fourth channel is opacity.

    Raises UserError where it is enormous, or of a kind that is not read.
    """
    from PIL import Image, ImageSequence, UnidentifiedImageError

    if path.suffix.lower() in FOREIGN:
        raise UserError(f"{path}: {_refusal(path)}")
    check_file(path, MAX_BYTES)
    if path.stat().st_size == 0:
        raise UserError(f"{path}: is empty (0 bytes)")
    try:
        with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):
            image = Image.open(path)
    except Image.DecompressionBombError as error:
        raise UserError(f"{path}: is enormous; pictures of at most {MAX_PIXELS} pixels are read") from error
    except UnidentifiedImageError as error:
        raise UserError(f"{path}: is no picture, or damaged from its start on") from error
    with image:
        check_size(path, image.width, image.height)
        if image.mode.startswith(("I", "F")):
            raise UserError(f"{path}: has more than 8 bits a channel; save it with 8, or its numbers as .npy")
        for frame in ImageSequence.Iterator(image):
            transparent = "A" in frame.getbands() or "transparency" in frame.info
            yield from_levels(np.asarray(frame.convert("RGBA" if transparent else "RGB")))


def frames_a_second(path: Path) -> float | None:
    """What a GIF, APNG or WebP says of its first frame; None where it says nothing."""
    from PIL import Image

    with Image.open(path) as image:
        duration = image.info.get("duration")  # milliseconds
    return 1000 / duration if duration else None


def check_gif_is_whole(path: Path) -> None:
    """Raises UserError where a GIF lacks its end: Pillow would read what is there, and say nothing."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(-min(size, 64), os.SEEK_END)
        if size and not file.read().rstrip(b"\0").endswith(b";"):
            raise UserError(f"{path}: is truncated: a GIF ends in a semicolon byte")


def check_size(path: Path, width: int, height: int) -> None:
    """Raises UserError where a frame has more than MAX_PIXELS pixels."""
    if width * height > MAX_PIXELS:
        raise UserError(f"{path}: {width}x{height} pixels are enormous; at most {MAX_PIXELS} are read")


def from_levels(picture: Array) -> Tensor:
    """(H, W, C) uint8 -> (C, H, W) float32 in [0, 1]."""
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255


def _refusal(path: Path) -> str:
    return f"{path.name} is {path.suffix[1:].upper()}, which is not read; convert it to PNG or JPEG first"


def _natural_order(path: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", path.name)]
