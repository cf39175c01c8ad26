"""Files: nothing is ever half-written, tensors stand in safetensors with JSON beside them, nothing is ever unpickled."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from framegen.errors import UserError

pass


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path of the same ending beside `path`; renamed to `path` on success, removed on failure.

    Whoever is killed meanwhile leaves the old file whole. Raises UserError where the disk refuses.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        # A folder that cannot be written cannot hold a leftover either.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write the whole content or leave what was there. Raises UserError where the disk refuses."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """`write_bytes` for text, in UTF-8."""
    write_bytes(path, content.encode())


PICKLE_STARTS = (b"PK\x03\x04", b"\x80")


def save(path: Path, tensors: dict[str, Tensor], metadata: dict[str, Any]) -> None:
    """Write tensors and JSON metadata atomically. Raises UserError where the disk refuses."""
    content = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_bytes(
        path, safetensors.torch.save(content, {name: json.dumps(value) for name, value in metadata.items()})
    )


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
