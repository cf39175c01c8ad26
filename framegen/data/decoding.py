"""A film's frames as FFmpeg decodes them: when each is shown, which way up, and shrunk by its own scaler."""

import itertools
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from framegen.data.films import announced_frames, open_film
from framegen.data.pictures import Array, Size, check_size, middle, on_black
from framegen.errors import UserError

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.filter import Graph
    from av.packet import Packet
    from av.video.stream import VideoStream

PROBED_PACKETS = 240
"""So many at a film's beginning tell its rate: no more than seconds of it are read for that."""

MAX_GAP = 10.0
"""Seconds between two frames; more is a fault of the time stamps, as where recordings were joined."""

MAX_RATE = 1000.0
"""Frames a second; more is a fault of the time stamps."""

UNSPECIFIED, HD_HEIGHT = 2, 720
"""FFmpeg's number where a file does not name its colour matrix; players take BT.709 from this height on."""

MOST_AT_ONCE = 16
"""So many times FFmpeg's scaler shrinks a side exactly; by 360 it is wrong by 9 levels of 255."""

HDR = (16, 18)
"""FFmpeg's numbers of the transfer curves PQ and HLG."""


class TruncatedFilm(UserError):
    """A film that ends before its header says so."""

    def __init__(self, message: str, count: int) -> None:
        super().__init__(message)
        self.count = count
        """So many frames of it can be read."""


@dataclass(frozen=True)
class Timing:
    """What a film's first packets say of its time stamps."""

    origin: float
    """The first frame's, seconds."""
    rate: float | None
    """Frames a second; None where the stamps are missing or cannot be believed."""


