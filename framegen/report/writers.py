"""Pictures to files, as they come: memory does not grow with their number.

What can be written: GIF, MP4, WebM, animated WebP, a folder of PNG; and frames as numbers, .npy.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from PIL.GifImagePlugin import getdata, getheader
from PIL.Image import Dither, Quantize
from torch import Tensor

from framegen.data.films.pictures import SHORTEST, Array
from framegen.machine.errors import OptionError, UserError
from framegen.machine.files import replacing, replacing_folder
from framegen.machine.progress import say

if TYPE_CHECKING:
    from av import VideoStream
    from av.container import OutputContainer

FPS_RANGE = 0.1, 240.0


@dataclass(frozen=True)
class Coding:
    """How FFmpeg writes a film: encoder, container and their options."""

    encoder: str
    pixels: str
    options: dict[str, str]
    container: dict[str, str] = field(default_factory=dict)


FILMS = {
    # faststart: the index comes first, so that a browser plays before all is there
    ".mp4": Coding("libx264", "yuv420p", {"crf": "17"}, {"movflags": "+faststart"}),
    ".webm": Coding("libvpx-vp9", "yuv420p", {"crf": "24", "cpu-used": "4", "row-mt": "1"}),
    # lossless, and each picture alone: the encoder for animations keeps all of them until the end
    ".webp": Coding("libwebp", "bgra", {"lossless": "1", "compression_level": "0"}, {"loop": "0"}),
}
BT709 = 1
"""FFmpeg's number for it, as matrix, primaries and transfer: what players expect of a film."""
LIMITED = 1
"""FFmpeg's number for levels from 16 to 235."""

ANIMATIONS = (".gif", *FILMS, "")
"""Endings of what moves; a name without one is a folder of PNG."""


def write_animation(
    path: Path, pictures: Iterable[Array], fps: float, first: int = 1, exclusive: bool = False
) -> None:
    """(H, W, 3) uint8 pictures of one size, as one of ANIMATIONS. The rate is said where it cannot be met.

    Args:
        first: the number of the first picture, in the names of PNG files.
        exclusive: see `framegen.machine.files.replacing`, as for every writer here.

    Raises:
        UserError: the disk refuses; what was there before is whole.
    """
    ending = path.suffix.lower()
    if abs(playable(fps, ending) - fps) > 1e-3 * fps:
        say(f"{path}: plays {playable(fps, ending):.4g} frames a second, its clock knows no {fps:.4g}", True)
    match ending:
        case ".gif":
            write_gif(path, pictures, fps, exclusive)
        case "":
            write_pictures(path, pictures, first, exclusive)
        case _:
            write_film(path, pictures, playable(fps, ending), exclusive)


def check_new(out: Path, endings: Sequence[str], force: bool) -> None:
    """Raises OptionError where the ending is another, or writing the file would cost what is there."""
    if out.suffix.lower() not in endings:
        raise OptionError(f"--out {out}: ends in {' or '.join(endings)}")
    if reason := refusal(out, force):
        raise OptionError(f"--out {out}: {reason}")


def playable(fps: float, ending: str) -> float:
    """The rate nearest to `fps` that players show of such a file."""
    match ending:
        case ".gif":
            return 100 / frame_time(fps)
        case ".webp":  # browsers take 10 milliseconds and less for 100
            return min(fps, 90.0)
        case _:
            return fps


