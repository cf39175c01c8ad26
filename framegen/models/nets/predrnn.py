"""PredRNN (Wang et al., "PredRNN: recurrent neural networks for predictive learning using spatiotemporal
LSTMs", NIPS 2017; "PredRNN: a recurrent neural network for spatiotemporal predictive learning", TPAMI 2022).

Beside the memory c that each layer hands on in time, a memory m goes through all layers of a frame, from the
lowest to the highest, and from there to the lowest layer at the next frame: the zigzag.
"""

import torch
from torch import Tensor, nn

from framegen.config.models import ConvRecurrent
from framegen.models.nets.conv_layers import at_rest

PredRNNState = tuple[tuple[tuple[Tensor, Tensor], ...], Tensor]
"""h and c of each layer, and m; each (B, hidden_size, H, W)."""


class SpatiotemporalLSTM(nn.Module):
    """The cell of one layer (equation 3 of 2017), * a convolution:

    i, f, g = sigmoid, sigmoid, tanh of W * x_t + U * h_{t-1};   c_t = f c_{t-1} + i g
    i', f', g' the same of W' * x_t + V * m;                     m' = f' m + i' g'
    o = sigmoid(W_o * x_t + U_o * h_{t-1} + W_m * [c_t, m'])
    h_t = o tanh(W_11 * [c_t, m'])
    """

    def __init__(self, in_channels: int, hidden_size: int, kernel_size: int) -> None:
        super().__init__()
        padding = kernel_size // 2

        def convolution(inputs: int, outputs: int, bias: bool = False) -> nn.Conv2d:
            return nn.Conv2d(inputs, outputs, kernel_size, padding=padding, bias=bias)

        self.inputs = convolution(in_channels, 7 * hidden_size, bias=True)  # o, i, f, g, i', f', g'
        self.recurrent = convolution(hidden_size, 4 * hidden_size)  # o, i, f, g
        self.memory = convolution(hidden_size, 3 * hidden_size)  # i', f', g'
        self.output = convolution(2 * hidden_size, hidden_size)
        self.join = nn.Conv2d(2 * hidden_size, hidden_size, 1, bias=False)

    def forward(
        self, driven: Tensor, hidden: Tensor, cell: Tensor, memory: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """`driven` is what `inputs` makes of x_t, (B, 7 hidden_size, H, W); returns h, c, m."""
        size = hidden.shape[1]
        of_time, of_space = driven.split([4 * size, 3 * size], 1)
        o, i, f, g = (of_time + self.recurrent(hidden)).chunk(4, 1)
        cell = (f + 1).sigmoid() * cell + i.sigmoid() * g.tanh()  # + 1: it begins by remembering
        i, f, g = (of_space + self.memory(memory)).chunk(3, 1)
        memory = (f + 1).sigmoid() * memory + i.sigmoid() * g.tanh()
        both = torch.cat([cell, memory], 1)
        return (o + self.output(both)).sigmoid() * self.join(both).tanh(), cell, memory


class PredRNN(nn.Module):
    """Layers of spatiotemporal LSTM cells."""

    def __init__(self, config: ConvRecurrent, in_channels: int) -> None:
        super().__init__()
        self.hidden_size = size = config.hidden_size
        inputs = [in_channels, *[size] * (config.num_layers - 1)]
        self.layers = nn.ModuleList(SpatiotemporalLSTM(each, size, config.kernel_size) for each in inputs)

    def forward(self, inputs: Tensor, state: PredRNNState | None) -> tuple[Tensor, PredRNNState]:
        """(T, B, in_channels, H, W) -> the last layer's states (T, B, hidden_size, H, W), and the state."""
        if state is None:
            nothing = at_rest(inputs, self.hidden_size)
            state = ((nothing, nothing),) * len(self.layers), nothing
        carried, memory, states = list(state[0]), state[1], []
        lowest: nn.Conv2d = self.layers[0].inputs  # pyright: ignore[reportAssignmentType]
        for driven in lowest(inputs.flatten(0, 1)).unflatten(0, inputs.shape[:2]).unbind():
            for k, layer in enumerate(self.layers):
                if k:
                    driven = layer.inputs(carried[k - 1][0])  # pyright: ignore
                hidden, cell, memory = layer(driven, *carried[k], memory)
                carried[k] = hidden, cell
            states.append(carried[-1][0])
        return torch.cat(states).unflatten(0, inputs.shape[:2]), (tuple(carried), memory)
