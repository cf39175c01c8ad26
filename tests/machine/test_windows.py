"""What Windows lacks is done without: here it is taken away, and the commands run all the same."""

import os
import shlex
from pathlib import Path

from tests.conftest import smallest
from tests.forked import Forked

BLOCKED = """
import os, signal, sys
for name in ("resource", "fcntl", "termios", "pwd"):
    sys.modules[name] = None
for name in ("pthread_sigmask", "SIGHUP"):
    delattr(signal, name)
del os.geteuid
"""
PROGRAM = """
import sys
sys.path.insert(0, "")
sys.modules.pop("sitecustomize", None)
import sitecustomize
from framegen.__main__ import main
from framegen.studies.pool import stopped, workers

for line in sys.argv[1:]:
    sys.argv = ["framegen", *line.split()]
    main()
with workers(1) as pool:
    assert not pool.submit(stopped).result()
"""


def test_every_command_runs_without_what_windows_lacks(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(BLOCKED)  # which a process of a pool imports as it begins
    train = shlex.join(["train", "--name", "small", *map(str, smallest(Path()))])
    commands = [train, "generate small --out a.gif", "evaluate small", "draw small", "play small"]
    Forked(
        PROGRAM, *commands, folder=tmp_path, environment={**os.environ, "PYTHONPATH": str(tmp_path)}
    ).succeeded()
    assert (tmp_path / "runs" / "small" / "play.html").exists()
