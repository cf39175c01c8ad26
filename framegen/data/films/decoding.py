"""A film's frames as FFmpeg decodes them, when each is shown, and what of a film cannot be read."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Literal

from framegen.data.films.container import aperture_of, length_of, may_jump, open_film, video_of
from framegen.data.films.film_frame import AS_STORED, FilmFrame, matrix_of, pixel_aspect
from framegen.data.films.pictures import Incomplete, check_size
from framegen.machine.progress import count_of

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.video.stream import VideoStream

PROBED_FRAMES, PROBED_PACKETS = 60, 2000
"""The most frames and packets at a film's beginning from which its rate is read."""

LONGEST_HOLD = 600.0
"""Seconds for which one frame is shown at most; more is a fault of the time stamps."""

LONGEST_GAP = 10.0
"""The same where stamps may jump, since recordings were joined: in an MPEG stream."""

MAX_RATE = 1000.0
"""Frames a second; more is a fault of the time stamps."""

LARGE = 1280 * 720
"""Pixels of a frame from which several are decoded at once. It is faster, but PyAV then drops those that were
decoded together with a damaged one."""


@dataclass(frozen=True)
class Clock:
    """The source of a film's times."""

    origin: float
    """Time stamp of the first frame that is shown, seconds."""
    rate: float | None
    """Frames a second; None where neither stamps nor the header say."""
    stamp: Literal["pts", "dts", "none"]
    """Presentation times; decoding times, where those contradict the order; or the header's rate alone."""


def film_frames(path: Path, clock: Clock, start: float = 0.0, complete: bool = False) -> Iterator[FilmFrame]:
    """The frames of a film's video from `start` on, seconds; a few may come before it.

    Raises UserError where the file is no film; where it is to be `complete`, Incomplete behind the last frame
    where it ends before its header says so, or packets cannot be decoded.
    """
    if start > 0 and clock.rate is not None and clock.stamp != "none":
        frames = _decoded(path, clock, start, False)
        first = next(frames, None)
        if first is not None and first.time is not None and first.time <= start:
            yield first
            yield from frames
            return
    yield from _decoded(path, clock, 0.0, complete)


def _decoded(path: Path, clock: Clock, start: float, complete: bool) -> Iterator[FilmFrame]:
    with open_film(path) as container:
        stream = video_of(container)
        if start > 0 and stream.time_base:  # to the last key frame before it
            container.seek(int((clock.origin + start) / stream.time_base), stream=stream)
        aspect, aperture, graphs = pixel_aspect(stream), aperture_of(container, stream), {}
        count, ends, lost, matrix = 0, 0.0, [], AS_STORED
        longest = LONGEST_GAP if may_jump(container) else LONGEST_HOLD
        for time, frame in _timed(decodable(container, stream, lost), clock, longest):
            check_size(path, frame.width, frame.height)
            count, ends = count + 1, (time or 0.0) + 1 / (clock.rate or math.inf)
            matrix = matrix_of(frame) or matrix  # some films tell it once
            yield FilmFrame(frame, time, aspect, aperture, matrix, graphs)
        fault = _shortfall(path, container, stream, clock, count, ends)
    if complete and (fault or lost):
        undecoded = f"{count_of(len(lost), 'packet')} of its video cannot be decoded" if lost else ""
        raise Incomplete(f"{path}: {'; '.join(filter(None, (fault, undecoded)))}")


def decodable(
    container: "InputContainer", stream: "VideoStream", lost: list[object], most: int | None = None
) -> "Iterator[av.VideoFrame]":
    """All frames with a size that FFmpeg decodes, as its program does, of at most `most` packets. What cannot
    be decoded is passed over, and appended to `lost`."""
    from av.codec.context import Flags
    from av.error import FFmpegError, InvalidDataError

    stream.codec_context.flags |= Flags.unaligned  # what the coding cuts off at the left is cut to the pixel
    if stream.width * stream.height >= LARGE:
        stream.thread_type = "AUTO"
    packets, reading = itertools.islice(container.demux(stream), most), True
    while reading:
        try:
            packet = next(packets, None)  # the last one is empty: the decoder gives what it has kept
            reading = packet is not None and packet.size > 0
        except InvalidDataError as error:
            lost.append(error)
            packet, reading = None, False
        try:
            yield from (frame for frame in stream.decode(packet) if frame.width and frame.height)
        except FFmpegError as error:
            lost.append(error)


