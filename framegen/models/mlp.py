"""A net without memory: what can be known from the current frame alone."""

import math

from torch import Tensor, nn

from framegen.config.models import MLP
from framegen.models.predictor import Predictor, State


class MemorylessNet(Predictor):
    """frame -> tanh layer -> linear -> frame, at each step alone; the state is None."""

    def __init__(self, config: MLP, frame_shape: tuple[int, int, int]) -> None:
        super().__init__()
        pixels = math.prod(frame_shape)
        self.hidden = nn.Linear(pixels, config.hidden_size)
        self.head = nn.Linear(config.hidden_size, pixels)

    def forward(self, frames: Tensor, state: State = None) -> tuple[Tensor, State]:
        return self.head(self.hidden(frames.flatten(2)).tanh()).view_as(frames), None
