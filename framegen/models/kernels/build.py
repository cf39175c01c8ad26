"""The compiled code, built at first use by the machine's compiler and kept in a cache."""

import ctypes
import functools
import hashlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from torch import Tensor

SOURCE = Path(__file__).with_name("recurrent.cpp")

FLAGS = (
    "-O3", "-march=native", "-fno-math-errno", "-std=c++17", "-shared", "-fPIC",
    "--param=avoid-fma-max-bits=0",  # GCC: the same sums for any number of rows
)  # fmt: skip

FUNCTIONS = "gradient", "train", "predict"
"""That the source exports."""

SECONDS = 300
"""That a compiler may take; on a busy machine it takes some ten."""


class FusedUnavailable(Exception):
    """Why the fused engine cannot be used here, as one line of which it is the subject."""


@dataclass(frozen=True)
class Shape:
    """The sizes for which the source is compiled: all outputs beyond a frame's values are a density
    head's. `lanes` 0 takes as many as the machine's widest register holds."""

    inputs: int
    hidden: int
    outputs: int
    cell: str
    layers: int = 1
    double: bool = False
    lanes: int = 0
    components: int = 0

    def defines(self) -> list[str]:
        real = "double" if self.double else "float"
        names = {"I": self.inputs, "H": self.hidden, "O": self.outputs, "D": self.layers}
        names |= {"MIX": self.components, "CELL": self.cell.title(), "REAL": real, "LANES": self.lanes}
        return [f"-D{name}={value}" for name, value in names.items()]


def compiler() -> str:
    """The machine's C++ compiler. Raises FusedUnavailable where there is none."""
    names = (os.environ.get("CXX", ""), "c++", "g++", "clang++")
    if (path := next(filter(None, map(shutil.which, names)), None)) is None:
        raise FusedUnavailable("needs a C++ compiler (g++ or clang++), and none was found")
    if sys.platform == "darwin" and path.startswith("/usr/bin/") and _run(["xcode-select", "-p"]).returncode:
        raise FusedUnavailable("needs a C++ compiler, which xcode-select --install brings")  # a stub is there
    return path


@functools.cache
def library(shape: Shape) -> ctypes.CDLL:
    """recurrent.cpp for a shape; see `build`."""
    return build(SOURCE, FUNCTIONS, shape.defines())


def build(source: Path, functions: Sequence[str], defines: Sequence[str] = ()) -> ctypes.CDLL:
    """A compiled source that exports these functions. Raises FusedUnavailable where there is no compiler or
    it fails."""
    command = [compiler(), *FLAGS, *defines, str(source)]
    # All that the compiler predefines: its version, and what this processor can do.
    machine = _run([command[0], *FLAGS, "-dM", "-E", "-x", "c++", os.devnull]).stdout.encode()
    said = repr(command[:-1]).encode()  # not where the source lies: every installation may take the same
    sources = [source, *sorted(source.parent.glob("*.hpp"))]
    content = [each.read_bytes() for each in sources]
    key = _digest(b"\0".join([*content, said, machine]))
    if (cache := _cache()) is not None:
        if (path := next(filter(_whole, cache.glob(f"{key}-*.so")), None)) is not None:
            return _load(path, functions)
        with suppress(OSError):  # a full disk
            return _load(_compile(command, cache, key), functions)
    with tempfile.TemporaryDirectory(prefix="framegen-") as own:  # what is loaded needs no file
        return _load(_compile(command, Path(own), key), functions)


def _cache() -> Path | None:
    """The folder of compiled code, made where it is missing; None where there is none that is ours alone."""
    try:
        folder = platformdirs.user_cache_path("framegen")
        folder.mkdir(0o700, parents=True, exist_ok=True)
        return folder if _is_ours(folder) else None
    except (OSError, RuntimeError):  # RuntimeError: neither HOME nor an entry in passwd says where it is
        return None


def _is_ours(path: Path) -> bool:
    """Whether nobody else can have written what lies there: code that is loaded runs as us."""
    if not hasattr(os, "geteuid"):  # Windows, where a user's cache is closed to others
        return True
    status = path.lstat()
    writable = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return status.st_uid == os.geteuid() and not stat.S_ISLNK(status.st_mode) and not writable


def _load(path: Path, functions: Sequence[str]) -> ctypes.CDLL:
    try:
        loaded = ctypes.CDLL(str(path))
        for name in functions:
            getattr(loaded, name)
    except (OSError, AttributeError) as error:  # of a compiler that only said that it was done
        path.unlink()
        raise FusedUnavailable(f"what was compiled cannot be loaded ({error})") from error
    return loaded


def _whole(path: Path) -> bool:
    """Whether a library is ours, and as it was compiled: its name ends in its digest."""
    with suppress(OSError):
        return _is_ours(path) and path.stem.endswith(f"-{_digest(path.read_bytes())}")
    return False


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:24]


def _run(command: list[str]) -> "subprocess.CompletedProcess[str]":
    """Raises FusedUnavailable where the compiler cannot be run or does not come to an end."""
    try:
        return subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False, timeout=SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise FusedUnavailable(f"cannot be compiled: {command[0]} does not end within {SECONDS} s") from error
    except OSError as error:
        raise FusedUnavailable(f"cannot be compiled: {command[0]}: {error.strerror}") from error


def _compile(command: list[str], folder: Path, key: str) -> Path:
    """Compile into a folder. The file's name holds its digest: macOS signs it, so it may not be changed."""
    with tempfile.TemporaryDirectory(prefix=".", dir=folder) as own:
        made = Path(own) / "made.so"
        # some compilers come without OpenMP: then one network after another
        for openmp in (["-fopenmp"], []):
            done = _run([*command, *openmp, "-o", str(made)])
            if done.returncode == 0 and made.exists():
                made.chmod(0o700)  # whatever the umask lets others do
                return made.replace(folder / f"{key}-{_digest(made.read_bytes())}.so")
        said = done.stderr.strip().splitlines()[-1:] or ["it makes no library"]
        raise FusedUnavailable(f"does not compile with {command[0]} ({said[0]})")


def pointer(tensor: Tensor | None) -> ctypes.c_void_p:
    """Where a contiguous CPU tensor's values begin; 0 for none."""
    return ctypes.c_void_p(None if tensor is None else tensor.data_ptr())
