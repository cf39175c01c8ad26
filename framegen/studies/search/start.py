"""A search for the best options of an experiment: what was tried is compared on validation clips, and the
best alone is measured on the test clips."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import torch

from framegen.config.config import Config
from framegen.config.experiments import EXPERIMENTS, configure
from framegen.config.keywords import Keywords
from framegen.config.training import Mode
from framegen.data.loading import determine, load_data
from framegen.evaluation.references import optimal_predictor
from framegen.machine.device import choose_device
from framegen.machine.errors import OptionError, UserError
from framegen.machine.interrupts import Interrupted, Interrupts
from framegen.machine.progress import say
from framegen.runs.folder import CONFIG, check_name
from framegen.runs.weights_and_biases import resolve_mode
from framegen.studies import pool
from framegen.studies.search.found import Found
from framegen.studies.search.space import Choice, Range, check_space, command

if TYPE_CHECKING:
    import optuna

    from framegen.studies.search.trial import Plan


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
        name: of the folder in `runs_dir`; None: EXPERIMENT-search.
        prune: whether a trial is ended early whose validation is worse than the median of the others' after
            as many epochs; not before 5 trials came to their end, nor in the first quarter of the epochs.
        tags: W&B's; its group is the search's name.
        options: values for the fields of the task, the model or the training, the same in all trials.

    The others are the options of `framegen search`, and mean what its --help says.

    Raises:
        UserError: Optuna is not installed, an option that cannot work, a search of that name with other
            options, a storage that cannot be had. Interrupted: SIGINT, SIGTERM or SIGHUP came; all is saved.
    """
    _check(trials, workers)
    from framegen.studies.search.trial import Plan

    config = configure(experiment, seeds, options)
    if (minutes := config.training.minutes) is not None:
        raise OptionError(f"--minutes {minutes:g}: trials are compared epoch by epoch; give --epochs")
    choose_device(config.training.device)
    named = {
        n: each if isinstance(each, Range | Choice) else Choice(tuple(each)) for n, each in space.items()
    }
    fitted, data_dir = check_space(config, named), Path(data_dir)
    config = replace(config, task=determine(config.task, data_dir))
    known = optimal_predictor(config.task, load_data(config.task, data_dir)) is not None
    plan = Plan(
        config,
        fitted,
        "skill" if known else "mse",
        _folder(Path(runs_dir) / (name or f"{config.experiment}-search")),
        data_dir,
        storage or os.environ.get("OPTUNA_STORAGE"),
        trials,
        prune,
        sampler_seed,
        resolve_mode(track),
        tuple(tags),
        max(1, torch.get_num_threads() // workers),
        show,
    )
    return _run(plan, workers)


def _run(plan: "Plan", count: int) -> Found:
    """Train what is to be trained, a number of trials at a time, and measure the best."""
    from framegen.studies.search.trial import left, open_study, work

    study = open_study(plan)
    to_begin, under_way = left(study, plan)
    say(f"{plan.folder}: {plan.trials - to_begin - under_way} of {plan.trials} trials are done", plan.show)
    try:
        with Interrupts():
            if to_begin or under_way:
                with pool.workers(count) as processes:
                    for worker in as_completed([processes.submit(work, plan) for _ in range(count)]):
                        worker.result()
            return _conclude(study, plan)
    except Interrupted as stop:  # a run that was being measured would advise to go on with it alone
        raise Interrupted(stop.number, "; all is saved, and the same command resumes it") from None


def _conclude(study: "optuna.Study", plan: "Plan") -> Found:
    """Measure the best, and leave what was found in the search's folder."""
    from framegen.studies.search.plots import draw
    from framegen.studies.search.results import ranking, write_trials

    if not (ranked := ranking(study)):
        raise UserError(
            f"{plan.folder}: no trial came to its end; other values may help, or --no-prune, or more --trials"
        )
    folder, config = plan.run(ranked[0])
    with plan.lock("measuring"):  # of processes that end together, one measures it
        say(f"measuring {folder.name}, the best on validation, on the test clips", plan.show)
        run = plan.train(folder, config)  # from its beginning where another machine has it
        scores = {part: each["model"] for part, each in run.results.parts().items()}
        study.set_user_attr("test", {"run": folder.name, **scores})
        again = command(config) if config.experiment in EXPERIMENTS else None
        write_trials(plan.folder, study, again)
        draw(study, plan.space, plan.folder / "figures")
    return Found(plan.folder, run, study, again)


def _check(trials: int, workers: int) -> None:
    """Raises OptionError for a number that is none, and UserError where Optuna is not installed."""
    for option, number in (("trials", trials), ("workers", workers)):
        if number < 1:
            raise OptionError(f"--{option} {number}: at least 1 is needed")
    if find_spec("optuna") is None:
        raise UserError(
            "search: Optuna is not installed; `uv run --extra search` (or pip install optuna) brings it"
        )


def _folder(folder: Path) -> Path:
    """A search's folder, made where it is missing. Raises UserError where it cannot be made, or holds a
    run."""
    check_name(folder.name)
    if (folder / CONFIG).exists():
        raise OptionError(f"--name {folder.name}: {folder} is a run, and no search; choose another")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: no search can be kept there: {error.strerror}") from error
    return folder
