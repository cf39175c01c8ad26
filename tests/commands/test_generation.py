import json
import shutil
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import av
import imageio.v3 as iio
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from framegen.commands import generation
from framegen.commands.generation import generate as continue_prompt
from framegen.commands.training import train
from framegen.config.models import Recurrent
from framegen.config.tasks import Sine
from framegen.config.training import Training
from framegen.machine.errors import OptionError, UserError
from framegen.models import build
from framegen.models.baselines import CopyLast
from framegen.models.rollout import generate, rollout
from framegen.report.continuation import ENDINGS
from framegen.report.figures import strips
from framegen.report.save import save
from framegen.runs import checkpoint
from framegen.runs.run import load

Runner = Callable[..., tuple[int, str, str]]


@torch.inference_mode()
def test_a_rollout_is_the_contract_applied_by_hand() -> None:
    model, prompt = build(Recurrent("gru", 3), (1, 2, 2), 0), torch.rand(2, 4, 1, 2, 2)
    seen = prompt
    for _ in range(6):
        seen = torch.cat([seen, model(seen)[0][:, -1:]], 1)
    torch.testing.assert_close(generate(model, prompt, 6), seen[:, 4:], atol=1e-6, rtol=0)
    torch.testing.assert_close(generate(model, prompt[0], 6), seen[0, 4:], atol=1e-6, rtol=0)


def test_exactly_as_many_frames_as_asked_for() -> None:
    assert len(list(rollout(CopyLast(), torch.rand(1, 2, 1, 2, 2), 1))) == 1
    assert generate(CopyLast(), torch.rand(3, 1, 2, 2), 7).shape == (7, 1, 2, 2)


def test_memory_does_not_grow_with_the_length() -> None:
    model = build(Recurrent(), (1, 2, 2), 0)

    def peak(num_frames: int) -> int:
        tracemalloc.start()
        for _ in rollout(model, torch.rand(1, 2, 1, 2, 2), num_frames):
            pass
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(10)
    assert peak(3000) < 2 * peak(100) + 50_000


def test_an_array_holds_the_models_own_numbers(framegen: Runner, small_run: Path, tmp_path: Path) -> None:
    code, out, _ = framegen(
        "generate", small_run, "--num-frames", 30, "--out", tmp_path / "a.npy", "--clip", 2
    )
    assert code == 0
    assert out.strip() == str(tmp_path / "a.npy")
    frames = np.load(tmp_path / "a.npy")
    assert frames.dtype == np.float32
    assert frames.shape == (30, 1, 2, 2)
    saved = checkpoint.load(small_run)
    from framegen.data.loading import load_data

    data = load_data(saved.config.task, small_run.parent.parent / "data")
    assert data.test_frames is not None
    prompt = data.test_frames[2, :10].float() / 255
    with torch.inference_mode():
        torch.testing.assert_close(torch.from_numpy(frames), generate(saved.models[0], prompt, 30))


@pytest.mark.parametrize("frames", [1, 10_000])
def test_any_length_can_be_written(frames: int, small_run: Path, tmp_path: Path) -> None:
    assert len(np.load(continue_prompt(small_run, frames, tmp_path / "a.npy"))) == frames


def _gif(path: Path) -> np.ndarray:
    return np.stack(list(iio.imiter(path, plugin="pillow", mode="RGB")))


def test_a_gif_keeps_every_frame_and_tells_prompt_from_generated(small_run: Path, tmp_path: Path) -> None:
    pictures = _gif(continue_prompt(small_run, 33, tmp_path / "a.gif"))
    assert len(pictures) == 10 + 33
    blue, red = np.array([0x00, 0x72, 0xB2]), np.array([0xD5, 0x5E, 0x00])

    def has(picture: np.ndarray, color: np.ndarray) -> bool:
        return bool((np.abs(picture.astype(int) - color).sum(-1) < 60).mean() > 0.01)

    assert [has(picture, blue) for picture in pictures[:10]] == [True] * 10
    assert all(has(picture, red) for picture in pictures[10:])
    assert not has(pictures[3], red)
    with Image.open(tmp_path / "a.gif") as image:
        assert image.info["duration"] == 100
    continue_prompt(small_run, 5, tmp_path / "b.gif", fps=25)
    with Image.open(tmp_path / "b.gif") as image:
        assert image.info["duration"] == 40


