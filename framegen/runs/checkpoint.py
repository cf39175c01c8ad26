"""Models on disk, and all that a run needs to go on where it was."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from framegen import files
from framegen.config.config import Config, from_dict, to_dict
from framegen.errors import UserError
from framegen.models import build
from framegen.models.predictor import Predictor
from framegen.runs.folder import Run
from framegen.training.engine import TorchEngine
from framegen.training.fused import FusedEngine

CHECKPOINT, RESUME = "checkpoint.safetensors", "resume.safetensors"


def save(path: Path, run: Run, step: int) -> None:
    """Write the weights, with the config in the metadata, so that the file alone rebuilds the models.

    The model that the run shows is the one that `load` takes unless told otherwise.
    """
    metadata = {
        "config": to_dict(run.config),
        "frame_shape": run.data.frame_shape,
        "step": step,
        "shown": run.shown,
    }
    weights = _stack(list(run.models.values()))
    files.save(
        path, weights if run.config.seeds else {name: value[0] for name, value in weights.items()}, metadata
    )


def _stack(models: Sequence[Predictor]) -> dict[str, Tensor]:
    """The weights of all models by name, each (K, …): torch.func.functional_call under vmap takes them as they are."""
    states = [model.state_dict() for model in models]
    return {name: torch.stack([state[name] for state in states]) for name in states[0]}


@dataclass(frozen=True)
class Checkpoint:
    """Trained models, by seed, and where they come from."""

    models: dict[int, Predictor]
    config: Config
    frame_shape: tuple[int, int, int]
    shown: int
    """The seed of the model to take unless told otherwise: the only one, or of a population the median one."""

    @property
    def model(self) -> Predictor:
        """The model to take unless told otherwise."""
        return self.models[self.shown]


def load(path: Path | str) -> Checkpoint:
    """Rebuild the models from a checkpoint file, or from the run folder that holds one; on the CPU, in eval mode.

    A population's weights have an axis more in the file, the first, which numbers the members.
    Raises UserError that names the file where it is missing, truncated, a pickle, or of another shape.
    """
    path = Path(path)
    path = path / CHECKPOINT if path.is_dir() else path
    weights, metadata = files.load(path)
    if "config" not in metadata or "frame_shape" not in metadata:
        raise UserError(f"{path}: is not a framegen checkpoint (no config in its metadata)")
    config = from_dict(metadata["config"], str(path))
    if metadata.get("shown") not in config.members:
        raise UserError(
            f"{path}: its metadata names the seed {metadata.get('shown')}, which its config does not hold"
        )
    match metadata["frame_shape"]:
        case [int(channels), int(height), int(width)] if min(channels, height, width) > 0:
            models = {
                seed: build(config.model, (channels, height, width), seed).eval() for seed in config.members
            }
        case shape:
            raise UserError(f"{path}: its metadata says that frames have the shape {shape}")
    stacked = weights if config.seeds else {name: value[None] for name, value in weights.items()}
    _load_weights(list(models.values()), stacked, path)
    return Checkpoint(models, config, (channels, height, width), metadata["shown"])


def _load_weights(models: Sequence[Predictor], weights: dict[str, Tensor], path: Path) -> None:
    expected = {name: (len(models), *value.shape) for name, value in models[0].state_dict().items()}
    found = {name: tuple(value.shape) for name, value in weights.items()}
    if expected != found:
        name = next(name for name in [*expected, *found] if expected.get(name) != found.get(name))
        shapes = " and not ".join(str(shape and shape[1:]) for shape in (found.get(name), expected.get(name)))
        raise UserError(f"{path}: its weights do not fit its config: {name} has shape {shapes}")
    if not all(value.isfinite().all() for value in weights.values()):
        raise UserError(f"{path}: holds weights that are not finite")
    for k, model in enumerate(models):
        model.load_state_dict({name: value[k] for name, value in weights.items()})


@dataclass(frozen=True)
class Place:
    """Where a training stands between two steps."""

    step: int = 0
    """Optimizer steps taken."""
    metrics_bytes: int = 0
    """Length of metrics.jsonl at this step; what comes behind it will be computed again."""
    seconds: float = 0.0
    """Time spent on optimizer steps so far."""


def save_progress(path: Path, engine: TorchEngine | FusedEngine, place: Place) -> None:
    """Write everything that `load_progress` brings back, in one file that is replaced as a whole."""
    content = {f"model.{name}": value for name, value in _stack(engine.models).items()}
    content["adam.mean"], content["adam.variance"] = engine.moments()
    states = [state if isinstance(state, tuple) else (state,) for state in engine.states]
    parts = [part for part in zip(*states, strict=True) if part[0] is not None]
    content |= {f"state.{index}": torch.stack(part) for index, part in enumerate(parts)}
    files.save(path, content, {"place": asdict(place)})


def load_progress(path: Path, engine: TorchEngine | FusedEngine) -> Place:
    """Bring models, Adam and carried state to where the file left them; returns what place that is.

    Raises UserError that names the file where it is damaged or of another shape.
    """
    content, metadata = files.load(path)
    _load_weights(engine.models, _part(content, "model."), path)
    try:
        place = Place(**metadata["place"])
        moments = content["adam.mean"], content["adam.variance"]
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: does not say where the training stood") from error
    if any(moment.shape != own.shape for moment, own in zip(moments, engine.moments(), strict=True)):
        raise UserError(f"{path}: Adam's state in it does not fit the model")
    engine.restore(place.step, moments)
    carried = [value.to(engine.device) for _, value in sorted(_part(content, "state.").items())]
    engine.states = [
        None if not carried else carried[0][k] if len(carried) == 1 else tuple(value[k] for value in carried)
        for k in range(len(engine.models))
    ]
    return place


def _part(content: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in content.items() if name.startswith(prefix)}
