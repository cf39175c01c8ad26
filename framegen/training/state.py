"""Everything that a training needs to go on, as named tensors: what both engines write and read."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from framegen.models.parameters import load_weights, stack
from framegen.models.predictor import Predictor, State, from_parts, map_state, name_parts, num_parameters


def engine_state(
    models: Sequence[Predictor], moments: Mapping[str, Tensor], steps: int, states: Sequence[State]
) -> dict[str, Tensor]:
    """What an engine's `state_dict` gives; see `TorchEngine.state_dict`."""
    return {
        **{f"model.{name}": value for name, value in stack(models).items()},
        **{f"adam.{name}": value for name, value in moments.items()},
        "adam.step": torch.full((len(models),), steps),
        **name_parts(map_state(lambda *parts: torch.stack(parts), *states), "state"),
    }


def load_engine_state(
    state: Mapping[str, Tensor], models: Sequence[Predictor], carried: State
) -> tuple[Tensor, Tensor, int, list[State]]:
    """Load the weights of a `state_dict`; returns Adam's means, variances and steps, and what each model
    carries.

    Args:
        carried: a state of the shape that a model carries, None where none is.

    Raises:
        ValueError: something is missing, of another shape, not finite or impossible.
    """
    load_weights(
        models, {name.removeprefix("model."): v for name, v in state.items() if name.startswith("model.")}
    )
    if not {"adam.mean", "adam.variance", "adam.step"} <= set(state):
        raise ValueError("Adam's state is missing")
    mean, variance, steps = (state[f"adam.{name}"] for name in ("mean", "variance", "step"))
    size = (len(models), num_parameters(models[0]))
    if tuple(mean.shape) != size or tuple(variance.shape) != size or (variance < 0).any():
        raise ValueError("Adam's state does not fit the model")
    if steps.shape != size[:1] or not (steps == steps[0]).all() or not steps[0] >= 0:
        raise ValueError("Adam's state does not say how many steps it took")
    stacked = from_parts(state, "state")
    states = [map_state(lambda part, k=k: part[k], stacked) for k in range(len(models))]
    if states[0] is not None and _shapes(states[0]) != _shapes(carried):
        raise ValueError("the carried state does not fit the model")
    return mean, variance, int(steps[0]), states


def _shapes(state: State) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in name_parts(state, "").items()}
