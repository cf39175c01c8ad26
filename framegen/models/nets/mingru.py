"""The minGRU (Feng et al., "Were RNNs all we needed?", 2024).

    z_t = sigmoid(W_z x_t)
    h~_t = W_h x_t
    h_t = (1 - z_t) h_{t-1} + z_t h~_t

The gates know the input alone, so all but the last line, which is linear in h, is computed at once.
"""

import math

import torch
from torch import Tensor, nn

from framegen.models.nets.scan import scan


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