@dataclass(frozen=True)
class FilmFrame:
    """A decoded frame, not scaled yet."""

    frame: "av.VideoFrame"
    time: float | None
    """Seconds after the film's first frame; None where the file does not say."""
    aspect: float
    """Width of a stored pixel over its height."""
    graphs: dict[Any, "Graph"] = field(repr=False)
    """FFmpeg's scalers, kept from frame to frame."""

    @property
    def turns(self) -> int:
        """Quarter turns counter-clockwise that bring it upright."""
        return round(self.frame.rotation / 90) % 4

    @property
    def size(self) -> Size:
        """Height and width as it is shown: upright, pixels square."""
        height, width = self.frame.height, max(1, round(self.frame.width * self.aspect))
        return (width, height) if self.turns % 2 else (height, width)

    @property
    def transparent(self) -> bool:
        return any(component.is_alpha for component in self.frame.format.components)

    def pixels(self, size: Size) -> Array:
        """(height, width, 3) uint8: the middle cut out, then scaled to the size, on black."""
        (height, width), wanted = middle(self.size, size), size
        if self.turns % 2:
            height, width, wanted = width, height, (size[1], size[0])
        graph = self._graph((height, width), wanted)
        graph.vpush(self.frame)
        shown = graph.vpull()
        return on_black(np.ascontiguousarray(np.rot90(shown.to_ndarray(), self.turns)))

    def _graph(self, kept: tuple[float, float], wanted: Size) -> "Graph":
        """Cuts, then scales to RGB or RGBA. Of interlaced frames one field is taken: two moments in one
        picture are none."""
        from av.filter import Graph

        frame, lines = self.frame, 1 + self.frame.interlaced_frame
        matrix = frame.colorspace == UNSPECIFIED and frame.height >= HD_HEIGHT and not frame.format.is_rgb
        key = (frame.format.name, frame.width, frame.height, self.aspect, lines, matrix, kept, wanted)
        if key in self.graphs:
            return self.graphs[key]
        height = max(1, min(frame.height // lines, round(kept[0] / lines)))
        width = max(1, min(frame.width, round(kept[1] / self.aspect)))
        left, top = (frame.width - width) // 2, (frame.height // lines - height) // 2
        graph = Graph()
        matrix_given = ":in_color_matrix=bt709" * matrix
        first, *rest = [graph.add("scale", text) for text in _scalings((height, width), wanted, matrix_given)]
        steps = [
            graph.add_buffer(
                width=frame.width,
                height=frame.height,
                format=frame.format,
                time_base=frame.time_base or Fraction(1, 1000),
            ),
            *([graph.add("field", "top")] if lines == 2 else []),
            graph.add("crop", f"{width}:{height}:{left}:{top}:exact=1"),
            first,
            graph.add("format", "rgba" if self.transparent else "rgb24"),
            *rest,
            graph.add("buffersink"),
        ]
        for one, other in itertools.pairwise(steps):
            one.link_to(other)
        graph.configure()
        self.graphs.clear()  # of a film whose size changes with each frame only one is kept
        self.graphs[key] = graph
        return graph


def _scalings(have: Size, want: Size, extra: str) -> list[str]:
    """Options of the scalers that bring one size to another, each by at most MOST_AT_ONCE: the weights of
    more pixels would be rounded away. Shrinking is averaging over areas."""
    texts = []
    while have != want or not texts:
        # to a multiple of what is wanted, so that the last step averages whole pixels
        height, width = (w * max(1, -(-h // (w * MOST_AT_ONCE))) for h, w in zip(have, want, strict=True))
        way = "area" if height <= have[0] and width <= have[1] else "bicubic"
        texts.append(f"{width}:{height}:flags={way}+accurate_rnd+full_chroma_int+full_chroma_inp{extra}")
        have, extra = (height, width), ""
    return texts


def film_frames(
    path: Path, timing: Timing, start: float = 0.0, complete: bool = False
) -> Iterator[FilmFrame]:
    """The frames of a film's first video from `start` on, seconds: a few may come before it.

    Args:
        timing: as `first_look` gives it.
        complete: whether a film that ends before its header says so is an error; looked at when all is read.

    Raises:
        UserError: the file is no film, or lacks its index; TruncatedFilm: it is cut off.
        FFmpegError: a frame is damaged.
    """
    if start > 0 and timing.rate is not None:
        frames = _decoded(path, timing, start, False)
        first = next(frames, None)
        if first is not None and first.time is not None and first.time <= start:
            yield first
            yield from frames
            return
    yield from _decoded(path, timing, 0.0, complete)


def _decoded(path: Path, timing: Timing, start: float, complete: bool) -> Iterator[FilmFrame]:
    with open_film(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        expected = announced_frames(container) if complete else 0
        if start > 0 and stream.time_base:  # to the last key frame before it
            container.seek(int((timing.origin + start) / stream.time_base), stream=stream)
        aspect, graphs = pixel_aspect(stream), {}
        count, shift, before = 0, timing.origin, None
        for frame in container.decode(stream):
            count += 1
            check_size(path, frame.width, frame.height)
            time = None
            if timing.rate is not None:
                stamp, usual = _stamp(frame), (before or 0.0) + 1 / timing.rate
                time = usual if stamp is None else stamp - shift
                if before is not None and not 0 <= time - before <= MAX_GAP:
                    shift, time = shift + time - usual, usual
                before = time
            yield FilmFrame(frame, time, aspect, graphs)
    if count < 0.95 * expected - 1:
        raise TruncatedFilm(
            f"{path}: is truncated: {count} of about {expected:.0f} frames can be read", count
        )


def _stamp(frame: "av.VideoFrame") -> float | None:
    if frame.time is None and frame.dts is not None and frame.time_base:
        return float(frame.dts * frame.time_base)
    return frame.time


def pixel_aspect(stream: "VideoStream") -> float:
    """Width of a pixel over its height; 1 where the file does not say, or says what cannot be."""
    aspect = float(stream.sample_aspect_ratio or 1)
    return aspect if 0.1 <= aspect <= 10 else 1.0


def first_look(container: "InputContainer") -> tuple[Timing, "av.VideoFrame | None"]:
    """The timing of a film that was just opened, and its first frame where that can be decoded.

    The rate is the mean over intervals of about the median, since stamps are rounded (to milliseconds in
    MKV), or the header's where both agree.
    """
    from av.error import FFmpegError

    stream, packets, first = container.streams.video[0], [], None
    for packet in itertools.islice(container.demux(stream), PROBED_PACKETS):
        if first is None:
            with suppress(FFmpegError):  # reading the film will name it
                first = next(iter(packet.decode()), None)
        if not packet.is_discard:
            packets.append(packet)
    return _timing(stream, packets), first


def _timing(stream: "VideoStream", packets: "list[Packet]") -> Timing:
    stamps = [packet.pts for packet in packets if packet.pts is not None]
    stamps = stamps or [packet.dts for packet in packets if packet.dts is not None]
    if not stamps or not stream.time_base:
        return Timing(0.0, None)
    tick, stamps = float(stream.time_base), sorted(stamps)
    origin = stamps[0] * tick
    steps = [later - earlier for earlier, later in itertools.pairwise(stamps)]
    positive = [step for step in steps if step > 0]
    if not positive or len(positive) < len(steps) / 2:
        return Timing(origin, None)
    usual = median(positive)
    near = [step for step in positive if 0.5 * usual <= step <= 1.5 * usual]
    rate = len(near) / (sum(near) * tick)
    named = float(stream.average_rate or 0)
    rate = named if abs(named - rate) < 0.005 * rate else rate
    return Timing(origin, rate if rate <= MAX_RATE else None)
