"""A model and a task of one's own, made by the steps of CONTRIBUTING.md and nothing else: a convolutional
net, a bouncing dot.

No optimum is known, the training clips are made as they are asked for, and the net carries a nested state.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from framegen.config.config import Config
from framegen.config.experiments import EXPERIMENTS
from framegen.config.models import Model
from framegen.config.tasks import Task
from framegen.config.training import Training
from framegen.data.clips import Data, TensorClips
from framegen.data.loading import load_data
from framegen.models import module
from framegen.models.predictor import Predictor, State


@dataclass(frozen=True)
class Bounce(Task):
    """A dot that bounces between the left and the right edge."""

    size: int = 5
    """Height and width in pixels."""
    num_clips: int = 8
    """Training clips."""
    stream: bool = False
    """Whether the clips are one stream."""


@dataclass(frozen=True)
class Conv(Model):
    """A recurrent convolution."""

    channels: int = 3
    """Hidden channels."""


def bounce(config: Bounce, start: Tensor, num_frames: int = 12) -> Tensor:
    """(N,) first places -> clips (N, num_frames, 1, size, size)."""
    last = config.size - 1
    place = (start[:, None] + torch.arange(num_frames)) % max(1, 2 * last)  # (N, T)
    column = torch.where(place > last, 2 * last - place, place)
    row = nn.functional.one_hot(column, config.size).float()[:, :, None, None]  # (N, T, 1, 1, size)
    return row * nn.functional.one_hot(torch.tensor(last // 2), config.size)[:, None]


@dataclass(frozen=True)
class Made:
    """Clips that exist only while they are looked at."""

    config: Bounce
    burn_in: int = 0

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        return 1, self.config.size, self.config.size

    def __len__(self) -> int:
        return self.config.num_clips

    def batch(self, index: Tensor | slice) -> tuple[Tensor, Tensor]:
        clips = bounce(self.config, torch.arange(len(self))[index])
        return clips[:, :-1], clips[:, 1:]


def load(config: Bounce, folder: Path) -> Data:
    clips = bounce(config, torch.arange(4))
    held = TensorClips(clips[:, :-1], clips[:, 1:])
    return Data(Made(config), held, held, carry_state=config.stream, test_frames=clips, context=4)


class ConvNet(Predictor):
    """h_t = tanh(conv(x_t, h_{t-1})); it also carries how many frames it saw, deep in its state."""

    def __init__(self, config: Conv, frame_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.channels = config.channels
        self.cell = nn.Conv2d(frame_shape[0] + config.channels, config.channels, 3, padding=1)
        self.head = nn.Conv2d(config.channels, frame_shape[0], 1)

    def forward(self, frames: Tensor, state: State = None) -> tuple[Tensor, State]:
        if state is None:
            batch, _, _, height, width = frames.shape
            state = (
                frames.new_zeros(batch, self.channels, height, width),
                (None, (frames.new_zeros(batch),)),
            )
        hidden, (_, (seen,)) = state
        predictions = []
        for frame in frames.unbind(1):
            hidden = self.cell(torch.cat([frame, hidden], 1)).tanh()
            predictions.append(self.head(hidden))
        return torch.stack(predictions, 1), (hidden, (None, (seen + frames.shape[1],)))


module.register(Conv, ConvNet)
load_data.register(Bounce, load)
for experiment, stream, batch in (("bounce", False, 2), ("bounce-stream", True, 1)):
    training = Training(epochs=2, batch_size=batch, media_every=1)
    EXPERIMENTS[experiment] = Config(Bounce(stream=stream), Conv(), training, experiment, description="a dot")
