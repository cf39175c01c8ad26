"""A search for the best options of an experiment: what was tried is compared on validation clips, and the
best alone is measured on the test clips."""

import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Unpack

import torch
from filelock import FileLock
from rich.console import Console

from framegen.config.config import Config
from framegen.config.experiments import configure
from framegen.config.keywords import Keywords
from framegen.config.training import Mode
from framegen.data import determine, load_data
from framegen.evaluation.references import optimal_predictor
from framegen.machine.device import choose_device
from framegen.machine.errors import OptionError, UserError
from framegen.machine.files import write_text
from framegen.machine.progress import answer
from framegen.report.tables import print_results
from framegen.runs.folder import CONFIG, check_name
from framegen.runs.run import Run
from framegen.runs.weights_and_biases import resolve_mode
from framegen.studies.search.results import Trials, print_trials
from framegen.studies.search.space import Choice, Range, check_space

LOCKS, PLACE = ".locks", ".place"
"""In a search's folder: who does what just now, and what tells the folder from all others."""


@dataclass(frozen=True)
class Found:
    """What came of a search."""

    folder: Path
    """Holds trials.json, figures/, and a run for each trial."""
    run: Run
    """The best by validation, measured on the test clips."""
    trials: Trials


def search(
    experiment: str | Config,
    space: Mapping[str, Range | Choice | Sequence[Any]],
    trials: int = 50,
    workers: int = 1,
    name: str | None = None,
    track: Mode | None = None,
    runs_dir: Path | str = "runs",
    data_dir: Path | str = "data",
    show: bool = True,
    *,
    seeds: int | Sequence[int] | None = None,
    prune: bool = True,
    sampler_seed: int = 0,
    storage: str | None = None,
    tags: Sequence[str] = (),
    **options: Unpack[Keywords],
) -> Found:
    """Search for the best options of an experiment, by validation skill, or mse where no optimum is known.

    Optuna's TPE sampler (Bergstra et al. 2011) proposes what is tried, and its median pruner (Golovin et al.
    2017) ends early what is worse than others. The same call goes on with what was interrupted, and joins,
    from any process, what is under way. Processes are spawned, so that a script which calls this needs
    `if __name__ == "__main__":`.

    Args:
        experiment: a name of `EXPERIMENTS`, or a config.
        space: by option, a `Range` or a list of values.
        trials: how many in all, of every process that takes part.
        workers: how many at a time, each in a process of its own.
        name: of the folder in `runs_dir`; None: EXPERIMENT-search.
        seeds: a trial is a population of these, as in `train`, and its value their mean.
        prune: whether a trial is ended early whose validation is worse than the median of the others' after
            as many epochs; not before 5 trials came to their end, nor in the first quarter of the epochs.
        sampler_seed: with one worker, a search of the same seed tries the same.
        storage: a database's URL; None asks OPTUNA_STORAGE, else the trials are kept in a journal file in the
            folder.
        tags: W&B's; its group is the search's name.
        options: values for the fields of the task, the model or the training, the same in all trials.

    Raises:
        UserError: Optuna is not installed, an option that cannot work, a search of that name with other
            options, a storage that cannot be had. Interrupted: SIGINT, SIGTERM or SIGHUP came; all is saved.
    """
    _check(trials, workers)
    from framegen.studies.search import run

    config = configure(experiment, seeds, options)
    if (minutes := config.training.minutes) is not None:
        raise OptionError(f"--minutes {minutes:g}: trials are compared epoch by epoch; give --epochs")
    choose_device(config.training.device)
    named = {
        n: each if isinstance(each, Range | Choice) else Choice(tuple(each)) for n, each in space.items()
    }
    fitted, data_dir = check_space(config, named), Path(data_dir)
    config = replace(config, task=determine(config.task, data_dir))
    folder = Path(runs_dir) / (name or f"{config.experiment}-search")
    known = optimal_predictor(config.task, load_data(config.task, data_dir)) is not None
    plan = run.Plan(
        config,
        fitted,
        "skill" if known else "mse",
        folder,
        data_dir,
        storage or os.environ.get("OPTUNA_STORAGE"),
        _place(folder),
        trials,
        prune,
        sampler_seed,
        resolve_mode(track),
        tuple(tags),
        threads=max(1, torch.get_num_threads() // workers),
    )
    run, found = run.run(plan, workers, show)
    return Found(folder, run, found)


def print_found(found: Found, **_: Any) -> None:
    """What came of `search`."""
    print_trials(found.trials, Console())
    print_results(found.run.results, Console())
    made = [found.run.folder, *sorted((found.folder / "figures").glob("*.png"))]
    answer("", "The best one, and the search:", *(f"  {path}" for path in made))
    answer(f"The best one again: uv run {found.trials.command}")


def _check(trials: int, workers: int) -> None:
    """Raises OptionError for a number that is none, and UserError where Optuna is not installed."""
    for option, number in (("trials", trials), ("workers", workers)):
        if number < 1:
            raise OptionError(f"--{option} {number}: at least 1 is needed")
    if find_spec("optuna") is None:
        raise UserError(
            "search: Optuna is not installed; uv sync --extra search (or pip install optuna) brings it"
        )


def _place(folder: Path) -> str:
    """Make a search's folder, where it is missing; returns what tells it from all others. Raises UserError
    where it cannot be made, or holds a run."""
    check_name(folder.name)
    if (folder / CONFIG).exists():
        raise OptionError(f"--name {folder.name}: {folder} is a run, and no search; choose another")
    try:
        (folder / LOCKS).mkdir(parents=True, exist_ok=True)
        with FileLock(folder / LOCKS / "place"):
            if not (path := folder / PLACE).exists():
                write_text(path, secrets.token_hex(8))
            return path.read_text()
    except OSError as error:
        raise UserError(f"{folder}: no search can be kept there: {error.strerror}") from error
