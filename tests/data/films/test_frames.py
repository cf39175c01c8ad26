"""Films of every kind come out upright, evenly spaced, in true colours; what cannot be read says so."""

import os
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image

from framegen.data.films import decoding
from framegen.data.films.facts import probe
from framegen.data.films.frames import read_frames, read_last
from framegen.data.films.prompt import read_prompt
from framegen.machine.errors import UserError
from tests.data.films import encode, numbers, read_with_fault, scene, shades

SIZE = (8, 8)
COLOURS = np.array([[(200, 30, 40), (20, 180, 60)], [(30, 40, 220), (128, 128, 128)]], np.uint8)
PATCHES = np.broadcast_to(COLOURS.repeat(24, 0).repeat(32, 1), (3, 48, 64, 3))


def _numbers(path: Path, count: int, **options: float) -> list[int]:
    return numbers(list(read_frames(path, SIZE, **options)), count)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("ending", ["mp4", "mkv", "avi", "ts", "mov", "webm"])
def test_every_frame_of_an_even_film_comes_once(ending: str, tmp_path: Path) -> None:
    codec = "libvpx" if ending == "webm" else "libx264"
    path = encode(tmp_path / f"a.{ending}", shades(45), 30, codec)
    assert probe(path).fps == pytest.approx(30, rel=1e-3)
    found = np.array(_numbers(path, 45))
    assert len(found) == 45
    assert np.abs(found - np.arange(45)).max() <= 1  # a level of brightness at most


