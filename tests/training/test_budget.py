"""Minutes are a limit, watched while a training goes on; what fits is foreseen anew after each epoch."""

import math
import os
import signal
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from framegen.commands.continuing import continue_films
from framegen.commands.own_films import train_on
from framegen.commands.training import Enough, resume, train
from framegen.config.experiments import configure
from framegen.config.film import Film
from framegen.data.films.importing import import_films
from framegen.data.loading import load_data
from framegen.machine.errors import OptionError
from framegen.machine.interrupts import Interrupted
from framegen.runs.run import Run
from framegen.training import budget, loop
from framegen.training.engine import TorchEngine
from framegen.training.loop import Epoch
from tests import conftest
from tests.data.films import encode, scene

Runner = Callable[..., tuple[int, str, str]]
SMALL_CONFIG = replace(conftest.SMALL_CONFIG, task=replace(conftest.SMALL, num_frames=12))


class Machine:
    """A clock, and a machine whose steps and validations take as long as a test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.steps = 1000.0, 0
        self.step: Callable[[int], float] = lambda _: 1.0
        """Seconds of a step, by how many were taken before it, those of the timing among them."""
        self.validation = 0.0
        self.on_step: Callable[[], object] = lambda: None
        run, validate, one_step = TorchEngine.run, loop._validation_mse, budget.mean_square

        def slow_run(engine: TorchEngine, order: Tensor, rates: Sequence[float]) -> tuple[Tensor, Tensor]:
            self.now += self.step(self.steps)
            self.steps += len(rates)
            self.on_step()
            return run(engine, order, rates)

        def slow_validation(*arguments: Any, **options: Any) -> Tensor:
            self.now += self.validation
            return validate(*arguments, **options)

        def slow_one_step(*arguments: Any) -> float:
            self.now += self.validation if len(arguments) == 2 else 0
            return one_step(*arguments)

        monkeypatch.setattr(TorchEngine, "run", slow_run)
        monkeypatch.setattr(loop, "_validation_mse", slow_validation)
        monkeypatch.setattr(budget, "mean_square", slow_one_step)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def _train(machine: Machine, folder: Path, minutes: float = 1, **options: Any) -> Run:
    places = (folder / "runs", folder / "data")
    quiet: dict[str, Any] = {"show": False, "draw": False, "clock": machine}
    return train(SMALL_CONFIG, "m", "disabled", *places, minutes=minutes, **quiet, **options)


def _last_rate(run: Run) -> float:
    """The learning rate of the last step, as a part of the first."""
    steps = run.metrics().steps
    return steps[-1]["train/learning_rate"] / steps[0]["train/learning_rate"]


def test_so_many_steps_fit_as_can_be_taken_one_by_one() -> None:
    """Against a walk through time; binary fractions, so that nothing is rounded."""
    random = np.random.default_rng(0)
    for per_epoch, step, validation, seconds in zip(
        random.integers(1, 9, 200), *random.integers((1, 0, 0), (40, 80, 2000), (200, 3)).T / 8, strict=True
    ):
        now = steps = 0
        while now + step + validation <= seconds:
            now, steps = now + step, steps + 1
            now += validation * (steps % per_epoch == 0)
        assert budget.steps_within(seconds, int(per_epoch), step, validation) == steps


def test_a_training_ends_with_its_minutes_and_so_does_its_learning_rate(
    machine: Machine, tmp_path: Path
) -> None:
    machine.validation = 0.5
    run, began = _train(machine, tmp_path), 1000.0
    timing = 4 + 0.5  # the first step, three seconds of others, a validation
    steps = budget.steps_within(60 - timing, 4, 1, 0.5)
    assert len(run.metrics().steps) == steps == 49
    assert machine.now - began <= 60
    assert _last_rate(run) < 0.01
    assert [row["step"] for row in run.metrics().epochs][-2:] == [48, 49]
    facts = run.results.training
    assert facts is not None
    assert (facts.epochs, facts.seconds) == (13, 49)
    assert facts.clips_per_second == pytest.approx(10)


@pytest.mark.parametrize(("later", "steps"), [(3.0, (25, 30)), (0.25, (160, 176))])
def test_a_machine_that_changes_its_speed_changes_the_plan(
    later: float, steps: tuple[int, int], machine: Machine, tmp_path: Path
) -> None:
    """Which would be 56 steps at the speed at which they were timed."""
    machine.step = lambda taken: 1.0 if taken < 20 else later
    run = _train(machine, tmp_path)
    assert steps[0] <= len(run.metrics().steps) <= steps[1]
    assert 60 - 4 * later < machine.now - 1000 <= 60 + later
    assert _last_rate(run) < 0.05


def test_the_clock_ends_the_epoch_under_way_which_is_validated(machine: Machine, tmp_path: Path) -> None:
    machine.step = lambda taken: 1.0 if taken < 50 else 7.0
    machine.validation = 0.25
    run = _train(machine, tmp_path, keep="best")
    taken, epochs = len(run.metrics().steps), run.metrics().epochs
    assert taken % 4
    assert epochs[-1]["step"] == taken
    assert 60 <= machine.now - 1000 < 60 + 7
    facts = run.results.training
    assert facts is not None
    assert facts.kept is not None
    assert facts.kept.mse == min(row["val/mse"] for row in epochs) == run.results.members[0].validation_mse


def test_a_limit_shorter_than_a_step_still_makes_one(machine: Machine, tmp_path: Path) -> None:
    run = _train(machine, tmp_path, minutes=0.001)
    assert len(run.metrics().steps) == 1
    assert [row["epoch"] for row in run.metrics().epochs] == [1]
    assert run.results.training is not None


def _stop_after(epoch: int) -> Callable[[Epoch], None]:
    def on_epoch(each: Epoch) -> None:
        if each.number == epoch:
            raise Enough

    return on_epoch


def test_a_resumed_training_goes_on_with_what_is_left_of_its_minutes(
    machine: Machine, tmp_path: Path
) -> None:
    """Stopped in the middle of an epoch, and between two."""
    whole = _train(machine, tmp_path / "whole")
    taken = len(whole.metrics().steps)

    def stop() -> None:
        if machine.steps == before + 4 + 22:
            os.kill(os.getpid(), signal.SIGTERM)

    before = machine.steps
    machine.on_step = stop
    with pytest.raises(Interrupted):
        _train(machine, tmp_path / "parts")
    machine.now += 1e6  # nobody waited
    quiet: dict[str, Any] = {"show": False, "draw": False, "clock": machine}
    folder = tmp_path / "parts" / "runs" / "m"
    resume(folder, "disabled", on_epoch=_stop_after(9), **quiet)
    machine.now += 1e6
    run = resume(folder, "disabled", **quiet)
    assert len(run.metrics().steps) == taken == 56
    assert _last_rate(run) < 0.01
    for name, value in whole.model.state_dict().items():
        assert value.equal(run.model.state_dict()[name])


def test_minutes_become_clips_of_an_epoch_and_pictures(
    machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = load_data(SMALL_CONFIG.task, tmp_path)

    def fitted(minutes: float, step: float, **options: Any) -> tuple[Any, ...]:
        machine.step = lambda _: step
        config = configure(SMALL_CONFIG, options={"minutes": minutes})
        config = replace(config, training=replace(config.training, **options))
        training, place = budget.fit_to_minutes(config, data, True, machine)
        training = training.training
        return training.clips_per_epoch, training.media_every, training.epochs, place.planned, place.spent

    # Four steps of 15 s are timed; 36 are left, in epochs of two.
    assert fitted(10, 15.0) == (20, 2, 18, 36, 60.0)
    assert "so few steps teach little" in capsys.readouterr().err
    assert fitted(10, 0.5)[:2] == (0, 30)  # an epoch is all of the 40 clips
    assert fitted(10, 0.5) == fitted(10, 0.5, clips_per_epoch=20)  # the time alone counts
    said = capsys.readouterr().err
    assert "--minutes 10: about 1193 steps, 4 an epoch, 0.5 s a step" in said
    assert "come measuring on 8 test clips (the model alone about 0 ms) and drawing" in said


def test_of_a_film_no_more_clips_are_measured_than_a_part_of_the_minutes_allows(
    machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import_films([encode(tmp_path / "film.mp4", scene(0, 160))], "film", 16, data_dir=tmp_path, show=False)
    task = Film("film", num_frames=6, context=3, max_val_clips=4)
    config = replace(SMALL_CONFIG, task=task, training=replace(SMALL_CONFIG.training, minutes=1))
    data = load_data(task, tmp_path)
    assert len(data.test) > 8
    for seconds, clips in [(0.0, 200), (2.0, 8)]:  # of a validation of four clips
        machine.validation = seconds
        fitted, _ = budget.fit_to_minutes(config, data, True, machine)
        assert isinstance(fitted.task, Film)
        assert fitted.task.max_test_clips == clips
    assert "come measuring on 8 test clips (the model alone about 8 s)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "seconds", "told"),
    [
        ({"closed_loop": 3, "closed_loop_share": 0.5}, [1.0, 1.0, 5.0], "2.33 s"),
        ({}, [0.5, 60.0, 0.5], "0.5 s"),  # once the machine was busy
    ],
)
def test_a_step_takes_as_long_as_steps_do(
    options: dict[str, Any],
    seconds: Iterable[float],
    told: str,
    machine: Machine,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The first, which compiles, is left out; some may be closed-loop, and take longer."""
    times = [100.0, *seconds]
    machine.step = lambda taken: times[taken]
    config = configure(SMALL_CONFIG, options={**options, "minutes": 100})
    budget.fit_to_minutes(config, load_data(config.task, tmp_path), True, machine)
    assert f"{told} a step" in capsys.readouterr().err


