"""Results as tables on the terminal."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from framegen.evaluation.blending import BLEND, MODEL
from framegen.evaluation.image_quality import PICTURES
from framegen.evaluation.likelihood import COVERAGE
from framegen.evaluation.references import MEAN_FRAME
from framegen.evaluation.results import ClosedLoop, Results, Weights
from framegen.machine.errors import printable
from framegen.machine.progress import count_of
from framegen.report.standing import kept_weights, standing
from framegen.tables import FORMATS, WITH_ERROR, cell, overview, rows_of

LIKELIHOOD = ("bits", "regret", *COVERAGE)
"""They have a table of their own."""
HORIZONS = (1, 5, 10)
"""Generated frames at which a table shows a model's errors."""
LEARNED_LITTLE = 0.97
"""A model whose error is above this part of the mean frame's has learned little else."""


class Screen(Console):
    """stdout, for tables: letters that its encoding lacks are replaced before columns are measured, and no
    number in a sentence is coloured."""

    def __init__(self) -> None:
        super().__init__(highlight=False)

    def render_str(self, text: str, **more: Any) -> Text:
        return super().render_str(text.encode(self.encoding, "legible").decode(self.encoding), **more)


def print_results(results: Results, console: Console) -> None:
    """The overview, and what is to be known of it; without a known optimum, closed-loop how it goes on."""
    _print(console, *overview(results))
    if len(results.members) > 1:
        console.print("Best, median and worst: one step ahead, on the validation clips")
    if results.closed_loop is not None:
        console.print(_about(results.closed_loop))
    if results.calibration is not None:
        print_bits(results, console)
    if not results.has_skill:
        print_horizons(results, console)
    model, mean = (results.one_step[name]["mse"] for name in ("model", MEAN_FRAME))
    if model is None or (mean and model > LEARNED_LITTLE * mean):
        console.print(
            "This model is no better than the mean frame, which is always the same: it has not learned to "
            "predict."
        )
    for sentence in kept_weights(results):
        console.print(sentence)


def print_bits(results: Results, console: Console) -> None:
    """One line a predictor that says how probable each frame is: bits a frame, and regret where the optimum
    is known; and how often the truth lies where the model says."""
    metrics = [metric for metric in LIKELIHOOD if metric in results.convention]
    rows = {name: row for name, row in rows_of(results, "one_step", metrics).items() if set(row) != {"-"}}
    columns = [
        f"within\nits {metric.removeprefix('coverage_')} %" if metric in COVERAGE else metric
        for metric in metrics
    ]
    regret = "; regret: more than the optimum's" if "regret" in metrics else ""
    _print(console, f"Bits to code a frame, one step ahead, test clips{regret}.", columns, rows)


def print_horizons(results: Results, console: Console) -> None:
    """One line a predictor: psnr 1, 5 and 10 generated frames after the prompt, as far as the horizon goes.

    Says to which references the model loses, or which comes next to it.
    """
    if (loop := results.closed_loop) is None:
        return
    horizons = [horizon for horizon in HORIZONS if horizon <= loop.horizon]
    names = [BLEND] if results.blend else []
    names += [name for name in loop.per_horizon if name not in names]
    found = {MODEL if name == "model" else name: loop.per_horizon[name] for name in names}
    rows = {
        name: [cell("psnr", {metric: curves[metric][h - 1] for metric in ("mse", "psnr")}) for h in horizons]
        for name, curves in found.items()
    }
    title = f"psnr, frames after a prompt of {loop.context}, test clips; higher is better"
    _print(console, title, [f"+{horizon}" for horizon in horizons], rows)
    errors = {n: {h: _error(c["mse"][h - 1]) for h in horizons} for n, c in found.items()}
    for sentence in standing(errors):
        console.print(sentence)
    if results.blend is not None:
        print_weights(results.blend, console)


def print_weights(blend: Weights, console: Console) -> None:
    """One line an expert of a blend: its weight at a few horizons, in percent."""
    horizons = [horizon for horizon in (*HORIZONS, 25, 50) if horizon <= len(blend.weights)]
    shares = [blend.weights[horizon - 1] for horizon in horizons]
    rows = {
        name: [f"{100 * share[place]:.0f} %" for share in shares] for place, name in enumerate(blend.experts)
    }
    windows = count_of(blend.clips, "window")
    console.print(f"\nThe blend's weights, by frames ahead; fitted on {windows} of the validation part")
    print_table(console, ["expert", *(f"+{horizon}" for horizon in horizons)], rows, "")


def print_all_metrics(results: Results, console: Console) -> None:
    """Tables for one step ahead and for closed-loop with every metric; what they mean stands below."""
    titles = {"one_step": "One step ahead, test clips"}
    if results.closed_loop is not None:
        titles["closed_loop"] = _about(results.closed_loop)
    of_pictures = [metric for metric in results.convention if metric in PICTURES]
    for part, title in titles.items():
        metrics = [metric for metric in results.metrics(part) if metric in FORMATS]
        of_all = [metric for metric in metrics if metric not in (*of_pictures, *LIKELIHOOD)]
        columns = [metric.replace("_", "\n") for metric in of_all]
        _print(console, title, columns, rows_of(results, part, of_all))
        if of_pictures:
            columns = [metric.replace("_", "\n") for metric in of_pictures]
            _print(console, f"{title}, as pictures", columns, rows_of(results, part, of_pictures))
    if results.calibration is not None:
        print_bits(results, console)
    for metric, meaning in results.convention.items():
        of, is_error, _ = metric.partition("_se")
        if not is_error or of in WITH_ERROR:
            console.print(f"{f'± behind {of}' if is_error else metric}: {meaning}")
    if of_pictures:
        console.print("LPIPS and FVD are left out: their nets' weights cannot be had offline")


def mean_of(values: Sequence[float | None]) -> float:
    """Infinite where one is no number."""
    return sum(map(_error, values)) / len(values)


def _error(value: float | None) -> float:
    """Infinite where it is no number, so that it is the worst."""
    return math.inf if value is None else value


def _about(loop: ClosedLoop) -> str:
    return f"Closed loop: {loop.horizon} frames generated after a prompt of {loop.context}, test clips"


def _print(console: Console, title: str, columns: Sequence[str], rows: dict[str, list[str]]) -> None:
    console.print(f"\n{title}")
    print_table(console, ["predictor", *columns], rows, next(iter(rows)))


def print_table(
    console: Console, columns: Sequence[str], rows: Mapping[str, Sequence[str]], bold: str
) -> None:
    """A line a name, the `bold` one's in bold. No cell is cut: columns that find no room stand in a table
    below, where the names stand again."""
    first, *others = columns
    widest = max(8, console.width // 3)
    room = left = console.width - 3 - min(widest, max(map(cell_len, (*first.split("\n"), *rows))))
    parts: list[list[int]] = [[]]
    for place, column in enumerate(others):
        cells = *column.split("\n"), *(row[place] for row in rows.values())
        wide = 2 + max(map(cell_len, cells))
        if wide > left and parts[-1]:
            parts, left = [*parts, []], room
        parts[-1].append(place)
        left -= wide
    for part in parts:
        table = Table(padding=(0, 1, 0, 0))
        table.add_column(first, overflow="fold", max_width=widest)
        for place in part:
            table.add_column(others[place], justify="right", overflow="fold")
        for name, row in rows.items():
            table.add_row(
                printable(name), *(row[place] for place in part), style="bold" if name == bold else ""
            )
        console.print(table)
