"""Finished runs side by side, on the terminal and in LaTeX."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from framegen.evaluation.metrics import spread
from framegen.machine.errors import printable
from framegen.machine.plugins import command
from framegen.report.tables import mean_of, print_table
from framegen.studies.comparison.finished import Difference, Finished, best_of, differences, differing
from framegen.tables import EXCESS_NOTE, MEMORY_NOTE, NOTE, formatted

PARTS = {"one_step": "1 step", "closed_loop": "closed loop"}
MORE = {"memory": "one_step", "excess": "closed_loop"}
"""Metrics that some worlds have, of one part each."""
Rows = dict[str, list[str]]
"""Cells by the run's name."""


def comparison(runs: Mapping[str, Finished]) -> tuple[list[str], Rows]:
    """The columns behind the run's name, and the cells: options that differ, and over the seeds what was
    measured on the test clips; where no option differs also the seed that is best on the validation clips."""
    options = differing(runs)
    metric = "skill" if _skilled(runs) else "mse"
    columns = [*(name.replace("_", "\n") for name in options), "val mse"]
    for part in PARTS.values():
        columns += [f"{metric},\n{part}", *([] if options else ["best\nseed"])]
    more = {metric: part for metric, part in MORE.items() if _have(metric, runs)}
    columns += [f"{metric},\n{PARTS[part]}" for metric, part in more.items()]
    rows: Rows = {}
    for place, (name, run) in enumerate(runs.items()):
        results = run.results
        cells = [_option(values[place]) for values in options.values()]
        cells.append(formatted("mse", mean_of([member.validation_mse for member in results.members])))
        for part in PARTS:
            known = part in results.parts()
            cells.append(_over_seeds(metric, results.values(part, metric)) if known else "-")
            if not options:
                best = getattr(results.by_validation[0], part)
                cells.append(formatted(metric, best[metric]) if known else "-")
        cells += [_over_seeds(metric, results.values(part, metric)) for metric, part in more.items()]
        rows[name] = cells
    return columns, rows


def print_comparison(runs: Mapping[str, Finished], console: Console) -> None:
    """One line a run, over its seeds: what was measured on the test clips; the best on the validation clips
    is bold. Then by how much the others' errors are above its own on the same clips."""
    note = ""
    if _skilled(runs):
        notes = {"memory": MEMORY_NOTE, "excess": EXCESS_NOTE}
        note = "".join(f" {each}." for each in [NOTE, *(t for m, t in notes.items() if _have(m, runs))])
    best = best_of(runs)
    _print(console, f"Test clips.{note}", *comparison(runs), best)
    deviation = "±: standard deviation over seeds; "
    said = deviation if any(len(run.results.members) > 1 for run in runs.values()) else ""
    if not differing(runs):
        said += "best seed: of each run, the best on the validation clips; "
    console.print(f"{said}bold: best on the validation clips, {printable(best)}\n")
    if apart := differences(runs, best):
        parts = next(iter(apart.values()))
        columns = [f"{what},\n{PARTS[part]}" for part in parts for what in ("more", "± clips", "± seeds")]
        rows = {
            name: [cell for each in parts.values() for cell in _difference(each)]
            for name, parts in apart.items()
        }
        title = f"mse above that of {printable(best)} on the same test clips, and its standard errors"
        _print(console, title, columns, rows, best)
    if bare := [name for name, run in runs.items() if run.errors is None]:
        way_out = f"{command('evaluate', 'RUN')} adds their clips' errors, by which runs are compared"
        console.print(f"{printable(', '.join(bare))}: {way_out}")


def latex(columns: Sequence[str], rows: Rows) -> str:
    """The comparison as a LaTeX table, which needs the package booktabs."""
    lines = [["run", *columns], *([name, *cells] for name, cells in rows.items())]
    head, *body = [" & ".join(map(_escaped, line)) + r" \\" for line in lines]
    inside = [r"\toprule", head, r"\midrule", *body, r"\bottomrule"]
    begin, end = rf"\begin{{tabular}}{{l{'r' * len(columns)}}}", r"\end{tabular}"
    return "\n".join([begin, *inside, end, ""])


def _escaped(text: str) -> str:
    for letter in "&%$#_{}":
        text = text.replace(letter, f"\\{letter}")
    return text.replace("\n", " ").replace("±", r"$\pm$")


def _difference(apart: Difference) -> list[str]:
    errors = (apart.over_clips, apart.over_seeds)
    return [f"{apart.mean:+.2g}", *("-" if error is None else f"{error:.1g}" for error in errors)]


def _option(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _skilled(runs: Mapping[str, Finished]) -> bool:
    return all(run.results.has_skill for run in runs.values())


def _have(metric: str, runs: Mapping[str, Finished]) -> bool:
    return all(metric in run.results.convention for run in runs.values())


def _over_seeds(metric: str, values: Sequence[float | None]) -> str:
    """Mean and standard deviation of a population's values; of one net its value."""
    deviation = spread(values).sd
    mean = formatted(metric, mean_of(values))
    return mean if deviation is None else f"{mean} ± {formatted(metric, deviation)}"


def _print(console: Console, title: str, columns: Sequence[str], rows: Rows, bold: str) -> None:
    """A line a run; a column without any value is left out."""
    console.print(title)
    told = [any(cells[place] != "-" for cells in rows.values()) for place in range(len(columns))]
    shown = {name: [*itertools.compress(cells, told)] for name, cells in rows.items()}
    print_table(console, ["run", *itertools.compress(columns, told)], shown, bold)
