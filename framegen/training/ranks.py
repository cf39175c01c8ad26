"""The processes that train one model together, as torchrun starts them, and how they speak to each other.

Rank 0 leads: what it says, all others hear. Words and weights go through gloo; gradients that lie on GPUs
through nccl.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from framegen.machine.errors import UserError
from framegen.machine.files import json_text

PATIENCE = timedelta(days=1)
"""How long a process waits for a word: as long as rank 0 measures, draws and writes between two of them. One
that ends is missed at once, since its connections close."""


class Lost(UserError):
    """Another process of the training has ended."""


@dataclass(frozen=True)
class Ranks:
    """The place of this process among those that train together."""

    rank: int = 0
    count: int = 1

    def share(self, clips: int) -> tuple[slice, float]:
        """Which of so many clips this process takes, and which part of them that is.

        Where there are fewer clips than processes, one that has none takes the first for nothing: so each
        computes gradients of the same parameters.
        """
        begin, end = (clips * rank // self.count for rank in (self.rank, self.rank + 1))
        return (slice(begin, end), (end - begin) / clips) if begin < end else (slice(0, 1), 0.0)

    def sum(self, values: Tensor) -> Tensor:
        """The sum of a tensor over all processes, the same bits in each."""
        if self.count > 1:
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


def current() -> Ranks:
    """The processes that have met in `start`; this one alone where none have."""
    if dist.is_available() and dist.is_initialized():
        return Ranks(dist.get_rank(), dist.get_world_size())
    return Ranks()


def part() -> None:
    """Go on alone."""
    if dist.is_initialized():
        dist.destroy_process_group()


def tell(word: str, **values: Any) -> None:
    """Rank 0 says something to all others, who `hear` it; values are what JSON can hold."""
    if current().count > 1:
        content = torch.frombuffer(bytearray(json_text([word, values]).encode()), dtype=torch.uint8)
        with whole():
            _broadcast(torch.tensor(len(content)))
            _broadcast(content)


def hear() -> tuple[str, dict[str, Any]]:
    """What rank 0 says next. Raises Lost where it has ended."""
    _broadcast(length := torch.tensor(0))
    _broadcast(content := torch.empty(int(length), dtype=torch.uint8))
    word, values = json.loads(content.numpy().tobytes())
    return word, values


def share_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rank 0's tensors, in every process; each comes with tensors of the same names and shapes."""
    shared = {name: value.detach().cpu().contiguous() for name, value in sorted(state.items())}
    for value in filter(Tensor.numel, shared.values()):
        _broadcast(value)
    return shared


@contextmanager
def whole() -> Iterator[None]:
    """What rank 0 and the others do in step. Where rank 0 breaks it off, by a signal or an error, the others
    are let go, since they would wait for what never comes."""
    try:
        yield
    except BaseException:
        part()
        raise


def _broadcast(values: Tensor) -> None:
    with _speaking():
        dist.broadcast(values, src=0)


@contextmanager
def _speaking() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise Lost("another process of this training has ended") from error
