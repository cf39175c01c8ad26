"""A live bar on a terminal, plain lines elsewhere."""

import os
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn, track

from framegen.machine.errors import printable

PLAIN_LINES = 20
"""About how many lines a whole training prints where there is no terminal."""

LINE_EVERY = 20.0
"""Seconds after which work that is under way says so where there is no terminal."""

Item = TypeVar("Item")


def answer(*lines: object) -> None:
    """A command's results, on stdout."""
    print(*map(printable, lines), sep="\n")


def count_of(number: int, what: str) -> str:
    """ "1 frame", "2 frames"."""
    return f"1 {what}" if number == 1 else f"{number} {what}s"


def duration(seconds: float) -> str:
    """In the unit that suits it: "12.3 ms", "19.8 s", "4.5 min", "1.25 h"."""
    if seconds < 0.1:
        return f"{1000 * seconds:.3g} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 3600 else f"{seconds / 3600:.4g} h"


def _console() -> Console:
    """stderr. In a notebook a bar is one line of text, as in a terminal: rich's own needs widgets there."""
    notebook = Console().is_jupyter
    live, width = notebook or sys.stderr.isatty(), 80 if notebook else None
    return Console(stderr=True, force_jupyter=False, force_terminal=live, width=width)


def counted(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    """The same items, with a bar on a terminal while they come."""
    console = _console()
    yield from track(items, what, total, console=console, transient=True, disable=not console.is_terminal)


@contextmanager
def advancing(total: float, what: str, show: bool) -> Iterator[Callable[[float], None]]:
    """A function that moves on a bar on a terminal, and now and then says a line elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    console = _console()
    hidden = not (show and console.is_terminal)
    done, said = 0.0, time.monotonic()

    def advance(amount: float) -> None:
        nonlocal done, said
        done += amount
        bar.advance(task, amount)
        if hidden and time.monotonic() - said > LINE_EVERY:
            said = time.monotonic()
            say(f"{what}: {min(1.0, done / max(total, 1e-9)):.0%}", show)

    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task(what, total=total)
        yield advance


def say(text: str, show: bool) -> None:
    """One line about what is done now, if any; on a narrower terminal several, broken between words."""
    if not (show and text):
        return
    try:
        text = printable(text)
        print(_wrapped(text) if sys.stderr.isatty() else text, file=sys.stderr, flush=True)
    except OSError:  # whoever read it is gone, or its disk is full: no reason to stop a training
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def _wrapped(text: str) -> str:
    """The text in lines of the terminal's width; what has no space in it, such as a path, stays whole."""
    try:
        width = os.get_terminal_size(sys.stderr.fileno()).columns
    except OSError:  # a notebook calls itself a terminal, and is no file
        width = 0
    return textwrap.fill(text, width or 80, break_long_words=False, break_on_hyphens=False)


class TrainingBar(Progress):
    """Shows where a training stands, while it is entered; `first_step` steps are done already."""

    def __init__(self, total_steps: int, steps_per_epoch: int, first_step: int, show: bool = True) -> None:
        self.epochs, self.steps_per_epoch = -(-total_steps // steps_per_epoch), steps_per_epoch
        self.show, self.terminal = show, (console := _console()).is_terminal
        text = TextColumn("{task.fields[text]}"), TimeRemainingColumn(), TextColumn("left")
        columns = TextColumn("{task.description}"), BarColumn(bar_width=None), *text
        disable = not (show and self.terminal)
        super().__init__(*columns, console=console, expand=True, disable=disable)
        name = f"epoch {min(first_step // steps_per_epoch + 1, self.epochs)}/{self.epochs}"
        blank = " " * 35  # what comes there later, so that the bar keeps its length
        self.bar = self.add_task(name, total=total_steps, completed=first_step, text=blank)

    def plan(self, total_steps: int) -> None:
        """How many steps the whole training has, as foreseen now."""
        self.epochs = -(-total_steps // self.steps_per_epoch)
        self.update(self.bar, total=total_steps)

    def step(self, count: int) -> None:
        """Advance by a number of training steps."""
        self.advance(self.bar, count)

    def epoch(self, done: int, text: str) -> None:
        """An epoch is done; `text` says what came of it."""
        self.update(self.bar, description=f"epoch {min(done + 1, self.epochs)}/{self.epochs}", text=text)
        every = max(1, self.epochs // PLAIN_LINES)
        if self.show and not self.terminal and (done % every == 0 or done in (1, self.epochs)):
            say(f"epoch {done}/{self.epochs}  {text}", True)
