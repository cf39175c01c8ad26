"""From a film to its continuation in one command."""

import os
import re
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import framegen
from framegen.commands import continuing, training
from framegen.config.config import Config
from framegen.config.film import Film
from framegen.data.clips import to_float
from framegen.data.films.frames import read_frames
from framegen.evaluation import blending
from framegen.machine.errors import OptionError, UserError
from framegen.machine.plugins import command
from framegen.models.blend import Blend
from framegen.models.rollout import generate
from framegen.runs.folder import CONFIG
from framegen.training.engine import TorchEngine
from tests.data.films import encode, scene

Runner = Callable[..., tuple[int, str, str]]
QUICK: dict[str, Any] = {
    **{"epochs": 1, "clips_per_epoch": 8, "num_frames": 8, "context": 4},
    **{"hidden_size": 2, "media_every": 0},
}
SHOTS = [scene(seed, 24, (36, 48)) for seed in range(4)]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four shots of 24 frames, 12 a second."""
    path = tmp_path_factory.mktemp("film") / "my holiday.mp4"
    encode(path, np.concatenate(SHOTS), rate=12)
    return path


@pytest.fixture(scope="module")
def run(film: Path, tmp_path_factory: pytest.TempPathFactory) -> framegen.Run:
    """A model that was trained on the film. Read only."""
    root = tmp_path_factory.mktemp("trained")
    places = {"runs_dir": root / "runs", "data_dir": root / "data", "track": "disabled"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "draw_run", lambda *_: [])
        return framegen.train_on(film, None, 32, show=False, **places, **QUICK)


def test_a_film_is_trained_on_once(film: Path, run: framegen.Run, capsys: pytest.CaptureFixture[str]) -> None:
    data_dir = run.data.file
    assert data_dir is not None
    places = {"runs_dir": run.folder.parent, "data_dir": data_dir.parents[1]}
    again = framegen.train_on([film], None, 32, **places, **QUICK)
    assert again.folder == run.folder
    assert "was trained on this film already" in capsys.readouterr().err
    assert run.folder.name.startswith("my-holiday-")
    assert run.data.frame_shape == (3, 24, 32)


@pytest.mark.usefixtures("undrawn")
def test_a_training_that_was_stopped_goes_on(
    film: Path, run: framegen.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    assert run.data.file is not None
    places: dict[str, Any] = {"runs_dir": tmp_path, "data_dir": run.data.file.parents[1], "track": "disabled"}
    with monkeypatch.context() as patch:
        patch.setattr(framegen.commands.training, "measure", stop)  # pyright: ignore[reportAttributeAccessIssue]
        with pytest.raises(framegen.Interrupted, match="SIGINT; all is saved, and the same command"):
            framegen.train_on(film, None, 32, show=False, **places, **QUICK)
    ended = framegen.train_on(film, None, 32, show=False, **places, **QUICK)
    assert ended.folder.name == run.folder.name
    assert all(
        torch.equal(value, run.model.state_dict()[name]) for name, value in ended.model.state_dict().items()
    )


def test_a_training_that_another_process_began_meanwhile_is_named(
    film: Path, run: framegen.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = training.train

    def second(config: Config, name: str, *more: Any, **options: Any) -> framegen.Run:
        (tmp_path / name).mkdir()
        (tmp_path / name / CONFIG).write_bytes((run.folder / CONFIG).read_bytes())
        return train(config, name, *more, **options)

    monkeypatch.setattr(training, "train", second)
    assert run.data.file is not None
    places: dict[str, Any] = {"runs_dir": tmp_path, "data_dir": run.data.file.parents[1], "track": "disabled"}
    with pytest.raises(UserError, match="another process has meanwhile begun to train on this film"):
        framegen.train_on(film, None, 32, show=False, **places, **QUICK)


def test_it_goes_on_from_the_films_end_or_from_any_time(film: Path, run: framegen.Run) -> None:
    frames = framegen.continue_film(run, film, seconds=0.5)
    assert frames.shape == (6, 3, 24, 32)
    whole = torch.from_numpy(np.stack(list(read_frames(film, (24, 32))))).permute(0, 3, 1, 2) / 255
    torch.testing.assert_close(frames, framegen.continue_film(run, film, seconds=0.5, start=8))
    prompts = {
        start: continuing._prompt(run, film, start, last)[0]
        for start, last in ((None, 5), (4.0, 5), (0.25, 5))
    }
    torch.testing.assert_close(prompts[None], whole[-5:])
    torch.testing.assert_close(prompts[4.0], whole[43:48])
    torch.testing.assert_close(prompts[0.25], whole[:3])
    with pytest.raises(OptionError, match="has no frames before that"):
        framegen.continue_film(run, film, start=0.0)


def test_what_continues_a_film_is_the_blend_that_was_measured(film: Path, run: framegen.Run) -> None:
    found, loop, frames = run.results.blend, run.results.closed_loop, run.data.test_frames
    assert found is not None
    assert loop is not None
    assert frames is not None
    assert isinstance(run.blend, Blend)
    weights = torch.tensor(found.weights)
    assert weights.shape == (14, 6)  # of the validation shot's 23 frames four fifths, less a prompt of 4
    assert weights.min() >= 0
    torch.testing.assert_close(weights.sum(1), torch.ones(14))
    clips = to_float(frames)
    made = framegen.continue_film(run, film, seconds=0.5)
    prompt, *_ = continuing._prompt(run, film, None, None)
    torch.testing.assert_close(made, generate(run.blend, prompt, 6))
    experts = blending.experts(run.model, run.config, run.data, run.references).values()
    alone = torch.stack([generate(each, clips[:, :4], 4) for each in experts])
    blended = torch.einsum("te,entchw->ntchw", weights[:4], alone)
    mse = (blended - clips[:, 4:]).double().square().mean().item()
    assert loop.predictors["blend"]["mse"] == pytest.approx(mse, rel=1e-5)


def test_another_film_goes_on_at_the_rate_of_those_that_were_trained_on(
    run: framegen.Run, tmp_path: Path
) -> None:
    other = encode(tmp_path / "fast.mp4", scene(9, 60, (36, 48)), rate=24)
    at_12 = torch.from_numpy(np.stack(list(read_frames(other, (24, 32), fps=12)))).permute(0, 3, 1, 2) / 255
    assert len(at_12) == 30
    for start in (None, 2.5):
        prompt, rate, _ = continuing._prompt(run, other, start, 5)
        torch.testing.assert_close(prompt, at_12[-5:])
        assert rate == 12


def test_a_prompt_is_cropped_as_clips_are(film: Path, run: framegen.Run) -> None:
    task = run.config.task
    assert isinstance(task, Film)
    cropped = replace(run, config=replace(run.config, task=replace(task, crop=4)))
    whole, *_ = continuing._prompt(run, film, None, 5)
    prompt, *_ = continuing._prompt(cropped, film, None, 5)
    assert prompt.shape[2:] == cropped.data.frame_shape[1:]
    assert torch.equal(prompt, whole[..., 2:-2, 2:-2])


def _gif(path: Path, pictures: np.ndarray, **options: Any) -> Path:
    first, *others = map(Image.fromarray, pictures)
    first.save(path, save_all=True, append_images=others, duration=80, **options)
    return path


def test_a_moving_picture_that_loops_goes_on_looping(
    run: framegen.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A landscape that has gone round once behind its window of 32 pixels, 24 frames for 96 pixels."""
    wide = scene(0, 1, (24, 96))[0]
    round_trip = np.stack([np.roll(wide, -4 * t, 1)[:, :32] for t in range(24)])
    loop = _gif(tmp_path / "loop.gif", round_trip, loop=0)
    prompt, _, loops = continuing._prompt(run, loop, None, None)
    assert loops
    assert len(prompt) == 3 * 23  # 24 frames of 80 ms, at 12 a second
    once = prompt[:23]
    assert torch.equal(prompt, once.repeat(3, 1, 1, 1))
    made = framegen.continue_film(run, loop, seconds=4)
    assert torch.equal(made, once.repeat(3, 1, 1, 1)[:48])
    out = tmp_path / "again.npy"
    framegen.generate(run.folder, prompt=loop, num_frames=48, out=out)
    again = torch.from_numpy(np.load(out))
    assert torch.equal(again[:24], again[24:])
    pictures = torch.from_numpy(round_trip).permute(0, 3, 1, 2) / 255
    assert (again[:24] - pictures).abs().mean() < 0.02  # a GIF has 256 colours
    # Plays once and ends short of its beginning; and begins again in a leap.
    for name, pictures, options in (("once", round_trip[:21], {}), ("cut", round_trip[:12], {"loop": 0})):
        prompt, _, loops = continuing._prompt(
            run, _gif(tmp_path / f"{name}.gif", pictures, **options), None, None
        )
        assert not loops
        assert len(prompt) == QUICK["num_frames"]


