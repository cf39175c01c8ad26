"""A run, opened: what evaluation and the pictures work on, and what a notebook gets."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from framegen.config.config import Config
from framegen.data.clips import Data
from framegen.data.loading import load_data
from framegen.evaluation.blending import blend_of
from framegen.evaluation.references import fit_references
from framegen.evaluation.results import RESULTS, Results, read_results
from framegen.evaluation.scores import validate_references
from framegen.models.kernels.fused import device_for
from framegen.models.predictor import Predictor
from framegen.runs import checkpoint
from framegen.runs.folder import Named, data_of, find
from framegen.runs.metrics import Metrics, read_metrics
from framegen.tables import as_html


@dataclass
class Run:
    """A run's folder, config and models; data and references are loaded when they are first asked for."""

    folder: Path
    config: Config
    models: Mapping[int, Predictor]
    """By seed: one, or a population."""
    shown: int
    """The seed of the model that pictures, videos and `model` show; it may be set."""

    @property
    def model(self) -> Predictor:
        """The model that pictures and videos show: the only one, or the validation clips' median one."""
        return self.models[self.shown]

    @cached_property
    def blend(self) -> Predictor:
        """What continues a film: the model, and what needs no training, weighed as results.json says; the
        model alone where that says nothing, or is not there yet."""
        found = self.results.blend if (self.folder / RESULTS).exists() else None
        if found is None:
            return self.model
        return blend_of(found, self.model, self.config, self.data, self.references)

    @cached_property
    def data(self) -> Data:
        """The clips that it was trained, chosen and tested on."""
        return load_data(self.config.task, data_of(self.folder))

    @cached_property
    def references(self) -> Mapping[str, Predictor]:
        """The predictors that it is measured against, by name, fitted on that data."""
        return fit_references(self.config.task, self.data)

    @cached_property
    def validation(self) -> Mapping[str, float]:
        """One-step mse on the validation clips of copying and of the optimum, where that is known."""
        return validate_references(self.references, self.data.val)

    @property
    def results(self) -> Results:
        """results.json. Raises UserError where it is missing or damaged."""
        return read_results(self.folder)

    def metrics(self) -> Metrics:
        """The log of its training. Raises UserError where a file is missing or damaged."""
        return read_metrics(self.folder)

    def __fspath__(self) -> str:
        """Its folder: a run may stand where one is named."""
        return str(self.folder)

    def _repr_html_(self) -> str | None:
        """The results and generated.gif, for a notebook. None before they are there."""
        measured = (self.folder / RESULTS).exists()
        return as_html(self.results, self.folder / "generated.gif") if measured else None


def load(run: Named, device: str = "cpu", runs_dir: Path | str = "runs") -> Run:
    """Open a run by its folder or checkpoint file, or its name in `runs_dir`, its models in eval mode. Raises
    UserError where there is none, or its checkpoint is missing or damaged."""
    path = find(run, runs_dir)
    saved = checkpoint.load(path)
    place = device_for(next(iter(saved.models.values())), saved.config.training.engine, device)
    models = {seed: model.to(place) for seed, model in saved.models.items()}
    return Run(path if path.is_dir() else path.parent, saved.config, models, saved.shown)
