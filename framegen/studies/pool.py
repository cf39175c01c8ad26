"""Many trainings at a time, each in a process of its own."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from types import FrameType

import torch

from framegen.commands import training
from framegen.config.config import Config
from framegen.config.models import MLP, ConvRecurrent, Recurrent
from framegen.config.tasks import Orbit, Sine
from framegen.config.training import Mode
from framegen.machine.errors import UserError
from framegen.machine.interrupts import SIGNALS, Interrupted
from framegen.machine.plugins import import_plugin, named
from framegen.models.kernels.fused import MAX_HIDDEN
from framegen.runs.folder import CONFIG
from framegen.runs.metrics import METRICS

_stopped: Event | None = None
"""In a worker process: set when it is to begin no more runs."""


@contextmanager
def workers(count: int) -> Iterator[ProcessPoolExecutor]:
    """Processes for the runs. Whatever ends this early stops them too; each saves the run it was at and
    begins no other."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    with ProcessPoolExecutor(
        max(1, count), mp_context=context, initializer=_start_worker, initargs=(stop, list(named))
    ) as pool:
        try:
            yield pool
        except BaseException as error:
            with _signals_ignored():  # a terminal, `timeout` and `uv run` send one more than once
                stop.set()
                for child in multiprocessing.active_children():
                    child.terminate()
                pool.shutdown(wait=True, cancel_futures=True)
            if isinstance(error, BrokenProcessPool):
                killed = "a process that trained was killed, perhaps where memory ran out"
                raise UserError(f"{killed}; all is saved, and the same command resumes it") from error
            raise


@contextmanager
def _signals_ignored() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, signal.SIG_IGN) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _start_worker(stop: Event, plugins: list[str]) -> None:
    global _stopped
    _stopped = stop
    torch.set_num_threads(1)
    for word in plugins:
        import_plugin(word)
    for name in ("WANDB_RUN_ID", "WANDB_NAME"):
        os.environ.pop(name, None)  # of one run, and here are many
    if hasattr(signal, "pthread_sigmask"):  # a terminal sends SIGINT to all: the parent decides
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    signal.signal(signal.SIGTERM, _idle)  # between runs: a worker that died would break the pool
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _idle(_number: int, _frame: FrameType | None) -> None:
    parent = multiprocessing.parent_process()
    if parent is None or not parent.is_alive():
        os._exit(1)


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


@dataclass(frozen=True)
class Tracked:
    """How W&B tracks the runs."""

    mode: Mode
    group: str


def stopped(within: float = 0.0) -> bool:
    """In a worker process: whether it must begin nothing more; waits up to `within` seconds for that."""
    return _stopped is None or _stopped.wait(within)


@contextmanager
def interruptible() -> Iterator[None]:
    """In a worker process: a training that is interrupted inside is saved, and whoever stopped the workers
    knows; where nobody is left who could, the process ends."""
    try:
        yield
    except Interrupted:
        parent = multiprocessing.parent_process()
        if parent is not None and not parent.is_alive():
            os._exit(1)


def train_one(name: str, config: Config, tracked: Tracked, folder: Path, data_dir: Path) -> None:
    """Train a run of that name to its end, or take it up where it was stopped."""
    if stopped():
        return
    try:
        with interruptible():
            if not (folder / name / CONFIG).exists():
                with suppress(FileNotFoundError):
                    (folder / name).rmdir()  # empty, where a run was killed as it began
            told = {"group": tracked.group, "show": False, "draw": False}
            training.begin_or_go_on(folder / name, config, tracked.mode, data_dir, **told)
    except OSError as error:
        raise UserError(f"{folder / name}: {error.strerror}; move it away") from error


def part_done(run_dir: Path, config: Config) -> float:
    """Which part of its epochs a run has behind it, from the end of its metrics."""
    with suppress(OSError):
        with (run_dir / METRICS).open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - 1000))
            tail = file.read().decode(errors="replace")
        _, found, after = tail.rpartition('"epoch": ')
        if found:
            return int(after.split(",")[0]) / config.training.epochs
    return 0.0


def cost(config: Config) -> float:
    """About how long a run takes, in seconds on one core of no particular machine: for the order and the bar
    alone."""
    match config.task:
        case Orbit(num_clips=clips) | Sine(num_windows=clips):
            pass
        case _:
            clips = 1000
    steps = config.training.epochs * (config.training.clips_per_epoch or clips) / config.training.batch_size
    model = config.model
    if isinstance(model, Recurrent) and not config.training.special:
        gates = {"gru": 3, "lstm": 4, "mingru": 1}.get(model.cell, 1)
        microseconds = model.num_layers * (8 + gates * model.hidden_size**2 / 25) + 500 * bool(model.density)
    elif isinstance(model, MLP) and model.hidden_size <= MAX_HIDDEN and not config.training.special:
        microseconds = 15.0 + 500 * bool(model.density)
    else:
        slow = {Recurrent: 8000, ConvRecurrent: 80_000}
        microseconds = slow.get(type(model), 600)
    return 1 + len(config.members) * steps * microseconds * 1e-6
