"""Videos from files: a user's prompt, a film or an array, brought to a model's resolution."""

import itertools
import math
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from framegen.data.films import pictures
from framegen.data.films.facts import probe
from framegen.data.films.frames import shown_frames
from framegen.data.films.kinds import ARRAYS, FILMS, FOREIGN, PICTURES, check_path, kind_of, visible
from framegen.data.films.pictures import Array, Incomplete, Size
from framegen.data.films.shots import shot_starts
from framegen.machine.errors import UserError
from framegen.machine.progress import count_of

MAX_PROMPT_FRAMES = 10_000
MAX_ARRAY_BYTES = 2 * 2**30


@dataclass(frozen=True)
class Prompt:
    """A user's video at a model's resolution."""

    frames: Tensor
    """(T, C, H, W) float32, 1 <= T."""
    notes: list[str]
    """The prompt as it was read, and its changes, one line each."""


def read_prompt(
    path: Path,
    frame_shape: tuple[int, int, int],
    value_range: tuple[float, float],
    context: int | None = None,
    following: int = 0,
    strict: bool = False,
) -> Prompt:
    """A user's video, brought to the model's resolution and channels.

    Each frame is turned upright; its largest middle part of the model's aspect ratio is cut out and scaled.

    Args:
        path: a video (MP4, MKV, WebM, …), GIF, APNG, picture, folder of pictures, or an array: .npy, or .npz
            with one array. Arrays are (T,), (T, H, W), (T, C, H, W) or (T, H, W, C); uint8, or float in the
            value range. A film is read at its own rate.
        frame_shape: (C, H, W) of the model.
        value_range: lowest and highest value of the model's frames. Pictures and uint8 span it.
        context: how many frames are needed; None reads all.
        following: how many more to read behind those, where they can be read.
        strict: whether a file of which a part cannot be read is an error; else the notes say so.

    Raises UserError that names the file where none of it can be read.
    """
    limit = None if context is None else min(context + following, MAX_PROMPT_FRAMES)
    check_path(path)
    frames, sizes, changes, faults = list[Tensor](), list[str](), list[str](), list[str]()
    try:
        fitted = _fitted(path, frame_shape, value_range, limit is None)
        for frame, (height, width), done in itertools.islice(fitted, limit):
            if len(frames) == MAX_PROMPT_FRAMES:
                many = f"{path}: has more than {MAX_PROMPT_FRAMES} frames"
                raise UserError(f"{many}; --context N takes its first N")
            sizes.append(f"{width}x{height}")
            changes += done
            frames.append(frame)
    except Exception as error:  # Pillow, NumPy and FFmpeg raise a dozen kinds
        fault = error if isinstance(error, UserError) else pictures.broken(path, len(frames), error)
        if strict or not isinstance(fault, Incomplete):
            raise fault from error.__cause__
        faults.append(str(fault))
    if not frames:
        raise UserError(f"{path}: holds no frames")
    facts = probe(path) if is_film(path) else None
    read = f"read {path}: {count_of(len(frames), 'frame')} of {' and '.join(dict.fromkeys(sizes))}"
    if facts:
        changes += [*facts.notes, *["audio dropped"] * facts.audio]
        read += f", {facts.fps:.4g} a second" if facts.fps else ""
    said = "; ".join(filter(None, [read, ", ".join(dict.fromkeys(changes))]))
    return Prompt(torch.stack(frames), [said, *faults])


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
    path: Path, frame_shape: tuple[int, int, int], value_range: tuple[float, float], complete: bool
) -> Iterator[tuple[Tensor, Size, list[str]]]:
    """Each frame in the model's shape and range, the size that it had, and what was done to it."""
    low, high = value_range
    channels, height, width = frame_shape
    if path.is_file() and not is_film(path):
        for frame in _array_frames(path, value_range):
            size = (frame.shape[1], frame.shape[2])
            done = _scaling(size, (height, width))
            scaled = pictures.fit(frame.permute(1, 2, 0).numpy(), (height, width))
            if len(frame) == 3 != channels:
                done.append("made grey")
                scaled = (scaled @ pictures.GREY)[..., None]
            yield torch.from_numpy(scaled).permute(2, 0, 1).expand(frame_shape).contiguous(), size, done
        return
    for frame in shown_frames(path, complete=complete):
        picture = frame.pixels((height, width))  # (height, width, 3)
        done = _scaling(frame.size, (height, width))
        if frame.transparent:
            done.insert(0, "transparency blended onto black")
        if channels == 1 and (picture != picture[..., :1]).any():
            done.append("made grey")
        levels = torch.from_numpy(np.array(pictures.to_channels(picture, channels)))
        yield low + levels.permute(2, 0, 1).float() / 255 * (high - low), frame.size, done


