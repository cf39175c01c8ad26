"""Any film, moving picture or folder of pictures as evenly spaced frames of one size."""

import itertools
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from framegen.data.films.decoding import film_frames
from framegen.data.films.facts import check_path, damage, probe
from framegen.data.films.pictures import Array, Incomplete, Size, folder_frames, picture_frames, to_channels
from framegen.machine.errors import UserError

USUAL_RATE = 25.0
"""Frames a second of what does not say how fast it runs, where a number is needed."""

BELIEVED = 0.25
"""So exactly are time stamps believed, as a part of the interval between frames: they are rounded (to 10 ms
in a GIF), and a frame that begins a trifle late is shown all the same."""


MOST_HELD, MOST_REPEATS = 100_000, 100
"""A film's stamps may ask for so many frames, and for so many more for each that it holds: a number in a file
fills no disk."""


MOST_LEFT_OUT = 0.05
"""Part of a film's frames that may be left out at its own rate without a word: stamps are rounded."""


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
        complete: whether to say, behind the last frame, what of a whole film cannot be read.

    Raises:
        UserError: names the file where it cannot be read at all.
        Incomplete: what of it cannot be read; raised behind all frames that can be.
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
        raise broken(path, count, error) from error


def broken(path: Path, count: int, error: Exception) -> UserError:
    """What to raise where a film cannot be read on behind `count` frames."""
    text = damage(path, count, error)
    return Incomplete(text, count) if count else UserError(text)


def read_last(
    path: Path, count: int, size: Size | None, channels: int = 3, fps: float | None = None
) -> list[Array]:
    """A film's last frames, at most `count`, as `read_frames` gives them; a long film is read from near its
    end."""
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
    """The frame that is shown at start + k / fps, k = 0, 1, …; not scaled yet. See `read_frames`.

    One may come twice in a row.
    """
    check_path(path)
    facts = probe(path)
    own, whole = facts.fps, complete and start == 0 and stop is None
    if path.is_dir():
        frames: Iterator[Frame] = folder_frames(path)
    elif facts.clock is None:
        frames = picture_frames(path)
    else:
        frames = film_frames(path, facts.clock, start, whole)
    if own is None:  # pictures one by one
        rate = fps or USUAL_RATE
        yield from itertools.islice(
            frames, round(start * rate), None if stop is None else max(0, round(stop * rate))
        )
        return
    rate, left_out = fps or own, [0, 0]
    yield from _at_rate(frames, rate, 1 / own, start, float("inf") if stop is None else stop, left_out)
    skipped, count = left_out
    if whole and rate >= 0.99 * own and skipped > MOST_LEFT_OUT * count:
        fault = f"its rate changes: {skipped} of {count} frames come too fast for {rate:.4g} a second"
        raise Incomplete(f"{path}: {fault} (--fps keeps more)", count - skipped)


def _at_rate(
    frames: Iterator[Frame], fps: float, interval: float, start: float, stop: float, left_out: list[int]
) -> Iterator[Frame]:
    """Chooses frames by their time; `left_out` gets how many were not chosen, and of how many. Where reading
    fails, what is sure to be shown until then comes first."""
    number, shown, fault = 0, None, None
    for decoded in itertools.count(1):
        try:
            following = next(frames, None)
        except Exception as error:
            following, fault = None, error
        if shown is not None:
            before = number
            ends = _time(following) if following else _time(shown) + interval
            while (time := start + number / fps) < ends - BELIEVED * interval:
                if time >= stop - 1e-9:
                    return
                yield shown
                number += 1
                if number > MOST_HELD + MOST_REPEATS * decoded:
                    raise ValueError(f"its time stamps ask for {number} frames where it holds {decoded}")
            left_out[:] = [left_out[0] + (number == before), decoded - 1]
        if following is None:
            break
        shown = following
    if fault is not None:
        raise fault


def _time(frame: Frame) -> float:
    assert frame.time is not None, "a film with a rate has times"
    return frame.time
