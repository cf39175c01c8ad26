"""The numbers of models: the trained ones in one row, or all of them stacked by name."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from framegen.models.predictor import Predictor


def flatten(tensors: Iterable[Tensor]) -> Tensor:
    """A copy of all values in one row, (P,)."""
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


def trained(model: Predictor) -> list[nn.Parameter]:
    """The parameters that are trained: all but the frozen ones."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def stack(models: Sequence[Predictor]) -> dict[str, Tensor]:
    """Weights and buffers of all models by name, each (K, …), as their `state_dict` has them."""
    states = [model.state_dict() for model in models]
    return {name: torch.stack([state[name] for state in states]) for name in states[0]}


def load_weights(models: Sequence[Predictor], weights: Mapping[str, Tensor]) -> None:
    """Load stacked weights (K, …) by name. Raises ValueError where they do not fit, or are not finite."""
    expected = {name: (len(models), *value.shape) for name, value in models[0].state_dict().items()}
    found = {name: tuple(value.shape) for name, value in weights.items()}
    if expected != found:
        name = next(name for name in [*expected, *found] if expected.get(name) != found.get(name))
        shapes = " and not ".join(str(shape and shape[1:]) for shape in (found.get(name), expected.get(name)))
        raise ValueError(f"its weights do not fit its config: {name} has shape {shapes}")
    if not all(weights[name].isfinite().all() for name, _ in models[0].named_parameters()):
        raise ValueError("it holds weights that are not finite")
    for k, model in enumerate(models):
        model.load_state_dict({name: value[k] for name, value in weights.items()})
