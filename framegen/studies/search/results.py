"""What a search has tried, and its file: trials.json."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

from framegen.machine.files import to_json, write_bytes
from framegen.machine.progress import count_of
from framegen.report.tables import formatted

TRIALS = "trials.json"
Metric = Literal["skill", "mse"]
BEST_TRIALS = 5
"""Of a search, that are shown."""
State = Literal["complete", "pruned", "diverged", "under way"]


@dataclass(frozen=True)
class Trial:
    """One training of a search."""

    number: int
    """From 0; its run is in trial-NUMBER."""
    options: dict[str, bool | int | float | str]
    """What was tried, by the names of the fields."""
    state: State
    """Pruned: ended early, since it was worse than others; diverged: a loss was not finite."""
    value: float | None
    """On the validation clips, one step ahead, as it stood at the end; of a population the mean."""
    epochs: int
    """After so many."""


@dataclass(frozen=True)
class Trials:
    """All trials of a search."""

    experiment: str
    metric: Metric
    """Skill, or mse where the task's optimum is not known."""
    best: int | None
    """The number of the best that came to its end; None: none has."""
    command: str | None
    """What makes the best one's run alone."""
    trials: tuple[Trial, ...]

    @property
    def ranking(self) -> list[Trial]:
        """Those that came to their end, from the best to the worst."""
        sign = -1 if self.metric == "skill" else 1
        complete = [(sign * trial.value, trial) for trial in self.trials if trial.value is not None]
        return [
            trial
            for _, trial in sorted(complete, key=lambda each: (each[0], each[1].number))
            if trial.state == "complete"
        ]


def write_trials(folder: Path, trials: Trials) -> None:
    """Write trials.json."""
    write_bytes(folder / TRIALS, to_json(trials))


def shown(value: bool | float | str) -> str:
    """An option's value, to read."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def print_trials(trials: Trials, console: Console) -> None:
    """The best trials of a search, a line each, and how many there were."""
    table = Table(title="The best trials, by the validation clips", title_justify="left", title_style="")
    table.add_column("trial", justify="right")
    table.add_column(f"validation {trials.metric}", justify="right")
    for name in trials.ranking[0].options:
        table.add_column(name.replace("_", "-"), justify="right")
    for trial in trials.ranking[:BEST_TRIALS]:
        values = map(shown, trial.options.values())
        style = "bold" if trial.number == trials.best else None
        table.add_row(str(trial.number), formatted(trials.metric, trial.value), *values, style=style)
    console.print(table)
    states = [trial.state for trial in trials.trials]
    said = {"complete": "trained to the end", "pruned": "ended early, since others were better"}
    said |= {"diverged": "diverged", "under way": "under way elsewhere"}
    counts = [f"{states.count(state)} {text}" for state, text in said.items() if state in states]
    console.print(f"{count_of(len(states), 'trial')}: {', '.join(counts)}", highlight=False)
