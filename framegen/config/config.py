"""One experiment as a whole: what determines a run, to JSON and back."""

import math
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from framegen.config.checks import MAX_SEED, check, check_between, check_range
from framegen.config.models import Model, MovingMemory
from framegen.config.tasks import Sprites, Task
from framegen.config.training import Training
from framegen.machine.errors import OptionError, UserError
from framegen.machine.files import json_text, parse_json
from framegen.machine.plugins import import_installed

MAX_SEEDS = 4096
MAX_WEIGHTS = 2**31
"""Largest size of all members together: 8 GiB."""
MAX_DENSITY = 64
"""Components of a mixture."""
FORMER = ("read_ahead",)
"""Options of training that are no more, and changed no result: older runs name them."""
Kind = TypeVar("Kind", Task, Model)
Parsed = TypeVar("Parsed")


@dataclass(frozen=True)
class Config:
    """One experiment: which task, which model, how trained. With the versions it determines a run."""

    task: Task
    model: Model
    training: Training = field(default_factory=Training)
    experiment: str = "custom"
    seeds: tuple[int, ...] = ()
    """A population: one net for each of these seeds, in place of the training's own; () is one net."""
    description: str = field(default="", compare=False)
    """The experiment's line in `framegen --help`; it does not change a run."""

    def __post_init__(self) -> None:
        check(len(self.seeds) <= MAX_SEEDS, f"--seeds: {len(self.seeds)} are too many; at most {MAX_SEEDS}")
        check(len(set(self.seeds)) == len(self.seeds), "--seeds: a seed is given twice")
        check(all(0 <= s <= MAX_SEED for s in self.seeds), f"--seeds: each must lie between 0 and {MAX_SEED}")
        weights = len(self.members) * self.model.weights
        held = f"more than a machine holds; at most {MAX_WEIGHTS:.1e}"
        check(weights <= MAX_WEIGHTS, f"{weights:.1e} weights in all: {held}")
        self.task.check_batch_size(self.training.batch_size)
        loop, sampling, loss = self.training.closed_loop, self.training.sampling, self.training.loss
        own = f"--closed-loop {loop}" if loop else f"--sampling {sampling}"
        said = f"{own}: shows a net its own predictions, and those of {self.experiment} are no next frames"
        check(self.task.next_frame or (not loop and sampling == "none"), said)
        check_between(self.model, 0, MAX_DENSITY, "density")
        if density := self.model.density:
            levels = self.task.value_range == (0.0, 1.0)
            check(levels, f"--density {density}: is for pixels in [0, 1], and {self.experiment} has others")
            both = f"--loss {loss}: cannot be combined with --density {density}"
            check(loss == "mse", f"{both}, which is trained by likelihood; leave --loss at mse")
        if isinstance(self.model, MovingMemory) and (canvas := self.model.canvas):
            task, own = self.task, f"--canvas {canvas}: must be the torus' own side"
            if not (isinstance(task, Sprites) and task.view and task.told):
                way_out = "--view 16 opens one"
                raise OptionError(f"--canvas {canvas}: is for a window that tells its motion; {way_out}")
            check(canvas == task.size, f"{own}; --canvas {task.size}")

    @property
    def members(self) -> tuple[int, ...]:
        """The seed of every net that is trained, in order."""
        return self.seeds or (self.training.seed,)


def population(count: int) -> tuple[int, ...]:
    """The seeds of a number of nets: 0, 1, … Raises OptionError where there cannot be that many."""
    check_range("seeds", count, 1, MAX_SEEDS)
    return tuple(range(count))


def to_dict(config: Config) -> dict[str, Any]:
    """The config as strict JSON values, with the kinds of task and model."""
    values = asdict(config)
    del values["description"]
    for part in ("task", "model"):
        values[part] = {"kind": kind_of(type(getattr(config, part))), **values[part]}
    if values["training"]["max_grad_norm"] == math.inf:  # JSON has no number for it
        values["training"]["max_grad_norm"] = None
    return values


def kind_of(part: type[Task | Model]) -> str:
    """A class's name in files: with its module's name in front, unless it is framegen's own."""
    module = part.__module__
    if module.startswith("framegen."):
        return part.__name__
    if module in ("__main__", "__mp_main__"):  # a program: called as it is where another imports it
        module = Path(getattr(sys.modules[module], "__file__", module)).stem
    return f"{module}:{part.__name__}"


@dataclass(frozen=True)
class SavedConfig:
    """A config as it stands in a file; task and model are checked once their kinds are known."""

    task: dict[str, Any]
    model: dict[str, Any]
    training: dict[str, Any]
    experiment: str
    seeds: tuple[int, ...]

    def opened(self, source: str) -> Config:
        """The config. Raises UserError that names `source` where it is none."""
        training = {name: value for name, value in self.training.items() if name not in FORMER}
        if unclipped := training.get("max_grad_norm", 0) is None:
            training["max_grad_norm"] = 1.0
        try:
            task, model = _part(self.task, Task, source), _part(self.model, Model, source)
            trained = _parsed(training, Training, f"{source}: training")
            trained = replace(trained, max_grad_norm=math.inf) if unclipped else trained
            return Config(task, model, trained, self.experiment, self.seeds)
        except OptionError as error:
            raise UserError(f"{source}: holds an impossible config: {error}") from error


def from_json(text: str, source: str) -> Config:
    """The inverse of `to_dict`, of JSON. Raises UserError that names `source` where it is no config."""
    return parse_json(text, SavedConfig, source).opened(source)


def _parsed(values: Mapping[str, Any], kind: type[Parsed], source: str) -> Parsed:
    """Values that came from JSON as what they describe, types checked strictly. Raises UserError."""
    try:
        return parse_json(json_text(values), kind, source)
    except ValueError as error:  # 1e400
        raise UserError(f"{source}: is damaged: {error}") from error


def _part(values: dict[str, Any], base: type[Kind], source: str) -> Kind:
    """A task or a model from its values, which name its kind; what a file names is never imported."""
    name, what = str(values.get("kind")), base.__name__.lower()
    if name not in (known := {kind_of(kind): kind for kind in _subclasses(base)}):
        import_installed()
        known = {kind_of(kind): kind for kind in _subclasses(base)}
    if name not in known:
        if plugin := re.fullmatch(r"((?:[\w-]+\.)*[\w-]+):\w+", name):
            module = plugin[1] if "." in plugin[1] else f"{plugin[1]}.py"
            way_out = f"name its file: framegen --import {module} ... if you trust it"
            raise UserError(f"{source}: holds a {what} {name}, which is not framegen's; {way_out}")
        raise UserError(f"{source}: holds a {what} {name!r}; known here are {', '.join(known)}")
    options = {key: value for key, value in values.items() if key != "kind"}
    return _parsed(options, known[name], f"{source}: {what}")


def _subclasses(base: type[Any]) -> Iterator[type[Any]]:
    """All kinds below a base; a class that only others share begins with an underscore."""
    for kind in base.__subclasses__():
        if not kind.__name__.startswith("_"):
            yield kind
        yield from _subclasses(kind)
