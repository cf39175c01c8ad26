"""The result of `search`, which needs no Optuna."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from framegen.runs.run import Run

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class Found:
    """The result of a search."""

    folder: Path
    """Holds trials.json, figures/, and a run for each trial."""
    run: Run
    """The best by validation, measured on the test clips."""
    study: "optuna.Study"
    """All trials, for whatever Optuna can tell of them."""
    command: str | None
    """The command that trains the best trial again; None where its experiment is not framegen's."""