def test_2x2_pixels_become_a_visible_picture_with_the_models_levels(small_run: Path, tmp_path: Path) -> None:
    """The enlarged panel shows the four numbers as four even squares."""
    prompt = np.array([[[10, 200], [90, 250]]], np.uint8)
    np.save(tmp_path / "p.npy", prompt)
    picture = _gif(continue_prompt(small_run, 1, tmp_path / "a.gif", prompt=tmp_path / "p.npy"))[0]
    for level in (10, 200, 90, 250):
        assert (
            80 * 80 <= ((picture == level).all(-1)).sum() < 80 * 80 + 50
        )  # some edges of letters have that level too


def test_an_mp4_and_a_film_strip(small_run: Path, tmp_path: Path) -> None:
    video = iio.imread(continue_prompt(small_run, 12, tmp_path / "a.mp4", fps=12), plugin="pyav")
    assert len(video) == 22
    assert iio.immeta(tmp_path / "a.mp4", plugin="pyav")["fps"] == 12
    strip = iio.imread(continue_prompt(small_run, 100, tmp_path / "a.png"))
    assert strip.shape[1] > 2 * strip.shape[0] > 200


def test_context_decides_what_the_model_sees(small_run: Path, tmp_path: Path) -> None:
    few, many = (np.load(continue_prompt(small_run, 5, tmp_path / f"{n}.npy", context=n)) for n in (2, 20))
    assert not np.array_equal(few, many)
    other = np.load(continue_prompt(small_run, 5, tmp_path / "c.npy", clip=3, context=2))
    assert not np.array_equal(few, other)


def test_a_longer_prompt_file_leaves_the_truth_over(small_run: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.random.default_rng(0).integers(0, 255, (30, 2, 2), np.uint8))
    with_truth = _gif(
        continue_prompt(small_run, 5, tmp_path / "a.gif", prompt=tmp_path / "p.npy", context=20)
    )
    without = _gif(continue_prompt(small_run, 5, tmp_path / "b.gif", prompt=tmp_path / "p.npy"))
    assert with_truth.shape[2] > without.shape[2]
    assert (len(with_truth), len(without)) == (25, 25)  # of the prompt the last 20 frames


def test_a_checkpoint_alone_continues_a_file(small_run: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.full((4, 2, 2), 0.5))
    alone = shutil.copy(small_run / "checkpoint.safetensors", tmp_path / "model.safetensors")
    ours, theirs = (
        continue_prompt(run, 6, tmp_path / f"{i}.npy", tmp_path / "p.npy")
        for i, run in enumerate((Path(alone), small_run))
    )
    assert np.array_equal(np.load(ours), np.load(theirs))


