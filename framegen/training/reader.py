"""Batches of clips, read while the steps before them are taken."""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from framegen.data.clips import Clips, TensorClips

Batch = tuple[Tensor, Tensor]


class Reader:
    """Inputs and targets of clips on a device.

    A thread reads ahead, since the order of the clips is known: numpy leaves the interpreter to others while
    it copies, and nothing is sent between processes. Measured on 2 busy cores with steps of 30 ms that leave
    the CPU alone, as on a GPU: of the 5 ms for 8 film clips of 64x28 pixels and 12 ms for 16 clips of Moving
    MNIST, 1.3 and 0.4 are waited for; a worker of torch's DataLoader leaves 4 and 11.

    Where the CPU computes, a step takes a hundred times as long as its clips, and the thread is in its way:
    what torch does in it has OpenMP threads of its own, and with more of them than cores none waits busily.
    Measured on 2 cores with film clips of 64x48 pixels: 0.48 s a step without it, 0.92 with it.

    Args:
        clips: those that lie on disk, or are made as they are asked for, are read ahead; what lies in tensors
            is at hand.
        ahead: batches that wait at most.
    """

    def __init__(self, clips: Clips, device: torch.device, ahead: int) -> None:
        self.clips, self.device = clips, device
        self.ahead = 0 if isinstance(clips, TensorClips) else ahead
        self.waited = 0.0
        """Seconds for which somebody waited for a batch."""
        self._coming: Iterator[Tensor] = iter(())
        self._reading: deque[tuple[Tensor, Future[Batch]]] = deque()
        self._thread = ThreadPoolExecutor(1, "reader") if self.ahead else None

    def announce(self, indices: Iterable[Tensor]) -> None:
        """Which clips will be asked for, a batch each; what was announced before is forgotten."""
        self._coming = iter(indices)
        self._reading.clear()
        self._read_on()

    def batch(self, index: Tensor) -> Batch:
        """Inputs and targets (B, T, C, H, W); what goes wrong while they are read is raised here."""
        started = time.perf_counter()
        if self._reading and torch.equal(self._reading[0][0], index):
            found = self._reading.popleft()[1].result()
            self._read_on()
        else:  # not announced, or a population has lost a member meanwhile
            self._coming = iter(())
            self._reading.clear()
            found = self._read(index)
        inputs, targets = (each.to(self.device, non_blocking=True) for each in found)
        self.waited += time.perf_counter() - started
        return inputs, targets

    def _read_on(self) -> None:
        while self._thread and len(self._reading) < self.ahead:
            if (index := next(self._coming, None)) is None:
                return
            self._reading.append((index, self._thread.submit(self._read, index)))

    def _read(self, index: Tensor) -> Batch:
        inputs, targets = self.clips.batch(index)
        if self.device.type == "cuda" and inputs.device.type == "cpu":
            inputs, targets = inputs.pin_memory(), targets.pin_memory()  # copied while the GPU computes
        return inputs, targets
