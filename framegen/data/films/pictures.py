"""Pictures from files: single ones, folders of them, and those that move (GIF, APNG, WebP, TIFF)."""

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from framegen.data.films.kinds import FOREIGN, PICTURES, kind_of, visible
from framegen.machine.errors import UserError
from framegen.machine.files import check_file

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 64_000_000

TIMED = ("GIF", "PNG", "WEBP")
"""Pillow's names of the pictures whose frames say how long they are shown."""

SHORTEST = 10
"""Milliseconds; what asks to be shown for no longer is shown by browsers for 100."""

GREY = np.array([0.299, 0.587, 0.114], np.float32)
"""How much red, green and blue add to brightness (ITU-R BT.601)."""

EXACT = 2
"""Shrinking by this factor or more averages pixels; a smaller one would take some once and some twice."""

MULTIPLE = 4
"""Both sides of a frame that is trained on are multiples of it: nets halve them, or take patches."""

Array = np.ndarray[Any, np.dtype[Any]]
Size = tuple[int, int]
"""Height and width."""


class Incomplete(UserError):
    """The part of a film that cannot be read; raised after all frames that can be."""


def broken(path: Path, count: int, error: Exception) -> UserError:
    """The error where a library cannot read a film after `count` frames."""
    cause = getattr(error, "strerror", None) or str(error).strip().split("\n")[0] or type(error).__name__
    if count == 0:
        return UserError(f"{path}: is damaged or cut off, and cannot be read as a video ({cause})")
    fault = f"frame {count + 1} is damaged and cannot be read ({cause})"
    return Incomplete(f"{path}: {fault}; the {count} before it can")


def by_system(error: BaseException) -> bool:
    """Whether the system failed, such as a drive that drops out, and not the file, which may forbid it."""
    cause = error.__cause__
    return isinstance(cause, OSError) and bool(cause.errno) and not isinstance(cause, PermissionError)


@dataclass(frozen=True)
class Still:
    """A picture in memory, one frame of a film."""

    image: "Image.Image"
    """RGB or RGBA."""
    time: float | None
    """Seconds after the first; None where the file does not say."""

    @property
    def size(self) -> Size:
        return self.image.height, self.image.width

    @property
    def transparent(self) -> bool:
        return self.image.mode == "RGBA" and bool((np.asarray(self.image)[..., 3] < 255).any())

    def pixels(self, size: Size) -> Array:
        """(height, width, 3) uint8: scaled to cover the size, its middle cut out, on black."""
        return on_black(np.asarray(_resized(self.image, size)))