def test_what_was_generated_can_be_a_prompt(framegen: Runner, small_run: Path, tmp_path: Path) -> None:
    for first, second in (("a.npy", "b.npy"), ("a.gif", "b.mp4"), ("a.mp4", "b.gif")):
        assert framegen("generate", small_run, "--num-frames", 4, "--out", tmp_path / first)[0] == 0
        assert (
            framegen(
                "generate",
                small_run,
                "--num-frames",
                4,
                "--out",
                tmp_path / second,
                "--prompt",
                tmp_path / first,
            )[0]
            == 0
        )


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--num-frames", 0, "--out", "a.gif"), "--num-frames 0"),
        (("--num-frames", 5, "--out", "a.avi"), "--out"),
        (("--num-frames", 5, "--out", "a.b"), "--out a.b"),
        (
            ("--num-frames", 5, "--seconds", 1, "--out", "a.gif"),
            "--seconds 1: cannot be combined with --num-frames 5",
        ),
        (("--seconds", 0.01, "--out", "a.gif"), "--seconds 0.01"),
        (("--seconds", "nan", "--out", "a.gif"), "--seconds nan"),
        (("--look", "clean", "--out", "a.png"), "--look clean"),
        (("--scale", 2, "--out", "a.npy"), "--scale 2"),
        (("--scale", 0, "--out", "a.gif"), "--scale 0"),
        (("--scale", 9999, "--look", "clean", "--out", "a.gif"), "--scale 9999"),
        (("--fps", 241, "--out", "a.mp4"), "--fps 241"),
        (("--num-frames", 5, "--out", "a.gif", "--context", 0), "--context 0"),
        (("--num-frames", 5, "--out", "a.gif", "--context", 99), "--context 99"),
        (
            ("--num-frames", 5, "--out", "a.gif", "--context", 10_001),
            "--context 10001: must lie between 1 and 10000",
        ),
        (("--num-frames", 5, "--out", "a.gif", "--clip", 8), "--clip 8"),
        (
            ("--num-frames", 5, "--out", "a.gif", "--clip", 0, "--prompt", "p.gif"),
            "--clip 0: is given beside",
        ),
        (("--num-frames", 5, "--out", "a.gif", "--fps", 0), "--fps 0"),
    ],
)
def test_impossible_requests(
    framegen: Runner, small_run: Path, arguments: tuple[object, ...], named: str
) -> None:
    code, out, err = framegen("generate", small_run, *map(str, arguments))
    assert (code, out) == (2, "")
    assert err.startswith(f"framegen: {named}")
    assert len(err.splitlines()) == 1
    assert not Path("a.gif").exists()


def test_a_lagged_value_cannot_be_rolled_out(tmp_path: Path, framegen: Runner) -> None:
    from framegen.config.config import Config

    config = Config(
        Sine(num_windows=3, num_val_windows=1, num_test_windows=1),
        Recurrent(),
        Training(epochs=1, batch_size=1),
        "sine-lag",
    )
    places = tmp_path / "runs", tmp_path / "data"
    run = train(config, "lag", "disabled", *places, show=False, draw=False).folder
    assert json.loads((run / "results.json").read_text())["closed_loop"] is None
    code, _, err = framegen("generate", run, "--num-frames", "5", "--out", tmp_path / "a.gif")
    assert code == 1
    assert "not the next frame" in err


def test_a_sine_runs_on_as_a_line(tmp_path: Path) -> None:
    from framegen.config.config import Config

    config = Config(
        Sine(lag=-1, num_windows=5, num_val_windows=1, num_test_windows=1),
        Recurrent(),
        Training(epochs=1, batch_size=1),
        "sine-next",
    )
    places = tmp_path / "runs", tmp_path / "data"
    run = train(config, "next", "disabled", *places, show=False, draw=False).folder
    picture = iio.imread(continue_prompt(run, 50, tmp_path / "a.png"))
    assert picture.shape[1] > 700


