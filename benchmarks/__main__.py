"""The command: uv run python -m benchmarks [--out DIR] [--device cpu|cuda]."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro
from rich.console import Console

from benchmarks.groups import Sizes, groups, groups_on_gpu
from benchmarks.run import bench
from benchmarks.table import print_tables
from framegen.machine.device import choose_device
from framegen.machine.errors import UserError


@dataclass(frozen=True)
class Options:
    """Measure framegen's engines beside PyTorch and JAX on this machine."""

    out: Path = Path("runs/benchmarks")
    """Folder for bench.json (all numbers) and bench.md (the tables)."""
    device: Literal["cpu", "cuda"] = "cpu"
    """cpu: the fused engine beside PyTorch and JAX. cuda: trainings on the GPU beside the same on the CPU."""


def main() -> None:
    options = tyro.cli(Options, prog="python -m benchmarks")
    try:
        choose_device(options.device)
        make = groups if options.device == "cpu" else groups_on_gpu
        content = bench(options.out, make(Sizes()))
    except UserError as error:
        sys.exit(f"benchmarks: {error.line}")
    print_tables(content, Console())
    print("", options.out / "bench.json", options.out / "bench.md", sep="\n")


if __name__ == "__main__":
    main()