@pytest.mark.usefixtures("undrawn")
def test_clips_are_as_short_as_a_short_film_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """30 frames of one shot: 16 are trained on, 5 are for validation, 7 for the test."""
    places: dict[str, Any] = {"runs_dir": tmp_path / "runs", "data_dir": tmp_path / "data"}
    short = encode(tmp_path / "ball.mp4", scene(0, 30, (36, 48)))
    options: dict[str, Any] = {"epochs": 1, "clips_per_epoch": 8, "hidden_size": 2, "media_every": 0}
    trained = framegen.train_on(str(short), None, 32, track="disabled", **places, **options)
    task = trained.config.task
    assert isinstance(task, Film)
    assert (task.num_frames, task.context, trained.config.training.closed_loop) == (5, 2, 2)
    said = "clips have 5 frames, where 20 are usual, and prompts 2: the longest shot of the val split"
    assert said in capsys.readouterr().err
    assert continuing._unseen(trained, 10)[2] == "ball.mp4 from 0:02.3 on"
    with pytest.raises(OptionError, match="--num-frames 20"):
        framegen.train_on(short, None, 32, show=False, num_frames=20, **places)
    for count in (21, 9):
        shorter = encode(tmp_path / f"{count}.mp4", scene(0, count, (36, 48)))
        with pytest.raises(UserError, match=r"longer film \(22 frames of one shot are enough\), or several"):
            framegen.train_on(shorter, None, 32, show=False, **places)


