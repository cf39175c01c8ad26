"""Files: nothing is ever half-written or unpickled, and what is read is checked.

JSON is read into frozen dataclasses, strictly; tensors stand in safetensors, with a digest and JSON.
"""

import hashlib
import itertools
import json
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from framegen.machine.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

MAX_JSON_BYTES = 256 * 2**20
MAX_TENSOR_BYTES = 16 * 2**30
MAX_BYTES = 2**44
"""The largest file that is read."""
PICKLE_STARTS = (b"PK\x03\x04", b"\x80")
DIGEST = "sha256"
LETTERS = 40
"""Letters of a file's name that its temporary name keeps, which is longer and must fit too."""
T = TypeVar("T")


class Taken(UserError):
    """A free name was taken while something was made, which is `kept` beside it."""

    def __init__(self, path: Path, kept: Path) -> None:
        super().__init__(f"{path}: is there by now, and stays; what was made here is {kept}")
        self.kept = kept


@contextmanager
def blaming(path: Path, what: str = "written") -> Iterator[None]:
    """Raises UserError, "PATH: cannot be written: …", where the system refuses what is done inside."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: cannot be {what}: {error.strerror or error}") from error


@contextmanager
def replacing(path: Path, exclusive: bool = False) -> Iterator[Path]:
    """A temporary path of the same ending beside `path`; renamed to `path` on success, removed on failure.

    Whoever is killed meanwhile leaves the old file whole. The folder is there already. Raises UserError where
    the disk refuses, and Taken where it is `exclusive`, and something has come to be at `path`.
    """
    temporary = path.with_name(f".{path.stem[-LETTERS:]}.{os.getpid()}.tmp{path.suffix}")
    try:
        with blaming(path):
            yield temporary
            if exclusive:
                _name(temporary, path)
            else:
                temporary.replace(path)
    finally:
        with suppress(OSError):  # a folder that cannot be written cannot hold a leftover either
            temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path, exclusive: bool = False) -> Iterator[Path]:
    """`replacing` for a folder: it takes the place of all that `path` holds, or where exclusive of an empty
    folder alone. Whoever is killed between the two renames leaves the old one beside, under a hidden name."""
    hidden = f".{path.name[-LETTERS:]}.{os.getpid()}"
    temporary, old = path.with_name(f"{hidden}.tmp"), path.with_name(f"{hidden}.old")
    try:
        with blaming(path):
            shutil.rmtree(temporary, ignore_errors=True)  # of an earlier process of this number
            temporary.mkdir()
            yield temporary
            if exclusive:
                _name(temporary, path)
            else:
                if path.exists():
                    path.rename(old)
                temporary.rename(path)
    finally:
        if old.exists() and not path.exists():
            old.rename(path)
        for folder in (temporary, old):
            shutil.rmtree(folder, ignore_errors=True)


def _name(made: Path, path: Path) -> None:
    """Give what was made its name, or the next free one; raises Taken then."""
    for name in numbered(path):
        with suppress(FileExistsError):
            rename_new(made, name)
            if name != path:
                raise Taken(path, name)
            return


def numbered(path: Path) -> Iterator[Path]:
    """The path, NAME-2.ending, NAME-3.ending and so on."""
    yield path
    yield from (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in itertools.count(2))


def rename_new(made: Path, path: Path) -> None:
    """Rename in one step that replaces at most an empty folder. Raises FileExistsError for a taken name."""
    try:
        if made.is_dir():
            made.rename(path)
        else:
            os.link(made, path)
            made.unlink()
    except OSError as error:
        if os.path.lexists(path):
            raise FileExistsError(f"{path}: is there") from error
        if made.is_dir():
            raise
        path.touch(exist_ok=False)  # a file system without links
        made.replace(path)


def make_parents(path: Path) -> None:
    """Make the folders in which a file is to lie. Raises UserError where that cannot be done."""
    with blaming(path):
        path.parent.mkdir(parents=True, exist_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what a process that was killed inside `replacing` left. Nobody else may write in the folder."""
    for path in list(folder.rglob(".*.tmp*")):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes, exclusive: bool = False) -> None:
    """Write the whole content or leave what was there; see `replacing`."""
    with replacing(path, exclusive) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str, exclusive: bool = False) -> None:
    """`write_bytes` for text, in UTF-8."""
    write_bytes(path, content.encode(errors="backslashreplace"), exclusive)  # a name may be no text


