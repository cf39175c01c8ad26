import contextlib
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from PIL import Image

from framegen.data.films import prompt
from framegen.data.films.prompt import played_again, read_prompt
from framegen.machine.errors import UserError
from framegen.report.writers import write_film

UNIT = (0.0, 1.0)
VIDEO = np.random.default_rng(0).integers(0, 256, (12, 40, 60, 3), np.uint8)
SMOOTH = np.stack([np.full((40, 60, 3), 20 * t, np.uint8) for t in range(12)])


def _read(path: Path, shape: tuple[int, int, int] = (1, 2, 2), limit: int | None = None) -> torch.Tensor:
    return read_prompt(path, shape, UNIT, limit).frames


def _png_folder(path: Path) -> None:
    path.mkdir()
    for index, picture in enumerate(SMOOTH):
        iio.imwrite(path / f"frame{index}.png", picture)  # frame2 comes before frame10
    (path / "notes.txt").write_text("not a picture")


WRITERS: dict[str, Callable[[Path], object]] = {
    "a.gif": lambda path: iio.imwrite(path, SMOOTH, plugin="pillow", loop=0),
    "a.png": lambda path: iio.imwrite(path, SMOOTH, plugin="pillow", is_batch=True, extension=".apng"),
    "a.mp4": lambda path: _encode(path, SMOOTH, "mp4"),  # its index comes last
    "a.mkv": lambda path: iio.imwrite(
        path, SMOOTH, plugin="pyav", codec="ffv1", fps=10, out_pixel_format="bgr0"
    ),
    "folder": _png_folder,
    "a.npy": lambda path: np.save(path, SMOOTH),
    "a.npz": lambda path: np.savez(path, SMOOTH),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_kind_of_prompt_comes_to_the_models_shape_in_order(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path / name)
    for shape in ((1, 2, 2), (3, 16, 16), (1, 64, 64)):
        frames = _read(tmp_path / name, shape)
        assert frames.shape == (12, *shape)
        assert frames.dtype == torch.float32
        expected = torch.arange(12) * 20 / 255
        torch.testing.assert_close(frames.mean((1, 2, 3)), expected, atol=0.02, rtol=0)
    assert len(_read(tmp_path / name, limit=5)) == 5


def test_shrinking_is_averaging_over_the_middle(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", VIDEO)
    frames = _read(tmp_path / "a.npy", (3, 1, 1))
    middle = VIDEO[:, :, 10:50].astype(float).mean((1, 2)) / 255  # 40x60: the middle 40x40
    torch.testing.assert_close(frames[:, :, 0, 0].double(), torch.from_numpy(middle), atol=0.03, rtol=0)


def test_arrays_of_the_models_shape_pass_unchanged(tmp_path: Path) -> None:
    values = np.random.default_rng(1).random((7, 1, 2, 2), np.float32)
    np.save(tmp_path / "a.npy", values)
    np.testing.assert_array_equal(_read(tmp_path / "a.npy").numpy(), values)
    np.save(tmp_path / "b.npy", values[:, 0])
    np.testing.assert_array_equal(_read(tmp_path / "b.npy").numpy(), values)
    np.save(tmp_path / "c.npy", values[:, 0, 0, 0])
    np.testing.assert_array_equal(_read(tmp_path / "c.npy", (1, 1, 1)).numpy(), values[:, :, :1, :1])


def _write(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def _truncated(kind: str, keep: float) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        WRITERS[f"a{kind}"](path)
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * keep)])

    return write


def _bomb(path: Path) -> None:
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.npy", "w", force_zip64=True) as entry,
    ):
        np.lib.format.write_array_header_1_0(
            entry, {"descr": "|u1", "fortran_order": False, "shape": (5 * 2**20, 1, 1)}
        )
        entry.write(bytes(5 * 2**20))


def _big_png(path: Path) -> None:
    import struct
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


def _no_frames(path: Path) -> None:
    np.save(path, np.zeros((0, 2, 2), np.uint8))


