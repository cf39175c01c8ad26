"""Frames of one's own to a file: `framegen.save`."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from framegen.machine.errors import UserError
from framegen.machine.files import make_parents
from framegen.report.continuation import CLEAN, to_picture
from framegen.report.writers import ANIMATIONS, FPS_RANGE, refusal, write_animation, write_array

HIGHEST = 16
"""A larger value in a first frame of floats is no model's overshoot, but a level of 255."""


def save(
    path: Path | str,
    frames: Tensor | np.ndarray[Any, Any] | Iterable[Tensor],
    fps: float = 25.0,
    scale: int | None = None,
    force: bool = False,
) -> Path:
    """Write frames as the ending of `path` says: .gif, .mp4, .webm, .webp, .npy; none: a folder of PNG.

    Args:
        path: see above. GIF and WebP cannot show every rate; the nearest is taken, and said.
        frames: (T, C, H, W), C 1 (grey) or 3 (RGB); uint8, or floats in [0, 1], beyond which they are
            clipped. Or frames (C, H, W) as they come, such as a generator gives them: memory does not grow.
        fps: frames a second, 0.1 to 240.
        scale: by how much each pixel is enlarged; None: small frames up to 256 pixels. A .npy keeps its size.
        force: whether a file, or a folder of such frames, that is there may be replaced.

    Returns:
        `path`.

    Raises:
        UserError: names `path`; what was there is whole. `machine.files.Taken`: something came to be there
            meanwhile; what was made is beside it.
    """
    path = Path(path)
    low, high = FPS_RANGE
    if not low <= fps <= high:
        raise UserError(f"{path}: {fps:g} frames a second; at least {low:g} and at most {high:g} are played")
    if path.suffix.lower() not in (*ANIMATIONS, ".npy"):
        known = ", ".join(ending for ending in (*ANIMATIONS, ".npy") if ending)
        raise UserError(f"{path}: the ending says what to write: {known}, or none for a folder of PNG")
    if reason := refusal(path, force):
        raise UserError(f"{path}: {reason}")
    make_parents(path)
    checked = _checked(path, frames)
    if path.suffix.lower() == ".npy":
        write_array(path, checked, exclusive=not force)
    else:
        write_animation(path, (_picture(frame, scale) for frame in checked), fps, exclusive=not force)
    return path


def _checked(path: Path, frames: Tensor | np.ndarray[Any, Any] | Iterable[Tensor]) -> Iterator[Tensor]:
    """The frames on the CPU, (C, H, W) uint8 or float. Raises UserError at the first that is none, or unlike
    the first."""
    shape = None
    for number, given in enumerate(frames, 1):
        # A copy of an array, since it may be read-only or run backwards.
        frame = given.detach().cpu() if isinstance(given, Tensor) else torch.from_numpy(np.array(given))
        if frame.dim() != 3 or frame.shape[0] not in (1, 3) or 0 in frame.shape:
            hint = "; permute (T, H, W, C) first" if frame.dim() == 3 and frame.shape[2] in (1, 3) else ""
            raise UserError(
                f"{path}: a frame is (C, H, W) with C 1 or 3, this one is {tuple(frame.shape)}{hint}"
            )
        if frame.dtype != torch.uint8 and not frame.is_floating_point():
            raise UserError(f"{path}: frames are uint8, or floats in [0, 1], not {frame.dtype}")
        if number == 1 and frame.is_floating_point() and (largest := frame.abs().max().item()) > HIGHEST:
            raise UserError(f"{path}: floats lie in [0, 1], here is {largest:g}; levels up to 255 are uint8")
        if frame.shape != (shape := shape or frame.shape):
            raise UserError(f"{path}: frame {number} is {tuple(frame.shape)}, the first is {tuple(shape)}")
        yield frame
    if shape is None:
        raise UserError(f"{path}: there are no frames to write")


def _picture(frame: Tensor, scale: int | None) -> np.ndarray[Any, Any]:
    return to_picture(frame, (0.0, 255.0 if frame.dtype == torch.uint8 else 1.0), CLEAN, scale)
