"""The benchmark: everything set up, measured in turn, and written down."""

import gc
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from framegen.machine.errors import UserError
from framegen.machine.files import write_text
from framegen.machine.progress import answer, counted, say
from framegen.models.kernels.build import FusedUnavailable, compiler
from framegen.studies.bench import table
from framegen.studies.bench.groups import QUICK, Sizes, groups
from framegen.studies.bench.measure import (
    Case,
    Contender,
    Group,
    Ready,
    Unavailable,
    clean_machine,
    prepare,
    turn,
)

Content = dict[str, Any]
"""What bench.json holds."""

Turn = tuple[float, float]
"""Microseconds a unit, and CPU cores that were busy."""


def bench(out: Path, rounds: int = 7, show: bool = True, quick: bool = False) -> Content:
    """Measure the fused engine beside PyTorch and JAX on this machine: training, populations, rollouts, and
    its limits.

    All contenders are set up first, compiling with empty caches; then each has its turn in every round. A
    time is the median over the rounds, a ratio the median of the rounds' own ratios to the fused engine.

    Args:
        out: folder for bench.json (all numbers) and bench.md (the tables); made where missing.
        rounds: turns of each contender.
        show: whether to show progress on stderr.
        quick: the smallest sizes, without torch.compile and JAX: shows that all runs; its times say nothing.

    Returns:
        {"machine", "rounds", "groups"}, as in bench.json. Each group has a title, a unit, rows and notes;
        each row the case, the contender, the microseconds a unit of every round, their median, smallest and
        largest, and the ratio.

    Raises:
        UserError: no C++ compiler is here, or the disk refuses.
    """
    if rounds < 1:
        raise ValueError(f"rounds is {rounds}: at least 1 round is needed")
    sizes = QUICK if quick else Sizes()
    machine = _machine()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {out}: cannot be made: {error.strerror}") from error
    with clean_machine():
        all_groups = groups(sizes)
        ready, notes = _prepare(all_groups, sizes.seconds, show)
        gc.collect()
        say(f"measuring {len(ready)} contenders in turn, {rounds} times each", show)
        turns: dict[Contender, list[Turn]] = {contender: [] for contender in ready}
        every = [contender for _ in range(rounds) for contender in ready]
        for contender in counted(every, len(every), "measuring") if show else every:
            turns[contender].append(turn(ready[contender], contender.units, sizes.seconds))
    content = {
        "machine": machine,
        "rounds": rounds,
        "groups": [
            {
                "title": group.title,
                "unit": group.unit,
                "what": group.what,
                "rows": [row for case in group.cases for row in _rows(group, case, ready, turns)],
                "notes": [
                    *group.notes,
                    *(
                        notes[contender]
                        for case in group.cases
                        for contender in case.contenders
                        if contender in notes
                    ),
                ],
            }
            for group in all_groups
        ],
    }
    write_text(out / "bench.json", json.dumps(content, indent=2, allow_nan=False))
    write_text(out / "bench.md", table.markdown(content))
    return content


def print_bench(content: Content, out: Path, **_: Any) -> None:
    """What came of `bench`."""
    table.print_tables(content, Console())
    answer("", out / "bench.json", out / "bench.md")


def _prepare(
    all_groups: Sequence[Group], seconds: float, show: bool
) -> tuple[dict[Contender, Ready], dict[Contender, str]]:
    """Every contender that can run here, ready; and of the others, why they cannot."""
    contenders = [contender for group in all_groups for case in group.cases for contender in case.contenders]
    say(f"setting {len(contenders)} contenders up; compiling takes a while", show)
    ready: dict[Contender, Ready] = {}
    notes: dict[Contender, str] = {}
    for contender in counted(contenders, len(contenders), "setting up") if show else contenders:
        try:
            ready[contender] = prepare(contender, seconds)
        except Unavailable as reason:
            notes[contender] = f"{contender.name}: left out. {reason}"
        except FusedUnavailable as reason:
            raise UserError(f"bench: there is nothing to measure: the fused engine {reason}") from reason
    return ready, notes


def _rows(
    group: Group, case: Case, ready: dict[Contender, Ready], turns: dict[Contender, list[Turn]]
) -> list[Content]:
    fused = [microseconds for microseconds, _ in turns[case.contenders[0]]]
    rows = []
    for contender in case.contenders:
        if contender not in ready:
            continue
        times, cores = zip(*turns[contender], strict=True)
        row = {
            "case": case.label,
            "contender": contender.name,
            "microseconds": statistics.median(times),
            "ratio": statistics.median(time / own for time, own in zip(times, fused, strict=True)),
            "smallest": min(times),
            "largest": max(times),
            "cores": statistics.median(cores),
            "threads": ready[contender].threads,
            "rounds": list(times),
        }
        if case.batch is not None:
            row["frames_per_ms"] = case.batch / row["microseconds"] * 1000
        if group.tell_ready:
            row["ready_seconds"] = ready[contender].seconds
        rows.append(row)
    return rows


def _machine() -> Content:
    """What the times depend on."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "jax": _version("jax"),
        "compiler": _compiler(),
        "load_before": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def _cpu() -> str:
    """The processor's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _compiler() -> str:
    """The first line of what the C++ compiler says of itself."""
    try:
        path = compiler()
    except FusedUnavailable as reason:
        raise UserError(f"bench: there is nothing to measure: the fused engine {reason}") from reason
    return subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout.partition(
        "\n"
    )[0]