def test_time_stamps_decide_which_frame_is_shown(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    steps = random.choice([0.1, 0.1, 0.1, 0.2, 0.5], 29)
    times = [0.0, *np.cumsum(steps).round(3).tolist()]
    path = encode(tmp_path / "a.mkv", shades(30), times=times)
    assert probe(path).fps == pytest.approx(10, rel=0.01)
    for fps, start in ((10, 0), (10, 1), (5, 0), (20, 0.5)):
        found = _numbers(path, 30, fps=fps, start=start)
        late = 0.025  # stamps are believed to a quarter of a frame
        shown = [
            max(n for n, time in enumerate(times) if time <= start + k / fps + late)
            for k in range(len(found))
        ]
        assert found == shown
        assert len(found) == pytest.approx((times[-1] + 0.1 - start) * fps, abs=1)


def test_stamps_that_do_not_begin_at_zero_or_jump_do_no_harm(tmp_path: Path) -> None:
    late = encode(tmp_path / "late.mkv", shades(6), times=[5 + t / 10 for t in range(6)])
    assert _numbers(late, 6) == list(range(6))
    assert _numbers(late, 6, start=0.2) == [2, 3, 4, 5]
    gap = encode(tmp_path / "gap.mkv", shades(6), times=[0, 0.1, 0.2, 1000.3, 1000.4, 1000.5])
    assert _numbers(gap, 6) == list(range(6))


def test_a_part_is_read_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = encode(tmp_path / "a.mp4", shades(200), 25, options={"g": "10"})
    whole = list(read_frames(path, SIZE))
    decoded = []
    honest = decoding.decodable
    monkeypatch.setattr(
        decoding, "decodable", lambda *given: (decoded.append(1) or frame for frame in honest(*given))
    )
    for start, stop in ((4.0, 5.0), (6.12, 7.0), (7.96, 99.0), (0.04, 0.2)):
        decoded.clear()
        part = list(read_frames(path, SIZE, start=start, stop=stop))
        np.testing.assert_array_equal(part, whole[round(start * 25) : round(stop * 25)])
        assert len(decoded) < len(part) + 25
    decoded.clear()
    np.testing.assert_array_equal(read_last(path, 12, SIZE), whole[-12:])
    assert len(decoded) < 100
    assert list(read_frames(path, SIZE, start=20.0)) == []


def test_a_clip_held_upright_stands_upright(tmp_path: Path) -> None:
    """The matrix of an MP4's track header is written by hand, as a telephone does."""
    upright = COLOURS.repeat(24, 0).repeat(16, 1)  # portrait
    path = tmp_path / "a.mp4"
    for turns, matrix in {3: (0, 1, -1, 0), 1: (0, -1, 1, 0), 2: (-1, 0, 0, -1)}.items():
        # (0, 1, -1, 0) takes what points right to what points down: it turns clockwise.
        stored = np.rot90(upright, -turns)
        encode(path, np.broadcast_to(stored, (3, *stored.shape)), pix_fmt="yuv444p")
        content = bytearray(path.read_bytes())
        place = content.index(b"tkhd") + 44
        a, b, c, d = (int(value * 65536).to_bytes(4, "big", signed=True) for value in matrix)
        content[place : place + 20] = a + b + bytes(4) + c + d
        path.write_bytes(content)
        facts = probe(path)
        assert (facts.width, facts.height) == (32, 48)
        assert facts.notes == (f"turned by {90 * turns} degrees",)
        np.testing.assert_allclose(next(read_frames(path, (2, 2))), COLOURS, atol=4)
        assert next(read_frames(path, None)).shape == (48, 32, 3)
        prompt = read_prompt(path, (3, 2, 2), (0.0, 255.0))  # as a prompt too
        np.testing.assert_allclose(prompt.frames[0].permute(1, 2, 0), COLOURS, atol=4)
        assert f"turned by {90 * turns} degrees" in prompt.notes[0]


KINDS: dict[str, Callable[[Path], object]] = {
    "limited range": lambda path: encode(path, PATCHES),
    "full range": lambda path: encode(path, PATCHES, pix_fmt="yuvj420p", codec="mjpeg", options={"q": "1"}),
    "10 bit": lambda path: encode(path, PATCHES, pix_fmt="yuv420p10le"),
    "4:4:4": lambda path: encode(path, PATCHES, pix_fmt="yuv444p"),
    "rgb": lambda path: encode(path, PATCHES, pix_fmt="bgr0", codec="ffv1"),
    "odd size": lambda path: encode(path, PATCHES[:, 1:, 1:], pix_fmt="yuv420p", codec="ffv1"),
    "bt.709": lambda path: _in_709(path, PATCHES, tagged=True),
    "hd without a tag": lambda path: _in_709(path, PATCHES.repeat(15, 1).repeat(20, 2), tagged=False),
}


def _in_709(path: Path, pictures: np.ndarray, tagged: bool) -> None:
    with av.open(path, "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width, stream.pix_fmt = *pictures.shape[1:3], "yuv420p"
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
            frame.colorspace = 1 if tagged else 2
            stream.codec_context.colorspace = frame.colorspace
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.mark.parametrize("kind", KINDS)
def test_colours_are_true(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    KINDS[kind](path)
    for frame in read_frames(path, (2, 2)):
        # an odd size has no middle: a pixel of the neighbours comes in
        np.testing.assert_allclose(frame, COLOURS, atol=9 if kind == "odd size" else 5)
    grey = next(read_frames(path, (2, 2), channels=1))
    np.testing.assert_allclose(grey[..., 0], COLOURS @ [0.299, 0.587, 0.114], atol=5)


def test_what_is_transparent_in_a_film_lies_on_black(tmp_path: Path) -> None:
    half = np.concatenate([PATCHES, np.full((3, 48, 64, 1), 128, np.uint8)], 3)
    path = encode(tmp_path / "a.mov", half, codec="png", pix_fmt="rgba", source="rgba")
    np.testing.assert_allclose(next(read_frames(path, (2, 2))), COLOURS / 2, atol=3)


def test_of_interlaced_frames_one_field_is_taken(tmp_path: Path) -> None:
    rows = np.zeros((5, 32, 48, 3), np.uint8)
    rows[:, 0::2] = (40 * np.arange(5))[:, None, None, None]
    rows[:, 1::2] = (40 * np.arange(5) + 20)[:, None, None, None]
    path = encode(tmp_path / "a.mkv", rows, options={"crf": "1", "x264-params": "interlaced=1:tff=1"})
    found = [frame.mean() for frame in read_frames(path, SIZE)]
    np.testing.assert_allclose(found, 40 * np.arange(5), atol=3)
    assert "interlaced" in probe(path).notes[0]


def test_pixels_that_are_not_square_are_stretched(tmp_path: Path) -> None:
    aspect = {"sample_aspect_ratio": Fraction(2, 1)}
    path = encode(tmp_path / "a.mkv", PATCHES, settings=aspect)
    assert (probe(path).width, probe(path).height) == (128, 48)
    frame = next(read_frames(path, (2, 4)))  # 4 to 3 of what is 8 to 3: the middle half
    np.testing.assert_allclose(frame, COLOURS.repeat(2, 1), atol=5)


@pytest.mark.parametrize("size", [(2, 2), (4, 4), (16, 40)])
def test_the_middle_is_cut_out_before_it_is_scaled(size: tuple[int, int], tmp_path: Path) -> None:
    """Against averaging the middle of the stored picture."""
    picture = scene(1, 1, (80, 400))[0]
    path = encode(tmp_path / "a.mkv", picture[None], codec="ffv1", pix_fmt="bgr0")
    height, width = size
    kept = 80 * width // height
    middle = picture[:, 200 - kept // 2 : 200 + kept // 2].astype(float)
    mean = middle.reshape(height, 80 // height, width, kept // width, 3).mean((1, 3))
    np.testing.assert_allclose(next(read_frames(path, size)), mean, atol=2)
    Image.fromarray(picture).save(tmp_path / "a.png")
    np.testing.assert_allclose(next(read_frames(tmp_path / "a.png", size)), mean, atol=3)


def test_a_size_that_changes_is_no_matter(tmp_path: Path) -> None:
    one, other = (
        encode(tmp_path / f"{n}.h264", shades(6, size)) for n, size in enumerate([(32, 48), (48, 32)])
    )
    (tmp_path / "c.h264").write_bytes(one.read_bytes() + other.read_bytes())
    frames = list(read_frames(tmp_path / "c.h264", (8, 12)))
    assert numbers(frames, 6) == [*range(6), *range(6)]
    assert "no time stamps" in probe(tmp_path / "c.h264").notes[0]


def test_a_rate_that_no_camera_has_is_not_believed(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", shades(20), times=[t / 10_000 for t in range(20)])
    assert probe(path).fps is None
    assert _numbers(path, 20) == list(range(20))
    assert _numbers(path, 20, fps=10) == list(range(20))


def test_moving_pictures_go_through_the_same_door(tmp_path: Path) -> None:
    pictures = shades(4)
    durations = [100, 100, 300, 100]  # milliseconds
    iio.imwrite(tmp_path / "a.gif", pictures, plugin="pillow", duration=durations, loop=0)
    assert probe(tmp_path / "a.gif").fps == pytest.approx(10)
    assert _numbers(tmp_path / "a.gif", 4) == [0, 1, 2, 2, 2, 3]
    assert _numbers(tmp_path / "a.gif", 4, start=0.3) == [2, 2, 3]
    iio.imwrite(tmp_path / "a.webp", pictures, plugin="pillow", duration=durations, lossless=True)
    assert _numbers(tmp_path / "a.webp", 4) == [0, 1, 2, 2, 2, 3]
    (tmp_path / "folder").mkdir()
    for number in range(12):
        Image.fromarray(shades(12)[number]).save(tmp_path / "folder" / f"frame{number}.png")
    assert _numbers(tmp_path / "folder", 12) == list(range(12))  # frame2 before frame10


def test_a_photograph_is_turned_as_its_camera_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    Image.fromarray(np.rot90(PATCHES[0]).copy()).save(tmp_path / "a.jpg", exif=exif, quality=95)
    np.testing.assert_allclose(next(read_frames(tmp_path / "a.jpg", (2, 2))), COLOURS, atol=6)


def _sound_alone(path: Path) -> None:
    with av.open(path, "w") as container:
        sound = container.add_stream("pcm_s16le", rate=8000)
        assert isinstance(sound, av.AudioStream)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        silence.sample_rate = 8000
        container.mux([*sound.encode(silence), *sound.encode()])


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda _: None, "no such file"),
    "zero bytes": (lambda path: path.write_bytes(b""), "is empty"),
    "text": (lambda path: path.write_text("no film\n" * 100), "is no film"),
    "sound alone": (_sound_alone, "holds no video"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_film_is_named_in_one_line(case: str, tmp_path: Path) -> None:
    write, reason = BAD[case]
    path = tmp_path / "a.mkv"
    write(path)
    for reading in (lambda: probe(path), lambda: list(read_frames(path, SIZE))):
        with pytest.raises(UserError, match=reason) as refused:
            reading()
        assert str(refused.value).startswith(str(path))
        assert "\n" not in str(refused.value)


def test_enormous_frames_are_refused_before_they_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("framegen.data.films.pictures.MAX_PIXELS", 1000)
    encode(tmp_path / "a.mp4", shades(2))
    with pytest.raises(UserError, match="48x32 pixels are enormous"):
        list(read_frames(tmp_path / "a.mp4", SIZE))


def _gif(path: Path, count: int, durations: list[int], **options: object) -> bytes:
    """A GIF whose pictures ask to be shown for so many milliseconds, as bytes."""
    first, *rest = [Image.fromarray(picture) for picture in shades(count)]
    first.save(path, "GIF", save_all=True, append_images=rest, duration=durations, **options)
    return path.read_bytes()


def test_a_short_delay_is_100_ms_picture_by_picture_as_browsers_show_it(tmp_path: Path) -> None:
    _gif(tmp_path / "ten.gif", 6, [10] * 6)
    assert probe(tmp_path / "ten.gif").fps == pytest.approx(10)
    assert len(_numbers(tmp_path / "ten.gif", 6)) == 6
    _gif(tmp_path / "first.gif", 6, [0, 50, 50, 50, 50, 50])
    assert probe(tmp_path / "first.gif").fps == pytest.approx(20)
    assert _numbers(tmp_path / "first.gif", 6) == [0, 0, 1, 2, 3, 4, 5]
    iio.imwrite(tmp_path / "a.webp", shades(6), plugin="pillow", duration=[5] * 6, lossless=True)
    assert probe(tmp_path / "a.webp").fps == pytest.approx(10)


@pytest.mark.parametrize(
    "change",
    [lambda gif: gif, lambda gif: gif + bytes(4096), lambda gif: gif + b"\r\nGIF", lambda gif: gif[:-1]],
    ids=["whole", "padded", "something behind it", "no trailer"],
)
def test_a_gif_is_whole_where_its_last_block_is(change: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    path.write_bytes(change(_gif(path, 6, [100] * 6)))
    assert numbers(list(read_frames(path, SIZE, complete=True)), 6) == list(range(6))


def test_a_gif_that_breaks_off_gives_its_pictures_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    whole = _gif(path, 6, [100] * 6)
    path.write_bytes(whole[: len(whole) - 12])
    frames, said = read_with_fault(path, SIZE)
    assert numbers(frames, 6)[:5] == list(range(5))
    assert said in (
        f"{path}: is truncated: it breaks off behind picture 6",
        f"{path}: is truncated or damaged: 5 of 6 pictures can be read",
    )


LOOPS = [(0, True), (65535, True), (100, True), (3, False), (None, False)]


@pytest.mark.parametrize(("loop", "loops"), LOOPS)
def test_a_gif_that_plays_a_hundred_times_loops(loop: int | None, loops: bool, tmp_path: Path) -> None:
    _gif(tmp_path / "a.gif", 4, [100] * 4, **({} if loop is None else {"loop": loop}))
    assert probe(tmp_path / "a.gif").loops == loops


def test_a_file_is_what_its_first_bytes_say_and_that_is_noted(tmp_path: Path) -> None:
    film = encode(tmp_path / "a.mp4", shades(6)).rename(tmp_path / "film.gif")
    assert _numbers(film, 6) == list(range(6))
    assert probe(film).notes == ("a film, whatever its ending (.gif) says",)
    _gif(tmp_path / "gif.mp4", 6, [100] * 6)
    assert _numbers(tmp_path / "gif.mp4", 6) == list(range(6))
    assert probe(tmp_path / "gif.mp4").notes == ("a GIF picture, whatever its ending (.mp4) says",)
    iio.imwrite(tmp_path / "w.webp", shades(6), plugin="pillow", duration=[100] * 6, lossless=True)
    (tmp_path / "w.webp").rename(tmp_path / "w.gif")
    assert _numbers(tmp_path / "w.gif", 6) == list(range(6))
    assert probe(tmp_path / "w.gif").notes == ("a WEBP picture, whatever its ending (.gif) says",)
    np.savez(tmp_path / "numbers.npz", shades(3))
    (tmp_path / "numbers.npz").rename(tmp_path / "numbers.dat")
    assert len(read_prompt(tmp_path / "numbers.dat", (1, 2, 2), (0.0, 1.0)).frames) == 3
    with pytest.raises(UserError, match="is an array"):
        probe(tmp_path / "numbers.dat")


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_grey_pictures_of_16_bits_are_read(ending: str, tmp_path: Path) -> None:
    levels = np.arange(0, 65536, 1024).astype(np.uint16).reshape(8, 8)
    Image.fromarray(levels).save(tmp_path / f"a.{ending}")
    (frame,) = read_frames(tmp_path / f"a.{ending}", None)
    np.testing.assert_array_equal(frame, (levels >> 8)[..., None].repeat(3, 2))


def test_a_photograph_with_its_thumbnail_is_one(tmp_path: Path) -> None:
    photograph, thumbnail = (Image.fromarray(picture) for picture in shades(2))
    photograph.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[thumbnail])
    assert len(list(read_frames(tmp_path / "a.jpg", SIZE))) == 1
    assert probe(tmp_path / "a.jpg").frames == 1
    assert probe(tmp_path / "a.jpg").notes == ()


def test_no_number_in_a_file_has_a_frame_repeated_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stamp far off is disbelieved; many that are each believed are bounded together."""
    times = [0, 0.1, 0.2, 0.3, 4e6, 4e6 + 0.1, 2e6, 2e6 + 0.1]
    far = encode(tmp_path / "far.mkv", shades(8), times=sorted(times))
    assert len(_numbers(far, 8)) == 8
    monkeypatch.setattr("framegen.data.films.frames.MOST_HELD", 100)
    monkeypatch.setattr("framegen.data.films.frames.MOST_REPEATS", 2)
    held = encode(tmp_path / "held.mkv", shades(9), times=[*(t / 10 for t in range(8)), 200])
    with pytest.raises(UserError, match=r"its time stamps ask for \d+ frames where it holds"):
        _numbers(held, 9)


def test_a_frame_that_is_held_is_shown_for_as_long(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mkv", shades(4), times=[0, 0.1, 45.1, 45.2])
    assert _numbers(path, 4) == [0, *[1] * 450, 2, 3]


def test_stamps_far_from_zero_or_far_apart_are_not_taken_for_a_truncated_film(tmp_path: Path) -> None:
    epoch = encode(tmp_path / "epoch.mkv", shades(40), times=[1.7e6 + t / 10 for t in range(40)])
    assert numbers(list(read_frames(epoch, SIZE, complete=True)), 40) == list(range(40))
    apart = encode(tmp_path / "apart.mkv", shades(30), times=[9.0 * t for t in range(30)])
    assert numbers(list(read_frames(apart, SIZE, complete=True)), 30) == list(range(30))


def test_a_name_that_is_no_utf_8_is_read(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9 \xff.mp4")
    encode(tmp_path / "a.mp4", shades(6)).rename(path)
    assert _numbers(path, 6) == list(range(6))
    read = read_prompt(path, (1, 2, 2), (0.0, 1.0))
    assert len(read.frames) == 6


def test_what_an_apng_shows_where_it_is_not_played_is_no_frame(tmp_path: Path) -> None:
    first, *rest = [Image.fromarray(picture) for picture in shades(7)]
    first.save(tmp_path / "a.png", save_all=True, append_images=rest, duration=100, default_image=True)
    assert probe(tmp_path / "a.png").frames == 6
    assert _numbers(tmp_path / "a.png", 7) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("keep", [0.4, 0.7, 0.97])
def test_of_a_truncated_webp_the_whole_pictures_are_read(keep: float, tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    iio.imwrite(path, scene(0, 20), plugin="pillow", duration=[100] * 20, lossless=True)
    whole = list(read_frames(path, SIZE))
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    frames, said = read_with_fault(path, SIZE)
    assert 20 * keep - 3 < len(frames) < 20
    np.testing.assert_array_equal(frames, whole[: len(frames)])
    assert said == f"{path}: is truncated: it breaks off behind picture {len(frames)}"


def test_of_a_folder_a_picture_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    for number, picture in enumerate(shades(6)):
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
    (tmp_path / "0.png").write_bytes((tmp_path / "0.png").read_bytes()[:60])
    (tmp_path / "3.png").write_bytes(b"")
    frames, said = read_with_fault(tmp_path, SIZE)
    assert numbers(frames, 6) == [1, 2, 4, 5]
    assert said.startswith(f"{tmp_path}: 2 of 6 pictures cannot be read ({tmp_path}/0.png: ")


def test_frames_that_come_too_fast_for_the_films_rate_are_told(tmp_path: Path) -> None:
    times = [*(t / 10 for t in range(70)), *(7 + t / 40 for t in range(60))]
    path = encode(tmp_path / "a.mkv", shades(130), times=times)
    frames, said = read_with_fault(path, SIZE)
    assert len(frames) == pytest.approx(85, abs=1)
    assert re.fullmatch(
        rf"{path}: its rate changes: 4\d of 130 frames come too fast for 10 a second \(--fps keeps more\)",
        said,
    )
    assert len(list(read_frames(path, SIZE, fps=40, complete=True))) == pytest.approx(340, abs=4)
