"""A grid of trainings: the same command goes on with what is left of it."""

import json
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from framegen.evaluation.results import finished
from framegen.runs.tracking import Tracker
from tests.conftest import smallest

Runner = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framegen.commands.training.draw_run", lambda *_, **__: [])


def _grid(tmp_path: Path, *more: str) -> list[str | Path]:
    return ["train", "video", *smallest(tmp_path), "--engine", "torch", "--hidden-size", "3,4,5", *more]


def _stopping_in(monkeypatch: pytest.MonkeyPatch, training: int) -> None:
    """A signal comes at the first step of the training of that number."""
    begun = 0

    def log(_: Tracker, step: int, values: Mapping[str, float]) -> None:
        nonlocal begun
        begun += step == 1 and "train/loss" in values
        if step == 1 and begun == training:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Tracker, "log", log)


@pytest.mark.parametrize("more", [["--name", "abl"], []], ids=["named", "numbered"])
def test_a_grid_that_was_stopped_goes_on_by_the_same_command(
    more: list[str], tmp_path: Path, framegen: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    command, runs = _grid(tmp_path, *more), tmp_path / "runs"
    with monkeypatch.context() as patch:
        _stopping_in(patch, training=2)
        code, _, err = framegen(*command)
    assert code == 128 + signal.SIGTERM
    assert "2 of 3 are left, and the same command resumes it" in err.splitlines()[-1]
    first, second = sorted(runs.iterdir())
    assert (finished(first), finished(second)) == (True, False)
    before = (first / "checkpoint.safetensors").stat().st_mtime_ns
    code, out, err = framegen(*command)
    assert code == 0, err
    made = sorted(runs.iterdir())
    assert [path.name for path in made] == [
        f"{'abl' if more else 'video'}-hidden-size-{size}{'' if more else '-1'}" for size in (3, 4, 5)
    ]
    assert all(map(finished, made))
    assert (first / "checkpoint.safetensors").stat().st_mtime_ns == before
    assert all(f"{path}" in out for path in made)
    code, _, err = framegen(*command)  # once more: nothing is left
    assert code == 0
    assert len(list(runs.iterdir())) == (3 if more else 6)  # without a name another grid begins


def test_a_name_of_other_runs_is_refused_before_anything_is_trained(tmp_path: Path, framegen: Runner) -> None:
    there = tmp_path / "runs" / "abl-hidden-size-5"
    code, _, err = framegen("train", "video", *smallest(tmp_path), "--name", there.name)
    assert code == 0, err
    code, _, err = framegen(*_grid(tmp_path, "--name", "abl"))
    assert code == 2
    assert f"--name abl: {there} holds a run of other options" in err
    assert list((tmp_path / "runs").iterdir()) == [there]


def test_one_that_diverges_does_not_stop_the_others(tmp_path: Path, framegen: Runner) -> None:
    words = ["--learning-rate", "1e30,0.01", "--max-grad-norm", "inf", "--name", "rates"]
    code, _, err = framegen("train", "video", *smallest(tmp_path), "--engine", "torch", *words)
    assert code == 1
    lost, kept = (tmp_path / "runs" / f"rates-learning-rate-{rate}" for rate in ("1e30", "0.01"))
    assert err.splitlines()[-1].startswith(f"framegen: {lost.name}: diverged, 1 of 2")
    assert finished(kept)
    assert not finished(lost)


def test_a_grid_of_minutes_is_known_again(tmp_path: Path, framegen: Runner) -> None:
    """Its epochs were fitted to this machine, so that no two trainings have the same."""
    words = _grid(tmp_path, "--minutes", "0.005", "--name", "quick")
    for option in ("--epochs", "--media-every"):
        del words[words.index(option) : words.index(option) + 2]
    assert framegen(*words)[0] == 0
    code, _, err = framegen(*words)
    assert code == 0, err
    assert err.count("is finished already") == 3
    config = json.loads((tmp_path / "runs" / "quick-hidden-size-3" / "config.json").read_text())
    assert config["training"]["minutes"] == 0.005
