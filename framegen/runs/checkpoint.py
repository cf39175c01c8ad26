"""Models on disk, and all that a run needs to go on where it was."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from torch import Tensor

from framegen.config.config import Config, from_json, to_dict
from framegen.evaluation.results import Session
from framegen.machine.errors import UserError
from framegen.machine.files import load_tensors, parse_json, save_tensors
from framegen.machine.plugins import command
from framegen.models import build
from framegen.models.parameters import load_weights
from framegen.models.predictor import Predictor
from framegen.runs.folder import read_config

CHECKPOINT, RESUME = "checkpoint.safetensors", "resume.safetensors"
SHOWN = "epoch.shown."
"""How the names of tensors in RESUME begin that are the predictions of a stream's windows."""
MAX_PIXELS = 2**24
"""Largest number of values in a frame, all channels together."""


@dataclass(frozen=True)
class About:
    """A checkpoint's metadata, beside the config."""

    frame_shape: tuple[int, int, int]
    step: int
    """Optimizer steps taken."""
    shown: int
    """The seed of the model to take unless told otherwise: the only one, or the median one."""
    seeds: tuple[int, ...]
    """The seeds of the models in the file; a population may have dropped some."""


@dataclass(frozen=True)
class Checkpoint(About):
    """Trained models, by seed, and where they come from."""

    config: Config
    models: dict[int, Predictor]


def save(path: Path, weights: Mapping[str, Tensor], config: Config, about: About) -> None:
    """Write the weights, by name stacked (K, …), one for each of the seeds, with the config in the metadata,
    so that the file alone rebuilds the models. A single net's weights stand in the file as they are."""
    tensors = weights if config.seeds else {name: value[0] for name, value in weights.items()}
    save_tensors(path, tensors, {"config": to_dict(config), "about": asdict(about)})


def load(path: Path | str) -> Checkpoint:
    """Rebuild the models from a checkpoint file, or the run folder that holds one; on the CPU, in eval mode.

    Raises UserError that names the file where it is missing, damaged, a pickle, or of another shape.
    """
    path = Path(path)
    if path.is_dir() and not (path / CHECKPOINT).exists():
        read_config(path)
        way_out = f"{command('train', '--resume', path)} goes on with one that was stopped as it began"
        raise UserError(f"{path / CHECKPOINT}: no such file, so there is no trained model; {way_out}")
    path = path / CHECKPOINT if path.is_dir() else path
    weights, metadata = load_tensors(path)
    if not {"config", "about"} <= set(metadata):
        raise UserError(f"{path}: is not a framegen checkpoint (no config in its metadata)")
    config = from_json(metadata["config"], str(path))
    about = parse_json(metadata["about"], About, str(path))
    if not about.seeds or about.shown not in about.seeds or not set(about.seeds) <= set(config.members):
        raise UserError(f"{path}: is damaged: its metadata names seeds that its config does not hold")
    if min(about.frame_shape) < 1 or math.prod(about.frame_shape) > MAX_PIXELS:
        raise UserError(f"{path}: its metadata says that frames have the shape {about.frame_shape}")
    models = {seed: build(config.model, about.frame_shape, seed).eval() for seed in about.seeds}
    stacked = weights if config.seeds else {name: value[None] for name, value in weights.items()}
    try:
        load_weights(list(models.values()), stacked)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
    return Checkpoint(**vars(about), config=config, models=models)


def steps_taken(path: Path) -> int:
    """The optimizer steps behind a checkpoint file. Raises as `load` does."""
    return parse_json(load_tensors(path)[1].get("about", ""), About, str(path)).step


@dataclass(frozen=True)
class Place:
    """Where a training stands between two steps; what is large stands in `tensors`."""

    seeds: tuple[int, ...]
    """The seeds of the nets that are still trained."""
    step: int = 0
    """Optimizer steps taken."""
    seconds: float = 0.0
    """Time spent on optimizer steps so far."""
    lengths: dict[str, int] = field(default_factory=dict)
    """Bytes of metrics.jsonl and members.jsonl at this step; what comes behind will be computed again."""
    dropped: dict[int, int] = field(default_factory=dict)
    """By seed, the step at which a net was dropped, since its loss was no longer finite."""
    waited: float = 0.0
    """The part of `seconds` for which steps waited for their clips."""
    spent: float = 0.0
    """Seconds of --minutes that are behind: timing, steps, validations, pictures made meanwhile."""
    planned: int = 0
    """With --minutes, the optimizer steps of the whole training as foreseen now; 0: as the config says."""
    validation: float = 0.0
    """With --minutes, seconds that the validation of an epoch took last."""
    sessions: tuple[Session, ...] = ()
    """By what it was trained so far, as far as that changed."""

    def by(self, now: Session) -> "Place":
        """The same place, from which `now` trains on."""
        if self.sessions and replace(now, step=self.sessions[-1].step) == self.sessions[-1]:
            return self
        return replace(self, sessions=(*self.sessions, now))


def save_progress(path: Path, tensors: Mapping[str, Tensor], config: Config, place: Place) -> None:
    """Write everything that `load_progress` brings back, in one file that is replaced as a whole."""
    save_tensors(path, tensors, {"config": to_dict(config), "place": asdict(place)})


def load_progress(path: Path, config: Config, steps: int) -> tuple[dict[str, Tensor], Place]:
    """Read the file of `save_progress` for a run of this config, which takes `steps` unless the place has
    others planned. Raises UserError that names the file where it is damaged or of another run."""
    tensors, metadata = load_tensors(path)
    if from_json(metadata.get("config", ""), str(path)) != config:
        raise UserError(f"{path}: belongs to a run with another config")
    place = parse_json(metadata.get("place", ""), Place, str(path))
    everyone = (*place.seeds, *place.dropped)
    possible = (
        0 <= place.step <= (place.planned or steps)
        and 0 <= place.waited <= place.seconds < math.inf
        and all(0 <= each < math.inf for each in (place.spent, place.validation))
        and min(place.lengths.values(), default=0) >= 0
    )
    if not possible or not place.seeds or sorted(everyone) != sorted(config.members):
        raise UserError(f"{path}: is damaged: it says that the training stood where it cannot have been")
    # Weights are looked at where they are loaded; a net's buffers and its state may hold what they like.
    numbers = [value for name, value in tensors.items() if name.startswith(("adam.", "epoch."))]
    if not all(value.isfinite().all() for value in numbers):
        raise UserError(f"{path}: is damaged: it holds values that are not finite")
    return tensors, place