def test_what_came_on_top_of_the_minutes_is_told(
    machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    began = machine.now
    machine.now += 42.0
    options: dict[str, Any] = {"minutes": 1, "draw": False, "clock": machine, "began": began}
    train(SMALL_CONFIG, "m", "disabled", tmp_path, tmp_path, **options)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "training took 1 min; on top of it reading 42 s, measuring 0 ms, drawing 0 ms"


@pytest.mark.parametrize("minutes", [0, math.nan, -1, math.inf])
def test_minutes_that_cannot_be_are_refused_before_a_clip_is_made(minutes: float, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--minutes"):
        train(SMALL_CONFIG, "m", "disabled", tmp_path, tmp_path / "none", show=False, minutes=minutes)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("option", ["--epochs", "--media-every", "--clips-per-epoch", "--clips_per_epoch=4"])
def test_what_follows_from_minutes_is_not_given_beside_them(
    option: str, framegen: Runner, tmp_path: Path
) -> None:
    words = [*option.split("="), "4"][:2]
    code, _, err = framegen("train", "--minutes", "1", "=".join(words), "--runs-dir", tmp_path / "runs")
    assert code == 2
    name = words[0].replace("_", "-")
    assert err.strip().splitlines() == [
        f"framegen: {name}: follows from --minutes 1; leave one of the two out (in Python minutes=None)"
    ]
    with pytest.raises(OptionError, match=name):
        configure("video", options={"minutes": 1, name[2:].replace("-", "_"): 4})
    code, _, err = framegen(
        "search", "--minutes", "1", *words, "--hidden-size", "3..9", "--runs-dir", tmp_path
    )
    assert (code, name in err) == (2, True)
    assert not any(tmp_path.iterdir())


def test_a_search_has_no_minutes(framegen: Runner, tmp_path: Path) -> None:
    code, _, err = framegen(
        "search", "--minutes", "1", "--hidden-size", "3..9", "--runs-dir", tmp_path / "runs"
    )
    assert code == 2
    assert "--minutes 1: trials are compared epoch by epoch; give --epochs" in err


def test_a_film_is_not_read_for_options_that_cannot_be(tmp_path: Path) -> None:
    film = encode(tmp_path / "short.mp4", scene(0, 4))
    for command in (train_on, continue_films):
        with pytest.raises(OptionError, match="--epochs: follows from --minutes 2"):
            command(film, epochs=3, runs_dir=tmp_path / "runs", data_dir=tmp_path / "data")
    assert list(tmp_path.iterdir()) == [film]
