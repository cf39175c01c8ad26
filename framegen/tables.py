"""Results as a table on the terminal."""

from rich.console import Console
from rich.table import Table

from framegen.evaluate import Results


def print_results(results: Results, console: Console) -> None:
    """One line a predictor: mse and skill one step ahead, and closed-loop where the task has that."""
    loop = results["closed_loop"]
    table = Table(title="on test clips; skill: 0 copies the last frame, 1 is optimal")
    table.add_column("predictor")
    for title in ["mse, 1 step", "skill", *(["mse, closed loop", "skill"] if loop else [])]:
        table.add_column(title, justify="right")
    for name, scores in results["one_step"].items():
        row = [f"{scores['mse']:#.3g}", f"{scores['skill']:.3f}"]
        if loop:
            closed = loop["predictors"][name]
            row += [f"{closed['mse']:#.3g}", f"{closed['skill']:.3f}"]
        table.add_row("this model" if name == "model" else name, *row, style="bold" if name == "model" else None)
    console.print(table)
    if loop:
        console.print(f"closed loop: {loop['horizon']} frames generated after a prompt of {loop['context']}", highlight=False)
