"""Where to compute, and with how many threads."""

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from framegen.machine.errors import OptionError


def choose_device(name: str) -> torch.device:
    """The device by its name; "auto" is CUDA where there is one. Raises OptionError where it is not at
    hand."""
    if name not in ("auto", "cpu", "cuda"):
        raise OptionError(f"--device {name}: is none of auto, cpu, cuda")
    cuda = torch.cuda.is_available()
    if name == "auto":
        name = "cuda" if cuda else "cpu"
    if name == "cuda" and not cuda:
        raise OptionError(
            f"--device {name}: torch finds no such device here; --device auto takes what there is"
        )
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


def peak_memory(device: torch.device | None = None) -> int:
    """The most memory that this process has held so far, in bytes: of a GPU, or main memory."""
    if device is not None and device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
