"""Moving pictures that begin again where they end."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from framegen.data.films.facts import probe
from framegen.data.films.pictures import Array
from framegen.data.films.prompt import is_film
from framegen.data.films.shots import shot_starts


def played_again(path: Path, frames: Tensor, enough: int) -> Tensor:
    """All frames of a moving picture, (T, C, H, W) in [0, 1], as they are seen: where it begins again,
    `enough` frames and more follow the first time. It does where it says so, unless that is a cut, and where
    its end meets its beginning: they differ no more than other neighbours do."""
    if not is_film(path) or (facts := probe(path)).clock is not None or len(frames) < 2:
        return frames
    levels = (frames.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy()
    if not (facts.loops or _meets(levels)) or len(frames) in shot_starts([*levels, *levels]):
        return frames
    return frames.repeat(2 + enough // len(frames), 1, 1, 1)


def _meets(levels: Array) -> bool:
    """Whether the first frame follows the last, (T, H, W, C) uint8, as any follows the one before."""
    steps = np.abs(np.diff(levels, axis=0, append=levels[:1]).astype(np.int16)).mean((1, 2, 3))
    return steps[-1] <= steps[:-1].mean()
