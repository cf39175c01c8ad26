"""One experiment as a whole: what determines a run, to JSON and back."""

import math
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from framegen.config.checks import MAX_SEED, check
from framegen.config.models import Model
from framegen.config.tasks import Task
from framegen.config.training import Training
from framegen.machine.errors import OptionError, UserError
from framegen.machine.files import json_text, parse_json
from framegen.machine.plugins import import_installed

MAX_SEEDS = 4096
MAX_WEIGHTS = 2**31
"""Of all members together: 8 GiB."""
MAX_DENSITY = 64
"""Components of a mixture."""
FORMER = ("read_ahead",)
"""Options of training that are no more, and changed no result: older runs name them."""
Kind = TypeVar("Kind", Task, Model)
Parsed = TypeVar("Parsed")


@dataclass(frozen=True)
class Config:
    """One experiment: which task, which model, how trained. With the versions at hand it determines a run."""

    task: Task
    model: Model
    training: Training = field(default_factory=Training)
    experiment: str = "custom"
    seeds: tuple[int, ...] = ()
    """A population: one net for each of these seeds, which then stand in place of the training's own; () is
    one net."""
    description: str = field(default="", compare=False)
    """What `framegen --help` says of the experiment, in a few words; it is no part of what a run is."""

    def __post_init__(self) -> None:
        check(len(self.seeds) <= MAX_SEEDS, f"--seeds: {len(self.seeds)} are too many; at most {MAX_SEEDS}")
        check(len(set(self.seeds)) == len(self.seeds), "--seeds: a seed is given twice")
        check(all(0 <= s <= MAX_SEED for s in self.seeds), f"--seeds: each lies between 0 and {MAX_SEED}")
        weights = len(self.members) * self.model.weights
        check(
            weights <= MAX_WEIGHTS,
            f"{weights:.1e} weights in all: more than a machine holds; at most {MAX_WEIGHTS:.1e}",
        )
        self.task.check_batch_size(self.training.batch_size)
        self._check_density()
        self._check_own_frames()

    def _check_own_frames(self) -> None:
        option, training = "", self.training
        if training.closed_loop:
            option = f"--closed-loop {training.closed_loop}"
        elif training.sampling != "none":
            option = f"--sampling {training.sampling}"
        check(
            not option or self.task.next_frame,
            f"{option}: shows a net its own predictions, and those of {self.experiment} are no next frames",
        )

    def _check_density(self) -> None:
        density = self.model.density
        check(0 <= density <= MAX_DENSITY, f"--density {density}: lies between 0 and {MAX_DENSITY}")
        if density:
            levels = self.task.value_range == (0.0, 1.0)
            check(levels, f"--density {density}: is for pixels in [0, 1], and {self.experiment} has others")
            both = f"--loss {self.training.loss}: cannot be combined with --density {density}"
            check(self.training.loss == "mse", f"{both}, which is trained by likelihood; --loss mse lets it")

    @property
    def members(self) -> tuple[int, ...]:
        """The seed of every net that is trained, in order."""
        return self.seeds or (self.training.seed,)


def population(count: int) -> tuple[int, ...]:
    """The seeds of so many nets: 0, 1, … Raises OptionError where there cannot be so many."""
    check(count >= 1, f"--seeds {count}: a population has at least 1 net")
    check(count <= MAX_SEEDS, f"--seeds {count}: are too many; at most {MAX_SEEDS}")
    return tuple(range(count))


@dataclass(frozen=True)
class _Saved:
    """A config as it stands in a file; the task's and the model's values are checked once their kind is
    known."""

    task: dict[str, Any]
    model: dict[str, Any]
    training: dict[str, Any]
    experiment: str
    seeds: tuple[int, ...]


def to_dict(config: Config) -> dict[str, Any]:
    """The config as strict JSON values; the task and the model carry the name of their kind."""
    values = asdict(config)
    del values["description"]
    for part in ("task", "model"):
        values[part] = {"kind": kind_of(type(getattr(config, part))), **values[part]}
    if values["training"]["max_grad_norm"] == math.inf:  # JSON has no number for it
        values["training"]["max_grad_norm"] = None
    return values


def kind_of(part: type[Task | Model]) -> str:
    """What a file calls a class of tasks or of models: its name, behind its module's where it is not
    framegen's own."""
    module = part.__module__
    if module.startswith("framegen."):
        return part.__name__
    if module in ("__main__", "__mp_main__"):  # a program: called as it is where another imports it
        module = Path(getattr(sys.modules[module], "__file__", module)).stem
    return f"{module}:{part.__name__}"


def from_dict(values: Mapping[str, Any], source: str) -> Config:
    """The inverse of `to_dict`. Raises UserError that names `source` where the values are not a config."""
    saved = _parsed(values, _Saved, source)
    training = {name: value for name, value in saved.training.items() if name not in FORMER}
    if unclipped := training.get("max_grad_norm", 0) is None:
        training["max_grad_norm"] = 1.0
    try:
        task, model = _part(saved.task, Task, source), _part(saved.model, Model, source)
        trained = _parsed(training, Training, f"{source}: training")
        trained = replace(trained, max_grad_norm=math.inf) if unclipped else trained
        return Config(task, model, trained, saved.experiment, saved.seeds)
    except OptionError as error:
        raise UserError(f"{source}: holds an impossible config: {error}") from error


def _parsed(values: Mapping[str, Any], kind: type[Parsed], source: str) -> Parsed:
    """Values that came from JSON as what they describe, types checked strictly. Raises UserError."""
    try:
        return parse_json(json_text(values), kind, source)
    except ValueError as error:  # 1e400
        raise UserError(f"{source}: is damaged: {error}") from error


def _part(values: dict[str, Any], base: type[Kind], source: str) -> Kind:
    """A task or a model from its values, which name its kind: a subclass of `base` that is here already. What
    a file says is never imported."""
    name, what = str(values.get("kind")), base.__name__.lower()
    if name not in (known := {kind_of(kind): kind for kind in _subclasses(base)}):
        import_installed()
        known = {kind_of(kind): kind for kind in _subclasses(base)}
    if name not in known:
        if plugin := re.fullmatch(r"((?:[\w-]+\.)*[\w-]+):\w+", name):
            module = plugin[1] if "." in plugin[1] else f"{plugin[1]}.py"
            way_out = f"framegen --import {module} ... if you trust it"
            raise UserError(
                f"{source}: holds a {what} {name}, which is not framegen's; name its file: {way_out}"
            )
        raise UserError(f"{source}: holds a {what} {name!r}; known here are {', '.join(known)}")
    options = {key: value for key, value in values.items() if key != "kind"}
    return _parsed(options, known[name], f"{source}: {what}")


def _subclasses(base: type[Any]) -> Iterator[type[Any]]:
    """Those that can be; one that others share, and is no kind by itself, has an underscore before its
    name."""
    for kind in base.__subclasses__():
        if not kind.__name__.startswith("_"):
            yield kind
        yield from _subclasses(kind)
