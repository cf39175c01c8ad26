"""A training that is stopped at a chosen moment by a real signal to its own process. Run by the tests as a
program.

    stopped_training.py SIGNAL MOMENT COUNT framegen-arguments…

MOMENT "step": when the COUNT-th step is logged. "write": half-way through writing the COUNT-th file.
"""

import os
import signal
import sys
from pathlib import Path

from framegen import __main__
from framegen.machine import files
from framegen.runs.tracking import Tracker

number, moment, count = signal.Signals[sys.argv[1]], sys.argv[2], int(sys.argv[3])
seen = 0


def _now() -> bool:
    global seen
    seen += 1
    return seen == count


log, write_bytes = Tracker.log, Path.write_bytes


def stopping_log(self, step, values) -> None:
    log(self, step, values)
    if _now():
        os.kill(os.getpid(), number)


def stopping_write(self, content) -> int:
    if _now():
        write_bytes(self, content[: len(content) // 2])
        os.kill(os.getpid(), number)
    return write_bytes(self, content)


if moment == "step":
    Tracker.log = stopping_log
else:
    files.Path.write_bytes = stopping_write  # pyright: ignore[reportAttributeAccessIssue]
sys.argv = ["framegen", *sys.argv[4:]]
__main__.main()
