"""What is said while something is done."""

import fcntl
import os
import pty
import struct
import termios

import pytest

from framegen.machine import progress
from framegen.machine.progress import duration, say

PATH = "/a/long/path-with-hyphens/that-is-wider/than-the-terminal/my-film.mp4"
TEXT = f"{PATH}: the longest shot of the well-known film has so many frames"


def test_a_terminal_gets_whole_words_and_whole_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    screen, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 30, 0, 0))
    with os.fdopen(terminal, "w") as stderr:
        monkeypatch.setattr("sys.stderr", stderr)
        say(TEXT, True)
        lines = os.read(screen, 4096).decode().splitlines()
    os.close(screen)
    assert lines == [f"{PATH}:", "the longest shot of the", "well-known film has so many", "frames"]


def test_elsewhere_a_line_stays_one(capsys: pytest.CaptureFixture[str]) -> None:
    say(TEXT, True)
    assert capsys.readouterr().err == f"{TEXT}\n"


def test_a_duration_has_the_unit_that_suits_it() -> None:
    times = [0.0123, 0.25, 3, 19.84, 75, 3599, 5400, 360_000]
    said = ["12.3 ms", "0.25 s", "3 s", "19.8 s", "1.25 min", "60 min", "1.5 h", "100 h"]
    assert [duration(seconds) for seconds in times] == said


def test_long_work_says_where_it_stands_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY", -1.0)
    with progress.advancing(4, "reading the films", show=True) as advance:
        for _ in range(4):
            advance(1)
    said = capsys.readouterr().err.splitlines()
    assert said == [f"reading the films: {part}%" for part in (25, 50, 75, 100)]
    with progress.advancing(4, "reading the films", show=False) as advance:
        advance(1)
    assert capsys.readouterr().err == ""
