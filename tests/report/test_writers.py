"""Files of generated frames, read back with PyAV, Pillow and NumPy."""

import resource
import weakref
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import framegen
from framegen.machine.errors import OptionError, UserError
from framegen.report.continuation import Continuation, write_generated
from framegen.report.writers import write_animation

MOVING = ("a.gif", "a.mp4", "a.webm", "a.webp", "frames")
COLORS = np.random.default_rng(0).integers(0, 256, (7, 3, 4, 6), np.uint8)


def read(path: Path) -> np.ndarray:
    """(T, H, W, 3) uint8, as players show it."""
    if path.is_dir():
        return np.stack([np.asarray(Image.open(file)) for file in sorted(path.iterdir())])
    if path.suffix in (".mp4", ".webm"):
        with av.open(path) as film:
            return np.stack([frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)])
    with Image.open(path) as image:
        pictures = []
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            pictures.append(np.asarray(image.convert("RGB")))
        return np.stack(pictures)


@pytest.mark.parametrize("name", MOVING)
def test_every_frame_comes_back_in_its_colours(name: str, tmp_path: Path) -> None:
    framegen.save(tmp_path / name, COLORS, scale=16)
    shown = read(tmp_path / name)
    assert shown.shape == (7, 64, 96, 3)
    middles = shown[:, 8::16, 8::16].astype(int)
    atol = 8 if name in ("a.mp4", "a.webm") else 0
    np.testing.assert_allclose(middles, COLORS.transpose(0, 2, 3, 1).astype(int), atol=atol)


@pytest.mark.parametrize("name", ["a.mp4", "a.webm"])
@pytest.mark.parametrize("fps", [0.1, 30_000 / 1001, 240])
def test_a_film_plays_at_its_rate_in_declared_colours(name: str, fps: float, tmp_path: Path) -> None:
    framegen.save(tmp_path / name, COLORS, fps, scale=16)
    with av.open(tmp_path / name) as film:
        stream = film.streams.video[0]
        context = stream.codec_context
        assert stream.average_rate == Fraction(fps).limit_denominator(1001)
        assert (context.pix_fmt, context.color_range) == ("yuv420p", 1)
        assert (context.colorspace, context.color_primaries, context.color_trc) == (1, 1, 1)
        times = [frame.time for frame in film.decode(stream)]
        np.testing.assert_allclose(times, np.arange(7) / fps, atol=1e-3)
        assert film.duration is not None
        assert film.duration / 1e6 == pytest.approx(7 / fps, abs=2e-3)


