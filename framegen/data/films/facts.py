"""What is known of a film, moving picture or folder of pictures before it is read."""

import itertools
import re
import stat
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import median

from framegen.data.films.container import aperture_of, length_of, open_film, video_of
from framegen.data.films.decoding import Clock, first_look
from framegen.data.films.film_frame import AS_STORED, FilmFrame, matrix_of, pixel_aspect, turned
from framegen.data.films.kinds import FILMS, PICTURES, kind_of
from framegen.data.films.pictures import (
    Incomplete,
    folder_files,
    folder_frames,
    frame_count,
    open_picture,
    picture_frames,
)
from framegen.machine.errors import UserError

PROBED_PICTURES = 50

FOREVER = 100
"""A moving picture that is to be played so many times is to be played for ever."""

HDR = (16, 18)
"""FFmpeg's numbers of the transfer curves PQ and HLG."""


@dataclass(frozen=True)
class Facts:
    """What is known of a film before it is read."""

    width: int
    height: int
    """As it is shown: upright, pixels square."""
    fps: float | None
    """The mean rate over those of its first intervals that are near the median; None where neither its time
    stamps nor its header say."""
    seconds: float | None
    frames: int | None
    """About how many are shown."""
    audio: bool
    notes: tuple[str, ...] = ()
    """What its reader should know: "turned by 90 degrees", for example."""
    clock: Clock | None = None
    """A film's; None of pictures."""
    loops: bool = False
    """Whether it says of itself that it begins again where it ends, for ever."""


def probe(path: Path) -> Facts:
    """Facts about a film, moving picture or folder of pictures, from its beginning and its header.

    Raises UserError that names it where it cannot be read.
    """
    check_path(path)
    try:
        if path.is_dir():
            height, width = next(folder_frames(path)).size
            return Facts(width, height, None, None, len(folder_files(path)), False)
        status = path.stat()
        return _probe_file(path, status.st_ino, status.st_size, status.st_mtime_ns)
    except UserError:
        raise
    except Exception as error:  # Pillow and FFmpeg raise a dozen kinds
        raise UserError(damage(path, 0, error)) from error


@lru_cache(maxsize=256)
def _probe_file(path: Path, inode: int, size: int, changed: int) -> Facts:
    """Once a process for a file as it is now."""
    match kind_of(path):
        case "picture":
            return _probe_picture(path)
        case "film":
            return _probe_film(path)
        case "array":
            raise UserError(f"{path}: is an array, which a model takes as a prompt; it is no film")


def _probe_film(path: Path) -> Facts:
    with open_film(path) as container:
        stream = video_of(container)
        clock, frame = first_look(container, stream)
        if frame is None:
            raise UserError(f"{path}: is damaged or cut off: no frame of its video can be decoded")
        aspect, aperture = pixel_aspect(stream), aperture_of(container, stream)
        matrix = matrix_of(frame) or AS_STORED
        height, width = FilmFrame(frame, 0.0, aspect, aperture, matrix, {}).size
        notes = [
            f"a film, whatever its ending ({path.suffix}) says" if path.suffix.lower() in PICTURES else "",
            turned(matrix),
            f"cut to its clean aperture of {width}x{height}" if any(aperture) else "",
            "interlaced: one field of each frame is taken" if frame.interlaced_frame else "",
            "high dynamic range: its colours come out pale" if frame.color_trc in HDR else "",
            # VP9's, which FFmpeg's own decoder leaves out
            "its transparency is not read" if stream.metadata.get("alpha_mode") == "1" else "",
            _said(clock),
        ]
        (seconds, _), audio, lead = length_of(container, stream), bool(container.streams.audio), 0.0
        if clock.stamp == "pts" and stream.start_time is not None and stream.time_base:
            lead = max(0.0, clock.origin - float(stream.start_time * stream.time_base))
    if seconds and clock.rate and lead > 1.5 / clock.rate:
        seconds = max(0.0, seconds - lead)
        notes.append(f"its first {lead:.3g} s lack a key frame and cannot be decoded")
    count = round(seconds * clock.rate) if seconds and clock.rate else None
    return Facts(width, height, clock.rate, seconds, count, audio, tuple(filter(None, notes)), clock)


def _said(clock: Clock) -> str:
    """What there is to say of a film's time."""
    if clock.rate is None:
        return "no time stamps that can be believed"
    pace = f"{clock.rate:.6g} frames a second"
    return {
        "pts": "",
        "dts": "its time stamps contradict the order of its frames: those of decoding are taken",
        "none": f"no time stamps that can be believed: {pace}, as its header says",
    }[clock.stamp]


def _probe_picture(path: Path) -> Facts:
    from PIL import Image

    height, width = next(picture_frames(path)).size
    with open_picture(path) as image:
        count, loops, form = frame_count(image), image.info.get("loop", 1), image.format
    named = Image.registered_extensions().get(
        path.suffix.lower(), form if path.suffix.lower() not in FILMS else ""
    )
    same = {named, form} <= {"JPEG", "MPO"} or named == form
    notes = () if same else (f"a {form} picture, whatever its ending ({path.suffix}) says",)
    known: list[float] = []
    with suppress(Incomplete):  # reading it will say so
        for frame in itertools.islice(picture_frames(path), PROBED_PICTURES):
            known += [] if frame.time is None else [frame.time]
    steps = [later - earlier for earlier, later in itertools.pairwise(known)]
    if not steps:
        return Facts(width, height, None, None, count, False, notes)
    near = [step for step in steps if 0.5 * median(steps) <= step <= 1.5 * median(steps)]
    seconds = count * sum(steps) / len(steps)
    forever = loops == 0 or loops >= FOREVER
    return Facts(width, height, len(near) / sum(near), seconds, count, False, notes, loops=forever)


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
        return f"{path}: is damaged or cut off, and cannot be read as a video ({reason(error)})"
    cause = reason(error)
    return f"{path}: frame {count + 1} is damaged and cannot be read ({cause}); the {count} before it can"


def by_system(error: BaseException) -> bool:
    """Whether the system failed and not the file: a drive that drops out, for example. What may not be read
    is a property of the file."""
    cause = error.__cause__
    return isinstance(cause, OSError) and bool(cause.errno) and not isinstance(cause, PermissionError)


def reason(error: Exception) -> str:
    """What a library's error says, in one line."""
    return getattr(error, "strerror", None) or str(error).strip().split("\n")[0] or type(error).__name__
