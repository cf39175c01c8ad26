"""The benchmark's tables, on the terminal and in Markdown."""

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

Content = dict[str, Any]


def print_tables(content: Content, console: Console) -> None:
    """One table a group, a line a contender; what the columns mean and the machine stand below."""
    for group in content["groups"]:
        columns, rows = _cells(group)
        console.print(f"\n{group['title']}", highlight=False)
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 0), pad_edge=False)
        for number, column in enumerate(columns):
            table.add_column(
                column, justify="left" if number < columns.index("µs") else "right", no_wrap=True
            )
        for row in rows:
            table.add_row(*row)
        console.print(table)
        for note in group["notes"]:
            console.print(note, highlight=False)
    console.print(f"\n{_about(content)}\n{_machine(content)}", highlight=False)


def markdown(content: Content) -> str:
    """The same as Markdown."""
    parts = ["# Benchmark", _machine(content), _about(content)]
    for group in content["groups"]:
        columns, rows = _cells(group)
        first = columns.index("µs")
        rule = ["---"] * first + ["---:"] * (len(columns) - first)
        lines = [f"| {' | '.join(cells)} |" for cells in (columns, rule, *rows)]
        parts += [f"## {group['title']}", "\n".join(lines), *group["notes"]]
    return "\n\n".join(parts) + "\n"


def _cells(group: Content) -> tuple[list[str], list[list[str]]]:
    """The columns and rows of a group's table."""
    shown = {group["what"]: "case"} if group["what"] else {}
    shown |= {
        "": "contender",
        "µs": "microseconds",
        "from": "smallest",
        "to": "largest",
        "ratio": "ratio",
        "cores": "cores",
    }
    optional = {"frames/ms": "frames_per_ms", "ready, s": "ready_seconds"}
    shown |= {column: key for column, key in optional.items() if key in group["rows"][0]}
    return list(shown), [[_show(key, row[key]) for key in shown.values()] for row in group["rows"]]


def _show(key: str, value: str | float) -> str:
    """Text as it is; of a number three digits, never an exponent."""
    if isinstance(value, str):
        return value
    return f"{value:.1f}" if key == "cores" else f"{float(f'{value:.3g}'):,.10g}"


def _about(content: Content) -> str:
    units = ", ".join(dict.fromkeys(group["unit"] for group in content["groups"]))
    return (
        f"µs: microseconds, median of {content['rounds']} rounds in which every contender had its turn, from "
        f"the smallest to the largest; per {units}. ratio: to the time of the first of a case, median of the "
        "rounds' own. cores: CPU cores that were busy. ready: seconds until the first call had ended, "
        "compiling (with empty caches) and imports included."
    )


def _machine(content: Content) -> str:
    machine = content["machine"]
    load = "" if machine["load_before"] is None else f", load before {machine['load_before']:.2f}"
    jax = f"JAX {machine['jax']}" if machine["jax"] else "no JAX"
    gpu = f" {machine['gpu']};" if machine["gpu"] else ""
    return (
        f"{machine['cpu']}, {machine['cores']} cores, up to {machine['threads']} threads{load};{gpu} "
        f"{machine['system']}; "
        f"Python {machine['python']}, torch {machine['torch']}, {jax}, {machine['compiler']}."
    )
