"""Any film, moving picture or folder of pictures as evenly spaced frames of one size."""

import itertools
import math
from collections import deque
from collections.abc import Generator, Iterator
from pathlib import Path

from framegen.data.films import pictures
from framegen.data.films.decoding import film_frames
from framegen.data.films.facts import probe
from framegen.data.films.film_frame import FilmFrame
from framegen.data.films.pictures import Array, Incomplete, Size, Still
from framegen.machine.errors import UserError

USUAL_RATE = 25.0
"""Frames a second of what does not say how fast it runs, where a number is needed."""

BELIEVED = 0.25
"""Part of an interval by which a frame may begin late: time stamps are rounded (to 10 ms in a GIF)."""

MOST_HELD, MOST_REPEATS = 100_000, 100
"""Frames that a film's stamps may ask for, and more for each that it holds: no stamp fills a disk."""

MOST_LEFT_OUT = 0.05
"""Part of a film's frames that may be left out at its own rate without a word: stamps are rounded."""


Frame = FilmFrame | Still
"""Not scaled yet."""


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

    Frame k is the one shown at start + k / fps, or without time stamps the k-th. It is upright, scaled to
    cover the size, and its middle cut out. Memory is flat, and what lies before `start` is not read.

    Args:
        size: height and width; None is the first frame's own.
        channels: 1 (brightness, ITU-R BT.601) or 3 (red, green, blue).
        fps: frames a second; None is the file's own rate.
        start, stop: seconds; None is the film's end.
        complete: whether to say, behind the last frame, what of a whole film cannot be read.

    Raises UserError where it cannot be read at all, Incomplete behind all frames that can be.
    """
    count, last = 0, None
    try:
        for frame in shown_frames(path, fps, start, stop, complete):
            size = size or frame.size
            if last is None or frame is not last[0]:
                last = (frame, pictures.to_channels(frame.pixels(size), channels))
            yield last[1]
            count += 1
    except UserError:
        raise
    except Exception as error:  # Pillow and FFmpeg raise a dozen kinds
        raise pictures.broken(path, count, error) from error


def read_last(
    path: Path, count: int, size: Size | None, channels: int = 3, fps: float | None = None
) -> list[Array]:
    """A film's last frames, at most `count`, as `read_frames` gives them, read from near its end."""
    facts = probe(path)
    start, rate = 0.0, fps or facts.fps
    if facts.fps and facts.seconds and rate:
        start = max(0.0, facts.seconds - count / rate - 2)
        # whole intervals, so that the frames are those that reading from the beginning gives
        start = int(start * rate) / rate
    frames = list(deque(read_frames(path, size, channels, fps, start), count))
    if len(frames) < count and start > 0:  # the header's length is wrong
        frames = list(deque(read_frames(path, size, channels, fps), count))
    return frames


def shown_frames(
    path: Path,
    fps: float | None = None,
    start: float = 0.0,
    stop: float | None = None,
    complete: bool = False,
) -> Iterator[Frame]:
    """`read_frames` before scaling: the frame shown at start + k / fps, k = 0, 1, …; one may come again."""
    facts = probe(path)
    own, whole = facts.fps, complete and start == 0 and stop is None
    if path.is_dir():
        frames: Iterator[Frame] = pictures.folder_frames(path)
    elif facts.clock is None:
        frames = pictures.picture_frames(path)
    else:
        frames = film_frames(path, facts.clock, start, whole)
    if own is None:  # pictures one by one
        rate = fps or USUAL_RATE
        end = None if stop is None else max(0, round(stop * rate))
        yield from itertools.islice(frames, round(start * rate), end)
        return
    rate = fps or own
    skipped, count = yield from _at_rate(frames, rate, 1 / own, start, math.inf if stop is None else stop)
    if whole and rate >= 0.99 * own and skipped > MOST_LEFT_OUT * count:
        fault = f"its rate changes: {skipped} of {count} frames come too fast for {rate:.4g} a second"
        raise Incomplete(f"{path}: {fault} (--fps keeps more)")


def _at_rate(
    frames: Iterator[Frame], fps: float, interval: float, start: float, stop: float
) -> Generator[Frame, None, tuple[int, int]]:
    """Chooses frames by their time; returns how many were not chosen, and of how many. Where reading fails,
    what is sure to be shown until then comes first."""
    number, decoded, skipped, shown, fault = 0, 0, 0, None, None
    while True:
        decoded += 1
        try:
            following = next(frames, None)
        except Exception as error:
            following, fault = None, error
        if shown is not None:
            before = number
            ends = _time(following) if following else _time(shown) + interval
            while (time := start + number / fps) < ends - BELIEVED * interval:
                if time >= stop - 1e-9:
                    return skipped, decoded - 1
                yield shown
                number += 1
                if number > MOST_HELD + MOST_REPEATS * decoded:
                    raise ValueError(f"its time stamps ask for {number} frames where it holds {decoded}")
            skipped += number == before
        if following is None:
            break
        shown = following
    if fault is not None:
        raise fault
    return skipped, decoded - 1


def _time(frame: Frame) -> float:
    assert frame.time is not None, "a film with a rate has times"
    return frame.time