def status_of(path: Path, what: str = "file") -> os.stat_result:
    """A path's entry in the file system. Raises UserError, "no such file", where it leads to nothing."""
    try:
        return path.stat()
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such {what}") from error
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL
        raise UserError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


def check_file(path: Path, limit: int = MAX_BYTES) -> None:
    """Raises UserError where a path is missing, no regular file (a pipe would hang, /dev/zero never ends), or
    larger than `limit` bytes (a sparse file takes all memory)."""
    status = status_of(path)
    if not stat.S_ISREG(status.st_mode):
        raise UserError(f"{path}: is not a regular file")
    if status.st_size > limit:
        raise UserError(f"{path}: has {status.st_size} bytes; no file of framegen is that large")


def read_json(path: Path, kind: type[T]) -> T:
    """A JSON file as an instance of `kind`; see `parse_json`."""
    check_file(path, MAX_JSON_BYTES)
    with blaming(path, "read"):
        return parse_json(path.read_bytes(), kind, str(path))


class Finite:
    """The base of a dataclass whose numbers, read from JSON, are all finite."""

    __pydantic_config__: ClassVar[Any] = {"allow_inf_nan": False}


def parse_json(content: bytes | str, kind: type[T], source: str) -> T:
    """JSON as an instance of `kind`, a dataclass or any type that pydantic knows, types checked strictly: no
    number is taken for text, nor 1.0 for 1. Raises UserError that names `source` where it holds none."""
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_json(content, strict=True, extra="forbid")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError(f"{source}: is damaged: {place + ': ' if place else ''}{first['msg']}") from error


def to_json(value: Any) -> bytes:
    """A dataclass as strict JSON, indented: null stands for a number that is not finite."""
    from pydantic import TypeAdapter

    return TypeAdapter(type(value)).dump_json(value, indent=2)


def json_text(value: Any) -> str:
    """Strict JSON. Raises ValueError where a number is not finite."""
    return json.dumps(value, allow_nan=False)


def save_tensors(path: Path, tensors: Mapping[str, "Tensor"], metadata: Mapping[str, Any]) -> None:
    """Write tensors and JSON metadata atomically. Raises UserError where the disk refuses."""
    import safetensors.torch

    content = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    texts = {name: json_text(value) for name, value in metadata.items()}
    write_bytes(path, safetensors.torch.save(content, {**texts, DIGEST: json_text(_digest(content))}))


def load_tensors(path: Path) -> tuple[dict[str, "Tensor"], dict[str, str]]:
    """Read what `save_tensors` wrote: the tensors, and the metadata's JSON texts by name. Raises UserError
    that names the file where it is missing, cut short, changed or foreign."""
    import safetensors.torch

    check_file(path, MAX_TENSOR_BYTES)
    with blaming(path, "read"):
        content = path.read_bytes()  # once, since another file may take the name at any moment
    try:
        tensors = safetensors.torch.load(content)  # it has checked the header
    except safetensors.SafetensorError as error:
        if content.startswith(PICKLE_STARTS):
            pickle = "is a pickle (a torch.save file), which can run code"
            raise UserError(f"{path}: {pickle}; framegen reads safetensors only") from error
        raise UserError(f"{path}: is truncated or not a safetensors file ({error})") from error
    length = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + length]).get("__metadata__", {})
    if DIGEST not in metadata:
        raise UserError(f"{path}: was not written by this version of framegen (no digest in its metadata)")
    if parse_json(metadata.pop(DIGEST), str, str(path)) != _digest(tensors):
        raise UserError(f"{path}: is damaged (its SHA-256 does not match its tensors)")
    return tensors, metadata


def _digest(tensors: Mapping[str, "Tensor"]) -> str:
    import torch

    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
