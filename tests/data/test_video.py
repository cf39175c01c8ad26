import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch

from framegen.data import video
from framegen.data.video import read_frames
from framegen.errors import UserError
from framegen.report.video import write_mp4

UNIT = (0.0, 1.0)
VIDEO = np.random.default_rng(0).integers(0, 256, (12, 40, 60, 3), np.uint8)
SMOOTH = np.stack([np.full((40, 60, 3), 20 * t, np.uint8) for t in range(12)])


def _read(path: Path, shape: tuple[int, int, int] = (1, 2, 2), limit: int | None = None) -> torch.Tensor:
    return read_frames(path, shape, UNIT, limit)


def _png_folder(path: Path) -> None:
    path.mkdir()
    for index, picture in enumerate(SMOOTH):
        iio.imwrite(path / f"frame{index}.png", picture)  # frame2 comes before frame10
    (path / "notes.txt").write_text("not a picture")


WRITERS: dict[str, Callable[[Path], object]] = {
    "a.gif": lambda path: iio.imwrite(path, SMOOTH, plugin="pillow", loop=0),
    "a.png": lambda path: iio.imwrite(path, SMOOTH, plugin="pillow", is_batch=True, extension=".apng"),
    "a.mp4": lambda path: write_mp4(path, SMOOTH, 10),
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


BAD: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "missing": ("none.gif", lambda _: None, "no such file"),
    "empty gif": ("a.gif", _write(b""), "cannot be read|truncated"),
    "empty mp4": ("a.mp4", _write(b""), "cannot be read"),
    "empty npy": ("a.npy", _write(b""), "cannot be read"),
    "no frames": ("a.npy", _no_frames, "no frames"),
    "empty folder": ("folder", lambda path: path.mkdir(), "without pictures"),
    "text": ("a.mp4", _write(b"this is not a video" * 100), "cannot be read"),
    "text as gif": ("a.gif", _write(b"this is not a picture;"), "cannot be read"),
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
    "truncated mp4": ("a.mp4", _truncated(".mp4", 0.6), "truncated|cannot be read|cut off"),
    "truncated mkv": ("a.mkv", _truncated(".mkv", 0.6), "truncated|cannot be read"),
    "truncated npy": ("a.npy", _truncated(".npy", 0.6), "cannot be read"),
    "truncated npz": ("a.npz", _truncated(".npz", 0.6), "cannot be read"),
    "decompression bomb": ("a.npz", _bomb, "unpacks to 5.0 MiB"),
    "enormous picture": ("a.png", _big_png, "cannot be read|enormous"),
    "enormous array": (
        "a.npy",
        lambda path: np.lib.format.open_memmap(path, "w+", "u1", (2, 9000, 9000)),
        "enormous",
    ),
    "16 bits": (
        "a.png",
        lambda path: iio.imwrite(path, np.full((9, 9), 16384, np.uint16)),
        "more than 8 bits",
    ),
    "text as video": ("a.txt", _write(b"hello, not a video" * 50), "holds no video|cannot be read"),
    "pipe": ("a.gif", os.mkfifo, "neither a file nor a folder"),
    "long name": ("a" * 400 + ".gif", lambda _: None, "no such file"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_prompt_is_named_in_one_line(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video, "MAX_ARRAY_BYTES", 4 * 2**20)
    name, write, reason = BAD[case]
    write(tmp_path / name)
    with pytest.raises(UserError, match=reason) as refused:
        _read(tmp_path / name)
    assert str(refused.value).startswith(str(tmp_path / name))
    assert "\n" not in str(refused.value)


def test_too_many_frames_are_refused_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video, "MAX_PROMPT_FRAMES", 11)
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
