"""Film: clips from films of one's own, cut from shots on disk as they are asked for."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from framegen.config.checks import check
from framegen.config.film import Film
from framegen.config.tasks import SPLITS, Split
from framegen.data.clips import Data, TensorClips, evenly, to_float
from framegen.data.films.dataset import MANIFEST, Manifest, find_dataset, frames_of, open_split, read_manifest
from framegen.data.films.sources import content_digest
from framegen.machine.errors import UserError

LONG = 0.8
"""Part of a shot that a long window has."""
PLACES = 5
"""Where a crop may lie: in the middle and in each corner."""


@dataclass(frozen=True)
class Windows:
    """Clips of a fixed length from a split's array; mirrored and cropped ones are clips of their own.

    Clip i is window i % M of M windows; the digits of i // M say whether it is mirrored (`flip`), upside
    down (`flip_vertical`), reversed (`reverse`), and where it is cropped.
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
    """Frames (T, C, H, W), `crop` pixels smaller; place 0 is the middle, 1 to 4 are the corners."""
    top, left = [(crop // 2, crop // 2), (0, 0), (0, crop), (crop, 0), (crop, crop)][place]
    height, width = frames.shape[2:]
    return frames[..., top : top + height - crop, left : left + width - crop]


def determine(config: Film, data_dir: Path) -> Film:
    """The same task, bound to the data set as it is now."""
    folder = find_dataset(config.dataset, data_dir)
    return replace(config, digest=config.digest or content_digest(folder / MANIFEST))


def load(config: Film, data_dir: Path) -> Data:
    """Training clips are every window at every offset within a shot; validation and test clips are windows
    spread evenly over their shots.

    Raises UserError where the data set is missing, damaged or another than the config's digest says;
    OptionError where its shots are too short for the clips, or its frames too small for the crop.
    """
    folder = find_dataset(config.dataset, data_dir)
    if config.digest and content_digest(folder / MANIFEST) != config.digest:
        other = f"{folder / MANIFEST}: is not the data set that the run began with (another SHA-256)"
        raise UserError(f"{other}; import the same films with the same options")
    manifest = read_manifest(folder)
    _, height, width = manifest.shape
    gone = f"--crop {config.crop}: nothing is left of frames of {width}x{height}"
    check(config.crop < min(height, width), gone)
    train, *others = (_windows(config, folder, manifest, split) for split in SPLITS)
    most = config.max_val_clips, config.max_test_clips
    # The first windows are cut from the middle.
    val, test = (w.frames(evenly(len(w.starts), n)) for w, n in zip(others, most, strict=True))
    return Data(
        replace(train, flip=config.flip, flip_vertical=config.flip_vertical, reverse=config.reverse),
        TensorClips(val[:, :-1], val[:, 1:]),
        TensorClips(test[:, :-1], test[:, 1:]),
        originals=len(train.starts),
        test_frames=test,
        context=config.context,
        overlapping=True,
        file=folder / MANIFEST,
    )


def long_windows(config: Film, folder: Path, split: Split, most_frames: int, most: int) -> Tensor:
    """Windows of a split, spread evenly over its longest shots: (N, T, C, H, W) float32 in [0, 1], N at most
    `most`. They have LONG of the longest shot's frames, so that there are several, and at most so many.

    Args:
        folder: the data set's.
    """
    manifest = read_manifest(folder)
    length = min(
        most_frames, max(config.context + 1, int(LONG * max(shot.frames for shot in manifest.of(split))))
    )
    windows = _windows(replace(config, num_frames=length), folder, manifest, split)
    return to_float(windows.frames(evenly(len(windows.starts), most)))


def longest_clip(config: Film, data_dir: Path) -> tuple[Split, int]:
    """The split whose longest shot is the shortest, and its frames: no clip of all splits can be longer."""
    manifest = read_manifest(find_dataset(config.dataset, data_dir))
    longest = {split: max(shot.frames for shot in manifest.of(split)) for split in SPLITS}
    split = min(SPLITS, key=longest.__getitem__)
    return split, longest[split]


def _windows(config: Film, folder: Path, manifest: Manifest, split: Split) -> Windows:
    """Every window within one of a split's shots, cropped."""
    shots = manifest.of(split)
    longest = max((shot.frames for shot in shots), default=0)
    held = f"the longest shot of {config.dataset}'s {split} split has {longest} frames"
    said = f"--num-frames {config.num_frames}: {held}; at most that many make a clip"
    check(longest >= config.num_frames, said)
    starts = [
        torch.arange(shot.row, shot.row + shot.frames - config.num_frames + 1)
        for shot in shots
        if shot.frames >= config.num_frames
    ]
    path = open_split(folder, manifest, split)
    return Windows(path, torch.cat(starts), config.num_frames, crop=config.crop)
