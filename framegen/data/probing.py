"""What is known of a film, moving picture or folder of pictures before it is read."""

import itertools
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from framegen.data.decoding import HDR, FilmFrame, first_look, pixel_aspect
from framegen.data.films import open_film
from framegen.data.pictures import (
    FOREIGN,
    PICTURES,
    folder_files,
    folder_frames,
    open_picture,
    picture_frames,
)
from framegen.errors import UserError

PROBED_PICTURES = 50


@dataclass(frozen=True)
class Facts:
    """What is known of a film before it is read."""

    width: int
    height: int
    """As it is shown: upright, pixels square."""
    fps: float | None
    """The mean rate over those of its first intervals that are near the median; None where it bears no time
    stamps that can be believed."""
    seconds: float | None
    frames: int | None
    audio: bool
    notes: tuple[str, ...] = ()
    """What its reader should know: "turned by 90 degrees", for example."""
    origin: float = 0.0
    """The first frame's time stamp, seconds."""
    loops: bool = False
    """Whether it says of itself that it begins again where it ends, for ever."""


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
        raise UserError(damage(path, 0, error)) from error


def _probe_film(path: Path) -> Facts:
    import av

    with open_film(path) as container:
        stream = container.streams.video[0]
        timing, frame = first_look(container)
        seconds = None
        if stream.duration and stream.time_base:
            seconds = float(stream.duration * stream.time_base)
        elif container.duration:
            seconds = container.duration / av.time_base
        named, alpha = float(stream.average_rate or 0), stream.metadata.get("alpha_mode") == "1"
        size, notes = (stream.height, round(stream.width * pixel_aspect(stream))), []
        if frame is not None:
            size = FilmFrame(frame, 0.0, pixel_aspect(stream), {}).size
            turned = frame.rotation % 360
            notes += [f"turned by {turned} degrees"] * bool(turned)
            notes += ["interlaced: one field of each frame is taken"] * frame.interlaced_frame
            notes += ["high dynamic range: its colours come out pale"] * (frame.color_trc in HDR)
        notes += ["its transparency is not read"] * alpha  # VP9's, which FFmpeg's own decoder leaves out
        count, audio = stream.frames or None, bool(container.streams.audio)
    if timing.rate is None:
        seconds = None
        notes += [f"no time stamps that can be believed (its header: {named:.6g} a second)"] * (count != 1)
    return Facts(size[1], size[0], timing.rate, seconds, count, audio, tuple(notes), timing.origin)


def _probe_pictures(path: Path) -> Facts:
    first = next(folder_frames(path) if path.is_dir() else picture_frames(path))
    height, width = first.size
    if path.is_dir():
        return Facts(width, height, None, None, len(folder_files(path)), False)
    with open_picture(path) as image:
        count, loops = getattr(image, "n_frames", 1), image.info.get("loop") == 0
    times = [frame.time for frame in itertools.islice(picture_frames(path), PROBED_PICTURES)]
    known = [time for time in times if time is not None]
    steps = [later - earlier for earlier, later in itertools.pairwise(known) if later > earlier]
    if not steps:
        return Facts(width, height, None, None, count, False)
    near = [step for step in steps if 0.5 * median(steps) <= step <= 1.5 * median(steps)]
    seconds = count * sum(steps) / len(steps)
    return Facts(width, height, len(near) / sum(near), seconds, count, False, loops=loops)


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


def reason(error: Exception) -> str:
    """What a library's error says, in one line."""
    return getattr(error, "strerror", None) or str(error).strip().split("\n")[0] or type(error).__name__
