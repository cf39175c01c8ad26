"""A training in several processes, which torchrun starts: each computes the gradient of its share of every
batch, and all take the same step. Rank 0 runs the command; the others take up each run that it trains from
its folder, as `resume` would, and go through the same loop.
"""

import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from framegen.commands.training import begin
from framegen.machine.device import threads
from framegen.machine.interrupts import SIGNALS, Interrupted, Interrupts
from framegen.machine.progress import TrainingBar
from framegen.models.predictor import cpu_threads
from framegen.training import ranks
from framegen.training.loop import Diverged, fit
from framegen.training.ranks import Lost


def together(lead: Callable[[], None]) -> None:
    """Do something in rank 0 that trains; the other processes take part, and end when it does."""
    here = ranks.start()
    try:
        if here.rank == 0:
            lead()
            return
        for number in SIGNALS:  # a terminal and torchrun send them to all: rank 0 decides when to stop
            signal.signal(number, signal.SIG_IGN)
        with suppress(Lost):
            while True:
                _take_part(ranks.take_up())
    finally:
        ranks.part()


def _take_part(run_dir: Path) -> None:
    """Train a run of rank 0's with it, in silence."""
    try:
        training, run = begin(run_dir, "disabled", False, Interrupts(), time.perf_counter)
        bar = TrainingBar(training.total_steps, 1, 0, show=False)
        with threads(cpu_threads(run.model)), suppress(Diverged, Interrupted):  # rank 0 says so
            for _ in fit(training, bar):
                pass
    except Lost:  # rank 0 has said why, or torchrun will
        sys.exit(1)
