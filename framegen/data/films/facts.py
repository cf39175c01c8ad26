"""Facts about a film, moving picture or folder of pictures before it is read."""

import itertools
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from framegen.data.films import pictures
from framegen.data.films.container import length_of, open_film, video_of
from framegen.data.films.decoding import Clock, first_look, mean_rate
from framegen.data.films.film_frame import turned
from framegen.data.films.kinds import FILMS, PICTURES, check_path, kind_of
from framegen.machine.errors import UserError

PROBED_PICTURES = 50

FOREVER = 100
"""A moving picture that is to be played this often is to be played for ever."""

HDR = (16, 18)
"""FFmpeg's numbers of the transfer curves PQ and HLG."""


@dataclass(frozen=True)
class Facts:
    """Facts about a film before it is read."""

    width: int
    height: int
    """As it is shown: upright, pixels square."""
    fps: float | None
    """None where neither its time stamps nor its header say; see `mean_rate`."""
    seconds: float | None
    frames: int | None
    """About how many are shown."""
    audio: bool
    notes: tuple[str, ...] = ()
    """Notes for the user: "turned by 90 degrees", for example."""
    clock: Clock | None = None
    """A film's; None of pictures."""
    loops: bool = False
    """Whether it says of itself that it begins again where it ends, for ever."""


def probe(path: Path) -> Facts:
    """Facts about a film, moving picture or folder of pictures. Raises UserError where it cannot be read."""
    check_path(path)
    try:
        if path.is_dir():
            height, width = next(pictures.folder_frames(path)).size
            return Facts(width, height, None, None, len(pictures.folder_files(path)), False)
        status = path.stat()
        return _probe_file(path, status.st_ino, status.st_size, status.st_mtime_ns)
    except UserError:
        raise
    except Exception as error:  # Pillow and FFmpeg raise a dozen kinds
        raise pictures.broken(path, 0, error) from error


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
        clock, first = first_look(container, stream)
        if first is None:
            raise UserError(f"{path}: is damaged or cut off: no frame of its video can be decoded")
        frame, (height, width) = first.frame, first.size
        (seconds, _), audio, lead = length_of(container, stream), bool(container.streams.audio), 0.0
        if clock.stamp == "pts" and stream.start_time is not None and stream.time_base:
            lead = max(0.0, clock.origin - float(stream.start_time * stream.time_base))
        late = bool(seconds and clock.rate and lead > 1.5 / clock.rate)
        header = f": {clock.rate:.6g} frames a second, as its header says" if clock.rate else ""
        notes = {
            f"a film, whatever its ending ({path.suffix}) says": path.suffix.lower() in PICTURES,
            turned(first.matrix): turned(first.matrix),
            f"cut to its clean aperture of {width}x{height}": any(first.aperture),
            "interlaced: one field of each frame is taken": frame.interlaced_frame,
            "high dynamic range: its colours come out pale": frame.color_trc in HDR,
            # VP9's, which FFmpeg's own decoder leaves out
            "its transparency is not read": stream.metadata.get("alpha_mode") == "1",
            "its time stamps contradict its frames' order: those of decoding are taken": clock.stamp == "dts",
            f"no time stamps that can be believed{header}": clock.stamp == "none" or not clock.rate,
            f"its first {lead:.3g} s lack a key frame and cannot be decoded": late,
        }
    seconds = max(0.0, seconds - lead) if seconds and late else seconds
    count = round(seconds * clock.rate) if seconds and clock.rate else None
    told = tuple(note for note, holds in notes.items() if holds)
    return Facts(width, height, clock.rate, seconds, count, audio, told, clock)


def _probe_picture(path: Path) -> Facts:
    from PIL import Image

    height, width = next(pictures.picture_frames(path)).size
    with pictures.open_picture(path) as image:
        count, loops, form = pictures.frame_count(image), image.info.get("loop", 1), image.format
    ending = path.suffix.lower()
    named = Image.registered_extensions().get(ending, "" if ending in FILMS else form)
    same = {named, form} <= {"JPEG", "MPO"} or named == form
    notes = () if same else (f"a {form} picture, whatever its ending ({path.suffix}) says",)
    known: list[float] = []
    with suppress(pictures.Incomplete):  # reading it will say so
        for frame in itertools.islice(pictures.picture_frames(path), PROBED_PICTURES):
            known += [] if frame.time is None else [frame.time]
    steps = [later - earlier for earlier, later in itertools.pairwise(known)]
    if not steps:
        return Facts(width, height, None, None, count, False, notes)
    seconds = count * sum(steps) / len(steps)
    forever = loops == 0 or loops >= FOREVER
    return Facts(width, height, mean_rate(steps), seconds, count, False, notes, loops=forever)
