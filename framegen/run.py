"""A run, opened: what training, evaluation and the pictures work on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from framegen.config import Config
from framegen.models.predictor import Predictor
from framegen.tasks.clips import Data


@dataclass(frozen=True)
class Run:
    """A run folder with its config, its data, its models and the reference predictors, by name, fitted on that data."""

    folder: Path
    config: Config
    data: Data
    models: Mapping[int, Predictor]
    """By seed: one, or a population."""
    references: dict[str, Predictor]
    shown: int
    """The seed of the model that pictures and videos show."""

    @property
    def model(self) -> Predictor:
        """The model that pictures and videos show."""
        return self.models[self.shown]
