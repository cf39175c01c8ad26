"""Whoever follows the steps for a model and a task of their own has what the built-in ones have."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from framegen.commands import evaluation
from framegen.commands.training import resume, train
from framegen.config.experiments import EXPERIMENTS
from framegen.models import build
from framegen.models.predictor import from_parts, map_state, name_parts
from framegen.runs.run import load
from tests.conftest import rows_of
from tests.forked import STOPPED, Forked
from tests.own_world import Conv
from tests.runs.test_tracking import read_records

Runner = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def run(places: tuple[Path, Path]) -> Path:
    """A finished run. Read only."""
    return train("bounce", "bounce", "disabled", *places, show=False).folder


def test_it_has_results_against_copying_and_no_skill(run: Path) -> None:
    text = (run / "results.json").read_text()
    assert "skill" not in text
    assert "skill" not in (run / "metrics.jsonl").read_text()
    assert list(json.loads(text)["one_step"])[:3] == ["model", "copy last", "mean frame"]
    assert json.loads(text)["closed_loop"]["horizon"] == 8


def test_what_can_be_drawn_is_drawn(run: Path) -> None:
    drawn = {"loss.png", "horizon.png", "filmstrip.png", "data.png", "data.gif"}
    assert {path.name for path in (run / "figures").iterdir()} == drawn
    assert {path.name for path in (run / "media").iterdir()} == {
        f"epoch-00{epoch}.{kind}" for epoch in (1, 2) for kind in ("gif", "png")
    }
    assert (run / "generated.gif").exists()


def test_clips_of_one_number_a_frame_are_drawn_as_clips(
    tmp_path: Path, places: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = train("bounce", "one", "disabled", tmp_path, places[1], show=False, size=1, epochs=1).folder
    assert "was not drawn" not in capsys.readouterr().err
    drawn = {path.name for path in (folder / "figures").iterdir()}
    assert {"data.png", "data.gif"} <= drawn
    assert "training.gif" not in drawn


def test_every_command_takes_it(run: Path, framegen: Runner, tmp_path: Path) -> None:
    before = (run / "results.json").read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "draw_run", lambda *_: [])
        code, out, err = framegen("evaluate", run)
    assert (code, "skill" in out) == (0, False), err
    assert (run / "results.json").read_bytes() == before
    assert framegen("draw", run)[0] == 0
    code, _, err = framegen("generate", run, "--num-frames", "5", "--out", tmp_path / "a.gif")
    assert code == 0, err
    code, out, _ = framegen("train", "bounce", "--help-all")
    assert code == 0
    assert "--channels" in out
    assert "--stream" in out


def _killed(experiment: str, folder: Path, step: int) -> Path:
    """A run that was killed at a step."""
    arguments = ["train", experiment, "--name", "run", "--track", "disabled"]
    arguments += ["--runs-dir", str(folder / "runs"), "--data-dir", str(folder / "data")]
    # One thread, as here: threads are part of a convolution's bits.
    program = "import torch, tests.own_world; torch.set_num_threads(1)\n" + STOPPED
    done = Forked(program, "SIGTERM", "step", str(step), *arguments).ended()
    assert done.returncode == 128 + signal.SIGTERM, done.stderr
    return folder / "runs" / "run"


@pytest.mark.parametrize("experiment", ["bounce", "bounce-stream"])
def test_stopped_and_resumed_equals_never_stopped(
    experiment: str, places: tuple[Path, Path], tmp_path: Path
) -> None:
    whole = train(experiment, None, "disabled", *places, show=False, draw=False).folder
    stopped = resume(_killed(experiment, tmp_path, 6), show=False, draw=False).folder
    assert rows_of(stopped) == rows_of(whole)
    ours, theirs = (load(folder).model.state_dict() for folder in (stopped, whole))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_population_of_it(places: tuple[Path, Path]) -> None:
    run = train("bounce", None, "disabled", *places, show=False, seeds=(3, 0), epochs=1)
    alone = train("bounce", None, "disabled", *places, show=False, draw=False, seed=3, epochs=1)
    assert all(
        torch.equal(a, b) for a, b in zip(run.models[3].parameters(), alone.model.parameters(), strict=True)
    )
    assert (run.folder / "figures" / "members.png").exists()
    assert [(row["epoch"], row["seed"]) for row in run.metrics().members] == [(1, 3), (1, 0)]


def test_a_seed_reaches_every_layer_and_nothing_else_does() -> None:
    first = build(Conv(), (1, 5, 5), 1)
    torch.rand(7)  # whatever else draws
    again, other = build(Conv(), (1, 5, 5), 1), build(Conv(), (1, 5, 5), 2)
    before = torch.get_rng_state()
    build(Conv(), (1, 5, 5), 3)
    assert torch.equal(before, torch.get_rng_state())
    for a, b, c in zip(first.parameters(), again.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)


def test_the_epochs_numbers_and_models_are_handed_out(places: tuple[Path, Path]) -> None:
    seen = []

    def look(epoch) -> None:
        weight = epoch.models[0].head.weight
        seen.append((epoch.number, epoch.metrics["val/mse"], weight.norm().item(), epoch.models[0].training))

    run = train("bounce", None, "disabled", *places, show=False, draw=False, on_epoch=look)
    assert [number for number, *_ in seen] == [1, 2]
    assert [mse for _, mse, *_ in seen] == [row["val/mse"] for row in run.metrics().epochs]
    assert seen[0][2] != seen[1][2]
    assert not any(training for *_, training in seen)


def test_a_picture_that_fails_is_named_and_stops_nothing(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from framegen.report.figures import curves

    def broken(*_: object) -> None:
        raise ZeroDivisionError("no such axis\nand more")

    monkeypatch.setattr(curves, "error_over_horizon", broken)
    run = train("bounce", None, "disabled", *places, epochs=1)
    assert (
        f"{run.folder / 'figures' / 'horizon.png'}: was not drawn (no such axis)" in capsys.readouterr().err
    )
    assert run.results.training is not None
    assert (run.folder / "figures" / "loss.png").exists()


@pytest.mark.parametrize(
    "state", [None, torch.ones(2), (torch.ones(2), None), (torch.ones(1), (None, (torch.zeros(3),)))]
)
def test_states_of_any_depth_survive_their_names(state) -> None:
    parts = {**name_parts(state, "state"), "model.weight": torch.ones(1)}
    back = from_parts(parts, "state")
    assert str(back) == str(state)
    doubled = map_state(lambda tensor: 2 * tensor, back)
    assert str(name_parts(doubled, "a")) == str(
        {name: 2 * part for name, part in name_parts(state, "a").items()}
    )


def test_it_is_tracked(tmp_path: Path) -> None:
    program = (
        "import tests.own_world; from framegen.commands.training import train; import sys;"
        "train('bounce', 'seen', 'offline', sys.argv[1] + '/runs', sys.argv[1], show=False, draw=False, "
        "epochs=1)"
    )
    Forked(program, tmp_path).succeeded()
    records = read_records(tmp_path / "runs")
    said = json.dumps([each for each in records if each["type"] in ("history", "summary", "metric")])
    assert "val/mse" in said
    assert "skill" not in said


def test_an_experiment_of_ones_own_is_listed(framegen: Runner) -> None:
    listed = framegen("experiments")[1]
    assert "bounce " in listed
    assert EXPERIMENTS["bounce"].description in listed
