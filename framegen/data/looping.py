"""Moving pictures that begin again where they end."""

from pathlib import Path

import torch
from torch import Tensor

from framegen.data.arrays import ARRAYS
from framegen.data.probing import probe
from framegen.data.shots import shot_starts


def played_again(path: Path, frames: Tensor, enough: int) -> Tensor:
    """All frames of a file, (T, C, H, W) in [0, 1], as they are seen: where it says of itself that it begins
    again, for ever, and that is no cut, `enough` frames and more follow the first time."""
    if path.suffix.lower() in ARRAYS or not probe(path).loops:
        return frames
    levels = (frames.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy()
    if len(frames) in shot_starts([*levels, *levels]):
        return frames
    return frames.repeat(2 + enough // len(frames), 1, 1, 1)
