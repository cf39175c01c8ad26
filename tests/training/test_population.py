"""Populations: many seeds in one run, each as if it had been trained alone."""

import json
import math
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from framegen.commands import training
from framegen.config.config import Config
from framegen.config.experiments import values_of
from framegen.config.models import ConvRecurrent, Model, Recurrent
from framegen.config.options import TrainFilms
from framegen.config.reading import Asked, parse_train, read_train
from framegen.config.training import Engine
from framegen.data.clips import Clips
from framegen.evaluation.results import read_results
from framegen.machine.errors import OptionError, UserError
from framegen.models import build
from framegen.models.predictor import Predictor
from framegen.runs import checkpoint
from framegen.runs.metrics import read_metrics
from framegen.training import loop
from tests.conftest import SMALL, SMALL_CONFIG, needs_compiler, rows_of, smallest
from tests.training.test_training import STREAM

Runner = Callable[..., tuple[int, str, str]]
SEEDS = (4, 0, 7)
SIX = Recurrent("tanh", 6)
TINY = replace(
    SMALL_CONFIG, task=replace(SMALL, num_clips=20, num_val_clips=2, num_test_clips=2, num_frames=12)
)
ENGINES = ["torch", pytest.param("fused", marks=needs_compiler)]


def _train(config: Config, folder: Path, name: str, engine: Engine = "torch", draw: bool = False) -> Path:
    config = replace(config, training=replace(config.training, engine=engine))
    return training.train(
        config, name, "disabled", folder / "runs", folder / "data", show=False, draw=draw
    ).folder


@pytest.fixture(scope="session")  # tests of one file may be run apart, and the run has a name
def population(places: tuple[Path, Path]) -> Path:
    """A finished run of three seeds. Read only."""
    return _train(replace(SMALL_CONFIG, seeds=SEEDS), places[0].parent, "population", draw=True)


def _weights(run: Path, seed: int) -> list[torch.Tensor]:
    return list(checkpoint.load(run).models[seed].parameters())


