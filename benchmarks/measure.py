"""How contenders are timed: in turn, round after round, so that whatever else the machine does meets all of
them alike."""

import gc
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from framegen.machine.errors import UserError

Call = Callable[[], Tensor]
"""Does a piece of work and returns what came out of it: losses, or frames."""


class Unavailable(Exception):
    """Why a contender cannot run here, in one line."""


@dataclass(frozen=True)
class Contender:
    """One way to do the work of a case."""

    name: str
    prepare: Callable[[], Call]
    """Sets everything up; raises Unavailable where that cannot be."""
    units: int
    """Training steps, member-steps or frames in one call."""
    threads: tuple[int, ...] = (1,)
    """Numbers of CPU threads to try; it is measured with the one that is fastest."""


@dataclass(frozen=True)
class Case:
    """Contenders that do the same work; the first one is what the others are compared with."""

    label: str
    contenders: tuple[Contender, ...]
    batch: int | None = None
    """Clips that are generated side by side, where it is a rollout."""


@dataclass(frozen=True)
class Group:
    """Cases that stand in one table."""

    title: str
    unit: str
    """What the times are per."""
    cases: tuple[Case, ...]
    what: str = ""
    """What a case's label says; nothing where there is one case."""
    notes: tuple[str, ...] = ()
    """What has to be known of the contenders."""
    tell_ready: bool = False
    """Whether the seconds until a contender is ready are told: only where nothing of it was compiled
    before."""


@dataclass(frozen=True)
class Ready:
    """A contender that can be timed."""

    call: Call
    threads: int
    seconds: float
    """What setting up and the first call took together, and so compiling."""


def prepare(contender: Contender, least_seconds: float) -> Ready:
    """Set a contender up, with the number of threads with which it is fastest. Raises Unavailable where it
    cannot run."""
    tried: list[tuple[float, Ready]] = []
    for threads in contender.threads:
        torch.set_num_threads(threads)
        started = time.perf_counter()
        call = contender.prepare()
        call()
        ready = Ready(call, threads, time.perf_counter() - started)
        tried.append((turn(ready, 1, least_seconds)[0] if len(contender.threads) > 1 else 0.0, ready))
    fastest = min(tried, key=lambda each: each[0])[1]
    return Ready(fastest.call, fastest.threads, tried[0][1].seconds)


def turn(ready: Ready, units: int, least_seconds: float) -> tuple[float, float]:
    """Call a contender again and again for so many seconds, at least once.

    Returns:
        Microseconds a unit, and how many CPU cores were busy on average. Raises UserError where it no longer
        computes anything finite, since its time would then mean nothing.
    """
    torch.set_num_threads(ready.threads)
    gc.disable()  # it would go through what other contenders left behind: a compiler's millions of objects
    try:
        calls, wall, processor = 0, time.perf_counter(), time.process_time()
        while True:
            made = ready.call()
            calls += 1
            passed = time.perf_counter() - wall
            if passed >= least_seconds:
                break
        cores = (time.process_time() - processor) / passed
    finally:
        gc.enable()
    if not made.isfinite().all():
        raise UserError("what a contender computes is no longer finite; its times would mean nothing")
    return passed / (calls * units) * 1e6, cores


@contextmanager
def clean_machine() -> Iterator[None]:
    """Empty caches, so that every compile time is measured; JAX on one CPU thread; afterwards all is as it
    was."""
    threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory(prefix="framegen-bench-", ignore_cleanup_errors=True) as folder:
        caches = {name: str(Path(folder) / name) for name in ("XDG_CACHE_HOME", "TORCHINDUCTOR_CACHE_DIR")}
        ours = {
            **caches,
            "JAX_PLATFORMS": "cpu",
            "NPROC": "1",
        }  # NPROC: how many threads XLA makes when it starts
        before = {name: os.environ.get(name) for name in ours}
        os.environ.update(ours)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
