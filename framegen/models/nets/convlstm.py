"""The convolutional LSTM (Shi et al., "Convolutional LSTM network: a machine learning approach for
precipitation nowcasting", NIPS 2015), without the peepholes, as the field has it."""

import torch
from torch import Tensor, nn


class ConvLSTM(nn.Module):
    """One layer, * a convolution:

        i_t, f_t, o_t = sigmoid(W * x_t + U * h_{t-1}), each with W, U of its own
        g_t = tanh(W_g * x_t + U_g * h_{t-1})
        c_t = f_t c_{t-1} + i_t g_t
        h_t = o_t tanh(c_t)

    What the inputs add is computed for all steps at once.
    """

    def __init__(self, in_channels: int, hidden_size: int, kernel_size: int) -> None:
        super().__init__()
        self.hidden_size, padding = hidden_size, kernel_size // 2
        self.inputs = nn.Conv2d(in_channels, 4 * hidden_size, kernel_size, padding=padding)
        self.recurrent = nn.Conv2d(hidden_size, 4 * hidden_size, kernel_size, padding=padding, bias=False)

    def start(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """The state before the first frame, for frames (T, B, C, H, W)."""
        nothing = like.new_zeros(like.shape[1], self.hidden_size, *like.shape[3:])
        return nothing, nothing

    def forward(self, inputs: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """(T, B, in_channels, H, W) -> hidden states (T, B, hidden_size, H, W), and the last h and c."""
        (hidden, cell), states = state, []
        driven = self.inputs(inputs.flatten(0, 1)).unflatten(0, inputs.shape[:2])
        for now in driven.unbind():
            i, f, o, g = (now + self.recurrent(hidden)).chunk(4, 1)
            cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
            hidden = o.sigmoid() * cell.tanh()
            states.append(hidden)
        return torch.cat(states).unflatten(0, inputs.shape[:2]), (hidden, cell)
