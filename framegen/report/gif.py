"""GIFs, written as their pictures come: Pillow's own way keeps all of them until the end."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL.GifImagePlugin import getdata, getheader
from PIL.Image import Dither, Image, Quantize, fromarray

from framegen.data.films.pictures import SHORTEST, Array
from framegen.machine.files import replacing


def frame_time(fps: float) -> int:
    """Hundredths of a second that a GIF shows a picture: more than what players take for ten."""
    return max(SHORTEST // 10 + 1, round(100 / fps))


def write_gif(
    path: Path, pictures: Iterable[Array], fps: float, exclusive: bool = False, of_lines: bool = False
) -> None:
    """(H, W, 3) uint8 pictures of one size as a GIF that loops; memory does not grow with their number.

    Each picture holds only its difference from the one before, in up to 256 colours of its own: a grey one
    as it is. Drawings `of_lines` need no more than 32, and become smaller.
    """
    duration = 10 * frame_time(fps)  # milliseconds
    with replacing(path, exclusive) as temporary, temporary.open("wb") as file:
        before: Array | None = None
        for picture in pictures:
            left, top, right, bottom = _changed(picture, before)
            part = _quantized(picture[top:bottom, left:right], of_lines)
            if before is None:
                parts, _ = getheader(part, info={"loop": 0, "duration": duration})
                file.write(b"".join(parts))
            own_colors = before is not None  # those of the first picture stand in the header
            data = getdata(part, (left, top), duration=duration, disposal=1, include_color_table=own_colors)
            file.write(b"".join(data))
            before = picture
        file.write(b";")


def _quantized(part: Array, of_lines: bool) -> Image:
    if (part == part[..., :1]).all():
        return fromarray(part[..., 0])
    colors, way = (32, Quantize.FASTOCTREE) if of_lines else (256, Quantize.MEDIANCUT)
    return fromarray(part).quantize(colors, way, dither=Dither.NONE)


def _changed(picture: Array, before: Array | None) -> tuple[int, int, int, int]:
    """The smallest box around all that differs: left, top, right, bottom; one pixel where nothing does."""
    if before is None:
        return 0, 0, picture.shape[1], picture.shape[0]
    differ = (picture != before).any(-1)
    if not differ.any():
        return 0, 0, 1, 1
    rows, columns = np.flatnonzero(differ.any(1)), np.flatnonzero(differ.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