def _timed(
    frames: "Iterator[av.VideoFrame]", clock: Clock, longest: float
) -> "Iterator[tuple[float | None, av.VideoFrame]]":
    """Each frame and when it is shown, seconds after the first. A stamp that goes back, or on by more than
    `longest`, is a fault or a joint: there one frame follows the other."""
    shift, before = clock.origin, None
    for frame in frames:
        if clock.rate is None:
            yield None, frame
            continue
        stamp, usual = _stamp_of(frame, clock.stamp), 0.0 if before is None else before + 1 / clock.rate
        time = usual if stamp is None else stamp - shift
        if before is not None and not 0 <= time - before <= longest:
            shift, time = shift + time - usual, usual
        before = time
        yield time, frame


def _stamp_of(frame: "av.VideoFrame", stamp: str) -> float | None:
    """A frame's presentation or decoding time, seconds."""
    ticks = {"pts": frame.pts if frame.pts is not None else frame.dts, "dts": frame.dts}.get(stamp)
    return None if ticks is None or frame.time_base is None else float(ticks * frame.time_base)


def _shortfall(
    path: Path, container: "InputContainer", stream: "VideoStream", clock: Clock, count: int, ends: float
) -> str:
    """The part of the header's length that a film lacks, in words, unless its index is complete."""
    announced, promised = length_of(container, stream)
    if announced is None or not promised or clock.rate is None:
        return ""
    index = stream.index_entries
    if 0 < count <= len(index):
        last = index[len(index) - 1]
        if last.pos + last.size <= path.stat().st_size:
            return ""
    end = max(ends, ends + clock.origin)  # stamps that begin late may be counted in the header, or not
    if end >= 0.95 * announced - 1 / clock.rate:
        return ""
    return f"is truncated: {ends:.4g} of {announced:.4g} s can be read"


def first_look(container: "InputContainer", stream: "VideoStream") -> tuple[Clock, FilmFrame | None]:
    """The clock of a film that was just opened, and its first frame; None where none can be decoded."""
    frames = list(itertools.islice(decodable(container, stream, [], PROBED_PACKETS), PROBED_FRAMES))
    clock = _clock(frames, float(stream.guessed_rate or stream.average_rate or 0))
    if not frames:
        return clock, None
    matrix = matrix_of(frames[0]) or AS_STORED
    aspect, aperture = pixel_aspect(stream), aperture_of(container, stream)
    return clock, FilmFrame(frames[0], 0.0, aspect, aperture, matrix, {})


def _clock(frames: "Sequence[av.VideoFrame]", named: float) -> Clock:
    """Which stamps to believe, by FFmpeg's own rule: those that go back less often, else presentation times.
    The rate is the mean one, or the header's where both agree."""
    found: dict[Literal["pts", "dts"], list[float]] = {
        kind: [stamp for frame in frames if (stamp := _stamp_of(frame, kind)) is not None]
        for kind in ("pts", "dts")
    }
    faults = {kind: sum(b <= a for a, b in itertools.pairwise(stamps)) for kind, stamps in found.items()}
    enough = 2 * len(found["dts"]) > len(frames)
    kind = "dts" if enough and faults["dts"] < faults["pts"] else "pts"
    stamps = found[kind]
    steps = [later - earlier for earlier, later in itertools.pairwise(stamps) if later > earlier]
    origin = stamps[0] if stamps else 0.0
    if steps and 2 * len(steps) >= len(stamps) - 1 and 2 * len(stamps) > len(frames):
        rate = mean_rate(steps)
        rate = named if abs(named - rate) < 0.005 * rate else rate
        return Clock(origin, rate, kind) if rate <= MAX_RATE else Clock(origin, None, "none")
    known = named if 0 < named <= MAX_RATE else None
    return Clock(origin, known, "none" if len(frames) > 1 else "pts")


def mean_rate(steps: Sequence[float]) -> float:
    """The mean rate over those intervals that are near the median, since time stamps are rounded."""
    near = [step for step in steps if 0.5 * median(steps) <= step <= 1.5 * median(steps)]
    return len(near) / sum(near)
