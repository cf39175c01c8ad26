"""Programs in a process of their own, as a user's, that need not wait for torch.

A fork server has imported what they import, one for each process of tests that asks; a program begins as a
fork of it.
"""

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from subprocess import CompletedProcess

ROOT = Path(__file__).parents[1]
FRAMEGEN = "import runpy; runpy.run_module('framegen', run_name='__main__', alter_sys=True)"
UNDRAWN = "from framegen.commands import training; training.draw_run = lambda *_: []\n" + FRAMEGEN
"""The same, but for the pictures of a run."""
STOPPED = (ROOT / "tests" / "stopped_training.py").read_text()

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    ["tests.forked", "framegen.studies.reproduce", "matplotlib.pyplot", "torch._dynamo", "tyro", "wandb"]
)


class Forked:
    """A running program: Python source, with sys.argv[1:] = arguments, in a folder and an environment."""

    def __init__(
        self,
        program: str,
        *arguments: str | Path,
        folder: Path = ROOT,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._said = tempfile.TemporaryDirectory()
        self._streams = [Path(self._said.name, name) for name in ("stdout", "stderr")]
        words = ["-c", *map(str, arguments)]
        place = (folder, dict(os.environ if environment is None else environment))
        self._process = _context.Process(target=_run, args=(program, words, *place, self._streams))
        self._process.start()

    def ended(self) -> CompletedProcess[str]:
        """How it ended; the return code is a signal's negative number where one killed it."""
        self._process.join(300)
        if self._process.exitcode is None:
            self._process.kill()
            raise TimeoutError("the program does not end")
        with self._said:
            out, err = (stream.read_text() for stream in self._streams)
        return CompletedProcess(self._process.name, self._process.exitcode, out, err)

    def succeeded(self) -> CompletedProcess[str]:
        """How it ended, which is well."""
        ended = self.ended()
        assert ended.returncode == 0, ended.stderr
        return ended


def _run(
    program: str, words: list[str], folder: Path, environment: dict[str, str], streams: list[Path]
) -> None:
    for number, path in enumerate(streams, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = words
    exec(compile(program, "a test's program", "exec"), {"__name__": "__main__"})
