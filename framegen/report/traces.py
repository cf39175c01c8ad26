"""What passes through a run's net, for the drawings of it."""

from typing import Literal

import torch
from torch import Tensor, nn

from framegen.data.clips import to_float
from framegen.models.nets.mingru import MinGRU
from framegen.models.nets.recurrent import FullyConnected, MemorylessNet, RecurrentNet
from framegen.models.predictor import Predictor, device_of
from framegen.report.figures.network import MAX_UNITS
from framegen.report.figures.trace import Layer, Trace
from framegen.runs.run import Run


def is_plain(model: Predictor) -> bool:
    """Whether it is h_t = f(W x_t + U h_{t-1} + b), y_t = V h_t + c, or the same without memory: a neuron can
    be drawn."""
    plain = isinstance(model, MemorylessNet) or (
        isinstance(model, RecurrentNet) and isinstance(model.rnn, nn.RNN)
    )
    return plain and not model.has_density


def is_small(model: Predictor) -> bool:
    """Whether the drawings in space and in time know such a net, and have room for its units."""
    match model:
        case RecurrentNet():
            return max(model.head.out_features, model.rnn.hidden_size) <= MAX_UNITS
        case MemorylessNet():
            return max(model.head.out_features, model.hidden.out_features) <= MAX_UNITS
        case _:
            return False


@torch.inference_mode()
def trace_of(run: Run) -> Trace:
    """The first test clip, or the first window of a stream, as it passes through the run's fully connected
    net, on the CPU."""
    model, data = run.model, run.data
    assert isinstance(model, FullyConnected)
    if data.test_frames is not None and not data.carry_state:
        inputs = to_float(data.test_frames[:1])
        labels = inputs[:, 1:]
    else:
        inputs, labels = data.train.batch(slice(0, 1))
    predictions = model(inputs.to(device_of(model)))[0]
    layers, hidden, activation = _hidden(model, inputs.flatten(2).to(device_of(model)))
    return Trace(
        layers,
        Layer(_kept(model.head.weight), None, True, _kept(model.head.bias)),
        inputs[0].flatten(1),
        [_kept(each) for each in hidden],
        _kept(predictions[0].flatten(1)),
        labels[0].flatten(1),
        data.frame_shape,
        run.config.task.value_range,
        run.config.task.next_frame,
        activation,
    )


def _hidden(
    model: FullyConnected, inputs: Tensor
) -> tuple[list[Layer], list[Tensor], Literal["tanh", "relu"] | None]:
    """A net's hidden layers, their states before the first of the inputs (1, T, I) and after each of them,
    (T + 1, units), and what the units do with their sum where that is all they do.

    Of a GRU, an LSTM and a minGRU a weight is the size over the gates.
    """
    if isinstance(model, MemorylessNet):
        after = model.hidden(inputs[0]).tanh()
        layer = Layer(_kept(model.hidden.weight), None, True, _kept(model.hidden.bias))
        return [layer], [torch.cat([torch.zeros_like(after[:1]), after])], "tanh"
    rnn, state, states = model.rnn, None, []
    for frame in inputs.unbind(1):
        _, state = rnn(frame[:, None], state)
        states.append((state[0] if isinstance(state, tuple) else state)[:, 0])  # (layers, units)
    after = torch.stack(states, 1)
    hidden = torch.cat([torch.zeros_like(after[:, :1]), after], 1)
    match rnn:
        case MinGRU():
            folded = [_folded(weight, 2) for weight in rnn.parameters() if weight.dim() == 2]
            # Each unit keeps a share of itself, and knows of no other's past.
            return [Layer(weight, torch.eye(len(weight)), False) for weight in folded], list(hidden), None
        case nn.RNN():
            layers = [
                Layer(_kept(forward), _kept(recurrent), True, _kept(one + other))
                for forward, recurrent, one, other in rnn.all_weights
            ]
            return layers, list(hidden), "tanh" if rnn.nonlinearity == "tanh" else "relu"
        case _:
            gates = len(rnn.all_weights[0][0]) // rnn.hidden_size
            layers = [
                Layer(_folded(forward, gates), _folded(recurrent, gates), False)
                for forward, recurrent, *_ in rnn.all_weights
            ]
            return layers, list(hidden), None


def _kept(values: Tensor) -> Tensor:
    return values.detach().cpu()


def _folded(weight: Tensor, gates: int) -> Tensor:
    """(gates * units, inputs) -> (units, inputs)."""
    return _kept(weight).unflatten(0, (gates, -1)).square().sum(0).sqrt()
