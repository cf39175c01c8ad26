"""One experiment as a whole: what determines a run, to JSON and back."""

from dataclasses import asdict, dataclass, field
from typing import Any

from framegen.config.checks import MAX_SEED, check
from framegen.config.data import Orbit, Sine, Task
from framegen.config.models import MLP, Model, Recurrent
from framegen.config.training import Training
from framegen.errors import OptionError, UserError

MAX_SEEDS = 4096


@dataclass(frozen=True)
class Config:
    """One experiment: which task, which model, how trained. With the versions at hand it determines a run."""

    task: Task
    model: Model
    training: Training = field(default_factory=Training)
    experiment: str = "custom"
    seeds: tuple[int, ...] = ()
    """A population: one net for each of these seeds, which then stand in place of the training's own; () is one net."""

    def __post_init__(self) -> None:
        check(len(self.seeds) <= MAX_SEEDS, f"--seeds: {len(self.seeds)} are too many; at most {MAX_SEEDS}")
        check(len(set(self.seeds)) == len(self.seeds), "--seeds: a seed stands twice")
        check(
            all(0 <= seed <= MAX_SEED for seed in self.seeds), f"--seeds: each lies between 0 and {MAX_SEED}"
        )
        match self.task:
            case Orbit(num_clips=clips):
                size = self.training.batch_size
                check(
                    size <= clips,
                    f"--batch-size {size}: larger than the {clips} training clips (--num-clips)",
                )
            case Sine():
                size = self.training.batch_size
                check(
                    size == 1, f"--batch-size {size}: a sine is one stream, trained one window at a time: 1"
                )

    @property
    def members(self) -> tuple[int, ...]:
        """The seed of every net that is trained, in order."""
        return self.seeds or (self.training.seed,)


_KINDS = {kind.__name__: kind for kind in (Orbit, Sine, Recurrent, MLP)}


def to_dict(config: Config) -> dict[str, Any]:
    """The config as plain JSON values; the task and the model carry the name of their kind."""
    values = asdict(config)
    for part in ("task", "model"):
        values[part] = {"kind": type(getattr(config, part)).__name__, **values[part]}
    return values


def from_dict(values: dict[str, Any], source: str) -> Config:
    """The inverse of `to_dict`. Raises UserError that names `source` where the values are not a config."""
    try:
        parts = {part: dict(values[part]) for part in ("task", "model")}
        task, model = (_KINDS[part.pop("kind")](**_tuples(part)) for part in parts.values())
        if not isinstance(task, Task) or not isinstance(model, Model):
            raise TypeError("task and model are mixed up")
        return Config(
            task, model, Training(**values["training"]), values["experiment"], tuple(values["seeds"])
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{source}: holds no config that this version of framegen knows ({error!r})"
        ) from error
    except OptionError as error:
        raise UserError(f"{source}: holds an impossible config: {error}") from error


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
