"""Videos from files: a user's prompt, brought to a model's resolution."""

import math
import os
import re
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from framegen.errors import UserError

MAX_PROMPT_FRAMES = 10_000

MAX_ARRAY_BYTES = 2 * 2**30

MAX_PIXELS = 64_000_000

PICTURES = {".png", ".apng", ".gif", ".webp", ".jpg", ".jpeg", ".bmp"}

ARRAYS = {".npy", ".npz"}

Array = np.ndarray[Any, np.dtype[Any]]


def read_frames(
    path: Path, frame_shape: tuple[int, int, int], value_range: tuple[float, float], limit: int | None
) -> Tensor:
    """A user's video, brought to the model's resolution and channels.

    Args:
        path: a video (MP4, MKV, WebM, …), GIF, APNG, picture, folder of pictures in the order of their names,
            or an array: .npy, or .npz with one array. Arrays are (T,), (T, H, W), (T, C, H, W) or (T, H, W, C);
            uint8, or float in the value range.
        frame_shape: (C, H, W) of the model.
        value_range: lowest and highest value of the model's frames.
        limit: read no more frames than this; None reads all. Pictures and uint8 span the value range.

    Returns:
        (T, C, H, W) float32, 1 <= T. Each frame is scaled until it covers the shape, and its middle is cut out.

    Raises:
        UserError: names the file where it is missing, empty, damaged, not a video or too large.
    """
    try:
        kind = path.stat().st_mode
    except OSError as error:
        raise UserError(f"{path}: no such file or folder") from error
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        raise UserError(f"{path}: is neither a file nor a folder")
    try:
        frames = list(_small_frames(path, frame_shape, value_range, limit))
    except UserError:
        raise
    except Exception as error:  # imageio and its plugins raise a dozen kinds
        reason = str(error).strip().split("\n")[0]
        raise UserError(f"{path}: cannot be read as a video: {reason or type(error).__name__}") from error
    if not frames:
        raise UserError(f"{path}: holds no frames")
    return torch.stack(frames)


def _small_frames(
    path: Path, frame_shape: tuple[int, int, int], value_range: tuple[float, float], limit: int | None
) -> Iterator[Tensor]:
    low, high = value_range
    if path.suffix.lower() in ARRAYS:
        frames = _array_frames(path, value_range)
    else:
        frames = (low + frame * (high - low) for frame in _picture_frames(path, complete=limit is None))
    for index, frame in enumerate(frames):
        if limit is not None and index == min(limit, MAX_PROMPT_FRAMES):
            return
        if index == MAX_PROMPT_FRAMES:
            raise UserError(
                f"{path}: has more than {MAX_PROMPT_FRAMES} frames; --context N takes its first N"
            )
        yield _fit(frame, frame_shape)


def _fit(frame: Tensor, frame_shape: tuple[int, int, int]) -> Tensor:
    """(C, H, W) float32 of any size, 1 or 3 channels -> the model's frame shape."""
    channels, height, width = frame_shape
    if tuple(frame.shape) == frame_shape:
        return frame
    # Only a prompt of another shape needs torchvision, whose import takes longer than all the rest.
    from torchvision.transforms.v2 import functional

    if frame.shape[0] != channels:
        frame = functional.rgb_to_grayscale(frame) if channels == 1 else frame.expand(channels, -1, -1)
    scale = max(height / frame.shape[1], width / frame.shape[2])
    size = [max(height, round(frame.shape[1] * scale)), max(width, round(frame.shape[2] * scale))]
    return functional.center_crop(functional.resize(frame, size, antialias=True), [height, width])