def _same(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("config", [TINY, STREAM], ids=["clips", "stream"])
def test_each_member_is_bit_equal_to_its_seed_trained_alone(
    config: Config, engine: Engine, tmp_path: Path
) -> None:
    config = replace(config, model=SIX)
    together = _train(replace(config, seeds=SEEDS), tmp_path, "together", engine)
    rows = []
    for seed in SEEDS:
        alone = _train(
            replace(config, training=replace(config.training, seed=seed)), tmp_path, f"alone-{seed}", engine
        )
        assert _same(_weights(together, seed), _weights(alone, seed))
        rows.append(rows_of(alone))
    for row, *own in zip(rows_of(together), *rows, strict=True):
        for name in {"train/loss", "train/grad_norm", "val/mse", "val/skill"} & row.keys():
            values = [each[name] for each in own]
            assert row[name] == pytest.approx(statistics.fmean(values), rel=1e-5)
            assert row[f"{name}_sd"] == pytest.approx(statistics.stdev(values), rel=1e-3)
            assert (row[f"{name}_min"], row[f"{name}_max"]) == pytest.approx(
                (min(values), max(values)), rel=1e-6
            )


@pytest.mark.parametrize(
    ("config", "model", "engine"),
    [
        (TINY, SIX, "torch"),
        (STREAM, SIX, "torch"),
        pytest.param(TINY, SIX, "fused", marks=needs_compiler),
        pytest.param(STREAM, SIX, "fused", marks=needs_compiler),
        (TINY, ConvRecurrent("predrnn", 3, 2, 3, 1, "motion"), "torch"),
        (TINY, replace(SIX, density=2), "torch"),
    ],
    ids=["clips-torch", "stream-torch", "clips-fused", "stream-fused", "predrnn", "density"],
)
def test_killed_and_resumed_equals_never_killed(
    config: Config, model: Model, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(config, model=model, seeds=SEEDS)
    reference = _train(config, tmp_path, "reference", engine)
    save, calls = checkpoint.save_progress, 0

    def killed(*arguments) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        save(*arguments)

    monkeypatch.setattr(checkpoint, "save_progress", killed)
    with pytest.raises(KeyboardInterrupt):
        _train(config, tmp_path, "run", engine)
    monkeypatch.undo()
    run = training.resume(tmp_path / "runs" / "run", show=False, draw=False).folder
    assert all(_same(_weights(run, seed), _weights(reference, seed)) for seed in SEEDS)
    assert rows_of(run) == rows_of(reference)


def test_results_name_the_median_and_tell_the_spread(population: Path) -> None:
    results = json.loads((population / "results.json").read_text())
    members = {member["seed"]: member for member in results["members"]}
    assert tuple(members) == SEEDS
    errors = {seed: member["validation_mse"] for seed, member in members.items()}
    assert results["median_seed"] == sorted(errors, key=errors.__getitem__)[1]
    assert results["one_step"]["model"] == members[results["median_seed"]]["one_step"]
    assert results["closed_loop"]["predictors"]["model"] == members[results["median_seed"]]["closed_loop"]
    for part in ("one_step", "closed_loop"):
        for metric in results["spread"][part]:  # excess is one of a closed loop alone
            values = [member[part][metric] for member in members.values()]
            spread = results["spread"][part][metric]
            assert spread["mean"] == pytest.approx(statistics.fmean(values))
            assert spread["sd"] == pytest.approx(statistics.stdev(values))
            assert (spread["min"], spread["max"]) == (min(values), max(values))
    assert (population / "figures" / "members.png").exists()


def test_one_file_holds_every_member_and_names_the_median(population: Path) -> None:
    saved = checkpoint.load(population)
    assert tuple(saved.models) == SEEDS
    assert saved.shown == json.loads((population / "results.json").read_text())["median_seed"]
    # The axis of the members is the one that vmap runs over.
    from safetensors.torch import load_file

    stacked = load_file(population / "checkpoint.safetensors")
    frames = torch.rand(5, 9, 1, 2, 2)
    hidden = torch.func.vmap(lambda weight, bias, state: state @ weight.T + bias)(
        stacked["head.weight"],
        stacked["head.bias"],
        torch.stack([model.hidden_states(frames) for model in saved.models.values()]),  # pyright: ignore[reportCallIssue]
    )
    expected = torch.stack([model(frames)[0].flatten(2) for model in saved.models.values()])
    torch.testing.assert_close(hidden, expected)


def test_generate_takes_the_median_or_the_seed_it_is_told(
    population: Path, framegen: Runner, tmp_path: Path
) -> None:
    def generated(*options: str) -> bytes:
        out = tmp_path / "clip.npy"
        assert (
            framegen("generate", population, "--num-frames", "5", "--out", out, "--force", *options)[0] == 0
        )
        return out.read_bytes()

    median = checkpoint.load(population).shown
    other = next(seed for seed in SEEDS if seed != median)
    assert generated() == generated("--seed", str(median)) != generated("--seed", str(other))
    code, _, err = framegen(
        "generate", population, "--num-frames", "5", "--out", tmp_path / "a.npy", "--seed", "1"
    )
    assert code == 2
    assert "--seed 1" in err
    assert "4, 0, 7" in err


def test_a_seed_that_the_config_does_not_hold_is_refused(population: Path, tmp_path: Path) -> None:
    from framegen.machine import files

    weights, texts = files.load_tensors(population / "checkpoint.safetensors")
    metadata = {name: json.loads(text) for name, text in texts.items()}
    metadata["about"]["shown"] = 5
    files.save_tensors(tmp_path / "a.safetensors", weights, metadata)
    with pytest.raises(UserError, match=r"a.safetensors: is damaged: its metadata names seeds"):
        checkpoint.load(tmp_path / "a.safetensors")


def _command(framegen: Runner, folder: Path, *options: str) -> tuple[int, str, str]:
    return framegen("train", *smallest(folder), "--track", "disabled", *options)


def test_seeds_are_a_number_or_a_list(framegen: Runner, tmp_path: Path) -> None:
    code, out, _ = _command(framegen, tmp_path, "--seeds", "3", "--name", "number")
    assert code == 0
    assert tuple(checkpoint.load(tmp_path / "runs" / "number").models) == (0, 1, 2)
    assert all(
        text in out
        for text in (
            "3 seeds: mean",
            "± sd",
            "best: seed",
            "median: seed",
            "worst: seed",
            "on the validation clips",
            "members.png",
        )
    )
    assert parse_train("video", ["--seeds", "9", "2"])[1].members == (9, 2)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--seeds", "0"], "--seeds 0"),
        (["--seeds", "-3"], "--seeds -3"),
        (["--seeds", "2", "2"], "twice"),
        (["--seeds", "1", "-2"], "each must lie between"),
        (["--seeds", "100000"], "must lie between 1 and 4096"),
        (["--seeds", "3", "--seed", "1"], "--seed 1: cannot be combined with --seeds"),
        (["--hidden-size", "5,0"], "--hidden-size 0"),
    ],
)
def test_seeds_that_cannot_work_are_named_before_anything_is_made(
    options: list[str], reason: str, framegen: Runner, tmp_path: Path
) -> None:
    code, _, err = _command(framegen, tmp_path, *options)
    assert code == 2
    assert reason in err
    assert not (tmp_path / "runs").exists()


