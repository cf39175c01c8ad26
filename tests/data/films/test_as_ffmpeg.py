"""Films are read as FFmpeg's own program shows them: as many frames, at the same times, the same pixels."""

import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from framegen.data.films.decoding import film_frames
from framegen.data.films.facts import probe
from framegen.data.films.frames import read_frames, read_last
from tests.data.films import read_with_fault, scene

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
SECONDS, RATE = 3, 25
FLAGS = "accurate_rnd+full_chroma_int+full_chroma_inp"


def _ffmpeg(*words: object) -> bytes:
    made = subprocess.run(
        [FFMPEG, "-hide_banner", "-v", "error", "-y", *map(str, words)], capture_output=True, check=True
    )
    return made.stdout


def _source(rate: int = RATE, size: str = "96x72") -> list[str]:
    return ["-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}:d={SECONDS}"]


def _encoded(*words: str, rate: int = RATE) -> Callable[[Path], object]:
    return lambda path: _ffmpeg(*_source(rate), *words, path)


def _whole(path: Path, *words: str) -> Path:
    """H.264 with B frames, of which every 40th is a key frame."""
    coded = ["-c:v", "libx264", "-g", "40", "-bf", "2", "-pix_fmt", "yuv420p", "-fflags", "+bitexact"]
    _ffmpeg(*_source(), *coded, *words, path)
    return path


def _copied(
    before: tuple[str, ...] = (), after: tuple[str, ...] = (), made: tuple[str, ...] = ()
) -> Callable[[Path], object]:
    """The whole film, its samples as they are, with options for the reader and the writer."""

    def write(path: Path) -> None:
        _ffmpeg(*before, "-i", _whole(path.with_name("whole.mp4"), *made), "-c", "copy", *after, path)

    return write


def _cut(keep: float, ending: str, *words: str) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        content = _whole(path.with_name(f"whole{ending}"), *words).read_bytes()
        path.write_bytes(content[: int(keep * len(content))])

    return write


