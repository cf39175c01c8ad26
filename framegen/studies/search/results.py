"""The trials of a search: on the terminal, and in its file, trials.json."""

import shlex
from collections import Counter
from pathlib import Path
from typing import Any, Literal

from optuna import Study
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from framegen.machine.files import json_text, write_text
from framegen.machine.plugins import command
from framegen.machine.progress import answer, count_of
from framegen.report.tables import Screen, print_results, print_table
from framegen.studies.search.found import Found
from framegen.tables import formatted

Metric = Literal["skill", "mse"]
TRIALS = "trials.json"
BEST_TRIALS = 5
"""Number of best trials in the table."""
RUN, DIVERGED = "run", "diverged"
"""Optuna's user attributes of a trial: its run's name, and which loss was not finite."""
ENDED = TrialState.COMPLETE, TrialState.PRUNED


def metric_of(study: Study) -> Metric:
    """The measure of trials on the validation clips: skill, or mse where no optimum is known."""
    return "skill" if study.direction == StudyDirection.MAXIMIZE else "mse"


def ranking(study: Study) -> list[FrozenTrial]:
    """The trials that came to their end, from the best to the worst."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return sorted(complete, key=lambda trial: trial.values[0], reverse=metric_of(study) == "skill")


def end_of(trial: FrozenTrial) -> str:
    """How a trial ended."""
    if trial.state == TrialState.COMPLETE:
        return "trained to the end"
    return "diverged" if DIVERGED in trial.user_attrs else "ended early"


def option(name: str) -> str:
    """An option's name, to read."""
    return name.replace("_", "-")


def line_of(study: Study, trial: FrozenTrial) -> str:
    """A trial that ended, in a line, and the best so far."""
    options = ", ".join(f"{option(name)} {_shown(value)}" for name, value in trial.params.items())
    value = "" if trial.value is None else f", {metric_of(study)} {trial.value:.4g}"
    best = "".join(f"; best {each.values[0]:.4g}" for each in ranking(study)[:1])
    return f"{trial.user_attrs[RUN]}: {options}{value}, {end_of(trial)}{best}"


def write_trials(folder: Path, study: Study, command: str | None) -> None:
    """Write trials.json: what makes the best one's run alone, and a row of each trial that ended."""
    rows = [
        {
            "run": trial.user_attrs[RUN],
            "end": end_of(trial),
            "value": trial.value,
            "epochs": trial.last_step or 0,
            "options": trial.params,
        }
        for trial in study.get_trials(deepcopy=False, states=ENDED)
    ]
    content = {"metric": metric_of(study), "command": command, "trials": rows}
    write_text(folder / TRIALS, json_text(content))


def print_found(found: Found, **_: Any) -> None:
    """Print the result of `search`: the best trials, their number, and the best one's scores."""
    study, console = found.study, Screen()
    best, metric = ranking(study)[:BEST_TRIALS], metric_of(study)
    console.print("The best trials, by the validation clips")
    columns = "trial", f"validation {metric}", *map(option, best[0].params)
    rows = {t.user_attrs[RUN]: [formatted(metric, t.value), *map(_shown, t.params.values())] for t in best}
    print_table(console, columns, rows, best[0].user_attrs[RUN])
    ends = Counter(map(end_of, study.get_trials(deepcopy=False, states=ENDED)))
    counts = ", ".join(f"{count} {end}" for end, count in ends.items())
    console.print(f"{count_of(ends.total(), 'trial')}: {counts}")
    print_results(found.run.results, console)
    made = [found.run.folder, *sorted((found.folder / "figures").glob("*.png"))]
    answer("", "The best one, and the search:", *(f"  {path}" for path in made))
    if found.command:
        answer(f"The best one again: {command(*shlex.split(found.command)[1:])}")


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
