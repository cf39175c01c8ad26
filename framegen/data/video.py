"""Videos from files: a user's prompt, brought to a model's resolution."""

import itertools
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from framegen.data.arrays import ARRAYS, array_frames
from framegen.data.films import FILMS, film_facts, film_frames
from framegen.data.pictures import (
    FOREIGN,
    PICTURES,
    check_gif_is_whole,
    folder_frames,
    frames_a_second,
    picture_frames,
)
from framegen.errors import UserError

MAX_PROMPT_FRAMES = 10_000


@dataclass(frozen=True)
class Prompt:
    """A user's video at a model's resolution."""

    frames: Tensor
    """(T, C, H, W) float32, 1 <= T."""
    notes: list[str]
    """What was read and what was done to it, a line each."""


def read_prompt(
    path: Path,
    frame_shape: tuple[int, int, int],
    value_range: tuple[float, float],
    context: int | None = None,
    following: int = 0,
) -> Prompt:
    """A user's video, brought to the model's resolution and channels.

    Each frame is scaled until it covers the shape, and its middle is cut out.

    Args:
        path: a video (MP4, MKV, WebM, …), GIF, APNG, picture, folder of pictures in the order of their
            names, or an array: .npy, or .npz with one array. Arrays are (T,), (T, H, W), (T, C, H, W) or
            (T, H, W, C); uint8, or float in the value range.
        frame_shape: (C, H, W) of the model.
        value_range: lowest and highest value of the model's frames. Pictures and uint8 span it.
        context: how many frames are needed; None reads all.
        following: how many more to read behind those, as far as they are there and whole.

    Raises:
        UserError: names the file where it is missing, empty, damaged, not a video or too large.
    """
    limit = None if context is None else min(context + following, MAX_PROMPT_FRAMES)
    _check(path)
    frames: list[Tensor] = []
    sizes: dict[str, None] = {}
    changes: dict[str, None] = {}
    damage = []
    try:
        for frame in itertools.islice(_frames(path, value_range, limit is None), limit):
            if len(frames) == MAX_PROMPT_FRAMES:
                raise UserError(
                    f"{path}: has more than {MAX_PROMPT_FRAMES} frames; --context N takes its first N"
                )
            sizes[f"{frame.shape[2]}x{frame.shape[1]}"] = None
            fitted, done = _fit(frame, frame_shape, value_range[0])
            changes |= dict.fromkeys(done)
            frames.append(fitted)
    except UserError:
        raise
    except Exception as error:  # Pillow, NumPy and FFmpeg raise a dozen kinds
        damage = [_damage(path, len(frames), error)]
        if context is None or len(frames) < context:
            raise UserError(damage[0]) from error
    if not frames:
        raise UserError(f"{path}: holds no frames")
    rate, sound = _facts(path)
    done = ", ".join([*changes, *["audio dropped"] * sound])
    pace = f", {rate:.4g} a second" if rate else ""
    read = f"read {path}: {len(frames)} frame{'s' * (len(frames) > 1)} of {' and '.join(sizes)}{pace}"
    return Prompt(torch.stack(frames), [f"{read}{'; ' * bool(done)}{done}", *damage])


def frame_rate(path: Path) -> float | None:
    """Frames a second of what `read_prompt` reads, before it is read; None where that is not known."""
    try:
        return _facts(path)[0]
    except Exception:  # as many kinds as there are formats; reading it says what is wrong
        return None


def is_video(path: Path) -> bool:
    """Whether a path looks like what `read_prompt` reads: by its ending, a folder by what lies in it."""
    files = path.iterdir() if path.is_dir() else [path]
    return any(file.suffix.lower() in FILMS | PICTURES | FOREIGN | ARRAYS for file in files)


def _damage(path: Path, count: int, error: Exception) -> str:
    reason = getattr(error, "strerror", None) or str(error).strip().split("\n")[0] or type(error).__name__
    if count == 0:
        return f"{path}: cannot be read as a video: {reason}"
    return (
        f"{path}: frame {count + 1} is damaged and cannot be read ({reason}); the {count} before it can:"
        f" --context N, N at most {count}, takes the first N"
    )


def _check(path: Path) -> None:
    """Raises UserError where a path is an address, or leads to nothing that can be read to its end."""
    if address := re.match(r"([a-z][a-z0-9+.-]+):/+", str(path), re.IGNORECASE):
        raise UserError(
            f"{address[1]}://{str(path)[address.end() :]}: is an address;"
            " download the film, then name its file"
        )
    try:
        kind = path.stat().st_mode
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file or folder") from error
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL
        raise UserError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        raise UserError(f"{path}: is neither a file nor a folder; save what it gives as a file first")


def _facts(path: Path) -> tuple[float | None, bool]:
    """Of a file that has been read: frames a second, where they are known, and whether there is sound."""
    if path.is_dir() or path.suffix.lower() in ARRAYS:
        return None, False
    if path.suffix.lower() in PICTURES:
        return frames_a_second(path), False
    return film_facts(path)


def _frames(path: Path, value_range: tuple[float, float], complete: bool) -> Iterator[Tensor]:
    """(1, 3 or 4, H, W) in the value range; the fourth channel is opacity in [0, 1]."""
    low, high = value_range
    if path.is_dir():
        pictures = folder_frames(path)
    elif path.suffix.lower() in ARRAYS:
        yield from array_frames(path, value_range)
        return
    elif path.suffix.lower() in PICTURES | FOREIGN:
        pictures = picture_frames(path)
        if path.suffix.lower() == ".gif" and complete:
            check_gif_is_whole(path)
    else:
        pictures = film_frames(path, complete)
    for frame in pictures:
        yield torch.cat([low + frame[:3] * (high - low), frame[3:]])


def _fit(frame: Tensor, frame_shape: tuple[int, int, int], low: float) -> tuple[Tensor, list[str]]:
    """A frame of any size -> the model's frame shape, and what was done to it.

    Args:
        frame: (1, 3 or 4, H, W) float32; the fourth channel is opacity.
        low: the lowest value, black, that stands behind what is transparent.
    """
    channels, height, width = frame_shape
    done = []
    if len(frame) == 4:
        frame, opacity = frame[:3], frame[3:]
        if opacity.min() < 1:
            frame = low + (frame - low) * opacity
            done.append("transparency blended onto black")
    if tuple(frame.shape) == frame_shape:
        return frame, done
    # Only a prompt of another shape needs torchvision, whose import takes longer than all the rest.
    from torchvision.transforms.v2 import functional

    scale = max(height / frame.shape[1], width / frame.shape[2])
    size = [max(height, round(frame.shape[1] * scale)), max(width, round(frame.shape[2] * scale))]
    kept = [round(height / scale), round(width / scale)]
    if size != [height, width]:
        done.append(f"cut to the middle {kept[1]}x{kept[0]}")
    if list(frame.shape[1:]) != [height, width]:
        done.append(f"scaled to {width}x{height}")
    if len(frame) != channels == 1:
        if not (torch.equal(frame[0], frame[1]) and torch.equal(frame[0], frame[2])):
            done.append("made grey")
        frame = functional.rgb_to_grayscale(frame)
    frame = frame.expand(channels, -1, -1)
    return functional.center_crop(functional.resize(frame, size, antialias=True), [height, width]), done
