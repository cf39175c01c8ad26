"""Searches: trials that processes share, one of which is killed; what is chosen, and by what."""

import json
import math
import os
import signal
import sqlite3
import statistics
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Never

import optuna
import pytest
import torch
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from framegen.commands import training
from framegen.config.reading import parse_train
from framegen.evaluation.metrics import skill
from framegen.evaluation.references import COPY_LAST, OPTIMUM
from framegen.machine.errors import OptionError, UserError
from framegen.machine.interrupts import Interrupted
from framegen.runs import checkpoint
from framegen.runs.folder import write_config
from framegen.runs.metrics import read_metrics
from framegen.studies import pool
from framegen.studies.search import trial as trials
from framegen.studies.search.found import Found
from framegen.studies.search.results import RUN, end_of, ranking
from framegen.studies.search.space import Choice, Range, Space, read_search
from framegen.studies.search.start import search
from framegen.studies.search.trial import JOURNAL, Plan, _value, open_study, work
from framegen.training.loop import Diverged
from tests.conftest import SMALL_CONFIG, rows_of
from tests.forked import Forked
from tests.runs.test_tracking import read_records

Runner = Callable[..., tuple[int, str, str]]
SPACE: Space = {
    "learning_rate": Range(1e-3, 1e-1),
    "hidden_size": Range(3, 8),
    "cell": Choice(("tanh", "relu")),
}
CONFIG = replace(SMALL_CONFIG, training=replace(SMALL_CONFIG.training, epochs=4, engine="auto"))


def plan_in(root: Path, **changes: Any) -> Plan:
    """A search of four trials."""
    place = root / "runs" / "it"
    place.mkdir(parents=True, exist_ok=True)
    named = {
        "config": CONFIG,
        "space": SPACE,
        "metric": "skill",
        "folder": place,
        "data_dir": root / "data",
    }
    named |= {"storage": None, "trials": 4, "prune": False, "sampler_seed": 0, "show": False}
    return Plan(**named | {"mode": "disabled", "tags": (), "threads": 1} | changes)  # pyright: ignore[reportArgumentType]


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is a worker: a test does itself what a search has processes for."""
    monkeypatch.setattr(pool, "_stopped", threading.Event())


def _worked(plan: Plan) -> list[FrozenTrial]:
    """Those trials of a search that have ended, once this process has done what was left."""
    work(plan)
    trials = open_study(plan).get_trials()
    assert all(each.state.is_finished() for each in trials)
    return [each for each in trials if each.state != TrialState.FAIL]


def _options(trials: Sequence[FrozenTrial]) -> list[dict[str, Any]]:
    return [trial.params for trial in trials]


# Says so in a pipe when it has reported an epoch, and is killed by the third.
DIES = """
import os, signal, sys, threading
from pathlib import Path
import optuna
from framegen.studies import pool
from framegen.studies.search import trial as trials
from framegen.studies.search.trial import work
from tests.studies.search.test_search import plan_in

folder = Path(sys.argv[1])
pool._stopped = threading.Event()
report, reported = optuna.Trial.report, []

def dying(trial, value, step):
    report(trial, value, step)
    reported.append(step)
    if len(reported) == 1:
        (folder / "begun").open("w").close()
    if len(reported) == 3:
        (folder / "killed").write_text(trial.user_attrs["run"])
        os.kill(os.getpid(), signal.SIGKILL)

