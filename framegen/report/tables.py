"""Results as tables on the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from framegen.evaluation.metrics import spread
from framegen.evaluation.scores import Results

NOTE = "skill: 0 copies the last frame, 1 is optimal"

FORMATS = {"mse": "{:#.3g}", "mae": "{:#.3g}", "psnr": "{:.2f} dB", "skill": "{:.3f}"}


def print_results(results: Results, console: Console) -> None:
    """One line a predictor: mse and skill one step ahead, and closed-loop where the task has that."""
    loop = results["closed_loop"]
    columns = ["mse, 1 step", "skill", *(["mse, closed loop", "skill"] if loop else [])]
    parts = {"one_step": _rows(results, "one_step", ["mse", "skill"])}
    if loop:
        parts["closed_loop"] = _rows(results, "closed_loop", ["mse", "skill"])
    rows = {name: [cell for part in parts.values() for cell in part[name]] for name in parts["one_step"]}
    _print(console, f"Test clips. {NOTE}.", columns, rows)
    if loop:
        console.print(_about(loop), highlight=False)


def print_all_metrics(results: Results, console: Console) -> None:
    """A table for one step ahead and one for closed-loop, each with every metric; what they mean stands below."""
    loop = results["closed_loop"]
    parts = {"one_step": "One step ahead, test clips"} | ({"closed_loop": _about(loop)} if loop else {})
    for part, title in parts.items():
        _print(console, title, list(results["convention"]), _rows(results, part, list(results["convention"])))
    for metric, meaning in results["convention"].items():
        console.print(f"{metric}: {meaning}", highlight=False)


def print_comparison(results: Mapping[str, Results], console: Console) -> None:
    """One line a run: skill one step ahead and closed-loop, over its seeds."""
    table = Table(title=f"Test clips. {NOTE}.", title_justify="left", title_style="")
    table.add_column("run")
    for column in ("skill, 1 step", "worst", "best", "skill, closed loop", "worst", "best"):
        table.add_column(column, justify="right")
    for name, each in results.items():
        cells = []
        for part in ("one_step", "closed_loop"):
            values = [member[part]["skill"] for member in each["members"] if member[part]]
            if values:
                deviation = f" ± {spread(values)['sd']:.3f}" if len(values) > 1 else ""
                cells += [
                    f"{sum(values) / len(values):.3f}{deviation}",
                    f"{min(values):.3f}",
                    f"{max(values):.3f}",
                ]
            else:
                cells += ["-"] * 3
        table.add_row(name, *cells)
    console.print(table)


def _about(loop: dict[str, Any]) -> str:
    return f"Closed loop: {loop['horizon']} frames generated after a prompt of {loop['context']}, test clips"


def _rows(results: Results, part: str, metrics: Sequence[str]) -> dict[str, list[str]]:
    """What a table shows, by predictor; of a population mean and sd, and the best, median and worst seed one step ahead."""
    predictors = results["one_step"] if part == "one_step" else results["closed_loop"]["predictors"]
    members = sorted(results["members"], key=lambda member: member["one_step"]["mse"])
    rows: dict[str, dict[str, Any]] = {"this model": predictors["model"]}
    statistics = {}
    if len(members) > 1:
        median = next(member for member in members if member["seed"] == results["median_seed"])
        chosen = {"best": members[0], "median": median, "worst": members[-1]}
        rows = {f"{name}: seed {member['seed']}": member[part] for name, member in chosen.items()}
        for name, statistic in ((f"{len(members)} seeds: mean", "mean"), ("± sd", "sd")):
            statistics[name] = {metric: results["spread"][part][metric][statistic] for metric in metrics}
    rows |= {name: scores for name, scores in predictors.items() if name != "model"}
    return {
        name: [_show(metric, scores[metric]) for metric in metrics]
        for name, scores in (statistics | rows).items()
    }


def _show(metric: str, value: float) -> str:
    return FORMATS[metric].format(value)


def _print(console: Console, title: str, columns: Sequence[str], rows: dict[str, list[str]]) -> None:
    console.print(f"\n{title}", highlight=False)
    table = Table()
    table.add_column("predictor", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right")
    for number, (name, row) in enumerate(rows.items()):
        table.add_row(name, *row, style="bold" if number == 0 else None)
    console.print(table)