def _array_frames(path: Path, value_range: tuple[float, float]) -> Iterator[Tensor]:
    array = _open_array(path)
    if array.dtype != np.uint8 and not np.issubdtype(array.dtype, np.floating):
        raise UserError(
            f"{path}: holds {array.dtype}; frames are uint8, or float in [{value_range[0]:g}, {value_range[1]:g}]"
        )
    match array.shape:
        case (_,):
            array = array[:, None, None, None]
        case (_, _, _):
            array = array[:, None]
        case (_, 1 | 3, _, _):
            pass
        case (_, _, _, 1 | 3):
            array = array.transpose(0, 3, 1, 2)
        case shape:
            raise UserError(
                f"{path}: has shape {shape}; frames are (T,), (T, H, W), (T, C, H, W) or (T, H, W, C), C 1 or 3"
            )
    if math.prod(array.shape[1:]) > MAX_PIXELS:
        raise UserError(
            f"{path}: a frame of shape {array.shape[1:]} is enormous; at most {MAX_PIXELS} values are read"
        )
    if 0 in array.shape:
        raise UserError(f"{path}: holds no frames (shape {array.shape})")
    low, high = value_range
    for row in array:
        frame = torch.from_numpy(np.array(row)).float()
        if array.dtype == np.uint8:
            frame = low + frame / 255 * (high - low)
        if not (frame.isfinite().all() and frame.min() >= low - 0.5 and frame.max() <= high + 0.5):
            raise UserError(
                f"{path}: a value lies far outside [{low:g}, {high:g}] or is not finite (found {frame.min():g} to {frame.max():g})"
            )
        yield frame


def _open_array(path: Path) -> Array:
    if path.suffix.lower() == ".npy":
        return np.load(path, mmap_mode="r", allow_pickle=False)
    with zipfile.ZipFile(path) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > MAX_ARRAY_BYTES:
        raise UserError(
            f"{path}: unpacks to {size / 2**20:.1f} MiB, more than {MAX_ARRAY_BYTES / 2**20:.0f}; save it as .npy"
        )
    with np.load(path, allow_pickle=False) as archive:
        if len(archive.files) != 1:
            raise UserError(
                f"{path}: holds the arrays {', '.join(archive.files) or 'none'}; a prompt is one array"
            )
        return archive[archive.files[0]]


def _picture_frames(path: Path, complete: bool) -> Iterator[Tensor]:
    import imageio.v3 as iio

    if path.is_dir():
        files = sorted(
            (file for file in path.iterdir() if file.suffix.lower() in PICTURES), key=_natural_order
        )
        if not files:
            raise UserError(f"{path}: a folder without pictures ({', '.join(sorted(PICTURES))})")
        for file in files:
            _check_picture(file)
            yield _from_picture(iio.imread(file, plugin="pillow", mode="RGB", index=0))
    elif path.suffix.lower() in PICTURES:
        if path.suffix.lower() == ".gif" and complete and not _tail(path).rstrip(b"\0").endswith(b";"):
            raise UserError(f"{path}: is truncated: a GIF ends in a semicolon byte")
        _check_picture(path)
        for picture in iio.imiter(path, plugin="pillow", mode="RGB"):
            yield _from_picture(picture)
    else:
        _check_video(path)
        count = 0
        for picture in iio.imiter(path, plugin="pyav", format="rgb24"):
            count += 1
            yield _from_picture(picture)
        expected = 0 if not complete else _announced_frames(path)
        if count < 0.95 * expected - 1:
            raise UserError(f"{path}: is truncated: {count} of about {expected:.0f} frames can be read")


def _check_picture(path: Path) -> None:
    from PIL import Image

    with Image.open(path) as image:
        if image.width * image.height > MAX_PIXELS:
            raise UserError(
                f"{path}: {image.width}x{image.height} pixels are enormous; at most {MAX_PIXELS} are read"
            )
        if image.mode.startswith(("I", "F")):
            raise UserError(f"{path}: has more than 8 bits a channel; save it with 8, or its numbers as .npy")


def _check_video(path: Path) -> None:
    import av

    with av.open(str(path)) as container:
        # FFmpeg would play any text as a film of a terminal.
        if not container.streams.video or container.format.name == "tty":
            raise UserError(f"{path}: holds no video, or is cut off")


def _announced_frames(path: Path) -> float:
    """How many frames the file's header promises: a file that is cut off may be read without an error, only shorter."""
    import av

    with av.open(str(path)) as container:
        video = container.streams.video[0]
        if video.frames:
            return video.frames
        if video.duration and video.time_base:
            seconds = float(video.duration * video.time_base)
        else:  # of the whole file, so only where nothing but the video can make it long
            seconds = (container.duration or 0) / av.time_base if len(container.streams) == 1 else 0.0
        return seconds * float(video.average_rate or 0)


def _tail(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(-min(path.stat().st_size, 64), os.SEEK_END)
        return file.read()


def _natural_order(path: Path) -> list[tuple[int, str]]:
    """frame2 before frame10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", path.name)]


def _from_picture(picture: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1).float() / 255  # (3, H, W)