def test_several_values_make_a_population_each(
    framegen: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "draw_run", lambda *_: [])
    options = ["--hidden-size", "3,6", "--seeds", "2", "--learning-rate=0.1,0.01"]
    code, out, _ = _command(framegen, tmp_path, *options, "--name", "sweep")
    assert code == 0
    for hidden in (3, 6):
        for rate in (0.1, 0.01):
            name = f"sweep-hidden-size-{hidden}-learning-rate-{rate}"
            config = checkpoint.load(tmp_path / "runs" / name).config
            assert config.model == Recurrent(hidden_size=hidden)
            assert (config.training.learning_rate, config.members) == (rate, (0, 1))
            assert name in out


def _asked(*words: str) -> list[Asked]:
    return read_train(words)["asked"]


@pytest.mark.parametrize(
    "options",
    [["--cell", "tanh,relu"], ["--batch_size=10,5"], ["--noise", "0.1,0.2"], ["--compile", "true,false"]],
    ids=" ".join,
)
def test_any_option_of_an_experiment_can_be_swept(options: list[str]) -> None:
    chosen = [each.config for each in _asked("video", *options, "--seeds", "3", "5")]
    assert len(chosen) == len(set(chosen)) == 2
    assert all(config.seeds == (3, 5) for config in chosen)


def test_a_grid_has_every_combination_and_labels_that_tell_them_apart() -> None:
    asked = _asked("sine-lag", "--lag", "1,-1", "--window", "10", "--hidden-size=4,8")
    labels = [each.label for each in asked]
    assert labels == [f"-lag-{lag}-hidden-size-{size}" for lag in (1, -1) for size in (4, 8)]
    values = [values_of(each.config) for each in asked]
    assert [(each["lag"], each["window"], each["hidden_size"]) for each in values] == [
        (1, 10, 4), (1, 10, 8), (-1, 10, 4), (-1, 10, 8)
    ]  # fmt: skip


def test_an_option_that_is_a_list_is_one_run() -> None:
    (asked,) = _asked("video-speeds", "--speeds", "1", "2", "--period", "20")
    assert (asked.label, values_of(asked.config)["speeds"]) == ("", (1, 2))


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("--epochs 1 2", "--epochs 1 2: several values have commas between them: --epochs 1,2"),
        ("video --cell tanh gru", "--cell tanh gru: several values have commas"),
        ("clips --epochs 1 2", "--epochs 1 2: several values have commas"),
        ("--epochs 2 video-gru", "video-gru: must come before all options, not after --epochs 2"),
        ("--epochs 2 pyproject.toml", "pyproject.toml: must come before all options"),
        ("--epochs 1,1", "--epochs 1,1: a value is given twice"),
        ("--epochs 1,2 --epochs 3", "--epochs: is given twice"),
        ("--epochs 1,", "--epochs 1,: a value is missing at a comma"),
        ("--learning-rate 1e-3..1e-1", "--learning-rate 1e-3..1e-1: a range is for framegen search"),
    ],
)
def test_what_is_no_grid_is_told_so(words: str, reason: str, framegen: Runner) -> None:
    code, _, err = framegen("train", *words.split())
    assert (code, err.startswith(f"framegen: {reason}")) == (2, True), err


def test_a_film_may_stand_behind_an_option_of_films(tmp_path: Path) -> None:
    (tmp_path / "move.mp4").touch()
    (asked,) = _asked("clips", "--epochs", "1", f"{tmp_path}/move.mp4")
    assert isinstance(asked.options, TrainFilms)
    assert (asked.options.films, asked.config.training.epochs) == ((tmp_path / "move.mp4",), 1)


