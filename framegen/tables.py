"""Results as tables on the terminal."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from framegen.evaluate import Results

NOTE = "skill: 0 copies the last frame, 1 is optimal"


def print_results(results: Results, console: Console) -> None:
    """One line a predictor: mse and skill one step ahead, and closed-loop where the task has that."""
    loop = results["closed_loop"]
    columns = ["mse, 1 step", "skill", *(["mse, closed loop", "skill"] if loop else [])]
    rows = {}
    for name, scores in results["one_step"].items():
        closed = [_show("mse", loop["predictors"][name]), _show("skill", loop["predictors"][name])] if loop else []
        rows[name] = [_show("mse", scores), _show("skill", scores), *closed]
    _print(console, f"Test clips. {NOTE}.", columns, rows)
    if loop:
        console.print(_about(loop), highlight=False)


def print_all_metrics(results: Results, console: Console) -> None:
    """A table for one step ahead and one for closed-loop, each with every metric; what they mean stands below."""
    loop = results["closed_loop"]
    parts = {"One step ahead, test clips": results["one_step"]} | ({_about(loop): loop["predictors"]} if loop else {})
    for title, predictors in parts.items():
        rows = {name: [_show(metric, scores) for metric in results["convention"]] for name, scores in predictors.items()}
        _print(console, title, list(results["convention"]), rows)
    for metric, meaning in results["convention"].items():
        console.print(f"{metric}: {meaning}", highlight=False)


def _about(loop: dict[str, Any]) -> str:
    return f"Closed loop: {loop['horizon']} frames generated after a prompt of {loop['context']}, test clips"


def _show(metric: str, scores: dict[str, Any]) -> str:
    return {"mse": "{:#.3g}", "mae": "{:#.3g}", "psnr": "{:.2f} dB", "skill": "{:.3f}"}[metric].format(scores[metric])


def _print(console: Console, title: str, columns: Sequence[str], rows: dict[str, list[str]]) -> None:
    console.print(f"\n{title}", highlight=False)
    table = Table()
    table.add_column("predictor")
    for column in columns:
        table.add_column(column, justify="right")
    for name, row in rows.items():
        table.add_row("this model" if name == "model" else name, *row, style="bold" if name == "model" else None)
    console.print(table)
