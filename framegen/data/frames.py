"""Any film, moving picture or folder of pictures as evenly spaced frames of one size."""

import itertools
import re
import stat
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Protocol

from framegen.data.decoding import HDR, FilmFrame, film_frames, pixel_aspect, timing_of
from framegen.data.films import open_film
from framegen.data.pictures import (
    FOREIGN,
    PICTURES,
    Array,
    Size,
    check_gif_is_whole,
    folder_files,
    folder_frames,
    open_picture,
    picture_frames,
    to_channels,
)
from framegen.errors import UserError

USUAL_RATE = 25.0
"""Frames a second of what does not say how fast it runs, where a number is needed."""

BELIEVED = 0.25
"""So exactly are time stamps believed, as a part of the interval between frames: they are rounded (to 10 ms in
a GIF), and a frame that begins a trifle late is shown all the same."""

PROBED_PICTURES = 50


class Frame(Protocol):
    """A frame before it is scaled."""

    @property
    def time(self) -> float | None:
        """Seconds after the first frame; None where the file does not say."""
        ...

    @property
    def size(self) -> Size:
        """Height and width, upright."""
        ...

    @property
    def transparent(self) -> bool: ...

    def pixels(self, size: Size) -> Array:
        """(height, width, 3) uint8: scaled to cover the size, with its middle cut out, on black."""
        ...


@dataclass(frozen=True)
class Facts:
    """What is known of a film before it is read."""

    width: int
    height: int
    """As it is shown: upright, pixels square."""
    fps: float | None
    """The median rate of its first frames; None where it bears no time stamps that can be believed."""
    seconds: float | None
    frames: int | None
    audio: bool
    notes: tuple[str, ...] = ()
    """What its reader should know: "turned by 90 degrees", for example."""


def probe(path: Path) -> Facts:
    """Facts about a film, moving picture or folder of pictures, from its beginning and its header.

    Raises UserError that names it where it cannot be read.
    """
    check_path(path)
    try:
        if path.is_dir() or path.suffix.lower() in PICTURES | FOREIGN:
            return _probe_pictures(path)
        return _probe_film(path)
    except UserError:
        raise
    except Exception as error:  # Pillow and FFmpeg raise a dozen kinds
        raise UserError(f"{path}: cannot be read as a video: {reason(error)}") from error


def read_frames(
    path: Path,
    size: Size | None,
    channels: int = 3,
    fps: float | None = None,
    start: float = 0.0,
    stop: float | None = None,
    complete: bool = False,
) -> Iterator[Array]:
    """The frames of a film, moving picture or folder of pictures, (H, W, channels) uint8.

    Frame k is the one that is shown at start + k / fps; where the file bears no time stamps, it is the k-th.
    Frames are upright. Each is scaled to cover the size, and its middle cut out. Memory does not grow with
    the film's length, and what lies before `start` is not read.

    Args:
        size: height and width; None is the first frame's own.
        channels: 1 (brightness, ITU-R BT.601) or 3 (red, green, blue).
        fps: frames a second; None is the file's own rate.
        start, stop: seconds; None is the film's end.
        complete: whether a film that ends before its header says so is an error.

    Raises:
        UserError: names the file where it cannot be read, or a frame of it.
    """
    count, last = 0, None
    try:
        for frame in shown_frames(path, fps, start, stop, complete):
            size = size or frame.size
            if last is None or frame is not last[0]:
                last = (frame, to_channels(frame.pixels(size), channels))
            yield last[1]
            count += 1
    except UserError:
        raise
    except Exception as error:  # Pillow and FFmpeg raise a dozen kinds
        raise UserError(damage(path, count, error)) from error


def read_last(path: Path, count: int, size: Size | None, channels: int = 3) -> list[Array]:
    """A film's last frames at its own rate, at most `count`, as `read_frames` gives them; a long film is read
    from near its end."""
    facts = probe(path)
    start = 0.0
    if facts.fps and facts.seconds:
        start = max(0.0, facts.seconds - (count + 2 * facts.fps) / facts.fps)
    # whole intervals, so that the frames are those that reading from the beginning gives
    start = int(start * (facts.fps or 1)) / (facts.fps or 1)
    frames = list(deque(read_frames(path, size, channels, start=start), count))
    if len(frames) < count and start > 0:  # the header's length is wrong
        frames = list(deque(read_frames(path, size, channels), count))
    return frames


