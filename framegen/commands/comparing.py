"""Put finished runs side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from framegen.evaluation.results import Results, read_results
from framegen.machine.errors import OptionError, printable
from framegen.machine.files import make_parents
from framegen.machine.progress import answer
from framegen.report.figures import style
from framegen.report.figures.compared import compared
from framegen.report.tables import print_comparison
from framegen.report.writers import check_new
from framegen.runs.folder import find, read_config


def compare(
    runs: Sequence[Path | str],
    out: Path | str | None = None,
    force: bool = False,
    runs_dir: Path | str = "runs",
) -> dict[str, Results]:
    """What runs measured, by the names of their folders.

    Args:
        runs: run folders, or their names in `runs_dir`, two or more, each of another name.
        out: a PNG to draw their errors in, where they are of one task.
        force: whether `out` may replace what is there.

    Raises:
        UserError: a run has no results, or they are damaged.
        OptionError: two runs have one name, or `out` cannot be drawn.
    """
    folders = {folder.name: folder for folder in (find(run, runs_dir) for run in runs)}
    if len(runs) < 2:
        raise OptionError("compare: name two runs or more")
    if len(folders) < len(runs):
        raise OptionError("compare: two of the runs have one name; name each once, and rename a folder")
    results = {name: read_results(folder) for name, folder in folders.items()}
    if out is not None:
        check_new(Path(out), (".png",), force)
        _check(out, folders)
        make_parents(Path(out))
        style.save(compared(results), Path(out), exclusive=not force)
    return results


def print_compared(compared: Mapping[str, Results], out: Path | None, **_: Any) -> None:
    """What came of `compare`."""
    print_comparison({printable(name): results for name, results in compared.items()}, Console())
    if out is not None:
        answer(out)


def _check(out: Path | str, folders: Mapping[str, Path]) -> None:
    tasks = {name: read_config(folder).config.task for name, folder in folders.items()}
    first, task = next(iter(tasks.items()))
    if other := next((name for name, each in tasks.items() if each != task), None):
        raise OptionError(f"--out {out}: {first} and {other} are of different tasks, so their clips differ")
    if not task.next_frame:
        raise OptionError(f"--out {out}: of a task that predicts no next frame there is nothing to draw")