def test_a_folder_that_cannot_be_written_is_named(framegen: Runner, small_run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = framegen("generate", small_run, "--num-frames", 5, "--out", tmp_path / "file" / "a.gif")
    assert code == 2
    assert str(tmp_path / "file" / "a.gif") in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(("option", "value"), [("device", "gpu"), ("look", "clear")])
def test_what_is_no_choice_is_refused_in_python_too(
    option: str, value: str, small_run: Path, tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match=f"--{option} '?{value}'?: "):
        continue_prompt(small_run, 2, tmp_path / "a.npy", **{option: value})  # pyright: ignore[reportArgumentType]
    assert not (tmp_path / "a.npy").exists()


def test_the_device_option_is_used(framegen: Runner, small_run: Path, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one here")
    code, _, err = framegen(
        "generate", small_run, "--num-frames", 5, "--out", tmp_path / "a.npy", "--device", "cuda"
    )
    assert code == 2
    assert "--device cuda" in err


def test_options_are_checked_by_the_function_too(small_run: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--num-frames"):
        continue_prompt(small_run, -1, tmp_path / "a.gif")


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("name", [f"o{ending}" for ending in ENDINGS])
def test_what_appears_while_it_is_generated_is_kept(
    name: str,
    force: bool,
    framegen: Runner,
    small_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / name
    there = out if out.suffix else out / "frame-000001.png"

    def counted(frames: Iterable[Tensor], *_: object) -> Iterator[Tensor]:
        there.parent.mkdir(exist_ok=True)
        there.write_bytes(b"mine")
        yield from frames

    monkeypatch.setattr(generation, "counted", counted)
    more = ["--force"] if force else []
    code, said, err = framegen("generate", small_run, "--num-frames", 3, "--out", out, *more)
    other = out.with_stem("o-2")
    assert {path.name for path in tmp_path.iterdir()} == {name} if force else {name, other.name}
    assert (there.exists() and there.read_bytes() == b"mine") == (not force)
    if force:
        assert (code, said) == (0, f"{out}\n")
    else:
        assert code == 1
        assert err.endswith(f"framegen: {out}: is there by now, and stays; what was made here is {other}\n")


@pytest.mark.parametrize("out", [".", "..", "/"])
def test_a_folder_without_a_name_of_its_own_is_refused(
    out: str, framegen: Runner, small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = framegen("generate", small_run, "--out", out)
    assert (code, err) == (
        2,
        f"framegen: --out {out}: is a folder that is there; name a file, or a new folder\n",
    )
    with pytest.raises(UserError, match="is a folder that is there"):
        save(out, torch.zeros(2, 1, 2, 2))


def test_a_file_that_is_there_is_kept(framegen: Runner, small_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "precious.gif"
    out.write_text("precious")
    code, _, err = framegen("generate", small_run, "--num-frames", "3", "--out", out)
    assert code == 2
    assert "--force" in err
    assert out.read_text() == "precious"
    assert framegen("generate", small_run, "--num-frames", "3", "--out", out, "--force")[0] == 0
    assert out.read_bytes().startswith(b"GIF")


@pytest.mark.parametrize("name", ["x" * 251 + ".gif", "x" * 255])
def test_the_longest_name_that_a_disk_takes_is_written(name: str, small_run: Path, tmp_path: Path) -> None:
    assert continue_prompt(small_run, 1, tmp_path / name, context=2, look="clean").exists()
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("link", [False, True], ids=["file", "link"])
def test_a_prompt_is_never_written_onto(
    link: bool, framegen: Runner, small_run: Path, tmp_path: Path
) -> None:
    prompt = tmp_path / "film.gif"
    assert framegen("generate", small_run, "--num-frames", "3", "--out", prompt)[0] == 0
    before = prompt.read_bytes()
    out = tmp_path / "other.gif" if link else prompt
    if link:
        out.symlink_to(prompt)
    code, _, err = framegen("generate", small_run, "--prompt", prompt, "--out", out, "--force")
    assert code == 2
    assert "is the prompt itself" in err
    assert prompt.read_bytes() == before


def test_a_picture_in_a_prompts_folder_is_never_written_onto(
    framegen: Runner, small_run: Path, tmp_path: Path
) -> None:
    for number in range(3):
        iio.imwrite(tmp_path / f"{number}.png", np.full((2, 2, 3), 80 * number, np.uint8))
    before = (tmp_path / "1.png").read_bytes()
    code, _, err = framegen(
        "generate", small_run, "--prompt", tmp_path, "--out", tmp_path / "1.png", "--force"
    )
    assert code == 2
    assert "is the prompt itself" in err
    assert (tmp_path / "1.png").read_bytes() == before


def test_a_video_in_the_runs_place_is_told_its_own(framegen: Runner, tmp_path: Path) -> None:
    (tmp_path / "one.mp4").write_bytes(b"film")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.png").write_bytes(b"picture")
    for given in ("one.mp4", "folder"):
        code, _, err = framegen("generate", tmp_path / given, "--out", tmp_path / "q.gif")
        assert code == 2
        assert "the run comes first, the video after --prompt" in err


def test_frames_of_a_long_prompt_are_numbered_truly() -> None:
    blank = np.zeros((4, 4, 3), np.uint8)
    figure = strips.film_strip({"generated": [blank] * 3}, [18, 19, 20], 20, first=230)
    said = [text.get_text() for text in figure.axes[0].texts]
    assert said == ["generated", "249", "250", "251"]


def test_generate_says_what_it_read(framegen: Runner, small_run: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.zeros((9, 6, 4), np.uint8))
    code, out, err = framegen(
        "generate", small_run, "--prompt", tmp_path / "p.npy", "--out", tmp_path / "a.npy"
    )
    assert (code, out) == (0, f"{tmp_path / 'a.npy'}\n")
    assert err == f"read {tmp_path / 'p.npy'}: 9 frames of 4x6; cut to the middle 4x4, scaled to 2x2\n"
    assert len(np.load(tmp_path / "a.npy")) == 40  # the default


def test_text_serves_as_a_path(small_run: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.zeros((4, 2, 2)))
    out = continue_prompt(str(small_run), 3, str(tmp_path / "a.npy"), str(tmp_path / "p.npy"))
    assert len(np.load(out)) == 3


def test_a_task_whose_optimum_is_not_known_has_no_such_row(
    small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = _gif(continue_prompt(small_run, 3, tmp_path / "a.gif"))
    monkeypatch.setattr(generation, "optimal_predictor", lambda *_: None)
    unknown = _gif(continue_prompt(small_run, 3, tmp_path / "b.gif"))
    assert len(known) == len(unknown)
    assert known.shape[2] - unknown.shape[2] > 100


def test_a_film_is_continued_at_its_own_rate(framegen: Runner, small_run: Path, tmp_path: Path) -> None:
    prompt = save(tmp_path / "p.mp4", torch.rand(6, 1, 4, 4), 24)
    for name, arguments, rate, frames in (
        ("a.mp4", ("--seconds", "0.5"), 24, 12),
        ("b.webm", ("--seconds", "2", "--fps", "8"), 8, 16),
        ("c.mp4", ("--num-frames", "3"), 24, 3),
    ):
        out = tmp_path / name
        where = ("--prompt", prompt, "--look", "clean", "--out", out)
        assert framegen("generate", small_run, *where, *arguments)[0] == 0
        with av.open(out) as film:
            stream = film.streams.video[0]
            assert (stream.average_rate, stream.width, stream.height) == (rate, 256, 256)
            assert len(list(film.decode(stream))) == frames


def test_clean_frames_are_the_models_numbers(small_run: Path, tmp_path: Path) -> None:
    numbers = np.load(continue_prompt(small_run, 5, tmp_path / "a.npy"))
    folder = continue_prompt(small_run, 5, tmp_path / "frames", look="clean", scale=3)
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == [f"frame-{number:06}.png" for number in range(11, 16)]
    shown = np.stack([iio.imread(file) for file in files])
    assert shown.shape == (5, 6, 6, 3)
    levels = (numbers[:, 0] * 255).clip(0, 255).round()
    np.testing.assert_array_equal(shown[:, 1::3, 1::3, 0], levels)


def test_a_comparison_shows_the_error_where_the_truth_is_known(small_run: Path, tmp_path: Path) -> None:
    both = _gif(continue_prompt(small_run, 4, tmp_path / "a.gif"))
    number = np.load(continue_prompt(small_run, 4, tmp_path / "a.npy"))
    truth = load(small_run).data.test_frames
    assert truth is not None
    left, top = strips.MARGIN + 2 * (strips.PANEL + strips.MARGIN), strips.HEADER + strips.ABOVE
    shown = both[10:, top + 40 : top + 160 : 80, left + 40 : left + 160 : 80, 0]
    expected = np.abs(truth[0, 10:14, 0].numpy() - number[:, 0] * 255)
    np.testing.assert_allclose(shown, expected, atol=1.5)


def test_a_folder_of_frames_is_kept_and_never_the_prompts(
    framegen: Runner, small_run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "frames"
    ask = ("generate", small_run, "--num-frames", "2", "--out", out)
    assert framegen(*ask)[0] == 0
    code, _, err = framegen(*ask)
    assert (code, "--force" in err) == (2, True)
    assert framegen(*ask, "--force")[0] == 0
    for prompt in (out, out / "frame-000011.png"):
        code, _, err = framegen(*ask, "--force", "--prompt", prompt)
        assert code == 2
        assert "is the prompt itself" in err
    assert len(list(out.iterdir())) == 12
    (out / "notes.txt").write_text("precious")
    assert framegen(*ask, "--force")[0] == 2
    assert (out / "notes.txt").read_text() == "precious"