def shown_frames(
    path: Path,
    fps: float | None = None,
    start: float = 0.0,
    stop: float | None = None,
    complete: bool = False,
) -> Iterator[Frame]:
    """The frame that is shown at start + k / fps, k = 0, 1, …; not scaled yet. See `read_frames`.

    One may come twice in a row.
    """
    check_path(path)
    facts = None if path.is_dir() else probe(path)
    own = facts.fps if facts else None
    frames = _frames(path, start, complete and start == 0 and stop is None)
    if own is None:  # pictures one by one
        rate = fps or USUAL_RATE
        yield from itertools.islice(
            frames, round(start * rate), None if stop is None else max(0, round(stop * rate))
        )
        return
    yield from _at_rate(frames, fps or own, 1 / own, start, float("inf") if stop is None else stop)


def _at_rate(
    frames: Iterator[Frame], fps: float, interval: float, start: float, stop: float
) -> Iterator[Frame]:
    """Chooses frames by their time. Where reading fails, what is sure to be shown until then comes first."""
    number, shown, fault = 0, None, None
    while True:
        try:
            following = next(frames, None)
        except Exception as error:
            following, fault = None, error
        if shown is not None:
            ends = _time(following) if following else _time(shown) + interval
            while (time := start + number / fps) < ends - BELIEVED * interval:
                if time >= stop - 1e-9:
                    return
                yield shown
                number += 1
        if following is None:
            break
        shown = following
    if fault is not None:
        raise fault


def _time(frame: Frame) -> float:
    assert frame.time is not None, "a film with a rate has times"
    return frame.time


def _frames(path: Path, start: float, complete: bool) -> Iterator[Frame]:
    if path.is_dir():
        return folder_frames(path)
    if path.suffix.lower() in PICTURES | FOREIGN:
        if path.suffix.lower() == ".gif" and complete:
            check_gif_is_whole(path)
        return picture_frames(path)
    return film_frames(path, start, complete)


def _probe_film(path: Path) -> Facts:
    import av
    from av.error import FFmpegError

    with open_film(path) as container:
        stream = container.streams.video[0]
        timing, rate = timing_of(container), stream.average_rate
        seconds = None
        if stream.duration and stream.time_base:
            seconds = float(stream.duration * stream.time_base)
        elif container.duration:
            seconds = container.duration / av.time_base
        count, audio = stream.frames or None, bool(container.streams.audio)
    height, width, notes = 0, 0, []
    with open_film(path) as container:
        stream = container.streams.video[0]
        height, width = stream.height, round(stream.width * pixel_aspect(stream))
        try:
            frame = next(container.decode(stream))
            first = FilmFrame(frame, 0.0, pixel_aspect(stream), {})
            (height, width), turned = first.size, frame.rotation % 360
            notes += [f"turned by {turned} degrees"] * bool(turned)
            notes += ["interlaced: one field of each frame is taken"] * frame.interlaced_frame
            notes += ["high dynamic range: its colours come out pale"] * (frame.color_trc in HDR)
        except (FFmpegError, StopIteration):
            pass  # reading it will say so
    if timing.rate is None:
        notes.append(f"no time stamps that can be believed (its header: {float(rate or 0):.6g} a second)")
        seconds = None
    return Facts(width, height, timing.rate, seconds, count, audio, tuple(notes))


def _probe_pictures(path: Path) -> Facts:
    files = folder_files(path) if path.is_dir() else [path]
    first = next(picture_frames(files[0]))
    height, width = first.size
    if path.is_dir():
        return Facts(width, height, None, None, len(files), False)
    with open_picture(path) as image:
        count = getattr(image, "n_frames", 1)
    times = [frame.time for frame in itertools.islice(picture_frames(path), PROBED_PICTURES)]
    known = [time for time in times if time is not None]
    steps = [later - earlier for earlier, later in itertools.pairwise(known) if later > earlier]
    if not steps:
        return Facts(width, height, None, None, count, False)
    near = [step for step in steps if 0.5 * median(steps) <= step <= 1.5 * median(steps)]
    return Facts(width, height, len(near) / sum(near), count * sum(steps) / len(steps), count, False)


def check_path(path: Path) -> None:
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


def damage(path: Path, count: int, error: Exception) -> str:
    """One line about a film that cannot be read on behind `count` frames."""
    if count == 0:
        return f"{path}: cannot be read as a video: {reason(error)}"
    return f"{path}: frame {count + 1} is damaged and cannot be read ({reason(error)}); the {count} before it can"


def reason(error: Exception) -> str:
    """What a library's error says, in one line."""
    return getattr(error, "strerror", None) or str(error).strip().split("\n")[0] or type(error).__name__
