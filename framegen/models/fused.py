"""Plain RNNs run by compiled code, one step ahead and closed-loop."""

from contextlib import suppress

import torch
from torch import Tensor

from framegen.config.training import Engine
from framegen.models.kernels.build import FusedUnavailable, Shape, library, pointer
from framegen.models.parameters import flatten
from framegen.models.predictor import Predictor, State, device_of, num_parameters
from framegen.models.recurrent import RecurrentNet

MAX_HIDDEN = 64

PAYS = 32_768  # parameters, up to which this is faster than PyTorch whatever the frames' size; measured


def check(model: Predictor, device: torch.device, engine: Engine) -> None:
    """Raises FusedUnavailable, saying why, where the engine cannot train this model here, or for "auto"
    should not."""
    library(shape_of(suits(model, device, engine)))


def suits(model: Predictor, device: torch.device, engine: Engine) -> RecurrentNet:
    """`check`, but for the compiler; returns the model."""
    if not (isinstance(model, RecurrentNet) and isinstance(model.rnn, torch.nn.RNN)):
        raise FusedUnavailable("trains plain RNNs only")
    if model.has_density:
        raise FusedUnavailable("trains no --density")
    if model.rnn.num_layers > 1:
        raise FusedUnavailable("trains one recurrent layer only")
    if model.rnn.hidden_size > MAX_HIDDEN:
        raise FusedUnavailable(f"trains up to {MAX_HIDDEN} hidden units only")
    if device.type != "cpu":
        raise FusedUnavailable("runs on the CPU only")
    if engine == "auto" and (size := num_parameters(model)) > PAYS:
        raise FusedUnavailable(f"is slower for {size} parameters")
    return model


def shape_of(model: RecurrentNet) -> Shape:
    return Shape(
        model.rnn.input_size,
        model.rnn.hidden_size,
        model.head.out_features,
        str(getattr(model.rnn, "nonlinearity", "")),
    )


def compiled(model: Predictor, engine: Engine) -> Predictor:
    """The model as it is now, run by the compiled code unless that cannot be had, or the engine is
    PyTorch."""
    if engine != "torch":
        with suppress(FusedUnavailable):
            check(model, device_of(model), engine)
            return FusedPredictor(model)
    return model


class FusedPredictor(Predictor):
    """A plain RNN as it is now, behind the contract, run by the compiled code."""

    frames_at_once = 1000

    def __init__(self, model: Predictor) -> None:
        super().__init__()
        assert isinstance(model, RecurrentNet)
        self.compiled, self.hidden, self.weights = (
            library(shape_of(model)),
            model.rnn.hidden_size,
            flatten(model.parameters()),
        )

    def forward(self, frames: Tensor, state: State = None) -> tuple[Tensor, State]:
        return self.run_on(frames, state, frames.shape[1])

    def run_on(self, frames: Tensor, state: State, num_frames: int) -> tuple[Tensor, State]:
        batch, given = frames.shape[:2]
        inputs, predictions = frames.contiguous(), torch.empty(batch, num_frames, *frames.shape[2:])
        state = torch.zeros(1, batch, self.hidden) if state is None else state.clone()
        made = map(pointer, (self.weights, state, predictions))
        self.compiled.predict(pointer(inputs), batch, given, num_frames, *made, torch.get_num_threads())
        return predictions, state
