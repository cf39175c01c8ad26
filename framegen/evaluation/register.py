"""Models and tasks of one's own; docs/extend.md shows a file of them."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

from framegen.config.config import Config
from framegen.config.experiments import BUILT_IN, EXPERIMENTS
from framegen.config.models import Model
from framegen.config.tasks import Task
from framegen.machine.errors import UserError

if TYPE_CHECKING:  # whatever is registered comes from a file that imports torch itself
    from framegen.data.clips import Data
    from framegen.models.predictor import Predictor

AModel = TypeVar("AModel", bound=Model)
ATask = TypeVar("ATask", bound=Task)


@overload
def register(
    kind: type[AModel],
    make: "Callable[[AModel, tuple[int, int, int]], Predictor]",
    *,
    experiments: Mapping[str, Config] = ...,
) -> None: ...
@overload
def register(
    kind: type[ATask],
    make: "Callable[[ATask, Path], Data]",
    *,
    optimum: "Callable[[ATask, Data], Predictor | None] | None" = ...,
    experiments: Mapping[str, Config] = ...,
) -> None: ...
def register(
    kind: type[Any],
    make: Callable[..., Any],
    *,
    optimum: Callable[..., Any] | None = None,
    experiments: Mapping[str, Config] = {},
) -> None:
    """Make a model or a task known to every command.

    Args:
        kind: the class of its options, a frozen dataclass, a subclass of `Model` or of `Task`.
        make: of a model, the net for its options and for frames (C, H, W), mostly its class; of a task, its
            data for its options and the data folder.
        optimum: of a task whose best possible predictor is known, that one for its options and its data.
        experiments: by the names that `train` takes. UserError where one of framegen's has that name.
    """
    from framegen.data.loading import load_data
    from framegen.evaluation.references import optimal_predictor
    from framegen.models import module

    for name in experiments.keys() & BUILT_IN:
        raise UserError(f"{name}: is an experiment of framegen's own; choose another name")
    (module if issubclass(kind, Model) else load_data).register(kind, make)
    if optimum is not None:
        optimal_predictor.register(kind, optimum)
    EXPERIMENTS.update({name: replace(config, experiment=name) for name, config in experiments.items()})