def _without_beginning(path: Path) -> None:
    """A recording that begins between two key frames."""
    content = _whole(path.with_name("whole.ts")).read_bytes()
    path.write_bytes(content[len(content) // 188 // 4 * 188 :])


def _joined(path: Path) -> None:
    """Both parts begin at the same time stamp."""
    part = path.with_name("part.ts")
    _ffmpeg(*_source(50), "-c:v", "libx264", "-g", "40", part)
    path.write_bytes(2 * part.read_bytes())


def _holes(path: Path) -> None:
    """Some packets are damaged: their first number leads out of the file."""
    content = bytearray(_whole(path).read_bytes())
    with av.open(path) as container:
        places = [packet.pos for packet in container.demux(video=0) if packet.pos is not None]
    for number in (20, 21, 50):
        content[places[number] : places[number] + 4] = b"\xff" * 4
    path.write_bytes(content)


def _boxes(data: bytearray, names: list[bytes], start: int = 0, end: int | None = None) -> list[int]:
    """Where the MP4 boxes of a path of names begin."""
    place, end = start, len(data) if end is None else end
    while place < end:
        size, name = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        if name == names[0]:
            inside = place + (16 if name == b"stsd" else 8)
            return [place, *(_boxes(data, names[1:], inside, place + size) if names[1:] else [])]
        place += size
    raise ValueError(names)


def _clean_aperture(path: Path) -> None:
    """40 x 32 pixels of 96 x 72, not in the middle; an MP4's box is written by hand."""
    data = bytearray(_whole(path.with_name("whole.mp4")).read_bytes())
    places = _boxes(data, [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"])
    numbers = [number.to_bytes(4, "big", signed=True) for number in (40, 1, 32, 1, 4, 1, -6, 1)]
    box = (40).to_bytes(4, "big") + b"clap" + b"".join(numbers)
    end = places[-1] + int.from_bytes(data[places[-1] : places[-1] + 4], "big")
    for place in places:
        data[place : place + 4] = (int.from_bytes(data[place : place + 4], "big") + 40).to_bytes(4, "big")
    data[end:end] = box
    path.with_suffix(".mp4").write_bytes(data)
    if path.suffix != ".mp4":
        _ffmpeg("-i", path.with_suffix(".mp4"), "-c", "copy", path)


def _two_streams(path: Path) -> None:
    """A small preview first, and the film, which is the default."""
    which = ["-map", "1", "-map", "0", "-disposition:v:0", "0", "-disposition:v:1", "default"]
    _ffmpeg(*_source(), *_source(size="32x24"), *which, "-c:v", "libx264", path)


def _cover(path: Path) -> None:
    """A picture of the sleeve, larger than the film, is a stream too."""
    picture = path.with_name("cover.png")
    _ffmpeg("-f", "lavfi", "-i", "testsrc=s=320x320", "-frames:v", "1", picture)
    which = ["-map", "1", "-map", "0", "-c", "copy", "-disposition:v:0", "attached_pic"]
    _ffmpeg("-i", _whole(path.with_name("whole.mp4")), "-i", picture, *which, path)


def _exif(path: Path) -> None:
    """Frames of a camera, each with what it noted, held upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    for number, picture in enumerate(scene(0, 20, (48, 64))):
        Image.fromarray(picture).save(path.with_name(f"{number:03}.jpg"), exif=exif)
    _ffmpeg("-framerate", "25", "-i", path.with_name("%03d.jpg"), "-c", "copy", path)


def _trailing(path: Path) -> None:
    path.write_bytes(_whole(path.with_name("whole.mp4")).read_bytes() + bytes(5000) + b"\r\n")


H264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p")
CROPPED = "h264_metadata=crop_left=8:crop_right=16:crop_top=4:crop_bottom=12"
TURNED = "h264_metadata=rotate=90:display_orientation=insert"
MOTLEY = "select='lt(mod(n,7),4)+gt(mod(n,11),8)'"
"""Some frames are dropped, so that the others are shown for longer."""

FILES: dict[str, Callable[[Path], object]] = {
    "plain.mp4": _whole,
    "plain.mkv": _whole,
    "plain.flv": _whole,
    "plain.ts": _whole,
    "fragmented.mp4": lambda path: _whole(path, "-movflags", "frag_keyframe+empty_moov"),
    "mjpeg.mov": _encoded("-c:v", "mjpeg", "-q:v", "3"),
    "bare.mjpeg": _encoded("-c:v", "mjpeg", "-q:v", "3"),
    "bare.mjpg": lambda path: _ffmpeg(*_source(), "-c:v", "mjpeg", "-q:v", "3", "-f", "mjpeg", path),
    "exif.avi": _exif,
    "exif.mov": _exif,
    "cropped.mp4": _copied(after=("-bsf:v", CROPPED)),
    "turned once.mp4": _copied(after=("-bsf:v", TURNED)),
    "turned once.ts": _copied(after=("-bsf:v", TURNED)),
    "bare, 30 a second.h264": _encoded(*H264, rate=30),
    "one frame.mp4": _encoded("-frames:v", "1", *H264),
    "gxf.gxf": _encoded("-c:v", "mpeg2video", "-s", "720x576", "-r", "25"),
    "wtv.wtv": _encoded("-c:v", "mpeg2video"),
    "vp8.webm": _encoded("-c:v", "libvpx"),
    "vp9.webm": _encoded("-c:v", "libvpx-vp9", "-pix_fmt", "yuv444p"),
    "mpeg2.mpg": _encoded("-c:v", "mpeg2video", "-bf", "2"),
    "mpeg4.avi": _encoded("-c:v", "mpeg4", "-bf", "2"),
    "decoding order.avi": _encoded(*H264, "-bf", "3", "-g", "24"),
    "ten bits.mkv": _encoded("-c:v", "libx264", "-pix_fmt", "yuv420p10le"),
    "4:2:2.mkv": _encoded("-c:v", "ffv1", "-pix_fmt", "yuv422p"),
    "grey 16.mkv": _encoded("-c:v", "ffv1", "-pix_fmt", "gray16le"),
    "full range.mkv": _encoded("-c:v", "libx264", "-pix_fmt", "yuvj420p"),
    "trimmed.mp4": _copied(("-ss", "1.2")),
    "trimmed.mov": _copied(("-ss", "2.1")),
    "trimmed end.mp4": _copied(("-ss", "0.5", "-t", "1.3")),
    "without beginning.ts": _without_beginning,
    "joined.ts": _joined,
    "mirrored.mp4": _copied(("-display_hflip",)),
    "upside down and mirrored.mp4": _copied(("-display_vflip",)),
    "turned 90.mp4": _copied(("-display_rotation", "90")),
    "turned 180.mov": _copied(("-display_rotation", "180")),
    "turned 270.mp4": _copied(("-display_rotation", "270")),
    "turned and mirrored.mp4": _copied(("-display_rotation", "90", "-display_hflip")),
    "turned 270 and mirrored.mp4": _copied(("-display_rotation", "270", "-display_hflip")),
    "turned 30.mp4": _copied(("-display_rotation", "30")),
    "wide pixels.mkv": _encoded("-vf", "setsar=16/11", *H264),
    "tall pixels, turned.mp4": _copied(("-display_rotation", "90"), made=("-vf", "setsar=4/3")),
    "clean aperture.mp4": _clean_aperture,
    "clean aperture.mkv": _clean_aperture,
    "two streams.mkv": _two_streams,
    "cover.mp4": _cover,
    "variable rate.mp4": _encoded("-vf", MOTLEY, "-fps_mode", "vfr", *H264),
    "variable rate.mkv": _encoded("-vf", MOTLEY, "-fps_mode", "vfr", *H264),
    "dropped frames.avi": _encoded("-vf", MOTLEY, "-fps_mode", "vfr", "-c:v", "mjpeg"),
    "late.mkv": _copied(after=("-output_ts_offset", "100")),
    "trailing bytes.mp4": _trailing,
    "truncated.mkv": _cut(0.6, ".mkv"),
    "truncated.mp4": _cut(0.6, ".mp4", "-movflags", "faststart"),
    "truncated.ts": _cut(0.6, ".ts"),
    "holes.mp4": _holes,
}  # fmt: skip


@cache
def _reference(path: Path, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames (T, H, W, 3) as the program shows them, and their times from the first on, seconds."""
    scale = f"scale={width}:{height}:flags={'area' if width * height <= 96 * 72 else 'bicubic'}+{FLAGS}"
    # one thread: what is made up for damaged blocks depends on their number
    ways = ["-threads", "1", "-i", path, "-fps_mode", "passthrough", "-vf", f"{scale},format=rgb24"]
    pixels = _ffmpeg(*ways, "-f", "rawvideo", "-")
    listed = _ffmpeg(*ways, "-f", "framecrc", "-").decode().splitlines()
    (base,) = [line.split(":")[1] for line in listed if line.startswith("#tb")]
    numerator, denominator = map(int, base.split("/"))
    stamps = np.array([int(line.split(",")[2]) for line in listed if not line.startswith("#")])
    times = (stamps - stamps[0]) * numerator / denominator
    return np.frombuffer(pixels, np.uint8).reshape(-1, height, width, 3), times


@pytest.mark.parametrize("name", FILES)
def test_a_film_is_read_as_the_program_shows_it(name: str, tmp_path: Path) -> None:
    path = tmp_path / name.replace(" ", "-").replace(":", "")
    FILES[name](path)
    facts = probe(path)
    assert facts.clock is not None
    ours = list(film_frames(path, facts.clock))
    pictures, times = _reference(path, facts.width, facts.height)
    assert len(ours) == len(pictures)
    difference = np.abs(np.stack([frame.pixels(frame.size) for frame in ours]).astype(int) - pictures)
    # FFmpeg's versions differ in what they put in place of what is lost
    whole = difference[: {"holes": 0, "truncated": -8}.get(name.split(".")[0])]
    assert whole.size == 0 or (whole.mean() < 0.01 and whole.max() <= 2)
    assert facts.fps is not None
    told = pytest.approx(times[-1] * facts.fps + 1, abs=2)
    # what is truncated promises more, joined parts know nothing of each other, and a bare stream nothing
    assert name.startswith(("truncated", "joined", "bare")) or facts.frames == told
    np.testing.assert_allclose([frame.time or 0.0 for frame in ours], times, atol=0.5 / facts.fps)
    if not name.startswith(("truncated", "trimmed end", "holes", "variable", "dropped")):
        shown = list(read_frames(path, ours[0].size, complete=True))
        assert len(shown) == len(ours)
        np.testing.assert_array_equal(read_last(path, 5, ours[0].size), shown[-5:])


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith(("truncated", "holes"))])
def test_what_is_missing_is_said_behind_what_can_be_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    FILES[name](path)
    frames, said = read_with_fault(path)
    assert len(frames) > 30
    expected = {"holes.mp4": "3 packets of its video cannot be decoded", "truncated.ts": ""}
    assert expected.get(name, "is truncated: ") in said
