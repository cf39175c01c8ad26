"""Fully connected nets run by compiled code, one step ahead and closed-loop."""

from contextlib import suppress
from typing import get_args

import torch
from torch import Tensor, nn

from framegen.config.training import Engine
from framegen.machine.device import choose_device
from framegen.models.kernels.build import FusedUnavailable, Shape, library, pointer
from framegen.models.nets.density import WHOLE_FRAMES, LinearDensity
from framegen.models.nets.mingru import MinGRU
from framegen.models.nets.recurrent import FullyConnected, MemorylessNet
from framegen.models.parameters import flatten
from framegen.models.predictor import Predictor, State, device_of, num_parameters

MEMORYLESS = "memoryless"
"""In place of a cell."""

MAX_HIDDEN, MAX_LAYERS = 128, 4

PAYS = 262_144  # parameters, up to which this is 1.5 times as fast as PyTorch and more; measured


def check(model: Predictor, device: torch.device, engine: Engine) -> None:
    """Raises FusedUnavailable where the engine cannot train this model, or for "auto" should not."""
    if not isinstance(model, FullyConnected) or type(model) not in get_args(FullyConnected):
        raise FusedUnavailable("trains framegen's own fully connected nets only")
    if num_parameters(model, trained=False):
        raise FusedUnavailable("trains every weight, and some are frozen")
    shape = shape_of(model)
    if shape.layers > MAX_LAYERS:
        raise FusedUnavailable(f"trains up to {MAX_LAYERS} recurrent layers only")
    if isinstance(model.spread, LinearDensity) and model.spread.weights > 1:
        raise FusedUnavailable(f"trains no --density of frames with more than {WHOLE_FRAMES} values")
    if shape.hidden > MAX_HIDDEN:
        raise FusedUnavailable(f"trains up to {MAX_HIDDEN} hidden units only")
    if device.type != "cpu":
        raise FusedUnavailable("runs on the CPU only")
    if engine == "auto" and (size := num_parameters(model)) > PAYS:
        raise FusedUnavailable(f"is hardly faster for {size} parameters")


def shape_of(model: FullyConnected) -> Shape:
    outputs, components = model.head.out_features, 0
    if isinstance(model.spread, LinearDensity):
        outputs, components = outputs + model.spread.layer.out_features, model.spread.components
    if isinstance(model, MemorylessNet):
        inputs, layers, cell = model.hidden.in_features, 1, MEMORYLESS
    else:
        inputs, layers, cell = model.rnn.input_size, model.rnn.num_layers, cell_of(model.rnn)
    return Shape(inputs, model.head.in_features, outputs, cell, layers, components=components)


def cell_of(rnn: nn.RNNBase | MinGRU) -> str:
    """As --cell names it."""
    return getattr(rnn, "nonlinearity", type(rnn).__name__.lower())


def packed(state: State, shape: Shape, batch: int) -> Tensor:
    """A state as the compiled code has it: (B, num_layers, 1 or, of the LSTM, 2, hidden_size)."""
    if state is None:
        return torch.zeros(batch, shape.layers, 1 + (shape.cell == "lstm"), shape.hidden)
    parts = state if isinstance(state, tuple) else (state,)
    return torch.stack(parts, 2).transpose(0, 1).contiguous()


def unpacked(state: Tensor, shape: Shape) -> State:
    """The inverse of `packed`: (num_layers, B, hidden_size), of the LSTM a pair; None without memory."""
    if shape.cell == MEMORYLESS:
        return None
    first, *others = (part.clone() for part in state.transpose(0, 1).contiguous().unbind(2))
    return (first, *others) if others else first


def compiled(model: Predictor, engine: Engine) -> Predictor:
    """The model as it is now, run by the compiled code unless that cannot be had, the engine is PyTorch, or
    it has a density head, of which only the training is compiled."""
    if engine != "torch" and not model.has_density:
        with suppress(FusedUnavailable):
            check(model, device_of(model), engine)
            return FusedPredictor(model)
    return model


def device_for(model: Predictor, engine: Engine, name: str) -> torch.device:
    """`choose_device`, but "auto" is the CPU for nets that compiled code runs there, faster than a GPU."""
    stays = name == "auto" and compiled(model, engine) is not model
    return torch.device("cpu") if stays else choose_device(name)


class FusedPredictor(Predictor):
    """A net as it is now, behind the contract, run by the compiled code."""

    frames_at_once = 1000

    def __init__(self, model: Predictor) -> None:
        super().__init__()
        assert isinstance(model, FullyConnected)
        self.shape = shape_of(model)
        self.compiled, self.weights = library(self.shape), flatten(model.parameters())

    def forward(self, frames: Tensor, state: State = None) -> tuple[Tensor, State]:
        return self.run_on(frames, state, frames.shape[1])

    def run_on(self, frames: Tensor, state: State, num_frames: int) -> tuple[Tensor, State]:
        batch, given = frames.shape[:2]
        inputs, predictions = frames.contiguous(), torch.empty(batch, num_frames, *frames.shape[2:])
        carried = packed(state, self.shape, batch)
        made = map(pointer, (self.weights, carried, predictions))
        self.compiled.predict(pointer(inputs), batch, given, num_frames, *made, torch.get_num_threads())
        return predictions, unpacked(carried, self.shape)
