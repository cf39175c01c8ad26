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


@contextmanager
def threads_for(model: Predictor) -> Iterator[None]:
    """One CPU thread while a small model trains: handing work to a second takes longer than the work.

    What convolves does more with each of its parameters, and gets all threads.
    """
    before = torch.get_num_threads()
    convolves = any(isinstance(module, torch.nn.Conv2d) for module in model.modules())
    if num_parameters(model) < SMALL_MODEL and not convolves:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def peak_memory() -> int:
    """The most main memory that this process has held so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