def _in_folder(name: str, write: Callable[[Path], object]) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.mkdir()
        write(path / name)

    return make


def _socket(path: Path) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as made, contextlib.chdir(path.parent):
        made.bind(path.name)  # a whole path may be longer than a socket's can be


def _damaged_png(path: Path) -> None:
    iio.imwrite(path, VIDEO[0])
    path.write_bytes(path.read_bytes()[:2000])


def _announced_bomb(path: Path) -> None:
    """An array of 4 MiB by its header, of which nothing is there."""
    with zipfile.ZipFile(path, "w") as archive, archive.open("a.npy", "w") as entry:
        np.lib.format.write_array_header_1_0(
            entry, {"descr": "|u1", "fortran_order": False, "shape": (2**22, 1, 1)}
        )


BAD: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "missing": ("none.gif", lambda _: None, "no such file"),
    "empty gif": ("a.gif", _write(b""), "is empty"),
    "empty mp4": ("a.mp4", _write(b""), "is empty"),
    "empty npy": ("a.npy", _write(b""), "is empty"),
    "no frames": ("a.npy", _no_frames, "no frames"),
    "empty folder": ("folder", lambda path: path.mkdir(), "without pictures"),
    "text": ("a.mp4", _write(b"this is not a video" * 100), "is no film"),
    "garbage": ("a.mp4", _write(np.random.default_rng(0).bytes(5000)), "is no film"),
    "text as gif": ("a.gif", _write(b"this is not a picture;"), "is no film or picture"),
    "pickle": (
        "a.npy",
        lambda path: np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True),
        "cannot be read",
    ),
    "two arrays": ("a.npz", lambda path: np.savez(path, a=SMOOTH, b=SMOOTH), "one array"),
    "integers": ("a.npy", lambda path: np.save(path, SMOOTH.astype(np.int64)), "int64"),
    "five axes": ("a.npy", lambda path: np.save(path, SMOOTH[None]), "has shape"),
    "two channels": ("a.npy", lambda path: np.save(path, np.zeros((4, 5, 5, 2), np.uint8)), "has shape"),
    "levels as floats": ("a.npy", lambda path: np.save(path, SMOOTH.astype(np.float32)), "far outside"),
    "nan": ("a.npy", lambda path: np.save(path, np.full((3, 2, 2), np.nan, np.float32)), "not finite"),
    "truncated gif": ("a.gif", _truncated(".gif", 0.6), "truncated|cannot be read"),
    "truncated mp4": ("a.mp4", _truncated(".mp4", 0.6), "cut off: its index .moov. is missing"),
    "half mp4": ("a.mp4", _truncated(".mp4", 0.3), "cut off: its index .moov. is missing"),
    "truncated npy": ("a.npy", _truncated(".npy", 0.6), "cannot be read"),
    "truncated npz": ("a.npz", _truncated(".npz", 0.6), "cannot be read"),
    "decompression bomb": ("a.npz", _bomb, "unpacks to 5.0 MiB"),
    "enormous picture": ("a.png", _big_png, "cannot be read|enormous"),
    "enormous array": (
        "a.npy",
        lambda path: np.lib.format.open_memmap(path, "w+", "u1", (2, 9000, 9000)),
        "enormous",
    ),
    "32 bits": (
        "a.tif",
        lambda path: Image.fromarray(np.full((9, 9), 2**20, np.int32)).save(path),
        "32 bits a pixel",
    ),
    "text as video": ("a.txt", _write(b"hello, not a video" * 50), "is no film"),
    "pipe": ("a.gif", os.mkfifo, "neither a file nor a folder"),
    "long name": ("a" * 400 + ".gif", lambda _: None, "too long"),
    "endless device": ("a.mp4", lambda path: path.symlink_to("/dev/zero"), "neither a file nor a folder"),
    "link to itself": ("a.mp4", lambda path: path.symlink_to(path), "symbolic links"),
    "socket": ("a.mp4", _socket, "neither a file nor a folder"),
    "pipe in a folder": ("folder", _in_folder("a.png", os.mkfifo), "not a regular file"),
    "folder in itself": (
        "folder",
        _in_folder("a.png", lambda path: path.symlink_to("..")),
        "not a regular file",
    ),
    "heic in a folder": (
        "folder",
        _in_folder("a.HEIC", _write(b"x")),
        "a.HEIC: is a picture of kind HEIC.*convert it to PNG",
    ),
    "heic by its content": ("a.mp4", _write(b"\0\0\0\x18ftypheic" + bytes(40)), "is a picture of kind HEIC"),
    "damaged picture in a folder": ("folder", _in_folder("a.png", _damaged_png), "a.png: "),
    "announced bomb": ("a.npz", _announced_bomb, "cannot be read"),
    "drawing": (
        "a.svg",
        _write(b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
        "is no film",
    ),
    "numbered name": ("x%03d.dpx", _write(b"hello"), "is no film"),
    "sparse": (
        "a.mp4",
        lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 2**33),
        "is no film",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_prompt_is_named_in_one_line(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prompt, "MAX_ARRAY_BYTES", 4 * 2**20)
    name, write, reason = BAD[case]
    write(tmp_path / name)
    with pytest.raises(UserError, match=reason) as refused:
        _read(tmp_path / name)
    assert str(refused.value).startswith(str(tmp_path / name))
    assert "\n" not in str(refused.value)


def test_too_many_frames_are_refused_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prompt, "MAX_PROMPT_FRAMES", 11)
    np.save(tmp_path / "a.npy", SMOOTH)
    with pytest.raises(UserError, match="--context N"):
        _read(tmp_path / "a.npy")
    assert len(_read(tmp_path / "a.npy", limit=11)) == 11


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", SMOOTH)
    (tmp_path / "a.npy").chmod(0)
    with pytest.raises(UserError, match="ermission"):
        _read(tmp_path / "a.npy")


