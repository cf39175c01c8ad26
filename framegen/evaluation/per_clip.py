"""Each test clip's error, kept beside results.json: what paired differences between runs need."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from framegen.evaluation.clip_errors import Errors
from framegen.machine.errors import UserError
from framegen.machine.files import load_tensors, parse_json, save_tensors

CLIP_ERRORS = "errors.safetensors"
ClipErrors = dict[str, dict[int | str, Tensor]]
"""By "one_step" and "closed_loop", by seed or reference, each test clip's mse, (N,) float32."""


def write_clip_errors(folder: Path, errors: Mapping[int | str, Mapping[str, Errors]]) -> ClipErrors:
    """Keep each clip's mean over its frames; returns it."""
    parts = next(iter(errors.values()))
    means = {
        part: torch.stack([each[part]["squared"].mean(1) for each in errors.values()]).float()
        for part in parts
    }
    save_tensors(folder / CLIP_ERRORS, means, {"predictors": list(errors)})
    return {part: dict(zip(errors, values, strict=True)) for part, values in means.items()}


def read_clip_errors(folder: Path) -> ClipErrors:
    """Read the file of `write_clip_errors`. Raises UserError where it is missing or damaged."""
    path = folder / CLIP_ERRORS
    tensors, metadata = load_tensors(path)
    names = parse_json(metadata.get("predictors", ""), list[int | str], str(path))
    if any(values.shape[0] != len(names) for values in tensors.values()):
        raise UserError(f"{path}: is damaged: it names other predictors than it holds")
    return {part: dict(zip(names, values, strict=True)) for part, values in tensors.items()}
