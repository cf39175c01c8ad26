"""Frames from NumPy's files; nothing in them is ever unpickled."""

import math
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from framegen.data.films.pictures import MAX_PIXELS, Array
from framegen.machine.errors import UserError

MAX_ARRAY_BYTES = 2 * 2**30


def array_frames(path: Path, value_range: tuple[float, float]) -> Iterator[Tensor]:
    """The frames of a .npy, or of a .npz with one array, (1 or 3, H, W) float32 in the value range.

    Raises UserError where the array is of another type or shape, enormous, or holds values far outside the
    range.
    """
    array = _open_array(path)
    if array.dtype != np.uint8 and not np.issubdtype(array.dtype, np.floating):
        raise UserError(
            f"{path}: holds {array.dtype};"
            f" frames are uint8, or float in [{value_range[0]:g}, {value_range[1]:g}]"
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
                f"{path}: has shape {shape};"
                " frames are (T,), (T, H, W), (T, C, H, W) or (T, H, W, C), C 1 or 3"
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
                f"{path}: a value lies far outside [{low:g}, {high:g}] or is not finite"
                f" (found {frame.min():g} to {frame.max():g})"
            )
        yield frame


def _open_array(path: Path) -> Array:
    if path.stat().st_size == 0:
        raise UserError(f"{path}: is empty (0 bytes)")
    with path.open("rb") as file:
        start = file.read(6)
    if start == b"\x93NUMPY":
        return np.load(path, mmap_mode="r", allow_pickle=False)
    if not start.startswith(b"PK"):
        raise UserError(f"{path}: is no .npy or .npz file, or damaged from its start on")
    with zipfile.ZipFile(path) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > MAX_ARRAY_BYTES:
        raise UserError(
            f"{path}: unpacks to {size / 2**20:.1f} MiB, more than {MAX_ARRAY_BYTES / 2**20:.0f};"
            " save it as .npy"
        )
    with np.load(path, allow_pickle=False) as archive:
        if len(archive.files) != 1:
            raise UserError(
                f"{path}: holds the arrays {', '.join(archive.files) or 'none'}; a prompt is one array"
            )
        return archive[archive.files[0]]
