"""What a task hands to training and evaluation: inputs and targets of one shape rule."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

pass
pass


def to_float(frames: Tensor) -> Tensor:
    """Stored frames as float32: uint8 in [0, 255] becomes [0, 1]; float32 stays as it is."""
    return frames.float() / 255 if frames.dtype == torch.uint8 else frames


@dataclass(frozen=True)
class Clips:
    """Sequences of frames and what is to be predicted at each of them.

    `inputs` and `targets` have one shape, (N, T, C, H, W), uint8 or float32. The first `burn_in` steps only set
    the state: they are fed but not scored.
    """

    inputs: Tensor
    targets: Tensor
    burn_in: int = 0

    def __len__(self) -> int:
        return len(self.inputs)

    def to(self, device: torch.device) -> "Clips":
        """The same clips on another device."""
        return Clips(self.inputs.to(device), self.targets.to(device), self.burn_in)

    def batch(self, index: Tensor | slice) -> tuple[Tensor, Tensor]:
        """Inputs and targets of the chosen clips, float32 (B, T, C, H, W)."""
        return to_float(self.inputs[index]), to_float(self.targets[index])


@dataclass(frozen=True)
class Data:
    """A task's data. The three splits share no clip; those of a sine are windows of one stream, one after another."""

    train: Clips
    val: Clips
    test: Clips
    carry_state: bool
    """True: the training clips are one stream, gone through in order, and the state is carried (detached) on."""
    test_frames: Tensor | None
    """(N, T, C, H, W): clips for closed-loop generation; None where the target is not the next frame."""
    context: int
    """How many of those frames are the prompt."""

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        channels, height, width = self.train.inputs.shape[2:]
        return channels, height, width


CHUNK = 100
"""Clips evaluated at once."""


def chunks(clips: Clips) -> Iterator[tuple[Tensor, Tensor]]:
    for start in range(0, len(clips), CHUNK):
        yield clips.batch(slice(start, start + CHUNK))