def on_black(picture: Array) -> Array:
    """(H, W, 3 or 4) uint8, the fourth channel opacity -> (H, W, 3)."""
    if picture.shape[2] == 3:
        return picture
    blended = picture[..., :3] * picture[..., 3:].astype(np.uint16) + 127
    return (blended // 255).astype(np.uint8)


def to_channels(picture: Array, channels: int) -> Array:
    """(H, W, 3) uint8 -> (H, W, channels) uint8, 1 or 3."""
    if channels == 3:
        return picture
    return (picture.astype(np.float32) @ GREY + 0.5).astype(np.uint8)[..., None]


def middle(have: Size, want: Size) -> tuple[float, float]:
    """Height and width of the largest middle part that has the wanted aspect ratio."""
    scale = max(want[0] / have[0], want[1] / have[1])
    return min(have[0], want[0] / scale), min(have[1], want[1] / scale)


def frame_size(have: Size, size: int) -> Size:
    """The size whose longer side is `size`, of about the same shape: the other is a multiple of 4."""
    longer = max(have)
    height, width = (max(MULTIPLE, int(side * size / longer / MULTIPLE + 0.5) * MULTIPLE) for side in have)
    return height, width


def fit(picture: Array, size: Size) -> Array:
    """(H, W, C) float32 -> the same, its middle cut out and scaled to the size."""
    from PIL import Image

    planes = (Image.fromarray(np.ascontiguousarray(plane)) for plane in np.moveaxis(picture, 2, 0))
    return np.stack([np.asarray(_resized(plane, size)) for plane in planes], 2)


def _resized(image: "Image.Image", size: Size) -> "Image.Image":
    from PIL.Image import Resampling

    have = (image.height, image.width)
    if have == size:
        return image
    height, width = middle(have, size)
    left, top = (image.width - width) / 2, (image.height - height) / 2
    way = Resampling.BICUBIC  # averages where it shrinks, but over neighbours too
    if height >= EXACT * size[0]:
        way = Resampling.BOX
    return image.resize((size[1], size[0]), way, (left, top, left + width, top + height))


def folder_files(path: Path) -> list[Path]:
    """The pictures in a folder, in natural order. Raises UserError where there are none."""
    files = visible(path)
    for file in files:
        if file.suffix.lower() in FOREIGN:
            kind_of(file)  # raises
    pictures = [file for file in files if file.suffix.lower() in PICTURES]
    if not pictures:
        raise UserError(f"{path}: a folder without pictures ({', '.join(sorted(PICTURES))})")
    return pictures


def folder_frames(path: Path) -> Iterator[Still]:
    """The first frame of each picture in a folder, in natural order; what cannot be read is passed over.

    Raises UserError where none can be read; Incomplete, behind the last frame, where some cannot.
    """
    files, faults = folder_files(path), list[UserError]()
    for file in files:
        try:
            frame = next(picture_frames(file))
        except Exception as error:  # Pillow's plugins raise a dozen kinds, and do not name the file
            faults.append(error if isinstance(error, UserError) else broken(file, 0, error))
        else:
            yield frame
    if faults:
        if len(faults) == len(files):
            raise faults[0]
        fault = f"{len(faults)} of {len(files)} pictures cannot be read ({faults[0]})"
        raise Incomplete(f"{path}: {fault}") from faults[0].__cause__


def picture_frames(path: Path) -> Iterator[Still]:
    """The frames of a picture file, upright. Raises UserError where it is enormous, or of a kind that is not
    read; behind the last frame, Incomplete where a GIF breaks off within a picture."""
    from PIL import ImageOps

    time = 0.0
    with open_picture(path) as image:
        check_size(path, image.width, image.height)
        count, timed = frame_count(image), image.format in TIMED
        for number in range(count):
            try:
                upright = ImageOps.exif_transpose(_in_colour(image, number + _has_stray(image)))
            except Exception as error:  # Pillow's plugins raise a dozen kinds
                if number == 0:
                    raise
                fault = f"is truncated or damaged: {number} of {count} pictures can be read"
                raise Incomplete(f"{path}: {fault}") from error
            yield Still(upright, time if timed and count > 1 else None)
            milliseconds = image.info.get("duration") or 0  # known once it is decoded
            time += (milliseconds if milliseconds > SHORTEST else 100) / 1000
        if (image.format == "GIF" and not _gif_is_whole(path)) or _whole_webp(path):
            raise Incomplete(f"{path}: is truncated: it breaks off behind picture {count}")


def frame_count(image: "Image.Image") -> int:
    """How many frames a picture has: a photograph with its thumbnail behind it (MPO) is one."""
    return 1 if image.format == "MPO" else getattr(image, "n_frames", 1) - _has_stray(image)


def _has_stray(image: "Image.Image") -> bool:
    """Whether an APNG begins with a picture that is shown where it is not played."""
    return bool(getattr(image, "default_image", False))


def _in_colour(image: "Image.Image", number: int) -> "Image.Image":
    """A frame of a picture file, RGB or RGBA; of 16 bits of grey the upper half, as FFmpeg takes it."""
    from PIL import Image

    image.seek(number)
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    transparent = "A" in image.getbands() or "transparency" in image.info
    return image.convert("RGBA" if transparent else "RGB")


def open_picture(path: Path) -> "Image.Image":
    """A picture file as Pillow opens it. Raises UserError that names it where it is none."""
    from PIL import Image, UnidentifiedImageError

    check_file(path)
    if path.stat().st_size == 0:
        raise UserError(f"{path}: is empty (0 bytes)")
    try:
        with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):
            image = Image.open(_whole_webp(path) or path)
    except Image.DecompressionBombError as error:
        raise UserError(f"{path}: is enormous; pictures of at most {MAX_PIXELS} pixels are read") from error
    except UnidentifiedImageError as error:
        raise UserError(f"{path}: is no picture, or damaged from its start on") from error
    if image.mode in ("I", "F"):
        image.close()
        raise UserError(f"{path}: has 32 bits a pixel; save it with 8 or 16, or its numbers as .npy")
    return image


def _whole_webp(path: Path) -> BytesIO | None:
    """The whole part of a truncated WebP, which Pillow would not open; None of any other file."""
    with path.open("rb") as file:
        start = file.read(12)
        size = int.from_bytes(start[4:8], "little") + 8
        if start[:4] + start[8:] != b"RIFFWEBP" or path.stat().st_size >= size:
            return None
        content = start + file.read()
    end = 12
    while (after := end + 8 + int.from_bytes(content[end + 4 : end + 8], "little")) <= len(content):
        end = after + after % 2
    whole = content[8:end]
    return BytesIO(b"RIFF" + len(whole).to_bytes(4, "little") + whole)


def _gif_is_whole(path: Path) -> bool:
    """Whether a GIF ends behind a block; Pillow says nothing where it is cut off within one. What follows the
    last block, or its missing, is no matter (GIF89a, appendix A)."""
    with path.open("rb") as file:

        def skip_table(flags: int) -> None:
            file.seek(3 * 2 ** ((flags & 7) + 1) * (flags >> 7), os.SEEK_CUR)

        skip_table(file.read(13)[10:11].ljust(1, b"\0")[0])
        while (kind := file.read(1)) in (b"!", b","):  # an extension, or a picture
            if kind == b"!":
                file.seek(1, os.SEEK_CUR)
            else:
                skip_table(file.read(9)[8:].ljust(1, b"\0")[0])
                file.seek(1, os.SEEK_CUR)
            while (size := file.read(1)) != b"\0":
                if not size:
                    return False
                file.seek(size[0], os.SEEK_CUR)
    return True


def check_size(path: Path, width: int, height: int) -> None:
    """Raises UserError where a frame has more than MAX_PIXELS pixels."""
    if width * height > MAX_PIXELS:
        raise UserError(f"{path}: {width}x{height} pixels are enormous; at most {MAX_PIXELS} are read")
