"""Films through FFmpeg: one regular file, in a container that refers to no other."""

import os
import re
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from framegen.data.films.kinds import MJPEG
from framegen.data.films.pictures import check_size
from framegen.machine.errors import UserError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,asf,flv,mpeg,mpegts,ogg,nut,mxf,rm,dv,yuv4mpegpipe,ivf,"
    "h264,hevc,vvc,m4v,mpegvideo,mjpeg,mpjpeg,obu,h261,h263,gxf,wtv,roq,swf,flic,smk,bink,dirac,nsv"
)
"""FFmpeg's demuxers that are allowed. Playlists (concat, HLS, DASH, SDP) would read other files; text is a
film of a terminal, an SVG or a numbered file name a film of pictures."""

NO_INDEX = "is cut off: its index (moov) is missing, as in half a download or recording; fetch it again"
NO_FILM = "is no film or picture (MP4, MKV, WebM, AVI, GIF, PNG, …)"

Aperture = tuple[int, int, int, int]
"""Pixels that a player cuts off: left, right, top, bottom."""


def open_film(path: Path) -> "InputContainer":
    """A film's container, whose video can be decoded. Raises UserError where there is none."""
    import av
    from av.error import ArgumentError, FFmpegError, InvalidDataError
    from av.sidedata.sidedata import Type

    Type._missing_ = classmethod(_unnamed)  # pyright: ignore[reportAttributeAccessIssue]
    if path.stat().st_size == 0:
        raise UserError(f"{path}: is empty (0 bytes)")
    try:
        # "file:" keeps a name such as concat:x from being an instruction.
        container = av.open(
            f"file:{path}",
            format="mjpeg" if path.suffix.lower() in MJPEG else None,
            options={"protocol_whitelist": "file", "format_whitelist": FORMATS},
        )
    except ArgumentError as error:  # a format that is not on the list
        raise UserError(f"{path}: {NO_FILM}; playlists, texts and drawings are not read") from error
    except InvalidDataError as error:
        fault = NO_INDEX if _lacks_index(path) else f"{NO_FILM}, or damaged from its start on"
        raise UserError(f"{path}: {fault}") from error
    except FFmpegError as error:
        raise UserError(f"{path}: cannot be read as a film: {error.strerror}") from error
    try:
        videos = container.streams.video
        fault = "" if videos else "holds no video, or is cut off before it begins"
        if not any(map(_known, videos)):
            fault = fault or "its video is in a coding that FFmpeg does not know"
            raise UserError(f"{path}: {NO_INDEX if _lacks_index(path) else fault}")
        stream = video_of(container)
        check_size(path, stream.width, stream.height)
    except UserError:
        container.close()
        raise
    return container


def _unnamed(kinds: type[Enum], value: object) -> Enum:
    """A kind of side data for which PyAV has no name, such as EXIF, where it would raise ValueError."""
    made = object.__new__(kinds)
    made._name_, made._value_ = f"UNNAMED_{value}", value
    return made


def video_of(container: "InputContainer") -> "VideoStream":
    """The video that players choose: rather no cover picture, the default one, else the largest."""
    from av.stream import Disposition

    def rank(stream: "VideoStream") -> tuple[bool, bool, bool, int]:
        known = _known(stream)
        cover = bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))
        default = bool(stream.disposition & Disposition.default)
        return known, not cover, default, stream.width * stream.height if known else 0

    return max(container.streams.video, key=rank)


def _known(stream: "VideoStream") -> bool:
    """Whether FFmpeg knows its coding."""
    return stream.codec_context is not None  # pyright: ignore[reportUnnecessaryComparison]


def aperture_of(container: "InputContainer", stream: "VideoStream") -> Aperture:
    """A container's cropping (MP4's clean aperture, MKV's PixelCrop), as only FFmpeg's summary tells."""
    from av import logging

    level = logging.get_level()
    logging.set_level(logging.INFO)  # else there is no summary
    try:
        summary = container.dumps_format()  # pyright: ignore[reportAttributeAccessIssue]
    finally:
        logging.set_level(level)
    _, *streams = re.split(r"^  Stream #0:(?=\d)", summary, flags=re.MULTILINE)
    for text in streams:
        found = re.search(r"^      Frame Cropping: (\d+)/(\d+)/(\d+)/(\d+)", text, re.MULTILINE)
        if found and int(re.split(r"\D", text, maxsplit=1)[0]) == stream.index:
            left, right, top, bottom = map(int, found.groups())
            if left + right < stream.width and top + bottom < stream.height:
                return left, right, top, bottom
    return 0, 0, 0, 0


def _lacks_index(path: Path) -> bool:
    """Whether a file is an MP4 or MOV, a row of boxes, without a whole index."""
    with path.open("rb") as file:
        if file.read(8)[4:] not in (b"ftyp", b"wide", b"free", b"mdat"):
            return False
        place, end = 0, os.fstat(file.fileno()).st_size
        while place + 8 <= end:
            file.seek(place)
            head = file.read(16)
            size = int.from_bytes(head[:4], "big")
            size = int.from_bytes(head[8:16], "big") if size == 1 else size
            if head[4:8] == b"moov":
                return place + size > end
            if size < 8:  # 0: up to the end of the file
                return True
            place += size
    return True


def length_of(container: "InputContainer", stream: "VideoStream") -> tuple[float | None, bool]:
    """How long a film is, seconds, and whether its header promises that: that of an MPEG stream tells what is
    there, and a whole file's length may be another stream's."""
    import av

    seconds, promised, tick = None, True, float(stream.time_base or 0)
    if stream.duration and tick:
        return stream.duration * tick, not may_jump(container)
    if clock := re.fullmatch(r"(\d+):(\d+):([\d.]+)", stream.metadata.get("DURATION", "")):  # MKV
        hours, minutes, rest = map(float, clock.groups())
        seconds = 3600 * hours + 60 * minutes + rest
    elif container.duration:
        seconds, promised = container.duration / av.time_base, len(container.streams) == 1
    start = max(0, stream.start_time or 0) * tick  # which these count too
    if seconds is not None and start < seconds:
        seconds -= start
    return seconds, promised and seconds is not None and not may_jump(container)


def may_jump(container: "InputContainer") -> bool:
    """Whether a container's time stamps may jump: an MPEG stream's, where recordings were joined."""
    from av.format import Flags

    return bool(container.format.flags & Flags.ts_discont.value)
