"""Where to compute, and with how many threads."""

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from framegen.errors import OptionError
from framegen.models.predictor import Predictor, num_parameters

SMALL_MODEL = 100_000
"""Parameters below which a second CPU thread costs more than it gives."""


def choose_device(name: str) -> torch.device:
    """The device by its name; "auto" is CUDA where there is one. Raises OptionError where it is not at
    hand."""
    cuda = torch.cuda.is_available()
    if name == "auto":
        name = "cuda" if cuda else "cpu"
    if name == "cuda" and not cuda:
        raise OptionError(
            f"--device {name}: torch finds no such device here; --device auto takes what there is"
        )
    return torch.device(name)


def num_threads(model: Predictor) -> int:
    """CPU threads for a training in PyTorch: one for a small model, since handing work to a second takes
    longer than the work.

    What convolves does more with each of its parameters, and gets all threads.
    """
    convolves = any(isinstance(module, torch.nn.Conv2d) for module in model.modules())
    small = num_parameters(model) < SMALL_MODEL and not convolves
    return 1 if small else torch.get_num_threads()


@contextmanager
def threads_for(model: Predictor) -> Iterator[None]:
    """As many CPU threads as `num_threads` says."""
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads(model))
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
