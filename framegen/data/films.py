"""Films through FFmpeg: one regular file, in a container that refers to no other."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from framegen.data.pictures import check_size
from framegen.errors import UserError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,asf,flv,mpeg,mpegts,ogg,nut,mxf,rm,dv,yuv4mpegpipe,ivf,"
    "h264,hevc,m4v,mpegvideo,mjpeg,obu"
)
"""Of FFmpeg's demuxers. Playlists (concat, HLS, DASH, SDP) would have it read other files; text would be a
film of a terminal, an SVG or a numbered file name a film of pictures."""

FILMS = {
    *(".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".avi", ".wmv", ".asf", ".flv", ".mpg", ".mpeg"),
    *(".ts", ".mts", ".m2ts", ".ogv", ".mxf", ".y4m", ".ivf", ".h264", ".hevc", ".mjpeg"),
}
"""Endings by which a film is known, where one was not expected; whatever can be read is read."""

PICTURE_BOXES = (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypavif")

NO_INDEX = (
    "is cut off: its index (moov) is missing, as in half a download or a stopped recording; fetch it again"
)

NO_FILM = "is no film (MP4, MKV, WebM, AVI, MPEG, …), or damaged from its start on"

OTHER_KIND = "is no film (MP4, MKV, WebM, AVI, MPEG, …); playlists, texts and drawings are not read"


def open_film(path: Path) -> "InputContainer":
    """A film's container, whose first video can be decoded. Raises UserError that names the file where there
    is none."""
    import av
    from av.error import ArgumentError, FFmpegError, InvalidDataError

    if path.stat().st_size == 0:
        raise UserError(f"{path}: is empty (0 bytes)")
    if _first_box(path) in PICTURE_BOXES:
        raise UserError(
            f"{path}: is a HEIC or AVIF picture, which is not read; convert it to PNG or JPEG first"
        )
    try:
        # "file:" keeps a name such as concat:x from being an instruction.
        container = av.open(
            f"file:{path}", options={"protocol_whitelist": "file", "format_whitelist": FORMATS}
        )
    except ArgumentError as error:  # a format that is not on the list
        raise UserError(f"{path}: {OTHER_KIND}") from error
    except InvalidDataError as error:
        raise UserError(f"{path}: {NO_INDEX if _lacks_index(path) else NO_FILM}") from error
    except FFmpegError as error:
        raise UserError(f"{path}: cannot be read as a film: {error.strerror}") from error
    if fault := _stream_fault(container.streams.video):
        container.close()
        raise UserError(f"{path}: {NO_INDEX if _lacks_index(path) else fault}")
    try:
        check_size(path, container.streams.video[0].width, container.streams.video[0].height)
    except UserError:
        container.close()
        raise
    return container


def _stream_fault(videos: "tuple[VideoStream, ...]") -> str | None:
    if not videos:
        return "holds no video, or is cut off before it begins"
    if videos[0].codec_context is None:  # pyright: ignore[reportUnnecessaryComparison]
        return "its video is in a coding that FFmpeg does not know"
    return None


def _first_box(path: Path) -> bytes:
    """Of an MP4 or MOV the kind of its first box, for "ftyp" with the brand."""
    with path.open("rb") as file:
        return file.read(12)[4:]


def _lacks_index(path: Path) -> bool:
    """Whether a file is an MP4 or MOV, a row of boxes, of which none is a whole index."""
    if _first_box(path)[:4] not in (b"ftyp", b"wide", b"free", b"mdat"):
        return False
    with path.open("rb") as file:
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


def announced_frames(container: "InputContainer") -> float:
    """How many frames the header promises: one that is cut off may be read without an error."""
    import av

    video = container.streams.video[0]
    if video.frames:
        return video.frames
    if video.duration and video.time_base:
        seconds = float(video.duration * video.time_base)
    else:  # of the whole file, so only where nothing but the video can make it long
        seconds = (container.duration or 0) / av.time_base if len(container.streams) == 1 else 0.0
    return seconds * float(video.average_rate or 0)
