"""The minGRU (Feng et al., "Were RNNs all we needed?", 2024).

    z_t = sigmoid(W_z x_t)
    h~_t = W_h x_t
    h_t = (1 - z_t) h_{t-1} + z_t h~_t

The gates know the input alone, so all but the last line, which is linear in h, is computed at once; that one
by one step after another, or all steps at once by doubling.
"""

import math

import torch
from torch import Tensor, nn

DOUBLING_STEPS, DOUBLING_SIZE = 50, 512
"""Time steps from which doubling pays, and up to how many numbers a step; measured on a CPU."""


class MinGRU(nn.Module):
    """Layers of minGRU units, with the interface of torch's `nn.GRU(batch_first=True)`."""

    def __init__(self, input_size: int, hidden_size: int, num_layers: int) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        sizes = [input_size, *[hidden_size] * (num_layers - 1)]
        self.layers = nn.ModuleList(nn.Linear(size, 2 * hidden_size) for size in sizes)  # z above h~
        for parameter in self.parameters():  # as torch's recurrent layers begin
            nn.init.uniform_(parameter, -1 / math.sqrt(hidden_size), 1 / math.sqrt(hidden_size))

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(B, T, input_size), (num_layers, B, hidden_size) -> (B, T, hidden_size), and the state after it."""
        hidden = inputs.transpose(0, 1)  # (T, B, input_size)
        if state is None:
            state = inputs.new_zeros(self.num_layers, len(inputs), self.hidden_size)
        last = []
        for layer, initial in zip(self.layers, state, strict=True):
            gate, candidate = layer(hidden).chunk(2, -1)
            hidden = scan(gate.sigmoid(), candidate, initial)  # (T, B, hidden_size)
            last.append(hidden[-1])
        return hidden.transpose(0, 1), torch.stack(last)


def scan(gate: Tensor, candidate: Tensor, initial: Tensor) -> Tensor:
    """h_t = (1 - z_t) h_{t-1} + z_t h~_t, the recurrence of the minGRU, by whichever way is faster.

    Args:
        gate: z, (T, B, …), values in [0, 1].
        candidate: h~, (T, B, …).
        initial: h_0, (B, …).

    Returns:
        h_1 … h_T, (T, B, …).
    """
    doubling = len(gate) >= DOUBLING_STEPS and initial.numel() <= DOUBLING_SIZE
    return (scan_by_doubling if doubling else scan_by_steps)(gate, candidate, initial)


def scan_by_steps(gate: Tensor, candidate: Tensor, initial: Tensor) -> Tensor:
    """`scan` in T steps, each of the size of one frame."""
    hidden, states = initial, []
    for z, new in zip(gate.unbind(), candidate.unbind(), strict=True):
        hidden = hidden + z * (new - hidden)  # not lerp: under autocast z and h~ have fewer bits than h
        states.append(hidden)
    return torch.cat(states).view_as(candidate)


def scan_by_doubling(gate: Tensor, candidate: Tensor, initial: Tensor) -> Tensor:
    """`scan` in log2(T) steps, each of the size of the whole sequence (Hillis and Steele, 1986): two steps h
    -> a h + b make one such step, so after k rounds each holds the 2^k steps up to it."""
    keep, add = 1 - gate, gate * candidate
    add = torch.cat([add[:1] + keep[:1] * initial, add[1:]])
    reach = 1
    while reach < len(gate):
        add = torch.cat([add[:reach], add[reach:] + keep[reach:] * add[:-reach]])
        keep = torch.cat([keep[:reach], keep[reach:] * keep[:-reach]])
        reach *= 2
    return add
