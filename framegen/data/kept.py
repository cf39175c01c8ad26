"""Clips that a formula gives: made once, and kept in a file with their config."""

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from framegen.config.tasks import SPLITS, Orbit, Split, Sprites, World
from framegen.data.clips import Data, TensorClips
from framegen.machine.errors import UserError
from framegen.machine.files import json_text, load_tensors, make_parents, parse_json, save_tensors

LATER = {"bar": 0, "away": 0, "things": 1, "view": 0, "pan": 1, "told": True}
"""Options that came later, and the value at which they change nothing: files from before keep their names."""


def load_kept(
    config: World,
    folder: Path,
    sample: Callable[[Any, Split], Tensor],
    context: int,
    asked: Callable[[Split], Tensor] | None = None,
) -> Data:
    """The clips of a config from `folder`, made there first by `sample`, uint8 (N, T, C, H, W) a split. Of a
    test clip `context` frames are the prompt. Some frames may not be asked for: `asked` gives (N, T) bool.

    Raises UserError that names the file where it is damaged or holds something else.
    """
    path = data_file(config, folder)
    if not os.path.exists(path):  # noqa: PTH110 (says False where a name is too long)
        make_parents(path)
        save_tensors(path, {split: sample(config, split) for split in SPLITS}, {"config": asdict(config)})
    try:
        clips, metadata = load_tensors(path)
        found = parse_json(metadata.get("config", ""), type(config), str(path))
        if found != config or set(clips) != set(SPLITS):
            raise UserError(f"{path}: is not the data set of this configuration")
    except UserError as error:
        raise UserError(f"{error}; move it away and the clips are generated again") from error
    which = {split: asked(split) if asked else None for split in SPLITS}
    train, val, test = (
        TensorClips(clips[split][:, :-1], clips[split][:, 1:], asked=None if its is None else its[:, 1:])
        for split, its in which.items()
    )
    return Data(train, val, test, test_frames=clips["test"], asked=which["test"], context=context, file=path)


def hidden(size: int, bar: int) -> Tensor:
    """The pixels, (size, size) bool, that an opaque bar, `bar` columns wide, hides in the middle."""
    mask = torch.zeros(size, size, dtype=torch.bool)
    left = (size - bar) // 2
    mask[:, left : left + bar] = True
    return mask


def observed(config: Orbit | Sprites, clean: Iterable[Tensor], random: np.random.Generator) -> Tensor:
    """Clean clips, (T, C, H, W) float64 each, with noise and the bar, which is 0, as uint8."""
    clips = []
    for frames in clean:
        noisy = frames + config.noise * torch.from_numpy(random.standard_normal(frames.shape))
        clips.append((noisy.clamp(0, 1) * 255).round().to(torch.uint8))
    made = torch.stack(clips)
    made[..., hidden(made.shape[-1], config.bar)] = 0
    return made


def draws(config: World, split: Split) -> tuple[np.random.Generator, int]:
    """A split's random generator, a stream of `data_seed` of its own; and the number of its clips."""
    counts = {"train": config.num_clips, "val": config.num_val_clips, "test": config.num_test_clips}
    return np.random.default_rng([config.data_seed, SPLITS.index(split)]), counts[split]


def data_file(config: World, folder: Path) -> Path:
    """Where the clips of this config are kept: its name ends in a digest of the config."""
    values = {name: value for name, value in asdict(config).items() if LATER.get(name, ...) != value}
    digest = hashlib.sha256(json_text(dict(sorted(values.items()))).encode()).hexdigest()[:8]
    name = type(config).__name__.lower()
    return folder / f"{name}-{config.size}x{config.size}-{digest}.safetensors"
