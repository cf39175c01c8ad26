"""Modules outside the package that bring models and tasks: who may name them, and what is printed of them."""

import importlib
import os
import shlex
import subprocess
import sys
import traceback
from collections.abc import Sequence
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from framegen.machine.errors import OptionError
from framegen.machine.progress import say

GROUP = "framegen.plugins"
"""The entry points by which an installed package names its modules."""

named: list[str] = []
"""The modules that --import named. Only these and installed plugins are imported, never a run's."""


def import_named(arguments: Sequence[str]) -> list[str]:
    """Import what each `--import WORD` of a command line names; returns its other words."""
    words, rest = iter(arguments), []
    for word in words:
        option, given, value = word.partition("=")
        if option == "--import":
            import_plugin(value if given else next(words, ""))
        else:
            rest.append(word)
    return rest


def import_plugin(word: str) -> None:
    """Import a file, my_world.py, or a module, my_package.world. Raises OptionError where that fails."""
    if not word:
        raise OptionError("--import: names no file and no module")
    file = Path(word).resolve() if word.endswith(".py") else None
    name, folder = (file.stem, file.parent) if file else (word, Path.cwd())
    if file and not file.is_file():
        raise OptionError(f"--import {word}: there is no such file")
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    importlib.invalidate_caches()
    try:
        found = find_spec(name)
        if file and found and found.origin != str(file):
            taken = f"a module {name} is here already, {found.origin}"
            raise OptionError(f"--import {word}: {taken}; give the file another name")
        importlib.import_module(name)
    except OptionError:
        raise
    except (Exception, SystemExit) as error:
        raise OptionError(f"--import {word}: {_said(error, name)}") from error
    if word not in named:
        named.append(word)


@cache
def import_installed() -> None:
    """Import what installed packages name in `GROUP`; one that fails is told, and left out."""
    for point in entry_points(group=GROUP):
        try:
            point.load()
        except (Exception, SystemExit) as error:
            say(f"{point.value}: an installed plug-in was left out: {_said(error, point.module)}", True)


def _said(error: BaseException, name: str) -> str:
    """An error of a module in a line, with where in its file it was raised."""
    lines = lines_in(error, name)
    return f"{type(error).__name__}: {error}" + (f" (line {lines[-1].lineno})" if lines else "")


def lines_in(error: BaseException, *words: str) -> list[traceback.FrameSummary]:
    """The lines of files or modules, as --import names them, through which an error came."""
    stems = {Path(word).stem if word.endswith(".py") else word.rpartition(".")[2] for word in words}
    return [each for each in traceback.extract_tb(error.__traceback__) if Path(each.filename).stem in stems]


def command(*words: object) -> str:
    """A command to be pasted: quoted, with what --import named, and through uv where uv started this."""
    program = ["uv", "run", "framegen"] if "UV_RUN_RECURSION_DEPTH" in os.environ else ["framegen"]
    imports = [part for word in named for part in ("--import", word)]
    line = [*program, *imports, *map(str, words)]
    return subprocess.list2cmdline(line) if os.name == "nt" else shlex.join(line)
