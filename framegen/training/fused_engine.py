"""The fused engine: forward, loss, back-propagation and Adam of fully connected nets in one compiled call
(see recurrent.cpp).

PyTorch spends some 2 ms on a training step of the 4-5-4 net, nearly all of it handing out 1000 small
operations; the arithmetic takes microseconds. The source is compiled at first use by the machine's own
compiler, and kept in the user's cache.
"""

import ctypes
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from framegen.config.training import Training
from framegen.data.clips import Clips
from framegen.models import FullyConnected
from framegen.models.kernels.build import library, pointer
from framegen.models.kernels.fused import compiled, packed, shape_of, unpacked
from framegen.models.parameters import flatten
from framegen.models.predictor import Predictor, State
from framegen.training.state import engine_state, load_engine_state

# Multiplications of weights in one call, about: a fraction of a second,
# so that a signal is soon heard.
CALL = 200_000_000


class FusedEngine:
    """The same steps as `engine.TorchEngine` takes, many in one call; with the same arguments and the same
    contract.

    The models' parameters become views of one tensor, in which the compiled code trains them in place.
    """

    def __init__(
        self, models: Sequence[Predictor], clips: Clips, training: Training, carry_state: bool
    ) -> None:
        self.models, self.training, self.carry_state = list(models), training, carry_state
        model = models[0]
        assert isinstance(model, FullyConnected)
        self.shape = shape_of(model)
        self.compiled = library(self.shape)
        self.inputs, self.targets = (
            each.flatten(2).contiguous() for each in clips.batch(slice(None))
        )  # (N, T, I), (N, T, O)
        self._own_weights()
        self.mean, self.variance = torch.zeros_like(self.weights), torch.zeros_like(self.weights)
        self.steps = 0
        self.device, self.threads = self.weights.device, torch.get_num_threads()
        self._state = torch.stack([self._packed(None) for _ in models])
        work = self.weights.numel() * training.batch_size * self.inputs.shape[1]
        self.chunk = max(1, min(100, CALL // work))

    def _own_weights(self) -> None:
        """Lay all weights side by side, (K, P), and make the models' parameters views of their rows."""
        self.weights = torch.stack([flatten(each.parameters()) for each in self.models])
        for each, row in zip(self.models, self.weights, strict=True):
            torch.nn.utils.vector_to_parameters(row, each.parameters())

    def _packed(self, state: State) -> Tensor:
        return packed(state, self.shape, self.training.batch_size)

    @property
    def states(self) -> list[State]:
        """What each model carries into the next step, as PyTorch's module has it, or None."""
        return [unpacked(state, self.shape) if self.carry_state else None for state in self._state]

    @states.setter
    def states(self, states: list[State], /) -> None:
        self._state = torch.stack([self._packed(state) for state in states])

    @property
    def kept(self) -> Sequence[Predictor]:
        """The models that measuring, pictures and the checkpoint take."""
        return self.models

    @property
    def predictors(self) -> Sequence[Predictor]:
        """`kept`, run by the compiled code where they have no density head."""
        return [compiled(model, "fused") for model in self.models]

    waited = 0.0
    """Seconds for which steps have waited for their clips: all lie in memory."""

    def plan(self, total_steps: int) -> None:
        """Clips are always fed as they are; see `engine.TorchEngine.plan`."""

    def run(self, order: Tensor, learning_rates: Sequence[float]) -> tuple[Tensor, Tensor]:
        """Train on some batches; see `engine.TorchEngine.run`."""
        order, steps = order.contiguous(), len(learning_rates)
        rates = torch.tensor(learning_rates, dtype=torch.float64)
        losses, norms = torch.full((2, len(order), steps), torch.nan)
        self.compiled.train(
            *map(pointer, (self.inputs, self.targets, order)),
            *order.shape, self.training.batch_size, self.inputs.shape[1],
            *map(pointer, (self.weights, self.mean, self.variance)),
            pointer(self._state if self.carry_state else None),
            ctypes.c_int64(self.steps), pointer(rates), ctypes.c_double(self.training.max_grad_norm),
            *map(pointer, (losses, norms)), self.threads,
        )  # fmt: skip
        self.steps += steps
        return losses.T, norms.T

    def keep(self, members: Sequence[int]) -> None:
        """Go on with these of the models alone, by their places."""
        self.models = [self.models[k] for k in members]
        chosen = list(members)
        self.mean, self.variance, self._state = self.mean[chosen], self.variance[chosen], self._state[chosen]
        self._own_weights()

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that a training needs to go on; see `engine.TorchEngine.state_dict`."""
        return engine_state(
            self.models, {"mean": self.mean, "variance": self.variance}, self.steps, self.states
        )

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state_dict` of either engine gave. Raises ValueError where it does not fit the
        models."""
        carried = self.states[0]
        mean, variance, self.steps, self.states = load_engine_state(state, self.models, carried)
        self.mean, self.variance = mean.clone(), variance.clone()
