"""SIGINT, SIGTERM and SIGHUP as something that a training can end well from."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = tuple(signal.Signals[n] for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n))
"""Those that end a training well; a terminal that is closed sends SIGHUP, which not every platform has."""


class Interrupted(BaseException):
    """SIGINT, SIGTERM or SIGHUP came. Not an Exception, so that nothing swallows it by accident."""

    def __init__(self, number: int, advice: str) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}{advice}")
        self.number, self.exit_code = number, 128 + number


class Interrupts:
    """While it is entered, each of SIGNALS raises `Interrupted`, or waits where `held` says so; `advice` ends
    its message. Outside the main thread, where Python delivers no signals, it does nothing.

    Args:
        enough: whether a first SIGINT that waits asks for what is there by then, rather than for a stop.
    """

    def __init__(self, enough: bool = False) -> None:
        self.received: int | None = None
        self._enough = enough
        self.advice = ""
        self._holding = False
        self._previous: dict[int, object] = {}
        self._swallowed: Callable[[sys.UnraisableHookArgs], object] = sys.unraisablehook

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                needed = number in (signal.SIGINT, signal.SIGTERM)
                if needed or signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores SIGHUP
                    self._previous[number] = signal.signal(number, self._receive)
            self._swallowed, sys.unraisablehook = sys.unraisablehook, self._unraisable
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType]
        if self._previous:
            sys.unraisablehook = self._swallowed
        if kind is None:
            self.check()

    def _unraisable(self, thrown: "sys.UnraisableHookArgs") -> None:
        """Python prints what is raised in a `__del__`; of a signal that came there `received` tells."""
        if not isinstance(thrown.exc_value, Interrupted):
            self._swallowed(thrown)

    def _receive(self, number: int, _: FrameType | None) -> None:
        second, self.received = self.received is not None, number
        if second or not self._holding:
            raise Interrupted(number, self.advice)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Inside, a first signal only sets `received`; call `check` where it may stop."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False

    def is_enough(self) -> bool:
        """Whether a first SIGINT has come that asks for what is there. From then on each signal stops."""
        if not self._enough or self.received != signal.SIGINT:
            return False
        self._enough, self.received = False, None
        return True

    def check(self) -> None:
        """Raise `Interrupted` where a signal has come."""
        if self.received is not None:
            raise Interrupted(self.received, self.advice)
