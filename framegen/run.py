"""A run, opened: what training, evaluation and the pictures work on."""

from dataclasses import dataclass
from pathlib import Path

from framegen.config import Config
from framegen.models.predictor import Predictor
from framegen.tasks.clips import Data


@dataclass(frozen=True)
class Run:
    """A run folder with its config, its data, its model and the reference predictors, by name, fitted on that data."""

    folder: Path
    config: Config
    data: Data
    model: Predictor
    references: dict[str, Predictor]
