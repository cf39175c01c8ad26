"""What a search has tried, and its file: trials.json."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from framegen.files import to_json, write_bytes

TRIALS = "trials.json"
Metric = Literal["skill", "mse"]
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
