"""Clips for training and evaluation: inputs and targets with one rule for shapes."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

CHUNK, CHUNK_BYTES = 100, 16 * 2**20
"""Clips that are processed at once: this number, or as many as fit into these bytes."""


def to_float(frames: Tensor) -> Tensor:
    """Stored frames as float32: uint8 in [0, 255] becomes [0, 1]; float32 stays as it is."""
    return frames.float() / 255 if frames.dtype == torch.uint8 else frames


def unasked(frames: Tensor, asked: Tensor) -> Tensor:
    """Frames (B, T, C, H, W), NaN where they are not asked for, by (B, T) bool."""
    return frames.masked_fill(~asked[:, :, None, None, None], math.nan)


def fill(targets: Tensor, made: Tensor) -> Tensor:
    """The targets, and where one is NaN, which is not asked for, what was predicted: an error of 0 without a
    gradient."""
    return torch.where(targets.isnan(), made, targets)


class Clips(Protocol):
    """Sequences of frames and what is to be predicted at each of them."""

    @property
    def burn_in(self) -> int:
        """Steps at a clip's beginning that only set the state: they are fed but not scored."""
        ...

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        ...

    def __len__(self) -> int: ...

    def batch(self, index: Tensor | slice) -> tuple[Tensor, Tensor]:
        """Inputs and targets of the chosen clips, float32 (B, T, C, H, W) each. A target frame of NaN is not
        asked for: see `fill`."""
        ...


@dataclass(frozen=True)
class TensorClips:
    """Clips that lie in two tensors of one shape, (N, T, C, H, W), uint8 or float32."""

    inputs: Tensor
    targets: Tensor
    burn_in: int = 0
    asked: Tensor | None = None
    """Which targets are asked for, (N, T) bool; None: all."""

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        channels, height, width = self.inputs.shape[2:]
        return channels, height, width

    def __len__(self) -> int:
        return len(self.inputs)

    def to(self, device: torch.device) -> "TensorClips":
        """The same clips on another device."""
        asked = None if self.asked is None else self.asked.to(device)
        return TensorClips(self.inputs.to(device), self.targets.to(device), self.burn_in, asked)

    def batch(self, index: Tensor | slice) -> tuple[Tensor, Tensor]:
        inputs, targets = to_float(self.inputs[index]), to_float(self.targets[index])
        return inputs, targets if self.asked is None else unasked(targets, self.asked[index])


def chunks(clips: Clips, count: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
    """All clips in order, or the first `count`, a few at a time: inputs and targets (B, T, C, H, W)."""
    count = len(clips) if count is None else count
    first, _ = clips.batch(slice(0, 1))
    size = chunk_size(first.shape[1:])
    for start in range(0, count, size):
        yield clips.batch(slice(start, min(start + size, count)))


def evenly(count: int, most: int) -> Tensor:
    """At most `most` of the numbers 0 ... count - 1, evenly spread, with both ends: (N,) int64."""
    return torch.linspace(0, count - 1, min(most, count), dtype=torch.float64).round().long()


def chunk_size(clip_shape: Sequence[int]) -> int:
    """How many clips (T, C, H, W) are looked at at once."""
    return max(1, min(CHUNK, CHUNK_BYTES // (4 * math.prod(clip_shape))))


@dataclass(frozen=True)
class Data:
    """A task's data. Each split has draws or parts of a film of its own (two draws of a small world with next
    to no noise may come out the same); those of a sine are windows of one stream, one after another."""

    train: Clips
    val: Clips
    test: Clips
    originals: int | None = None
    """How many training clips, the first ones, are as they were filmed; None: all."""
    carry_state: bool = False
    """Whether the training clips are one stream, gone through in order, its state carried on (detached)."""
    windows_apart: int = 1
    """For a stream: show every N-th clip as it is trained on."""
    test_frames: Tensor | None = None
    """(N, T, C, H, W), uint8 or float32, for closed loops; None where the target is not the next frame."""
    asked: Tensor | None = None
    """(N, T) bool: which of those frames are asked for; None: all."""
    context: int = 0
    """How many of those frames are the prompt."""
    kinds: Mapping[str, Tensor] = field(default_factory=dict)
    """By name, which of `test_frames` are of that kind, (N,) bool: pictures tell them apart."""
    unseen: Tensor | None = None
    """(N, T) int64: for how many frames what moves was hidden before it came back in this frame of
    `test_frames`, else 0. None where nothing is hidden whole."""
    overlapping: bool = False
    """Whether test clips may share frames, so that a mean's standard error cannot be told."""
    file: Path | None = None
    """Where the clips are kept; None where a formula gives them."""

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.train.frame_shape
