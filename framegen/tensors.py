"""Tensors on disk: safetensors with a JSON metadata block. Nothing is ever unpickled."""

import json
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from framegen.errors import UserError
from framegen.files import write_bytes

PICKLE_STARTS = (b"PK\x03\x04", b"\x80")


def save(path: Path, tensors: dict[str, Tensor], metadata: dict[str, Any]) -> None:
    """Write tensors and JSON metadata atomically. Raises UserError where the disk refuses."""
    content = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_bytes(path, safetensors.torch.save(content, {name: json.dumps(value) for name, value in metadata.items()}))


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save` wrote. Raises UserError that names the file where it is missing, cut short or foreign."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        return tensors, {name: json.loads(value) for name, value in metadata.items()}
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (safetensors.SafetensorError, json.JSONDecodeError) as error:
        if path.read_bytes()[:4].startswith(PICKLE_STARTS):
            raise UserError(
                f"{path}: is a pickle (a torch.save file), which can run code; framegen reads safetensors only"
            ) from error
        raise UserError(f"{path}: is truncated or not a safetensors file ({error})") from error