def frame_time(fps: float) -> int:
    """Hundredths of a second that a GIF shows a picture: more than what players take for ten."""
    return max(SHORTEST // 10 + 1, round(100 / fps))


def write_gif(
    path: Path, pictures: Iterable[Array], fps: float, exclusive: bool = False, of_lines: bool = False
) -> None:
    """(H, W, 3) uint8 pictures of one size as a GIF that loops, written as they come: Pillow's own way keeps
    all of them until the end.

    Each picture holds only its difference from the one before, in up to 256 colours of its own, a grey one as
    it is. Drawings `of_lines` need no more than 32, and become smaller.
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


def _quantized(part: Array, of_lines: bool) -> Image.Image:
    if (part == part[..., :1]).all():
        return Image.fromarray(part[..., 0])
    colors, way = (32, Quantize.FASTOCTREE) if of_lines else (256, Quantize.MEDIANCUT)
    return Image.fromarray(part).quantize(colors, way, dither=Dither.NONE)


def _changed(picture: Array, before: Array | None) -> tuple[int, int, int, int]:
    """The smallest box around all that differs: left, top, right, bottom; one pixel where nothing does."""
    if before is None:
        return 0, 0, picture.shape[1], picture.shape[0]
    differ = (picture != before).any(-1)
    if not differ.any():
        return 0, 0, 1, 1
    rows, columns = np.flatnonzero(differ.any(1)), np.flatnonzero(differ.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def write_film(path: Path, pictures: Iterable[Array], fps: float, exclusive: bool = False) -> None:
    """(H, W, 3) uint8 pictures of one size as H.264 (.mp4), VP9 (.webm) or lossless WebP.

    The first two have one colour for 2x2 pixels, so odd sides grow by a copy of their last row or column.
    """
    import av
    from av.error import FFmpegError

    coding = FILMS[path.suffix.lower()]
    with replacing(path, exclusive) as temporary:
        try:
            # "file:" keeps a name such as concat:x from being an instruction.
            with av.open(
                f"file:{temporary}", "w", format=path.suffix[1:].lower(), options=coding.container
            ) as film:
                _encode(film, coding, pictures, Fraction(fps).limit_denominator(1001))
        except FFmpegError as error:  # a full disk comes as one of these, not always as an OSError
            raise UserError(f"{path}: cannot be written: {error.strerror}") from error


def _encode(film: "OutputContainer", coding: Coding, pictures: Iterable[Array], rate: Fraction) -> None:
    from av import VideoFrame
    from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

    convert, stream = VideoReformatter().reformat, None
    subsampled = coding.pixels == "yuv420p"
    target = {"dst_colorspace": Colorspace.ITU709, "dst_color_range": ColorRange.MPEG} if subsampled else {}
    for number, picture in enumerate(pictures):
        if subsampled and (picture.shape[0] % 2 or picture.shape[1] % 2):
            picture = np.pad(picture, (*((0, side % 2) for side in picture.shape[:2]), (0, 0)), "edge")
        if stream is None:
            stream = _stream(film, coding, picture, rate)
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
        frame = convert(frame, format=coding.pixels, **target)
        frame.pts, frame.time_base = number, 1 / rate
        film.mux(stream.encode(frame))
    if stream is not None:
        film.mux(stream.encode(None))


def _stream(film: "OutputContainer", coding: Coding, picture: Array, rate: Fraction) -> "VideoStream":
    from av import VideoStream

    stream = film.add_stream(coding.encoder, rate, coding.options)
    assert isinstance(stream, VideoStream)
    stream.height, stream.width = picture.shape[:2]
    stream.pix_fmt, stream.bit_rate = coding.pixels, 0  # the quality decides
    if coding.pixels == "yuv420p":
        context = stream.codec_context
        context.color_range = LIMITED
        context.colorspace = context.color_primaries = context.color_trc = BT709
    return stream


def write_picture(path: Path, picture: Array, exclusive: bool = False) -> Path:
    """(H, W, 3) uint8 as a PNG, whole or not at all."""
    with replacing(path, exclusive) as temporary:
        Image.fromarray(picture).save(temporary)
    return path


def write_pictures(folder: Path, pictures: Iterable[Array], first: int = 1, exclusive: bool = False) -> None:
    """(H, W, 3) uint8 pictures as a folder of PNG, frame-000001.png, …, by their number."""
    import imageio.v3 as iio

    with replacing_folder(folder, exclusive) as temporary:
        for number, picture in enumerate(pictures, first):
            # To memory: it leaves a file open that it fails to write.
            content = iio.imwrite("<bytes>", picture, extension=".png")
            (temporary / f"frame-{number:06}.png").write_bytes(content)


def write_array(path: Path, frames: Iterable[Tensor], exclusive: bool = False) -> None:
    """Frames (C, H, W) as they are, (T, C, H, W): uint8, or float32 for every other kind."""
    with replacing(path, exclusive) as temporary, temporary.open("wb") as file:
        count, header = 0, {}
        for count, frame in enumerate(frames, 1):
            values = frame.numpy() if frame.dtype == torch.uint8 else frame.float().numpy().astype("<f4")
            if count == 1:
                header = {"descr": values.dtype.str, "fortran_order": False, "shape": (0, *values.shape)}
                np.lib.format.write_array_header_1_0(file, header)
            file.write(values.tobytes())
        file.seek(0)  # NumPy leaves room in a header for an array that grows
        np.lib.format.write_array_header_1_0(file, {**header, "shape": (count, *header["shape"][1:])})


LONGEST_NAME = 255
"""Bytes of a file's name on the file systems of Linux, macOS and Windows."""


def refusal(path: Path, force: bool) -> str | None:
    """Why `path` cannot be written, or would cost something that nobody gave up; None where it can.

    A folder is replaced where it is empty, or where it holds frames that were written here and `force` says
    so; never one that holds anything else.
    """
    if path.name in ("", ".."):
        return "is a folder that is there; name a file, or a new folder"
    if len(os.fsencode(path.name)) > LONGEST_NAME:
        return f"has a name of more than {LONGEST_NAME} bytes; --out gives it a shorter one"
    place = next(each for each in path.absolute().parents if os.path.lexists(each))
    if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
        return f"cannot be written: {place} is no folder that can be written to"
    if not os.path.lexists(path):  # a link to nowhere is something that stands there
        return None
    if path.suffix and path.is_dir():
        return "is a folder; name a file, or a folder without a dot in its name"
    if not path.suffix and (path.is_symlink() or not path.is_dir()):
        return "is there, and is no folder; a name without ending is a folder of PNG"
    names = [] if path.suffix else sorted(file.name for file in path.iterdir())
    foreign = [name for name in names if not (name.startswith("frame-") and name.endswith(".png"))]
    if foreign:
        return f"is a folder that holds {foreign[0]}; choose a new or an empty one"
    if force or (not path.suffix and not names):
        return None
    return "exists already; choose another name, or --force replaces it"
