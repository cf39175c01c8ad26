"""Where to compute, with how many threads, what is drawn by chance meanwhile; and the machine and the
versions of packages, on which results and times depend."""

import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch

from framegen.machine.errors import OptionError


def choose_device(name: str) -> torch.device:
    """The device by its name; "auto" is CUDA where there is one, which then multiplies float32 as TF32, with
    10 bits after the point. Raises OptionError where it is not at hand."""
    if name not in ("auto", "cpu", "cuda"):
        raise OptionError(f"--device {name}: is none of auto, cpu, cuda")
    cuda = torch.cuda.is_available()
    if name == "auto":
        name = "cuda" if cuda else "cpu"
    if name == "cuda" and not cuda:
        raise OptionError("--device cuda: torch finds no such device here; --device auto takes what there is")
    if name == "cuda":
        torch.set_float32_matmul_precision("high")  # as convolutions and recurrent cells do there anyway
    return torch.device(name)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """As many CPU threads for torch as `count` says."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def seeded(*numbers: int) -> Iterator[None]:
    """Seed torch's draws inside with these numbers, none negative; its generators are restored."""
    seed = int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])
    devices = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices):
        torch.default_generator.manual_seed(seed)
        if devices:
            torch.cuda.manual_seed(seed)
        yield


def peak_memory(device: torch.device) -> int | None:
    """The most bytes held: of a GPU since training began, else by this process; None on Windows."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    with suppress(ImportError):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return None


def versions(*packages: str) -> dict[str, str | None]:
    """Versions of Python and packages; None if not installed, such as framegen run from a checkout."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in packages:
        found[package] = None
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def processor() -> str:
    """Its name as the system gives it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