@pytest.mark.parametrize(("fps", "times"), [(25, [40]), (30, [30]), (240, [20]), (0.1, [10_000])])
def test_a_gif_plays_at_the_nearest_rate_and_says_so(
    fps: float, times: list[int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    framegen.save(tmp_path / "a.gif", COLORS, fps)
    with Image.open(tmp_path / "a.gif") as image:
        assert [image.info["duration"], image.info["loop"]] == [*times, 0]
    assert bool(capsys.readouterr().err) == (1000 / fps != times[0])


def test_a_webp_loops_and_keeps_the_rate_on_average(tmp_path: Path) -> None:
    framegen.save(tmp_path / "a.webp", COLORS, 30)
    with Image.open(tmp_path / "a.webp") as image:
        assert image.info["loop"] == 0
        times = []
        for number in range(7):
            image.seek(number)
            image.load()
            times.append(image.info["duration"])
    assert set(times) == {33, 34}
    assert sum(times) == pytest.approx(7000 / 30, abs=1)


def test_the_index_of_an_mp4_comes_first(tmp_path: Path) -> None:
    content = framegen.save(tmp_path / "a.mp4", COLORS).read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat")


@pytest.mark.parametrize("name", MOVING)
def test_odd_sides_are_kept_or_grow_by_a_copy_of_the_edge(name: str, tmp_path: Path) -> None:
    frames = np.repeat(COLORS, 8, 2).repeat(8, 3)[:, :, :31, :47]
    framegen.save(tmp_path / name, frames, scale=1)
    even = name in ("a.mp4", "a.webm")
    shown = read(tmp_path / name)
    assert shown.shape == (7, 32, 48, 3) if even else (7, 31, 47, 3)
    if even:
        np.testing.assert_allclose(shown[:, -1].astype(int), shown[:, -2], atol=12)


@pytest.mark.parametrize(
    ("size", "scale", "shown"),
    [
        ((2, 2), None, (256, 256)),
        ((28, 64), None, (112, 256)),
        ((90, 160), None, (90, 160)),
        ((2, 3), 5, (10, 15)),
    ],
)
def test_small_frames_are_enlarged_by_a_whole_number(
    size: tuple[int, int], scale: int | None, shown: tuple[int, int], tmp_path: Path
) -> None:
    framegen.save(tmp_path / "a.webp", torch.zeros(1, 1, *size), scale=scale)
    assert read(tmp_path / "a.webp").shape[1:3] == shown


def test_an_array_keeps_its_numbers_and_knows_its_length_at_the_end(tmp_path: Path) -> None:
    floats = torch.randn(5, 1, 3, 4)
    np.testing.assert_array_equal(np.load(framegen.save(tmp_path / "a.npy", iter(floats))), floats)
    levels = np.load(framegen.save(tmp_path / "b.npy", COLORS))
    assert levels.dtype == np.uint8
    np.testing.assert_array_equal(levels, COLORS)


@pytest.mark.parametrize("name", [*MOVING, "a.npy"])
def test_frames_are_let_go_as_they_are_written(name: str, tmp_path: Path) -> None:
    kept: list[weakref.ref[Tensor]] = []
    most = 0

    def frames() -> Iterator[Tensor]:
        nonlocal most
        for number in range(30):
            frame = torch.full((1, 8, 8), number / 30)
            kept.append(weakref.ref(frame))
            most = max(most, sum(one() is not None for one in kept))
            yield frame

    framegen.save(tmp_path / name, frames(), scale=2)
    assert len(kept) == 30
    assert most <= 4


@pytest.mark.parametrize("look", ["clean", "compare"])
def test_what_is_generated_is_let_go_as_it_is_shown(look: str, tmp_path: Path) -> None:
    kept: list[weakref.ref[Tensor]] = []
    most = 0

    def frames() -> Iterator[Tensor]:
        nonlocal most
        for _ in range(30):
            frame = torch.rand(1, 2, 2)
            kept.append(weakref.ref(frame))
            most = max(most, sum(one() is not None for one in kept))
            yield frame

    shown = Continuation(torch.rand(3, 1, 2, 2), frames(), 30, (0.0, 1.0), torch.rand(9, 1, 2, 2), error=True)
    write_generated(tmp_path / "a.gif", shown, 10, clean=look == "clean")
    assert most <= 4


def test_the_error_is_the_distance_from_the_truth() -> None:
    prompt, truth, generated = torch.rand(25, 1, 2, 2), torch.rand(2, 1, 2, 2), torch.rand(4, 1, 2, 2)
    frames = list(Continuation(prompt, generated, 4, (0.0, 1.0), truth, error=True).frames())
    assert [list(each) for each in frames] == [["truth", "generated", "error"]] * 24
    errors = [each["error"] for each in frames]
    assert errors[22:] == [None, None]
    zeros = torch.zeros(20, 1, 2, 2)
    expected = torch.cat([zeros, (truth - generated[:2]).abs()])
    torch.testing.assert_close(torch.stack([error for error in errors if error is not None]), expected)


def test_numbers_are_those_of_the_source(tmp_path: Path) -> None:
    shown = Continuation(torch.rand(25, 1, 2, 2), torch.rand(4, 1, 2, 2), 4, (0.0, 1.0))
    write_generated(tmp_path / "clean", shown, 10, clean=True)
    assert [int(file.stem[-6:]) for file in sorted((tmp_path / "clean").iterdir())] == [26, 27, 28, 29]
    write_generated(tmp_path / "compared", shown)
    numbers = [int(file.stem[-6:]) for file in sorted((tmp_path / "compared").iterdir())]
    assert numbers == list(range(6, 30))


@pytest.mark.parametrize("name", [*MOVING, "a.npy"])
def test_what_is_there_is_kept_unless_forced(name: str, tmp_path: Path) -> None:
    out = framegen.save(tmp_path / name, COLORS)
    before = read(out) if name != "a.npy" else np.load(out)
    with pytest.raises(UserError, match="exists already"):
        framegen.save(out, COLORS[:2])
    assert len(before) == len(read(out) if name != "a.npy" else np.load(out)) == 7
    framegen.save(out, COLORS[:2], force=True)
    assert len(read(out) if name != "a.npy" else np.load(out)) == 2
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_folder_with_anything_else_in_it_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "holiday").mkdir()
    framegen.save(tmp_path / "holiday", COLORS)  # nothing was in it
    (tmp_path / "holiday" / "beach.jpg").write_text("precious")
    with pytest.raises(UserError, match=r"holiday: is a folder that holds beach.jpg"):
        framegen.save(tmp_path / "holiday", COLORS, force=True)
    (tmp_path / "link").symlink_to(tmp_path / "holiday")
    for name in ("link", "holiday/beach"):
        (tmp_path / "holiday" / "beach").touch()
        with pytest.raises(UserError, match="is no folder"):
            framegen.save(tmp_path / name, COLORS, force=True)
    assert (tmp_path / "holiday" / "beach.jpg").read_text() == "precious"


@pytest.mark.parametrize("name", [*MOVING, "a.npy"])
@pytest.mark.parametrize("limit", [0, 30, 300, 3000])
def test_a_full_disk_is_one_line_and_no_half_file(name: str, limit: int, tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (4, 3, 64, 64), np.uint8)
    out = framegen.save(tmp_path / name, COLORS[:1])
    before = out.read_bytes() if out.is_file() else read(out)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))  # no file may grow longer
        with pytest.raises(UserError, match=rf"{name}: cannot be written: ") as refused:
            framegen.save(out, noise, force=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(str(refused.value).splitlines()) == 1
    assert np.array_equal(out.read_bytes() if out.is_file() else read(out), before)
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", [*MOVING, "a.npy"])
def test_frames_that_break_off_leave_what_was_there(name: str, tmp_path: Path) -> None:
    def frames() -> Iterator[Tensor]:
        yield from torch.rand(3, 1, 8, 8)
        raise UserError("the model gave up")

    out = framegen.save(tmp_path / name, COLORS)
    with pytest.raises(UserError, match="the model gave up"):
        framegen.save(out, frames(), force=True)
    assert len(read(out) if name != "a.npy" else np.load(out)) == 7
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("name", "frames", "said"),
    [
        ("a.avi", COLORS, r"a.avi: the ending says what to write: .gif, .mp4"),
        ("a.png", COLORS, "none for a folder of PNG"),
        ("a.gif", COLORS.transpose(0, 2, 3, 1), r"\(4, 6, 3\); permute \(T, H, W, C\) first"),
        ("a.gif", COLORS[0, 0], r"this one is \(6,\)"),
        ("a.gif", COLORS.astype(np.int64), "not torch.int64"),
        ("a.gif", COLORS.astype(np.float32), "floats lie in"),
        ("a.gif", COLORS[:0], "no frames"),
        ("a.gif", [torch.zeros(1, 2, 2), torch.zeros(1, 2, 3)], r"frame 2 is \(1, 2, 3\)"),
    ],
)
def test_what_cannot_be_saved_is_told(
    name: str, frames: np.ndarray | list[Tensor], said: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=said):
        framegen.save(tmp_path / name, frames)
    assert not list(tmp_path.iterdir())


def test_rates_and_sizes_that_no_player_knows_are_told(tmp_path: Path) -> None:
    for fps in (0, 0.05, 241, float("nan")):
        with pytest.raises(UserError, match="frames a second"):
            framegen.save(tmp_path / "a.mp4", COLORS, fps)
    with pytest.raises(OptionError, match="scale 2000"):
        framegen.save(tmp_path / "a.mp4", COLORS, scale=2000)


def test_a_name_that_ffmpeg_would_obey_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "concat:x").mkdir()
    monkeypatch.chdir(tmp_path)
    write_animation(Path("concat:x") / "a%d.mp4", [np.zeros((16, 16, 3), np.uint8)] * 3, 10)
    assert len(read(tmp_path / "concat:x" / "a%d.mp4")) == 3
