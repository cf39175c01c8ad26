"""Moving MNIST (Srivastava et al., "Unsupervised Learning of Video Representations using LSTMs", 2015).

The protocol is that of the paper's generator (data_handler.py of unsupervised-videos), which most others have
taken over: a digit starts anywhere in the room that the canvas leaves it, at an angle drawn uniformly; it
moves by a constant step; beyond an edge it is set onto the edge, and that component of its velocity turns
round; positions are cut to whole pixels; the brighter pixel is seen. The first frame comes after a step.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from framegen.config.tasks import SPLITS, MovingMNIST
from framegen.data.clips import Clips, Data, TensorClips, to_float
from framegen.data.digits import load_digits
from framegen.machine.errors import UserError
from framegen.machine.files import blaming

Floats = npt.NDArray[np.float64]

PUBLIC_FILE = "mnist_test_seq.npy"
PUBLIC_MD5 = "be083ec986bfe91a449d63653c411eb2"
"""As torchvision.datasets.MovingMNIST names it."""
PUBLIC_SHAPE = (20, 10_000, 64, 64)
"""Frames, clips, height, width."""


def tracks(start: Floats, angle: Floats, num_frames: int, step: float) -> Floats:
    """Where digits are in each frame, (..., num_frames, 2), y and x in a room of [0, 1].

    They begin at `start`, (..., 2), and move at an `angle`, (...), radians.
    """
    place = start.copy()
    velocity = np.stack([np.sin(angle), np.cos(angle)], -1)
    frames = np.empty((*angle.shape, num_frames, 2))
    for t in range(num_frames):
        place += velocity * step
        velocity = np.where((place <= 0) | (place >= 1), -velocity, velocity)
        place = place.clip(0, 1)
        frames[..., t, :] = place
    return frames


def draw(pictures: Tensor, places: Tensor, size: int) -> Tensor:
    """Clips of digits on a dark canvas, uint8 (B, T, 1, size, size): their pictures, (B, digits, side, side)
    uint8, at places, (B, digits, T, 2), row and column of the upper left pixel."""
    clips = np.zeros((len(places), places.shape[2], size, size), np.uint8)
    for canvases, digits, ways in zip(clips, pictures.numpy(), places.tolist(), strict=True):
        for digit, way in zip(digits, ways, strict=True):
            side = len(digit)
            for canvas, (row, column) in zip(canvases, way, strict=True):
                seen = canvas[row : row + side, column : column + side]
                np.maximum(seen, digit, out=seen)
    return torch.from_numpy(clips)[:, :, None]


@dataclass(frozen=True)
class BouncingClips:
    """Clips that are made as they are asked for: clip i is a function of the seed, the split and i alone."""

    config: MovingMNIST
    split: str
    num_clips: int
    digits: Tensor = field(repr=False)
    """(N, side, side) uint8, of which each clip takes some."""
    burn_in: int = 0

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        return 1, self.config.size, self.config.size

    def __len__(self) -> int:
        return self.num_clips

    def batch(self, index: Tensor | slice) -> tuple[Tensor, Tensor]:
        clips = to_float(self.frames(index))
        return clips[:, :-1], clips[:, 1:]

    def frames(self, index: Tensor | slice) -> Tensor:
        """The whole clips, uint8 (B, T, 1, size, size). Indices beyond the length give fresh clips."""
        return draw(*self.scenes(index), self.config.size)

    def scenes(self, index: Tensor | slice) -> tuple[Tensor, Tensor]:
        """The clips' content: the digits' pictures (B, digits, side, side) uint8, and their positions
        in each frame, (B, digits, T, 2) int64, row and column of the upper left pixel."""
        config, count = self.config, self.config.num_digits
        numbers = torch.arange(len(self))[index] if isinstance(index, slice) else index
        chosen = np.empty((len(numbers), count), np.int64)
        start, turn = np.empty((len(numbers), count, 2)), np.empty((len(numbers), count))
        for k, number in enumerate(numbers.tolist()):
            random = np.random.default_rng([config.data_seed, SPLITS.index(self.split), number])
            chosen[k] = random.integers(len(self.digits), size=count)
            start[k], turn[k] = random.random((count, 2)), random.random(count)
        ways = tracks(start, 2 * np.pi * turn, config.num_frames, config.step)
        return self.digits[torch.from_numpy(chosen)], torch.from_numpy((config.room * ways).astype(np.int64))


def load(config: MovingMNIST, folder: Path) -> Data:
    """Clips that are made as they are asked for, each of its split's digits. The test clips are those of
    mnist_test_seq.npy where it lies in `folder` and the config is what it was made by.

    Raises UserError where the digits are missing, or a file is damaged.
    """
    digits = load_digits(config, folder)
    numbers = {"train": config.num_clips, "val": config.num_val_clips, "test": config.num_test_clips}
    train, val, test = (BouncingClips(config, split, numbers[split], digits[split]) for split in SPLITS)
    public = _public_clips(config, folder)
    frames = test.frames(slice(None)) if public is None else public[: config.num_test_clips]
    held: Clips = test if public is None else TensorClips(frames[:, :-1], frames[:, 1:])
    return Data(train, val, held, test_frames=frames, context=config.context)


def _public_clips(config: MovingMNIST, folder: Path) -> Tensor | None:
    """Those of the field's test file, in `folder` or where torchvision keeps it, uint8 (N, 20, 1, 64, 64): a
    view of the file, of which only what is looked at is read. None where it is missing, or made otherwise."""
    made_by = (config.num_frames, config.size, config.num_digits, config.step, config.digits)
    places = (folder / PUBLIC_FILE, folder / "MovingMNIST" / PUBLIC_FILE)
    path = next((path for path in places if path.exists()), None)
    if path is None or made_by != (PUBLIC_SHAPE[0], PUBLIC_SHAPE[2], 2, 0.1, "mnist"):
        return None
    with blaming(path, "read"):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if digest != PUBLIC_MD5:
            damage = f"is damaged or another file: its MD5 is {digest}, not {PUBLIC_MD5}"
            raise UserError(f"{path}: {damage}; move it away, and test clips are made instead")
        # "c": torch takes no read-only memory; what is written would stay in memory
        frames = torch.from_numpy(np.load(path, mmap_mode="c"))  # (20, N, 64, 64)
    return frames.transpose(0, 1)[:, :, None]
