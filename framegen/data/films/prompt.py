"""Videos from files: a user's prompt, brought to a model's resolution."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from framegen.data.films.arrays import array_frames
from framegen.data.films.facts import check_path, probe
from framegen.data.films.frames import broken, shown_frames
from framegen.data.films.kinds import ARRAYS, FILMS, FOREIGN, PICTURES, kind_of, visible
from framegen.data.films.pictures import GREY, Incomplete, Size, fit, middle, to_channels
from framegen.machine.errors import UserError
from framegen.machine.progress import count_of

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
    strict: bool = False,
) -> Prompt:
    """A user's video, brought to the model's resolution and channels.

    Of each frame, upright, the largest middle part of the model's aspect ratio is cut out and scaled.

    Args:
        path: a video (MP4, MKV, WebM, …), GIF, APNG, picture, folder of pictures in the order of their
            names, or an array: .npy, or .npz with one array. Arrays are (T,), (T, H, W), (T, C, H, W) or
            (T, H, W, C); uint8, or float in the value range. A film is read at its own rate.
        frame_shape: (C, H, W) of the model.
        value_range: lowest and highest value of the model's frames. Pictures and uint8 span it.
        context: how many frames are needed; None reads all.
        following: how many more to read behind those, as far as they are there and whole.
        strict: whether a file of which a part cannot be read is an error; else the notes say so.

    Raises:
        UserError: names the file where it is missing, empty, not a video or too large, or nothing of it can
            be read.
    """
    limit = None if context is None else min(context + following, MAX_PROMPT_FRAMES)
    check_path(path)
    frames: list[Tensor] = []
    sizes: dict[str, None] = {}
    changes: dict[str, None] = {}
    faults = []
    try:
        fitted = _fitted(path, frame_shape, value_range, limit is None)
        for frame, (height, width), done in itertools.islice(fitted, limit):
            if len(frames) == MAX_PROMPT_FRAMES:
                raise UserError(
                    f"{path}: has more than {MAX_PROMPT_FRAMES} frames; --context N takes its first N"
                )
            sizes[f"{width}x{height}"] = None
            changes |= dict.fromkeys(done)
            frames.append(frame)
    except UserError as error:
        faults = [_partly(error, strict)]
    except Exception as error:  # Pillow, NumPy and FFmpeg raise a dozen kinds
        faults = [_partly(broken(path, len(frames), error), strict)]
    if not frames:
        raise UserError(f"{path}: holds no frames")
    facts = probe(path) if is_film(path) else None
    done = [*changes, *facts.notes] if facts else list(changes)
    if facts and facts.audio:
        done.append("audio dropped")
    read = f"read {path}: {count_of(len(frames), 'frame')} of {' and '.join(sizes)}"
    if facts and facts.fps:
        read += f", {facts.fps:.4g} a second"
    return Prompt(torch.stack(frames), ["; ".join(filter(None, [read, ", ".join(done)])), *faults])


def _partly(error: UserError, strict: bool) -> str:
    """What to note of a file that can be read in part; else the error is raised."""
    if strict or not isinstance(error, Incomplete):
        raise error
    return str(error)


def is_film(path: Path) -> bool:
    """Whether a path leads to a film or picture, of which `probe` knows more: no folder, and no array."""
    return path.is_file() and kind_of(path) != "array"


def frame_rate(path: Path) -> float | None:
    """Frames a second of what `read_prompt` reads, before it is read; None where that is not known."""
    try:
        return probe(path).fps if is_film(path) else None
    except UserError:  # reading it says what is wrong
        return None


def is_video(path: Path) -> bool:
    """Whether a path looks like what `read_prompt` reads: by its ending, a folder by what lies in it."""
    files = visible(path) if path.is_dir() else [path]
    return any(file.suffix.lower() in FILMS | PICTURES | FOREIGN | ARRAYS for file in files)


def _fitted(
    path: Path,
    frame_shape: tuple[int, int, int],
    value_range: tuple[float, float],
    complete: bool,
) -> Iterator[tuple[Tensor, Size, list[str]]]:
    """Each frame in the model's shape and range, the size that it had, and what was done to it."""
    low, high = value_range
    channels, height, width = frame_shape
    if path.is_file() and not is_film(path):
        for frame in array_frames(path, value_range):
            size = (frame.shape[1], frame.shape[2])
            done = _scaling(size, (height, width))
            scaled = fit(frame.permute(1, 2, 0).numpy(), (height, width))
            if len(frame) == 3 != channels:
                done.append("made grey")
                scaled = (scaled @ GREY)[..., None]
            yield torch.from_numpy(scaled).permute(2, 0, 1).expand(frame_shape).contiguous(), size, done
        return
    for frame in shown_frames(path, complete=complete):
        picture = frame.pixels((height, width))  # (height, width, 3)
        done = _scaling(frame.size, (height, width))
        if frame.transparent:
            done.insert(0, "transparency blended onto black")
        if channels == 1 and (picture != picture[..., :1]).any():
            done.append("made grey")
        levels = torch.from_numpy(np.array(to_channels(picture, channels)))
        yield low + levels.permute(2, 0, 1).float() / 255 * (high - low), frame.size, done


def _scaling(have: Size, want: Size) -> list[str]:
    """What brings a frame of one size to another, in words."""
    kept = tuple(round(side) for side in middle(have, want))
    cut = f"cut to the middle {kept[1]}x{kept[0]}" if kept != have else ""
    scaled = f"scaled to {want[1]}x{want[0]}" if kept != want else ""
    return [each for each in (cut, scaled) if each]