@pytest.mark.usefixtures("undrawn")
def test_where_nothing_is_to_be_gained_a_population_ends_all_the_same(
    framegen: Runner, tmp_path: Path
) -> None:
    code, out, err = _command(
        framegen, tmp_path, "--noise", "0", "--speeds", "12", "--seeds", "2", "--name", "still"
    )
    assert code == 0, err
    assert "nan" not in out


def test_a_sweep_whose_name_is_taken_trains_nothing(framegen: Runner, tmp_path: Path) -> None:
    (tmp_path / "runs" / "a-learning-rate-0.1" / "mine").mkdir(parents=True)
    code, _, err = _command(framegen, tmp_path, "--learning-rate", "0.2,0.1", "--name", "a")
    assert code == 2
    assert "a-learning-rate-0.1" in err
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_a_population_that_diverges_as_a_whole_is_named(tmp_path: Path) -> None:
    wild = replace(SMALL_CONFIG.training, learning_rate=1e20)
    with pytest.raises(UserError, match=r"of seed (4|0|7) is (nan|inf) at step \d+"):
        _train(replace(SMALL_CONFIG, model=Recurrent("relu"), training=wild, seeds=SEEDS), tmp_path, "wild")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_member_that_diverges_is_left_behind_and_the_others_go_on(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One net begins with a weight of 1e30, so that its first loss is infinite."""

    def spoilt(model: Model, frame_shape: tuple[int, int, int], seed: int) -> Predictor:
        net = build(model, frame_shape, seed)
        if seed == 0:
            list(net.parameters())[-2].data.fill_(1e30)
        return net

    monkeypatch.setattr(training, "build", spoilt)
    run = _train(replace(SMALL_CONFIG, seeds=SEEDS), tmp_path, "run", engine)
    assert (
        "training loss of seed 0 is inf at step 1; 1 of 3 nets diverged and were dropped"
        in capsys.readouterr().err
    )
    monkeypatch.undo()
    whole = _train(replace(SMALL_CONFIG, seeds=(4, 7)), tmp_path, "whole", engine)
    assert tuple(checkpoint.load(run).models) == (4, 7)
    assert all(_same(_weights(run, seed), _weights(whole, seed)) for seed in (4, 7))
    assert rows_of(run) == rows_of(whole)
    results = read_results(run)
    assert [member.seed for member in results.members] == [4, 7]
    assert results.training is not None
    assert results.training.dropped == {0: 1}


def test_a_member_that_cannot_run_on_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measure = loop.mean_square

    def astray(model: Predictor, clips: Clips, closed_loop: int) -> float:
        mse = measure(model, clips, closed_loop)
        if not closed_loop:
            return mse
        measured.append(mse)
        return math.nan if len(measured) in (1, 5) else mse

    measured: list[float] = []  # first of the untrained nets, then of each epoch
    monkeypatch.setattr(loop, "mean_square", astray)
    told = replace(TINY.training, closed_loop=3, keep="best")
    run = _train(replace(TINY, training=told, seeds=SEEDS), tmp_path, "run")
    assert "the val/closed_loop_mse of seed 0 is nan at step" in capsys.readouterr().err
    assert tuple(checkpoint.load(run).models) == (4, 7)
    assert not _same(_weights(run, 4), list(build(TINY.model, (1, 2, 2), 4).parameters()))
    assert [row["val/closed_loop_mse"] for row in read_metrics(run).epochs][-1] > 0


def test_every_members_losses_are_kept(population: Path) -> None:
    rows = read_metrics(population).members
    assert [(row["epoch"], row["seed"]) for row in rows] == [(e, s) for e in (1, 2) for s in SEEDS]
    epochs = read_metrics(population).epochs
    last = [row["val/mse"] for row in rows[3:]]
    assert statistics.fmean(last) == pytest.approx(epochs[-1]["val/mse"])
    assert last == [member.validation_mse for member in read_results(population).members]
    steps = read_metrics(population).steps[4:]
    mean = statistics.fmean(row["train/loss"] for row in steps)
    assert statistics.fmean(row["train/loss"] for row in rows[3:]) == pytest.approx(mean)


def test_an_impossible_population_is_refused() -> None:
    with pytest.raises(OptionError, match="twice"):
        replace(SMALL_CONFIG, seeds=(1, 1))
