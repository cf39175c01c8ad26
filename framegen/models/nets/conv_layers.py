"""Recurrent layers whose products are convolutions, written * below.

    hidden states (T, B, hidden_size, H, W), state = layer(inputs (T, B, in_channels, H, W), state)

A state of None is 0. What the inputs add is computed for all steps at once.
"""

import torch
from torch import Tensor, nn

from framegen.models.nets.mingru import scan


def at_rest(inputs: Tensor, hidden_size: int) -> Tensor:
    """The state before the first of frames (T, B, C, H, W)."""
    return inputs.new_zeros(inputs.shape[1], hidden_size, *inputs.shape[3:])


class Memoryless(nn.Module):
    """h_t = tanh(W * x_t): a layer of a plain CNN."""

    def __init__(self, in_channels: int, hidden_size: int, kernel_size: int) -> None:
        super().__init__()
        self.inputs = nn.Conv2d(in_channels, hidden_size, kernel_size, padding=kernel_size // 2)

    def forward(self, inputs: Tensor, state: None = None) -> tuple[Tensor, None]:
        return self.inputs(inputs.flatten(0, 1)).tanh().unflatten(0, inputs.shape[:2]), None


class ConvGRU(nn.Module):
    """z_t = sigmoid(W_z * x_t + U_z * h_{t-1})
    r_t = sigmoid(W_r * x_t + U_r * h_{t-1})
    h~_t = tanh(W * x_t + U * (r_t h_{t-1}))
    h_t = (1 - z_t) h_{t-1} + z_t h~_t

    Ballas et al., "Delving deeper into convolutional networks for learning video representations", ICLR 2016.
    """

    def __init__(self, in_channels: int, hidden_size: int, kernel_size: int) -> None:
        super().__init__()
        self.hidden_size, padding = hidden_size, kernel_size // 2
        self.inputs = nn.Conv2d(in_channels, 3 * hidden_size, kernel_size, padding=padding)
        self.gates = nn.Conv2d(hidden_size, 2 * hidden_size, kernel_size, padding=padding, bias=False)
        self.candidate = nn.Conv2d(hidden_size, hidden_size, kernel_size, padding=padding, bias=False)

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        hidden, states = at_rest(inputs, self.hidden_size) if state is None else state, []
        for driven in self.inputs(inputs.flatten(0, 1)).unflatten(0, inputs.shape[:2]).unbind():
            for_gates, for_candidate = driven.split([2 * self.hidden_size, self.hidden_size], 1)
            update, reset = (for_gates + self.gates(hidden)).sigmoid().chunk(2, 1)
            candidate = (for_candidate + self.candidate(reset * hidden)).tanh()
            hidden = hidden + update * (candidate - hidden)
            states.append(hidden)
        return torch.cat(states).unflatten(0, inputs.shape[:2]), hidden


class ConvLSTM(nn.Module):
    """i_t, f_t, o_t = sigmoid(W * x_t + U * h_{t-1}), each with W, U of its own
    g_t = tanh(W_g * x_t + U_g * h_{t-1})
    c_t = f_t c_{t-1} + i_t g_t
    h_t = o_t tanh(c_t)

    The state is h and c. Shi et al., "Convolutional LSTM network: a machine learning approach for
    precipitation nowcasting", NIPS 2015, without the peepholes, as the field has it.
    """

    def __init__(self, in_channels: int, hidden_size: int, kernel_size: int) -> None:
        super().__init__()
        self.hidden_size, padding = hidden_size, kernel_size // 2
        self.inputs = nn.Conv2d(in_channels, 4 * hidden_size, kernel_size, padding=padding)
        self.recurrent = nn.Conv2d(hidden_size, 4 * hidden_size, kernel_size, padding=padding, bias=False)

    def forward(
        self, inputs: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        hidden, cell = (at_rest(inputs, self.hidden_size),) * 2 if state is None else state
        states = []
        for driven in self.inputs(inputs.flatten(0, 1)).unflatten(0, inputs.shape[:2]).unbind():
            i, f, o, g = (driven + self.recurrent(hidden)).chunk(4, 1)
            cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
            hidden = o.sigmoid() * cell.tanh()
            states.append(hidden)
        return torch.cat(states).unflatten(0, inputs.shape[:2]), (hidden, cell)


class MinConvGRU(nn.Module):
    """The minGRU (see `mingru.py`) with convolutions in place of its products."""

    def __init__(self, in_channels: int, hidden_size: int, kernel_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.inputs = nn.Conv2d(in_channels, 2 * hidden_size, kernel_size, padding=kernel_size // 2)

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        gate, candidate = self.inputs(inputs.flatten(0, 1)).unflatten(0, inputs.shape[:2]).chunk(2, 2)
        initial = at_rest(inputs, self.hidden_size) if state is None else state
        hidden = scan(gate.sigmoid(), candidate, initial)
        return hidden, hidden[-1]
