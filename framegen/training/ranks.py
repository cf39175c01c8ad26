"""The processes that train one model together, as torchrun starts them.

All run the same loop on the same run, each with its share of every batch; rank 0 alone writes, tracks and
speaks, and decides by clock or signal. Gradients on GPUs go round through nccl, all else through gloo.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

from framegen.machine.errors import OptionError, UserError
from framegen.machine.progress import count_of

PATIENCE = timedelta(days=1)
"""How long a process waits for rank 0 to draw and write between two steps; one that ends is missed."""
LONGEST_PATH = 4096


class Lost(UserError):
    """Another process of the training has ended."""


@dataclass(frozen=True)
class Ranks:
    """The place of this process among those that train together."""

    rank: int = 0
    count: int = 1
    speaking: bool = True
    """Whether they hear each other; False is for timing what one does."""

    def share(self, clips: int) -> tuple[slice, float]:
        """Which of the clips this process takes, and which part of them that is. One that gets none takes the
        first, which then counts 0, so that each computes gradients of the same parameters."""
        begin, end = (clips * rank // self.count for rank in (self.rank, self.rank + 1))
        return (slice(begin, end), (end - begin) / clips) if begin < end else (slice(0, 1), 0.0)

    def sum(self, values: Tensor) -> Tensor:
        """The sum of a tensor over all processes, the same bits in each."""
        if self.count > 1 and self.speaking:
            with _speaking():
                dist.all_reduce(values)
        return values


def start() -> Ranks:
    """Meet the other processes that torchrun started. Raises UserError where that does not work."""
    backend = "gloo"
    if torch.cuda.is_available():
        backend = "cpu:gloo,cuda:nccl"
        if (device := int(os.environ.get("LOCAL_RANK", 0))) < torch.cuda.device_count():
            torch.cuda.set_device(device)  # what "cuda" means from here on
    try:
        dist.init_process_group(backend, timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"torchrun: the processes do not find each other ({reason})") from error
    return current()


def check_together() -> None:
    """Raises UserError in processes that torchrun started for a program that lets none of them lead."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and current().count == 1:
        shared = "torchrun -m framegen train shares one training, and without WORLD_SIZE each has its own"
        raise UserError(f"torchrun: each process of this program would train alone; {shared}")


def check_gpus() -> None:
    """Raises OptionError where there are fewer GPUs than processes on this machine."""
    here, gpus = int(os.environ.get("LOCAL_WORLD_SIZE", current().count)), torch.cuda.device_count()
    if here > gpus:
        way_out = f"--nproc-per-node {gpus} gives each its own, --device cpu needs none"
        raise OptionError(f"torchrun: {here} processes and {count_of(gpus, 'GPU')}: {way_out}")


def current() -> Ranks:
    """The processes that have met in `start`; this one alone where none have."""
    if dist.is_available() and dist.is_initialized():
        return Ranks(dist.get_rank(), dist.get_world_size())
    return Ranks()


def part() -> None:
    """Go on alone."""
    if dist.is_initialized():
        dist.destroy_process_group()


def agree(value: float) -> float:
    """Rank 0's value, in every process. Raises Lost where one has ended."""
    return _from_first(torch.tensor(value, dtype=torch.float64)).item() if current().count > 1 else value


def take_up(run_dir: Path = Path()) -> Path:
    """The run that rank 0 names, which is on disk, in every process. Raises Lost where one has ended."""
    name = os.fsencode(run_dir.absolute())
    named = _from_first(torch.tensor([*name, *bytes(LONGEST_PATH - len(name))], dtype=torch.uint8))
    return Path(os.fsdecode(bytes(named.tolist()).rstrip(b"\0")))


def _from_first(values: Tensor) -> Tensor:
    with _speaking():
        dist.broadcast(values, src=0)
    return values


@contextmanager
def _speaking() -> Iterator[None]:
    """Raises Lost where another process has ended, UserError where nccl finds another fault."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error)
        if "NCCL" in reason and "ncclRemoteError" not in reason:
            last = reason.strip().splitlines()[-1]
            raise UserError(f"torchrun: the GPUs cannot speak to each other through nccl ({last})") from error
        raise Lost("another process of this training has ended") from error
