"""The fused engine: forward, loss, back-propagation and Adam of fully connected nets in one compiled call
(see recurrent.cpp). PyTorch spends some 2 ms on a training step of the 4-5-4 net, nearly all of it handing
out 1000 small operations; the arithmetic takes microseconds."""

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from framegen.config.training import Training
from framegen.data.clips import Clips
from framegen.models.kernels.build import library, pointer
from framegen.models.kernels.fused import compiled, packed, shape_of, unpacked
from framegen.models.nets.recurrent import FullyConnected
from framegen.models.parameters import flatten
from framegen.models.predictor import Predictor
from framegen.training.base import Engine

CALL = 200_000_000
"""Multiplications of weights in one call, about: a fraction of a second, so that a signal is soon heard."""


class FusedEngine(Engine):
    """The same steps as `engine.TorchEngine` takes, many in one call.

    The models' parameters become views of one tensor, in which the compiled code trains them in place.
    """

    name = "fused"

    def __init__(
        self, models: Sequence[Predictor], clips: Clips, training: Training, carry_state: bool
    ) -> None:
        super().__init__(models, clips, training, carry_state)
        model = models[0]
        assert isinstance(model, FullyConnected)
        self.shape = shape_of(model)
        self.compiled = library(self.shape)
        every = clips.batch(slice(None))
        self.inputs, self.targets = (each.flatten(2).contiguous() for each in every)  # (N, T, I), (N, T, O)
        self._own_weights()
        self.mean, self.variance = torch.zeros_like(self.weights), torch.zeros_like(self.weights)
        self.threads = torch.get_num_threads()
        work = self.weights.numel() * training.batch_size * self.inputs.shape[1]
        self.chunk = max(1, min(100, CALL // work))

    def _own_weights(self) -> None:
        """Lay all weights side by side, (K, P), and make the models' parameters views of their rows."""
        self.weights = torch.stack([flatten(each.parameters()) for each in self.models])
        for each, row in zip(self.models, self.weights, strict=True):
            torch.nn.utils.vector_to_parameters(row, each.parameters())

    @property
    def predictors(self) -> Sequence[Predictor]:
        """The models, run by the compiled code where they have no density head."""
        return [compiled(model, "fused") for model in self.models]

    def run(self, order: Tensor, learning_rates: Sequence[float]) -> tuple[Tensor, Tensor]:
        order, steps, batch = order.contiguous(), len(learning_rates), self.training.batch_size
        rates = torch.tensor(learning_rates, dtype=torch.float64)
        losses, norms = torch.full((2, len(order), steps), torch.nan)
        carried = None
        if self.carry_state:
            carried = torch.stack([packed(state, self.shape, batch) for state in self.states])
        self.compiled.train(
            *map(pointer, (self.inputs, self.targets, order)),
            *order.shape, batch, self.inputs.shape[1],
            *map(pointer, (self.weights, self.mean, self.variance, carried)),
            ctypes.c_int64(self.steps), pointer(rates), ctypes.c_double(self.training.max_grad_norm),
            *map(pointer, (losses, norms)), self.threads,
        )  # fmt: skip
        if carried is not None:
            self.states = [unpacked(state, self.shape) for state in carried]
        self.steps += steps
        return losses.T, norms.T

    def keep(self, members: Sequence[int]) -> None:
        super().keep(members)
        self.mean, self.variance = self.mean[list(members)], self.variance[list(members)]
        self._own_weights()

    def moments(self) -> tuple[Tensor, Tensor]:
        return self.mean, self.variance

    def load_moments(self, mean: Tensor, variance: Tensor) -> None:
        self.mean, self.variance = mean.clone(), variance.clone()