optuna.Trial.report = dying
work(plan_in(folder, trials=6))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """A search of two processes, of which one is killed in its first trial; it is stopped as the best is
    measured, and goes on."""
    folder = tmp_path_factory.mktemp("search")
    os.mkfifo(folder / "begun")
    dying = Forked(DIES, folder)
    (folder / "begun").open().close()  # once both train
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pool, "_stopped", threading.Event())
        work(plan_in(folder, trials=6))
    assert dying.ended().returncode == -signal.SIGKILL

    def go_on() -> Found:
        places = folder / "runs", folder / "data"
        return search(CONFIG, SPACE, 6, 1, "it", "disabled", *places, show=False, prune=False)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(training, "measure", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(Interrupted, match=r"by SIGTERM; all is saved, and the same command resumes it$"):
            go_on()
    return go_on()


def _ended(found: Found) -> dict[str, FrozenTrial]:
    """The trials that came to their end, by their runs."""
    return {trial.user_attrs[RUN]: trial for trial in found.study.trials if trial.value is not None}


def test_the_trial_of_a_process_that_was_killed_is_finished_by_another(found: Found, tmp_path: Path) -> None:
    killed = (found.folder.parents[1] / "killed").read_text()
    assert sorted(_ended(found)) == [f"trial-{number}" for number in range(6)]
    states = [trial.state for trial in found.study.trials if trial.user_attrs[RUN] == killed]
    assert states == [TrialState.FAIL, TrialState.COMPLETE]
    _, config = plan_in(found.folder.parents[1]).run(_ended(found)[killed])
    places = (tmp_path, found.folder.parents[1] / "data")
    alone = training.train(config, "alone", "disabled", *places, show=False, draw=False)
    assert rows_of(found.folder / killed) == rows_of(alone.folder)
    weights, expected = (
        checkpoint.load(each).models[0].state_dict() for each in (found.folder / killed, alone.folder)
    )
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_the_best_on_validation_alone_is_measured_on_the_test_clips(found: Found) -> None:
    skills = {name: read_metrics(found.folder / name).epochs[-1]["val/skill"] for name in _ended(found)}
    assert {name: trial.value for name, trial in _ended(found).items()} == skills
    best = max(skills, key=lambda name: skills[name])
    measured = [path.parent.name for path in found.folder.glob("*/results.json")]
    assert measured == [found.run.folder.name] == [best] == [found.study.best_trial.user_attrs[RUN]]
    assert not list(found.folder.glob("*/media"))  # of a test clip


def test_the_study_tells_seeds_steps_and_what_the_best_reached_on_the_test_clips(found: Found) -> None:
    assert found.study.best_trial.user_attrs == {
        RUN: found.run.folder.name,
        "seeds": [0],
        "steps": len(found.run.metrics().steps),
    }
    told = found.study.user_attrs["test"]
    assert (told["run"], told["one_step"]) == (found.run.folder.name, found.run.results.one_step["model"])


def test_the_command_of_the_best_makes_its_weights_again(found: Found, tmp_path: Path) -> None:
    assert found.command is not None
    config = parse_train("video", found.command.split()[3:])[1]
    again = training.train(config, "again", "disabled", tmp_path, tmp_path, False, draw=False)
    weights, expected = again.model.state_dict(), found.run.model.state_dict()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_a_search_leaves_a_file_and_figures(found: Found) -> None:
    content = json.loads((found.folder / "trials.json").read_text())
    assert content["command"] == found.command
    assert {row["run"]: row["options"] for row in content["trials"]} == {
        name: trial.params for name, trial in _ended(found).items()
    }
    figures = {path.stem for path in (found.folder / "figures").iterdir()}
    assert figures == {"history", "importances", "options"}


def test_what_is_tried_lies_in_the_space_and_is_the_same_however_often_it_was_stopped(
    found: Found, tmp_path: Path
) -> None:
    for options in _options(found.study.trials):
        assert 1e-3 <= options["learning_rate"] <= 1e-1
        assert options["hidden_size"] in range(3, 9)
        assert options["cell"] in ("tanh", "relu")
    short = replace(CONFIG, training=replace(CONFIG.training, epochs=1))
    at_once, stopped, other = (
        plan_in(tmp_path / name, config=short, trials=13) for name in ("once", "stopped", "other")
    )
    expected = _options(_worked(at_once))  # the last ones are no longer drawn by chance alone
    for count in (1, 12, 13):
        options = _options(_worked(replace(stopped, trials=count)))
        open_study(stopped).ask()  # and dies
    assert options == expected
    assert _options(_worked(replace(other, trials=1, sampler_seed=1))) != expected[:1]


def test_what_is_worse_than_the_median_is_ended_early(tmp_path: Path) -> None:
    space: Space = {"learning_rate": Choice((1e-2, 1e-7)), "hidden_size": Range(3, 8)}
    plan = plan_in(tmp_path, space=space, trials=14, prune=True)
    trials = _worked(plan)
    pruned = [trial for trial in trials if trial.state == TrialState.PRUNED]
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    assert len(complete) + len(pruned) == 14
    assert pruned
    for trial in pruned:
        before = [each for each in complete if each.number < trial.number]
        assert len(before) >= 5
        epochs = read_metrics(plan.run(trial)[0]).epochs
        assert trial.last_step == len(epochs) < CONFIG.training.epochs
        others = [read_metrics(plan.run(each)[0]).epochs[len(epochs) - 1]["val/skill"] for each in before]
        assert max(row["val/skill"] for row in epochs) < statistics.median(others)
    assert 1e-7 in {trial.params["learning_rate"] for trial in pruned}


def test_what_diverges_is_no_reason_to_stop_and_never_the_best(tmp_path: Path) -> None:
    plan = plan_in(tmp_path, space={"learning_rate": Choice((1e-2, 1e30))})
    ends = {each.params["learning_rate"]: end_of(each) for each in _worked(plan)}
    assert ends == {1e-2: "trained to the end", 1e30: "diverged"}
    assert {each.params["learning_rate"] for each in ranking(open_study(plan))} == {1e-2}


@pytest.mark.parametrize("keep", ["last", "best"])
def test_what_is_not_finite_on_validation_is_no_value(keep: str) -> None:
    config = replace(CONFIG, training=replace(CONFIG.training, keep=keep))
    rows = [{"val/mse": 0.5, "val/skill": 0.25}, {"val/mse": math.inf, "val/skill": -math.inf}, {}]
    for count in (2, 3):
        if keep == "best":
            assert _value(config, rows[:count], "skill") == 0.25
        else:
            with pytest.raises(Diverged, match=f"epoch {count}: the skill on validation is not finite"):
                _value(config, rows[:count], "skill")


def test_the_value_of_a_population_is_its_mean(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/trials.db"
    plan = plan_in(tmp_path, config=replace(CONFIG, seeds=(3, 5)), storage=url, trials=1)
    (trial,) = _worked(plan)
    assert not (plan.folder / JOURNAL).exists()
    run = training.resume(plan.run(trial)[0], "disabled", show=False, draw=False)
    last = [row["val/mse"] for row in run.metrics().members if row["epoch"] == CONFIG.training.epochs]
    references = (run.validation[COPY_LAST], run.validation[OPTIMUM])
    assert len(last) == 2
    assert trial.value == pytest.approx(sum(skill(mse, *references) or 0.0 for mse in last) / 2)


def test_with_keep_best_a_trial_is_worth_its_best_epoch(tmp_path: Path) -> None:
    training = replace(CONFIG.training, keep="best", schedule="constant", learning_rate=0.1, epochs=10)
    config = replace(CONFIG, training=training)
    plan = plan_in(tmp_path, config=config, space={"cell": Choice(("relu",))}, trials=1)
    (trial,) = _worked(plan)
    skills = [row["val/skill"] for row in read_metrics(plan.run(trial)[0]).epochs]
    assert trial.value == max(skills) != skills[-1]


def test_half_a_line_that_a_killed_process_left_harms_nobody(tmp_path: Path) -> None:
    plan = plan_in(tmp_path, trials=1)
    before = _options(_worked(plan))
    with (plan.folder / JOURNAL).open("ab") as file:
        file.write(b'{"op_code":4,"worker_')
    assert _options(_worked(replace(plan, trials=2)))[:1] == before
    assert all(json.loads(line) for line in (plan.folder / JOURNAL).read_text().splitlines())


@pytest.mark.parametrize(("left_over", "keep"), [("nothing", "last"), ("half", "best")])
def test_trials_that_a_lost_journal_forgot_are_told_again_and_not_trained(
    left_over: str, keep: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_in(tmp_path, config=replace(CONFIG, training=replace(CONFIG.training, keep=keep)))
    expected = _worked(plan)
    plan.train(*plan.run(expected[0]), draw=False)  # one has results
    journal = plan.folder / JOURNAL
    lines = journal.read_bytes().splitlines(True)
    journal.write_bytes(b"".join(lines[: len(lines) // 2]) if left_over == "half" else b"")

    def fit(*_: object) -> Never:
        raise AssertionError("was trained again")

    monkeypatch.setattr(training, "fit", fit)
    first, again = (
        {each.user_attrs[RUN]: (each.params, each.value) for each in every}
        for every in (expected, _worked(plan))
    )
    assert again == first


def test_a_run_of_other_options_in_a_trials_place_is_named(tmp_path: Path) -> None:
    plan = plan_in(tmp_path, trials=1)
    _worked(plan)
    (plan.folder / JOURNAL).write_bytes(b"")
    with pytest.raises(UserError, match=r"trial-0: holds a run of other options .*; move it away"):
        _worked(replace(plan, sampler_seed=1))


def test_a_run_whose_metrics_were_cut_is_named_and_not_waited_for(tmp_path: Path) -> None:
    plan = plan_in(tmp_path, trials=1)
    folder, config = plan.run(_worked(plan)[0])
    plan.train(folder, config, draw=False)
    (plan.folder / JOURNAL).write_bytes(b"")
    (folder / "members.jsonl").write_bytes(b"")
    with pytest.raises(UserError, match=r"trial-0: its metrics are not those of its training; move it away"):
        _worked(plan)


@pytest.mark.parametrize("seconds", [0, 3600])
def test_a_trial_of_a_database_is_tried_again_once_it_gives_no_sign_of_life(
    seconds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_in(tmp_path, storage=f"sqlite:///{tmp_path}/trials.db", trials=2)
    storage = open_study(plan)._storage
    study_id = storage.get_study_id_from_name("it")
    dead = storage.create_new_trial(study_id)
    storage.record_heartbeat(dead)  # pyright: ignore[reportAttributeAccessIssue]
    with closing(sqlite3.connect(tmp_path / "trials.db")) as database, database:
        database.execute(f"UPDATE trial_heartbeats SET heartbeat = datetime('now', '-{seconds} seconds')")
    stop = threading.Event()  # set where it would wait for the other
    monkeypatch.setattr(trials, "stopped", lambda within=0.0: stop.set() if within else stop.is_set())
    work(plan)
    states = [each.state.name for each in open_study(plan).trials]
    assert states == (["FAIL", "COMPLETE", "COMPLETE"] if seconds else ["RUNNING", "COMPLETE"])


STOPPED = """
import os, signal
from concurrent.futures import wait
from pathlib import Path
from framegen import __main__
from framegen.studies.search import start

metrics = Path("runs/video-search/trial-0/metrics.jsonl")

def stopping(workers):
    while wait(workers, timeout=0.1).not_done:
        if metrics.exists() and b'"epoch"' in metrics.read_bytes():
            os.kill(os.getpid(), signal.SIGTERM)
    return workers

if __name__ == "__main__":
    start.as_completed = stopping
    __main__.main()
"""
SMALL = "--num-clips 40 --num-val-clips 6 --num-test-clips 8 --num-frames 12 --epochs 100 --engine torch"


def test_stopped_it_says_so_and_the_same_goes_on(tmp_path: Path) -> None:
    words = ["--hidden-size", "3..8", *SMALL.split(), "--trials", "1", "--track", "disabled"]
    words += ["--data-dir", str(tmp_path / "data")]
    stopped = Forked(STOPPED, "search", "video", *words, folder=tmp_path).ended()
    assert stopped.returncode == 128 + signal.SIGTERM, stopped.stderr
    assert stopped.stderr.splitlines() == [
        "runs/video-search: 0 of 1 trials are done",
        "framegen: stopped by SIGTERM; all is saved, and the same command resumes it",
    ]
    folder = tmp_path / "runs" / "video-search"
    run = folder / "trial-0"
    begun = (run / "config.json").read_bytes()
    assert 0 < len(read_metrics(run).steps) < 400
    _, config, space = read_search("video", words)
    plan = plan_in(tmp_path, config=config, space=space, folder=folder, trials=1)
    (trial,) = _worked(plan)
    assert (trial.state, trial.last_step) == (TrialState.COMPLETE, 100)
    assert (run / "config.json").read_bytes() == begun
    assert [row["step"] for row in read_metrics(run).steps] == list(range(1, 401))


def test_another_search_of_the_same_name_is_refused(tmp_path: Path) -> None:
    open_study(plan := plan_in(tmp_path))
    open_study(replace(plan, trials=9, prune=True, sampler_seed=1))
    for other in ({"space": {"hidden_size": Range(3, 9)}}, {"config": replace(CONFIG, seeds=(1, 2))}):
        with pytest.raises(OptionError, match="--name it: this search was begun with other options"):
            open_study(replace(plan, **other))


def test_a_study_that_is_none_of_ours_is_left_alone(tmp_path: Path) -> None:
    plan = plan_in(tmp_path)
    own = optuna.create_study(
        study_name="it", storage=JournalStorage(JournalFileBackend(str(plan.folder / JOURNAL)))
    )
    own.optimize(lambda trial: trial.suggest_float("x", 0, 1), 1)
    with pytest.raises(OptionError, match="choose another name"):
        open_study(plan)


def test_a_trial_is_a_run_of_the_searchs_group(tmp_path: Path) -> None:
    program = (
        "import sys, threading; from pathlib import Path; from framegen.studies import pool\n"
        "from framegen.studies.search.trial import work\n"
        "from tests.studies.search.test_search import plan_in\n"
        "pool._stopped = threading.Event()\n"
        "work(plan_in(Path(sys.argv[1]), mode='offline', trials=1, tags=('mine',)))\n"
    )
    Forked(program, tmp_path).succeeded()
    records = read_records(tmp_path / "runs" / "it")
    (run,) = (record["run"] for record in records if record["type"] == "run" and "config" in record["run"])
    assert (run["display_name"], run["run_group"]) == ("trial-0", "it")
    assert "mine" in run["tags"]
    (exit_,) = (record["exit"] for record in records if record["type"] == "exit")
    assert not exit_.get("exit_code")  # it ended well


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--trials", "0"], "--trials 0"),
        (["--workers", "0"], "--workers 0"),
        (["--name", "a b"], "--name a b"),
        (["--name", "wandb"], "--name wandb"),
        (["--storage", "nonsense"], "--storage nonsense"),
        (["--storage", "postgresql://me:secret@there/db"], "give the URL as OPTUNA_STORAGE"),
        (["--device", "cuda"], "--device cuda"),
    ],
)
def test_what_cannot_be_searched_is_named(
    options: list[str], reason: str, framegen: Runner, tmp_path: Path
) -> None:
    if "--device" in options and torch.cuda.is_available():
        pytest.skip("a GPU is here")
    places = ["--runs-dir", tmp_path / "runs", "--data-dir", tmp_path / "data"]
    code, _, err = framegen(
        "search", "video", "--hidden-size", "3..8", "--num-clips", "20", *options, *places
    )
    assert code in (1, 2)
    assert reason in err
    assert "secret" not in err
    assert not list(tmp_path.glob("runs/*/trial-*"))


def test_a_database_that_the_environment_names_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPTUNA_STORAGE", "postgresql://me:secret@127.0.0.1:9/db")
    with pytest.raises(UserError, match="--storage postgresql: no trials can be kept there") as error:
        search(CONFIG, SPACE, name="it", runs_dir=tmp_path / "runs", data_dir=tmp_path / "data")
    assert "secret" not in error.value.line


def test_a_run_is_no_search(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    write_config(tmp_path / "one", CONFIG, "disabled", tmp_path)
    with pytest.raises(OptionError, match=r"--name one: .*is a run"):
        search(CONFIG, SPACE, name="one", runs_dir=tmp_path, data_dir=tmp_path)


def test_a_damaged_journal_is_named(tmp_path: Path) -> None:
    plan = plan_in(tmp_path)
    (plan.folder / JOURNAL).write_text("no journal\nat all\n")
    with pytest.raises(UserError, match=r"optuna\.journal: no trials can be kept there"):
        open_study(plan)


def test_without_optuna_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch, framegen: Runner) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    code, _, err = framegen("search", "video", "--hidden-size", "3..8")
    assert code == 1
    assert err.splitlines()[-1].endswith("`uv run --extra search` (or pip install optuna) brings it")