def _scaling(have: Size, want: Size) -> list[str]:
    """The change from one frame size to another, in words."""
    kept = tuple(round(side) for side in pictures.middle(have, want))
    cut = f"cut to the middle {kept[1]}x{kept[0]}" if kept != have else ""
    scaled = f"scaled to {want[1]}x{want[0]}" if kept != want else ""
    return [each for each in (cut, scaled) if each]


def _array_frames(path: Path, value_range: tuple[float, float]) -> Iterator[Tensor]:
    """The frames of a .npy, or of a .npz with one array, (1 or 3, H, W) float32 in the value range. Raises
    UserError where its type, shape, size or values are wrong."""
    array, (low, high) = _open_array(path), value_range
    if array.dtype != np.uint8 and not np.issubdtype(array.dtype, np.floating):
        kinds = f"uint8, or float in [{low:g}, {high:g}]"
        raise UserError(f"{path}: holds {array.dtype}; frames are {kinds}")
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
            shapes = "(T,), (T, H, W), (T, C, H, W) or (T, H, W, C), C 1 or 3"
            raise UserError(f"{path}: has shape {shape}; frames are {shapes}")
    if math.prod(array.shape[1:]) > pictures.MAX_PIXELS:
        most = f"at most {pictures.MAX_PIXELS} values are read"
        raise UserError(f"{path}: a frame of shape {array.shape[1:]} is enormous; {most}")
    if 0 in array.shape:
        raise UserError(f"{path}: holds no frames (shape {array.shape})")
    for row in array:
        frame = torch.from_numpy(np.array(row)).float()
        if array.dtype == np.uint8:
            frame = low + frame / 255 * (high - low)
        if not (frame.isfinite().all() and frame.min() >= low - 0.5 and frame.max() <= high + 0.5):
            found = f"(found {frame.min():g} to {frame.max():g})"
            raise UserError(f"{path}: a value lies far outside [{low:g}, {high:g}] or is not finite {found}")
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
        more = f"{size / 2**20:.1f} MiB, more than {MAX_ARRAY_BYTES / 2**20:.0f}"
        raise UserError(f"{path}: unpacks to {more}; save it as .npy")
    with np.load(path, allow_pickle=False) as archive:
        if len(archive.files) != 1:
            held = ", ".join(archive.files) or "none"
            raise UserError(f"{path}: holds the arrays {held}; a prompt is one array")
        return archive[archive.files[0]]


def played_again(path: Path, frames: Tensor, enough: int) -> Tensor:
    """All frames of a moving picture, (T, C, H, W) in [0, 1]; where it begins again, as it says itself or
    since its end meets its beginning, without a cut, `enough` frames and more follow the first time."""
    if not is_film(path) or (facts := probe(path)).clock is not None or len(frames) < 2:
        return frames
    levels = (frames.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy()
    steps = np.abs(np.diff(levels.astype(np.int16), axis=0, append=levels[:1])).mean((1, 2, 3))
    meets = steps[-1] <= steps[:-1].mean()  # the first frame follows the last as any follows the one before
    if not (facts.loops or meets) or len(frames) in shot_starts([*levels, *levels]):
        return frames
    return frames.repeat(2 + enough // len(frames), 1, 1, 1)