def _encode(path: Path, pictures: np.ndarray, kind: str) -> None:
    """H.264 in a container of FFmpeg's; "h264" is the bare stream, without time stamps."""
    import av

    with av.open(path, "w", format=kind) as container:
        stream = container.add_stream("libx264", rate=10, options={"g": "6"})
        stream.height, stream.width = pictures.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode())


PLAYLISTS = {
    "a.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.2,\n{film}\n#EXT-X-ENDLIST\n",
    "a.mp4": "ffconcat version 1.0\nfile film.ts\n",
    "a.ffconcat": "ffconcat version 1.0\nfile film.ts\n",
    "a.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
}


@pytest.mark.parametrize("name", PLAYLISTS)
def test_a_playlist_is_not_followed_to_another_file(name: str, tmp_path: Path) -> None:
    _encode(tmp_path / "film.ts", SMOOTH, "mpegts")
    assert len(_read(tmp_path / "film.ts")) == 12
    (tmp_path / name).write_text(PLAYLISTS[name].format(film=tmp_path / "film.ts"))
    with pytest.raises(UserError, match="is no film"):
        _read(tmp_path / name)


def test_a_name_that_ffmpeg_would_obey_is_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_film(tmp_path / "concat:a.mp4", SMOOTH, 10)
    monkeypatch.chdir(tmp_path)
    assert len(_read(Path("concat:a.mp4"))) == 12


def test_a_stream_without_time_stamps_and_of_changing_size(tmp_path: Path) -> None:
    _encode(tmp_path / "a.h264", SMOOTH, "h264")
    _encode(tmp_path / "b.h264", SMOOTH[:, :32, :48], "h264")
    (tmp_path / "c.h264").write_bytes((tmp_path / "a.h264").read_bytes() + (tmp_path / "b.h264").read_bytes())
    read = read_prompt(tmp_path / "c.h264", (1, 2, 2), UNIT)
    expected = torch.arange(12).repeat(2) * 20 / 255
    torch.testing.assert_close(read.frames.mean((1, 2, 3)), expected, atol=0.02, rtol=0)
    assert "24 frames of 60x40 and 48x32, 10 a second;" in read.notes[0]
    assert "no time stamps that can be believed: 10 frames a second, as its header says" in read.notes[0]


