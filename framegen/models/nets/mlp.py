"""A net without memory: what can be known from the current frame alone."""

import math

from torch import Tensor, nn

from framegen.config.models import MLP
from framegen.models.mixture import Mixture
from framegen.models.nets.density import LinearDensity, Net
from framegen.models.predictor import State


class MemorylessNet(Net):
    """frame -> tanh layer -> linear -> frame, at each step alone; the state is None."""

    def __init__(self, config: MLP, frame_shape: tuple[int, int, int]) -> None:
        super().__init__()
        pixels = math.prod(frame_shape)
        self.hidden = nn.Linear(pixels, config.hidden_size)
        self.head = nn.Linear(config.hidden_size, pixels)
        size = config.hidden_size
        self.spread = LinearDensity(config.density, size, frame_shape) if config.density else None

    def predict(self, frames: Tensor, state: State) -> tuple[Tensor | Mixture, State]:
        hidden = self.hidden(frames.flatten(2)).tanh()  # (B, T, hidden_size)
        return self.say(self.head(hidden).view_as(frames), hidden), None