def test_configs_of_one_experiment_have_runs_of_their_own(
    film: Path, run: framegen.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run.data.file is not None
    places: dict[str, Any] = {"runs_dir": tmp_path, "data_dir": run.data.file.parents[1], "show": False}
    names: list[str] = []
    monkeypatch.setattr(training, "train", lambda _, name, *more, **options: names.append(name))  # noqa: ARG005
    wider = framegen.EXPERIMENTS["clips"]
    for config in (wider, replace(wider, training=replace(wider.training, learning_rate=0.1)), wider):
        framegen.train_on(film, None, 32, experiment=config, **places)
    assert names[0] != names[1]
    assert names[0] == names[2]


def test_the_command_writes_clean_frames_and_a_comparison(
    film: Path, run: framegen.Run, framegen: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def train_on(films: object, *options: object, **named: object) -> object:
        asked.update(films=films, options=options, **named)
        return run

    monkeypatch.setattr(continuing, "train_on", train_on)
    out = tmp_path / "on.mp4"
    command = ["continue", film, "--seconds", "1", "--minutes", "2", "--size", "32"]
    command += ["--out", out, "--seed", "3"]
    code, said, err = framegen(*command)
    assert code == 0, err
    assert asked["options"] == (2.0, 32, 3)
    assert asked["seed"] == 3
    shapes = [frame.shape for frame in read_frames(out, None)]
    assert shapes == [(36, 48, 3)] * 12  # the film's own, where the model's is 24 x 32
    assert len(list(read_frames(tmp_path / "on-compare.mp4", None))) == 16  # 4 of the prompt, 12 more
    assert "psnr" in said
    assert f"{tmp_path / 'on-compare.mp4'} (my holiday.mp4 from 0:06.7 on)" in said
    code, _, err = framegen(*command)
    assert code == 2
    assert f"{out}: exists already" in err
    assert framegen(*command, "--force")[0] == 0
    code, _, err = framegen("continue", film, "--out", film, "--force")
    assert (code, "is the prompt itself" in err) == (2, True)


def test_without_a_name_nothing_is_replaced(
    film: Path, run: framegen.Run, framegen: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(continuing, "train_on", lambda *_, **__: run)
    monkeypatch.chdir(tmp_path)
    for number in range(2):
        code, _, err = framegen("continue", film, "--seconds", "0.5", "--start", "0:06")
        assert code == 0, err
        assert ("is there already: this one becomes my holiday-2-continued.mp4" in err) == (number == 1)
    names = ("my holiday-continued", "my holiday-compare", "my holiday-2-continued", "my holiday-2-compare")
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.mp4" for name in names}


MINE = b"the user's own"


@pytest.mark.parametrize("taken", ["my holiday-continued.mp4", "my holiday-compare.mp4"])
def test_a_name_that_is_taken_during_the_training_costs_nobody_a_film(
    taken: str,
    film: Path,
    run: framegen.Run,
    framegen: Runner,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def train_on(*_: object, on_start: Callable[[object], object], **__: object) -> object:
        on_start(run)
        assert len(list(read_frames(Path("my holiday-continued.mp4"), None))) == 6
        Path(taken).write_bytes(MINE)
        Path("my holiday-2-compare.mp4").write_bytes(MINE)
        return run

    monkeypatch.setattr(continuing, "train_on", train_on)
    monkeypatch.chdir(tmp_path)
    code, said, err = framegen("continue", film, "--seconds", "0.5")
    assert (code, f"{taken}" in err) == (0, True)
    made = {f"my holiday-3-{kind}.mp4" for kind in ("continued", "compare")}
    assert {path.name for path in tmp_path.iterdir()} == {taken, "my holiday-2-compare.mp4", *made}
    assert (tmp_path / taken).read_bytes() == (tmp_path / "my holiday-2-compare.mp4").read_bytes() == MINE
    assert all(name in said and len(list(read_frames(Path(name), None))) >= 6 for name in made)


def _interrupted(number: int, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """SIGINT in the step of this number; what stands at the result's name in each step."""
    take, seen = TorchEngine.run, []

    def run(engine: TorchEngine, order: Tensor, rates: Sequence[float]) -> tuple[Tensor, Tensor]:
        seen.append(Path("my holiday-continued.mp4").read_bytes())
        if len(seen) == number:
            os.kill(os.getpid(), signal.SIGINT)
        return take(engine, order, rates)

    monkeypatch.setattr(TorchEngine, "run", run)
    return seen


@pytest.mark.usefixtures("undrawn")
def test_an_untrained_film_stands_until_one_signal_ends_the_training(
    film: Path,
    run: framegen.Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The second of four steps is the last; what is best by then is measured and written."""
    monkeypatch.chdir(tmp_path)
    seen = _interrupted(2, monkeypatch)
    assert run.data.file is not None
    options = {**QUICK, "epochs": 4, "data_dir": run.data.file.parents[1], "track": "disabled"}
    made = framegen.continue_films(film, 0.5, None, 32, **options)
    assert len(made.run.metrics().steps) == len(seen) == 2
    said = capsys.readouterr().err
    assert said.index("my holiday-continued.mp4: how it goes on, untrained") < said.index("training with")
    assert "told to stop: the training ends after 2 steps; the best weights so far" in said
    (untrained := tmp_path / "untrained.mp4").write_bytes(seen[0])
    early, late = (np.stack(list(read_frames(path, None))) for path in (untrained, made.continued))
    assert len(early) == len(late) == 6
    assert not np.array_equal(early, late)  # the blend is fitted at the end
    assert made.compared.exists()


@pytest.mark.usefixtures("undrawn")
def test_a_second_signal_stops_and_the_same_command_goes_on(
    film: Path, run: framegen.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _interrupted(1, monkeypatch)
    assert run.data.file is not None
    places: dict[str, Any] = {"data_dir": run.data.file.parents[1], "track": "disabled", "show": False}
    options: dict[str, Any] = {**places, **QUICK, "epochs": 4, "out": Path("my holiday-continued.mp4")}
    with monkeypatch.context() as patch:
        patch.setattr(training, "measure", lambda *_: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(framegen.Interrupted, match="SIGINT; all is saved, and the same command"):
            framegen.continue_films(film, 0.5, None, 32, **options)
    assert {path.name for path in tmp_path.iterdir()} == {"runs"}  # the name is free again
    made = framegen.continue_films(film, 0.5, None, 32, **options)
    assert len(made.run.metrics().steps) == 1
    assert made.continued == options["out"]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, UserError("the disk is full")])
def test_the_untrained_film_stays_where_nothing_could_be_resumed(
    failure: BaseException, film: Path, run: framegen.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as while a step is timed; else the same command finds its name free."""

    def train_on(*_: object, on_start: Callable[[object], object], **__: object) -> None:
        on_start(run)
        raise failure

    monkeypatch.setattr(continuing, "train_on", train_on)
    out = tmp_path / "on.mp4"
    with pytest.raises((KeyboardInterrupt, UserError)):
        framegen.continue_films(film, 0.5, out=out)
    assert out.exists() == (failure is KeyboardInterrupt)


@pytest.mark.parametrize(("out", "compared"), [("on.mp4", "on-compare.mp4"), ("on", "on-compare.mp4")])
@pytest.mark.parametrize("force", [False, True])
def test_a_file_named_by_the_user_that_appears_during_the_training_stays(
    out: str,
    compared: str,
    force: bool,
    film: Path,
    run: framegen.Run,
    framegen: Runner,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def train_on(*_: object, on_start: Callable[[object], object], **__: object) -> object:
        on_start(run)
        (tmp_path / compared).write_bytes(MINE)
        return run

    monkeypatch.setattr(continuing, "train_on", train_on)
    more = ["--force"] if force else []
    code, _, err = framegen("continue", film, "--seconds", "0.5", "--out", tmp_path / out, *more)
    again = out.replace("on", "on-2")
    kept = {again, "on-2-compare.mp4"} if not force else {out}
    assert {path.name for path in tmp_path.iterdir()} == kept | {compared}
    assert ((tmp_path / compared).read_bytes() == MINE) == (not force)
    assert code == (0 if force else 1)
    assert force or err.endswith(
        f"{tmp_path / compared} is there by now, and stays; "
        f"what was made here is {tmp_path / again} and {tmp_path / 'on-2-compare.mp4'}\n"
    )


@pytest.mark.parametrize("behind", [1, 3])
def test_a_last_shot_too_short_to_go_on_from_is_said(
    behind: int, run: framegen.Run, framegen: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(continuing, "train_on", lambda *_, **__: run)
    film = encode(tmp_path / "cut.mp4", np.concatenate([SHOTS[0], 255 - SHOTS[1][:behind]]), rate=12)
    said = (
        f"sees {behind} frame{'s' * (behind > 1)} behind a cut, too few to know what moves; --start 2.00 goes"
    )
    code, _, err = framegen("continue", film, "--seconds", "0.5", "--out", tmp_path / "one.mp4")
    assert code == 0, err
    assert said in err
    code, _, err = framegen(
        "continue", film, "--seconds", "0.5", "--start", "2.00", "--out", tmp_path / "on.mp4"
    )
    assert code == 0, err
    assert "behind a cut" not in err


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--seconds", "0"], "--seconds 0"),
        (["--last", "0"], "--last 0"),
        (["--last", "9" * 30], "--last 99"),
        (["--start", "noon"], "--start noon"),
        (["--start", "0"], "--start 0"),
        (["--start", "0:09"], "lasts 8 s"),
        (["--experiment", "clps"], "did you mean clips?"),
        (["--size", "63"], "--size 63"),
        (["--size", "8"], "--size 20 is the least for"),
        (["--out", "on.doc"], "on.doc"),
        (["--out", "."], "--out ."),
        (["--minutes", "0"], "--minutes 0"),
    ],
)
def test_what_cannot_be_is_named_before_anything_is_trained(
    options: list[str], named: str, film: Path, framegen: Runner, tmp_path: Path
) -> None:
    places = ["--runs-dir", tmp_path / "runs", "--data-dir", tmp_path / "data"]
    code, _, err = framegen("continue", film, *places, *options)
    assert code == 2
    assert named in err
    assert not (tmp_path / "runs").exists()


def test_times_are_read_as_players_show_them() -> None:
    assert [continuing.seconds_of(text) for text in ("12.5", "0:12", "1:02:03")] == [12.5, 12.0, 3723.0]


def test_one_film_needs_no_list(
    film: Path, run: framegen.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(continuing, "train_on", lambda *_, **__: run)
    monkeypatch.chdir(tmp_path)
    made = framegen.continue_films(str(film), seconds=0.25)
    assert made.continued == Path("my holiday-continued.mp4")


@pytest.mark.parametrize("option", ["--size=32", "--channels", "--fps"])
def test_options_of_an_import_need_a_film(option: str, framegen: Runner, tmp_path: Path) -> None:
    words = [option] if "=" in option else [option, "3"]
    code, _, err = framegen("train", "clips", "--dataset", "mine", *words, "--runs-dir", tmp_path)
    assert code == 2
    assert f"{option.split('=')[0]}: is for films that are imported; name some" in err


def test_train_takes_films_by_their_names_and_no_runs(
    framegen: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    encode(tmp_path / "ball.mp4", scene(0, 30, (36, 48)))
    options = ["--size", "32", "--epochs", "1", "--clips-per-epoch", "8", "--hidden-size", "2"]
    options += ["--media-every", "0"]
    code, said, err = framegen("train", "ball.mp4", *options, "--name", "mine")
    assert code == 0, err
    assert "clips have 5 frames, where 20 are usual" in err
    assert (tmp_path / "runs" / "mine" / "generated.gif").exists()
    assert "this model" in said
    code, _, err = framegen("train", "ball.mp4", *options, "--num-frames", "20")
    assert (code, "--num-frames 20" in err) == (2, True)
    for words in (["train"], ["continue"], ["data", "import", "--name", "x"], ["data", "show"]):
        for folder in ("runs/mine", "runs"):
            code, _, err = framegen(*words, folder)
            way_out = f"{command('train', '--resume', 'runs/mine')} goes on with it"
            assert (code, err) == (2, f"framegen: runs/mine: is a run, not films; {way_out}\n")


def test_without_a_film_it_says_what_it_needs(framegen: Runner) -> None:
    code, _, err = framegen("continue")
    assert code == 2
    assert "name a film" in err


@pytest.mark.parametrize(
    ("name", "out", "reason"),
    [
        (f"{'a' * 245}.mp4", None, "has a name of more than 255 bytes; --out gives it a shorter one"),
        ("a.mp4", f"{'é' * 126}.mp4", "has a name of more than 255 bytes"),
        ("a.mp4", "a.mp4/b.mp4", "cannot be written: .*a.mp4 is no folder that can be written to"),
    ],
)
def test_where_a_result_cannot_be_written_nothing_is_trained(
    name: str, out: str | None, reason: str, framegen: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(continuing, "train_on", lambda *_, **__: pytest.fail("it was trained"))
    monkeypatch.chdir(tmp_path)
    encode(Path("film.mp4"), SHOTS[0]).rename(name)
    code, _, err = framegen("continue", name, *(["--out", out] if out else []))
    assert code == 2
    assert re.search(reason, err)
    assert len(err.splitlines()) == 1
