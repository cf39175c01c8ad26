"""The convolutional GRU (Ballas et al., "Delving deeper into convolutional networks for learning video
representations", ICLR 2016)."""

import torch
from torch import Tensor, nn


class ConvGRU(nn.Module):
    """One layer, * a convolution:

        z_t = sigmoid(W_z * x_t + U_z * h_{t-1})
        r_t = sigmoid(W_r * x_t + U_r * h_{t-1})
        h~_t = tanh(W * x_t + U * (r_t h_{t-1}))
        h_t = (1 - z_t) h_{t-1} + z_t h~_t

    What the inputs add is computed for all steps at once.
    """

    def __init__(self, in_channels: int, hidden_size: int, kernel_size: int) -> None:
        super().__init__()
        self.hidden_size, padding = hidden_size, kernel_size // 2
        self.inputs = nn.Conv2d(in_channels, 3 * hidden_size, kernel_size, padding=padding)
        self.gates = nn.Conv2d(hidden_size, 2 * hidden_size, kernel_size, padding=padding, bias=False)
        self.candidate = nn.Conv2d(hidden_size, hidden_size, kernel_size, padding=padding, bias=False)

    def start(self, like: Tensor) -> Tensor:
        """The state before the first frame, for frames (T, B, C, H, W)."""
        return like.new_zeros(like.shape[1], self.hidden_size, *like.shape[3:])

    def forward(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """(T, B, in_channels, H, W) -> hidden states (T, B, hidden_size, H, W), and the last of them."""
        hidden, states = state, []
        driven = self.inputs(inputs.flatten(0, 1)).unflatten(0, inputs.shape[:2])
        for now in driven.unbind():
            for_gates, for_candidate = now.split([2 * self.hidden_size, self.hidden_size], 1)
            update, reset = (for_gates + self.gates(hidden)).sigmoid().chunk(2, 1)
            candidate = (for_candidate + self.candidate(reset * hidden)).tanh()
            hidden = hidden + update * (candidate - hidden)
            states.append(hidden)
        return torch.cat(states).unflatten(0, inputs.shape[:2]), hidden
