"""A model on disk, and all that a run needs to go on where it was."""

from dataclasses import asdict, dataclass
from pathlib import Path

from torch import Tensor

from framegen import tensors
from framegen.config import Config, from_dict, to_dict
from framegen.engine import AdamState, TorchEngine
from framegen.errors import UserError
from framegen.fused import FusedEngine
from framegen.models import build
from framegen.models.predictor import Predictor

CHECKPOINT, RESUME = "checkpoint.safetensors", "resume.safetensors"


def save(path: Path, model: Predictor, config: Config, frame_shape: tuple[int, int, int], step: int) -> None:
    """Write the weights, with the config in the metadata, so that the file alone rebuilds the model."""
    metadata = {"config": to_dict(config), "frame_shape": frame_shape, "step": step}
    tensors.save(path, model.state_dict(), metadata)


@dataclass(frozen=True)
class Checkpoint:
    """A trained model and where it comes from."""

    model: Predictor
    config: Config
    frame_shape: tuple[int, int, int]


def load(path: Path | str) -> Checkpoint:
    """Rebuild a model from a checkpoint file, or from the run folder that holds one; on the CPU, in eval mode.

    Raises UserError that names the file where it is missing, truncated, a pickle, or of another shape.
    """
    path = Path(path)
    path = path / CHECKPOINT if path.is_dir() else path
    weights, metadata = tensors.load(path)
    if "config" not in metadata or "frame_shape" not in metadata:
        raise UserError(f"{path}: is not a framegen checkpoint (no config in its metadata)")
    config = from_dict(metadata["config"], str(path))
    match metadata["frame_shape"]:
        case [int(channels), int(height), int(width)] if min(channels, height, width) > 0:
            model = build(config.model, (channels, height, width), seed=0)
        case shape:
            raise UserError(f"{path}: its metadata says that frames have the shape {shape}")
    _load_weights(model, weights, path)
    return Checkpoint(model.eval(), config, (channels, height, width))


def _load_weights(model: Predictor, weights: dict[str, Tensor], path: Path) -> None:
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in weights.items()}
    if expected != found:
        name = next(name for name in [*expected, *found] if expected.get(name) != found.get(name))
        raise UserError(
            f"{path}: its weights do not fit its config: {name} has shape {found.get(name)}, expected {expected.get(name)}"
        )
    if not all(value.isfinite().all() for value in weights.values()):
        raise UserError(f"{path}: holds weights that are not finite")
    model.load_state_dict(weights)


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
    content = {f"model.{name}": value for name, value in engine.model.state_dict().items()}
    for index, values in engine.adam().items():
        content |= {f"adam.{index}.{name}": value for name, value in values.items()}
    states = engine.state if isinstance(engine.state, tuple) else (engine.state,)
    content |= {f"state.{index}": state for index, state in enumerate(states) if state is not None}
    tensors.save(path, content, {"place": asdict(place)})


def load_progress(path: Path, engine: TorchEngine | FusedEngine) -> Place:
    """Bring model, Adam and carried state to where the file left them; returns what place that is.

    Raises UserError that names the file where it is damaged or of another shape.
    """
    content, metadata = tensors.load(path)
    _load_weights(engine.model, _part(content, "model."), path)
    adam: AdamState = {}
    for key, value in _part(content, "adam.").items():
        index, name = key.split(".")
        adam.setdefault(int(index), {})[name] = value
    moments = [tuple(values["exp_avg"].shape) for _, values in sorted(adam.items()) if "exp_avg" in values]
    if adam and moments != [tuple(parameter.shape) for parameter in engine.model.parameters()]:
        raise UserError(f"{path}: Adam's state in it does not fit the model")
    engine.load_adam(adam)
    carried = [value.to(engine.device) for _, value in sorted(_part(content, "state.").items())]
    engine.state = tuple(carried) if len(carried) > 1 else next(iter(carried), None)
    try:
        return Place(**metadata["place"])
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: its metadata does not say where the training stood") from error


def _part(content: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in content.items() if name.startswith(prefix)}
