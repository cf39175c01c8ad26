"""Fully connected nets: plain recurrent ones (tanh or relu), GRU, LSTM and minGRU, and one without memory."""

import math

from torch import Tensor, nn

from framegen.config.models import MLP, Recurrent
from framegen.models.mixture import Mixture
from framegen.models.nets.density import LinearDensity, Net
from framegen.models.nets.mingru import MinGRU
from framegen.models.predictor import State


class RecurrentNet(Net):
    """frame -> recurrent layers -> linear -> frame (Elman, "Finding structure in time", 1990).

    `rnn` is torch's own `nn.RNN`, `nn.GRU` or `nn.LSTM`, whose weights load into it; only the minGRU is ours.
    The state is torch's: (num_layers, B, hidden_size), for the LSTM a pair of them.
    """

    def __init__(self, config: Recurrent, frame_shape: tuple[int, int, int]) -> None:
        super().__init__()
        pixels = math.prod(frame_shape)
        size, layers = config.hidden_size, config.num_layers
        self.rnn: nn.RNNBase | MinGRU
        match config.cell:
            case "tanh" | "relu":
                self.rnn = nn.RNN(pixels, size, layers, nonlinearity=config.cell, batch_first=True)
            case "gru":
                self.rnn = nn.GRU(pixels, size, layers, batch_first=True)
            case "lstm":
                self.rnn = nn.LSTM(pixels, size, layers, batch_first=True)
            case "mingru":
                self.rnn = MinGRU(pixels, size, layers)
        self.head = nn.Linear(size, pixels)
        self.spread = LinearDensity(config.density, size, frame_shape) if config.density else None

    def predict(self, frames: Tensor, state: State) -> tuple[Tensor | Mixture, State]:
        hidden, state = self.rnn(frames.flatten(2), state)  # (B, T, hidden_size)
        return self.say(self.head(hidden).view_as(frames), hidden), state

    def hidden_states(self, frames: Tensor) -> Tensor:
        """The last layer's hidden state after each frame, from no state on: (B, T, hidden_size)."""
        return self.rnn(frames.flatten(2))[0]


class MemorylessNet(Net):
    """frame -> tanh layer -> linear -> frame: what the current frame alone tells. The state is None."""

    def __init__(self, config: MLP, frame_shape: tuple[int, int, int]) -> None:
        super().__init__()
        pixels, size = math.prod(frame_shape), config.hidden_size
        self.hidden = nn.Linear(pixels, size)
        self.head = nn.Linear(size, pixels)
        self.spread = LinearDensity(config.density, size, frame_shape) if config.density else None

    def predict(self, frames: Tensor, state: State) -> tuple[Tensor | Mixture, State]:
        hidden = self.hidden(frames.flatten(2)).tanh()  # (B, T, hidden_size)
        return self.say(self.head(hidden).view_as(frames), hidden), None


FullyConnected = RecurrentNet | MemorylessNet
