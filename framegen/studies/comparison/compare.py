"""Put finished runs side by side."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from framegen.machine.errors import OptionError
from framegen.machine.files import make_parents, to_json, write_text
from framegen.machine.progress import answer
from framegen.report.figures import style
from framegen.report.tables import Screen
from framegen.report.writers import check_new
from framegen.runs.folder import Named, find
from framegen.studies.comparison.finished import (
    Finished,
    best_of,
    differences,
    in_order,
    number_that_differs,
    read_finished,
)
from framegen.studies.comparison.plot import compared
from framegen.studies.comparison.tables import comparison, latex, print_comparison


def table(runs: Sequence[Named], runs_dir: Path | str = "runs") -> list[dict[str, Any]]:
    """A row for each run and seed, as a data frame takes them: run, seed, every option, and every score on
    the test clips.

    Args:
        runs: run folders, or their names in `runs_dir`.

    Raises:
        UserError: a run has no results, or they are damaged.
    """
    return [row for run in runs for row in read_finished(find(run, runs_dir)).rows()]


def compare(
    runs: Sequence[Named],
    out: Path | str | None = None,
    force: bool = False,
    runs_dir: Path | str = "runs",
) -> dict[str, Finished]:
    """Finished runs by the names of their folders.

    Args:
        runs: run folders, or their names in `runs_dir`, two or more, each of another name.
        out: what to write, by its ending: .png (their errors where they are of one task; where they differ in
            one option that is a number, what was measured over that), .csv (rows as of `table`), .json (the
            same, and the differences between runs), .tex (what is printed).
        force: whether `out` may replace what is there.

    Raises:
        UserError: a run has no results, or they are damaged.
        OptionError: two runs have one name, or `out` cannot be made.
    """
    if len(runs) < 2:
        raise OptionError("compare: name two runs or more")
    folders = {folder.name: folder for folder in in_order([find(run, runs_dir) for run in runs])}
    if len(folders) < len(runs):
        raise OptionError("compare: two of the runs have one name; name each once, and rename a folder")
    found = {name: read_finished(folder) for name, folder in folders.items()}
    if out is not None:
        check_new(Path(out), (".png", ".csv", ".json", ".tex"), force)
        _write(Path(out), found, force)
    return found


def print_compared(compared: Mapping[str, Finished], out: Path | None, **_: Any) -> None:
    """Print the result of `compare`."""
    print_comparison(compared, Screen())
    if out is not None:
        answer(out)


def _write(out: Path, runs: Mapping[str, Finished], force: bool) -> None:
    ending = out.suffix.lower()
    if ending == ".png":
        _check(out, runs)
    make_parents(out)
    if ending == ".png":
        style.save(compared(runs), out, exclusive=not force)
        return
    rows = [row for run in runs.values() for row in run.rows()]
    match ending:
        case ".csv":
            text, columns = io.StringIO(), list({name: None for row in rows for name in row})
            writer = csv.DictWriter(text, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
            content = text.getvalue()
        case ".json":
            best = best_of(runs)
            content = to_json({"rows": rows, "best": best, "above_best": differences(runs, best)}).decode()
        case _:
            content = latex(*comparison(runs))
    write_text(out, content, exclusive=not force)


def _check(out: Path, runs: Mapping[str, Finished]) -> None:
    """Raises OptionError where there is nothing to draw."""
    if number_that_differs(runs):
        return
    tasks = {name: run.config.task for name, run in runs.items()}
    first, task = next(iter(tasks.items()))
    if other := next((name for name, each in tasks.items() if each != task), None):
        raise OptionError(f"--out {out}: {first} and {other} are of different tasks, so their clips differ")
    if not task.next_frame:
        raise OptionError(f"--out {out}: of a task that predicts no next frame there is nothing to draw")