def test_what_was_read_and_done_is_said(tmp_path: Path) -> None:
    write_film(tmp_path / "a.mp4", VIDEO, 25)
    read = read_prompt(tmp_path / "a.mp4", (1, 2, 2), UNIT)
    done = "cut to the middle 40x40, scaled to 2x2, made grey"
    assert read.notes == [f"read {tmp_path / 'a.mp4'}: 12 frames of 60x40, 25 a second; {done}"]
    np.save(tmp_path / "a.npy", np.zeros((7, 2, 2), np.uint8))
    assert read_prompt(tmp_path / "a.npy", (1, 2, 2), UNIT).notes == [
        f"read {tmp_path / 'a.npy'}: 7 frames of 2x2"
    ]


def test_sound_is_dropped_and_said(tmp_path: Path) -> None:
    import av

    with av.open(tmp_path / "a.mkv", "w") as container:
        video, sound = container.add_stream("ffv1", rate=10), container.add_stream("pcm_s16le", rate=8000)
        assert isinstance(video, av.VideoStream)
        assert isinstance(sound, av.AudioStream)
        video.height, video.width, video.pix_fmt = 4, 4, "gray"
        container.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((4, 4), np.uint8), "gray")))
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        silence.sample_rate = 8000
        container.mux([*sound.encode(silence), *video.encode(), *sound.encode()])
    assert "audio dropped" in read_prompt(tmp_path / "a.mkv", (1, 2, 2), UNIT).notes[0]


def test_what_is_transparent_lies_on_black(tmp_path: Path) -> None:
    picture = np.full((4, 4, 4), 255, np.uint8)
    picture[..., 3] = 51
    iio.imwrite(tmp_path / "a.png", picture)
    read = read_prompt(tmp_path / "a.png", (1, 2, 2), UNIT)
    torch.testing.assert_close(read.frames, torch.full((1, 1, 2, 2), 0.2), atol=1e-3, rtol=0)
    assert "transparency blended onto black" in read.notes[0]


def test_tiff_pictures_are_read(tmp_path: Path) -> None:
    for index in range(3):
        Image.fromarray(SMOOTH[index]).save(tmp_path / f"{index}.tif")
    torch.testing.assert_close(_read(tmp_path).mean((1, 2, 3)), torch.arange(3) * 20 / 255, atol=0.01, rtol=0)


def test_what_can_be_read_of_a_truncated_film_is_read_and_strict_refuses_it(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    _truncated(".mkv", 0.6)(path)
    read = read_prompt(path, (1, 2, 2), UNIT)
    torch.testing.assert_close(
        read.frames.mean((1, 2, 3)), torch.arange(len(read.frames)) * 20 / 255, atol=0.02, rtol=0
    )
    assert 4 < len(read.frames) < 12
    assert read.notes[1] == f"{path}: is truncated: {len(read.frames) / 10:.4g} of 1.2 s can be read"
    with pytest.raises(UserError, match=r"is truncated: .* of 1\.2 s can be read"):
        read_prompt(path, (1, 2, 2), UNIT, strict=True)


def test_an_address_is_to_be_downloaded(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^https://example\.org/a\.mp4: is a URL; download"):
        _read(Path("https://example.org/a.mp4"))


def test_a_picture_that_darkens_and_plays_once_does_not_begin_again(tmp_path: Path) -> None:
    levels = np.arange(200, 100, -10, dtype=np.uint8)
    first, *others = [Image.fromarray(np.full((8, 8), level)) for level in levels]
    first.save(tmp_path / "a.gif", save_all=True, append_images=others, duration=80)
    frames = torch.from_numpy(levels / 255).float()[:, None, None, None].expand(-1, 3, 8, 8)
    assert len(played_again(tmp_path / "a.gif", frames, 20)) == len(levels)
