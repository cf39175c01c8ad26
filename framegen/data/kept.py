"""Clips that a formula gives: made once, and kept in a file beside which their config stands."""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
from torch import Tensor

from framegen.config.tasks import World
from framegen.data.clips import SPLITS, Data, Split, TensorClips
from framegen.machine.errors import UserError
from framegen.machine.files import json_text, load_tensors, make_parents, parse_json, save_tensors

LATER = {"bar": 0}
"""Options that came later, and the value at which they change nothing: files from before keep their names."""


def load_kept(
    config: World,
    folder: Path,
    sample: Callable[[Split], Tensor],
    context: int,
    kinds: Mapping[str, Tensor] | None = None,
) -> Data:
    """The clips of a config from `folder`, made there first where they are missing.

    Args:
        sample: makes a split's clips, uint8 (N, T, C, H, W).
        context: frames of a test clip that are the prompt.
        kinds: see `Data`.

    Raises:
        UserError: the file is damaged or holds something else; it is named.
    """
    path = data_file(config, folder)
    if not os.path.exists(path):  # noqa: PTH110 (says False where a name is too long)
        make_parents(path)
        save_tensors(path, {split: sample(split) for split in SPLITS}, {"config": asdict(config)})
    try:
        clips, metadata = load_tensors(path)
        found = parse_json(metadata.get("config", ""), type(config), str(path))
        if found != config or set(clips) != set(SPLITS):
            raise UserError(f"{path}: is not the data set of this configuration")
    except UserError as error:
        raise UserError(f"{error}; move it away and the clips are made anew") from error
    train, val, test = (TensorClips(clips[split][:, :-1], clips[split][:, 1:]) for split in SPLITS)
    return Data(
        train, val, test, test_frames=clips["test"], context=context, kinds=dict(kinds or {}), file=path
    )


def draws(config: World, split: Split) -> tuple[np.random.Generator, int]:
    """What a split's clips are drawn from, a stream of `data_seed` of their own; and how many they are."""
    counts = {"train": config.num_clips, "val": config.num_val_clips, "test": config.num_test_clips}
    return np.random.default_rng([config.data_seed, SPLITS.index(split)]), counts[split]


def data_file(config: World, folder: Path) -> Path:
    """Where the clips of this config are kept: its name ends in a digest of the config."""
    values = {name: value for name, value in asdict(config).items() if LATER.get(name, ...) != value}
    digest = hashlib.sha256(json_text(dict(sorted(values.items()))).encode()).hexdigest()[:8]
    name = type(config).__name__.lower()
    return folder / f"{name}-{config.size}x{config.size}-{digest}.safetensors"
