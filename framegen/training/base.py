"""The interface between the loop and an engine, and code that both engines share."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from framegen.config.training import Training
from framegen.data.clips import Clips
from framegen.models.parameters import load_weights, stack
from framegen.models.predictor import (
    Predictor,
    State,
    device_of,
    from_parts,
    map_state,
    name_parts,
    num_parameters,
)


class Engine:
    """Trains K models, the seeds of one experiment, side by side, each on its own order of the same clips.

    Args:
        models: trained in place, on their own device.
        clips: the training clips.
        carry_state: the clips are one stream: a model's state goes on, detached, from batch to batch.
    """

    name: str
    """As `--engine` has it."""
    chunk = 1
    """How many batches `run` should be handed at once."""
    waited = 0.0
    """Seconds for which steps have waited for their clips."""
    steps = 0
    """Optimizer steps taken."""

    def __init__(
        self, models: Sequence[Predictor], clips: Clips, training: Training, carry_state: bool
    ) -> None:
        self.models, self.clips, self.training, self.carry_state = list(models), clips, training, carry_state
        self.device = device_of(self.models[0])
        self.states: list[State] = [None] * len(models)
        """Each model's state at the next step."""

    @property
    def kept(self) -> Sequence[Predictor]:
        """The models that measuring, pictures and the checkpoint take."""
        return self.models

    @property
    def predictors(self) -> Sequence[Predictor]:
        """`kept`, as fast as they can be run."""
        return self.kept

    @property
    def facts(self) -> dict[str, Any]:
        """Model, machine and options of the training, for results.json."""
        trained, frozen = (num_parameters(self.models[0], kind) for kind in (True, False))
        facts = {"parameters": trained, "device": self.device.type, "engine": self.name}
        beside = {"frozen_parameters": frozen, "tf32": self.device.type == "cuda"}
        return facts | {name: value for name, value in beside.items() if value}

    def plan(self, total_steps: int) -> None:
        """How many steps the whole training has, as foreseen now."""

    def run(self, order: Tensor, learning_rates: Sequence[float]) -> tuple[Tensor, Tensor]:
        """Train on some batches, one after another.

        Args:
            order: (K, N) indices of clips, a row a model, to be taken `training.batch_size` at a time.
            learning_rates: one a batch.

        Returns:
            The losses and the norms of the gradients before clipping, (batches, K) each. Where one is not
            finite, that model's weights stay as they were before that batch.

        Raises Lost where another process has ended; all models stay as they were before that batch.
        """
        raise NotImplementedError

    def keep(self, members: Sequence[int]) -> None:
        """Go on with these of the models alone, by their places."""
        self.models = [self.models[k] for k in members]
        self.states = [self.states[k] for k in members]

    def moments(self) -> tuple[Tensor, Tensor]:
        """Adam's running means of the gradient and of its square, (K, P) each, by trained parameters."""
        raise NotImplementedError

    def load_moments(self, mean: Tensor, variance: Tensor) -> None:
        """Take what `moments` gave."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that a training needs to go on, by name; each tensor's first axis numbers the models.

        "model.…": weights. "adam.mean", "adam.variance": `moments`. "adam.step": steps taken, (K,).
        "state.…": what is carried.
        """
        mean, variance = self.moments()
        return {
            **{f"model.{name}": value for name, value in stack(self.models).items()},
            "adam.mean": mean,
            "adam.variance": variance,
            "adam.step": torch.full((len(self.models),), self.steps),
            **name_parts(map_state(lambda *parts: torch.stack(parts), *self.states), "state"),
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state_dict` of either engine gave. Raises ValueError where it does not fit."""
        load_weights(self.models, part_of(state, "model."))
        if not {"adam.mean", "adam.variance", "adam.step"} <= set(state):
            raise ValueError("Adam's state is missing")
        mean, variance, steps = (state[f"adam.{name}"] for name in ("mean", "variance", "step"))
        size = (len(self.models), num_parameters(self.models[0]))
        if tuple(mean.shape) != size or tuple(variance.shape) != size or (variance < 0).any():
            raise ValueError("Adam's state does not fit the model")
        if steps.shape != size[:1] or not (steps == steps[0]).all() or not steps[0] >= 0:
            raise ValueError("Adam's state does not say how many steps it took")
        stacked = map_state(lambda part: part.to(self.device), from_parts(state, "state"))
        states = [map_state(lambda part, k=k: part[k], stacked) for k in range(len(self.models))]
        if stacked is not None and _shapes(states[0]) != _shapes(self._carried()):
            raise ValueError("the carried state does not fit the model")
        self.steps, self.states = int(steps[0]), states
        self.load_moments(mean, variance)

    @torch.no_grad()
    def _carried(self) -> State:
        """A state of the shape that a model carries, None where none is."""
        if not self.carry_state:
            return None
        frames, _ = self.clips.batch(torch.arange(min(self.training.batch_size, len(self.clips))))
        return self.models[0].eval()(frames[:, :1].to(self.device))[1]


def part_of(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Those whose names begin with the prefix, without it."""
    return {name.removeprefix(prefix): v for name, v in tensors.items() if name.startswith(prefix)}


def _shapes(state: State) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in name_parts(state, "").items()}
