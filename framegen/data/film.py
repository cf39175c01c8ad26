"""Film: clips from films of one's own, cut from shots on disk as they are asked for."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from framegen.config.tasks import Film
from framegen.data.clips import SPLITS, Data, Split, TensorClips, evenly, to_float
from framegen.data.films.dataset import (
    MANIFEST,
    Manifest,
    digest_of,
    find_dataset,
    frames_of,
    open_split,
    read_manifest,
)
from framegen.machine.errors import OptionError, UserError

PLACES = 5
"""Where a crop may lie: in the middle and in each corner."""


@dataclass(frozen=True)
class Windows:
    """Every clip of so many frames that lies within a shot, at every offset; mirrored and cropped ones are
    clips of their own.

    Of M windows, clip i is window i % M; i // M says what was done to it, digit by digit: whether it is
    mirrored, where `flip` is on, stands on its head, where `flip_vertical` is, or runs backwards, where
    `reverse` is; what is left is the place where it is cropped. So an index alone tells what a clip holds.
    """

    path: Path
    """uint8 (N, C, H, W)."""
    starts: Tensor
    """(M,) int64: the row at which each window begins."""
    num_frames: int
    flip: bool = False
    flip_vertical: bool = False
    reverse: bool = False
    crop: int = 0
    burn_in: int = 0

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        channels, height, width = frames_of(self.path).shape[1:]
        return channels, height - self.crop, width - self.crop

    def __len__(self) -> int:
        ways = (1 + self.flip) * (1 + self.flip_vertical) * (1 + self.reverse)
        return len(self.starts) * ways * (PLACES if self.crop else 1)

    def frames(self, index: Tensor | slice) -> Tensor:
        """The chosen clips, uint8 (B, num_frames, C, H, W)."""
        if isinstance(index, slice):
            index = torch.arange(*index.indices(len(self)))
        source = frames_of(self.path)
        clips = np.empty((len(index), self.num_frames, *self.frame_shape), np.uint8)
        for clip, number in zip(clips, index.tolist(), strict=True):
            variant, window = divmod(number % len(self), len(self.starts))
            start = int(self.starts[window])
            variant, mirrored = divmod(variant, 1 + self.flip)
            variant, upended = divmod(variant, 1 + self.flip_vertical)
            place, backwards = divmod(variant, 1 + self.reverse)
            frames = cropped(source[start : start + self.num_frames], self.crop, place)
            steps = (-1 if turned else 1 for turned in (backwards, upended, mirrored))
            time, rows, columns = (slice(None, None, step) for step in steps)
            clip[...] = frames[time, :, rows, columns]
        return torch.from_numpy(clips)

    def batch(self, index: Tensor | slice) -> tuple[Tensor, Tensor]:
        frames = to_float(self.frames(index))
        return frames[:, :-1], frames[:, 1:]


def cropped(frames: np.ndarray, crop: int, place: int = 0) -> np.ndarray:
    """Frames (T, C, H, W) with `crop` pixels less in height and in width; place 0 is the middle, 1 to 4 are
    the corners."""
    if crop == 0:
        return frames
    tops, lefts = (crop // 2, 0, 0, crop, crop), (crop // 2, 0, crop, 0, crop)
    height, width = frames.shape[2:]
    top, left = tops[place], lefts[place]
    return frames[..., top : top + height - crop, left : left + width - crop]


def window_starts(manifest: Manifest, split: Split, num_frames: int) -> Tensor:
    """The row of every window of so many frames within one of the split's shots, (M,) int64."""
    parts = [
        torch.arange(shot.row, shot.row + shot.frames - num_frames + 1)
        for shot in manifest.shots
        if shot.split == split and shot.frames >= num_frames
    ]
    return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.int64)


def determine(config: Film, data_dir: Path) -> Film:
    """The same task, bound to the data set as it is now."""
    return replace(config, digest=config.digest or digest_of(find_dataset(config.dataset, data_dir)))


def load(config: Film, data_dir: Path) -> Data:
    """Training clips are every window at every offset; validation and test clips are windows that are spread
    evenly over their shots.

    Raises UserError where the data set is missing, damaged or another than the config's digest says;
    OptionError where its shots are too short for the clips, or its frames too small for the crop.
    """
    folder = find_dataset(config.dataset, data_dir)
    if config.digest and digest_of(folder) != config.digest:
        raise UserError(
            f"{folder / MANIFEST}: is not the data set that the run began with (another SHA-256);"
            " import the same films with the same options"
        )
    manifest = read_manifest(folder)
    if config.crop >= min(manifest.shape[1:]):
        raise OptionError(
            f"--crop {config.crop}: nothing is left of frames of {manifest.shape[2]}x{manifest.shape[1]}"
        )
    train = Windows(
        open_split(folder, manifest, "train"),
        _starts(config, manifest, "train"),
        config.num_frames,
        config.flip,
        config.flip_vertical,
        config.reverse,
        config.crop,
    )
    val, test = (
        _fixed(config, folder, manifest, "val", config.max_val_clips),
        _fixed(config, folder, manifest, "test", config.max_test_clips),
    )
    return Data(
        train,
        TensorClips(val[:, :-1], val[:, 1:]),
        TensorClips(test[:, :-1], test[:, 1:]),
        originals=len(train.starts),
        test_frames=test,
        context=config.context,
        overlapping=True,
        file=folder / MANIFEST,
    )


def longest_clip(config: Film, data_dir: Path) -> tuple[Split, int]:
    """The split whose shots are the shortest, and how many frames the longest of them has: no clip that all
    splits are to have can be longer."""
    shots = read_manifest(find_dataset(config.dataset, data_dir)).shots
    longest = {split: max(shot.frames for shot in shots if shot.split == split) for split in SPLITS}
    split = min(SPLITS, key=longest.__getitem__)
    return split, longest[split]


def _starts(config: Film, manifest: Manifest, split: Split) -> Tensor:
    starts = window_starts(manifest, split, config.num_frames)
    if len(starts) == 0:
        longest = max((shot.frames for shot in manifest.shots if shot.split == split), default=0)
        raise OptionError(
            f"--num-frames {config.num_frames}: the longest shot of {config.dataset}'s {split} split has"
            f" {longest} frames; at most that many make a clip"
        )
    return starts


def _fixed(config: Film, folder: Path, manifest: Manifest, split: Split, most: int) -> Tensor:
    """At most so many windows, uint8 (N, num_frames, C, H, W), cut from the middle."""
    starts = _starts(config, manifest, split)
    chosen = starts[evenly(len(starts), most)]
    path = open_split(folder, manifest, split)
    return Windows(path, chosen, config.num_frames, crop=config.crop).frames(slice(0, len(chosen)))
