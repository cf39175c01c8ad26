"""The benchmark: everything set up, measured in turn, and written down."""

import gc
import json
import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks import table
from benchmarks.measure import (
    Case,
    Contender,
    Group,
    Ready,
    Unavailable,
    clean_machine,
    prepare,
    turn,
)
from framegen.machine.device import processor, versions
from framegen.machine.errors import UserError
from framegen.machine.files import write_text
from framegen.machine.progress import counted, say
from framegen.models.kernels.build import FusedUnavailable, compiler

Content = dict[str, Any]
"""What bench.json holds."""

Turn = tuple[float, float]
"""Microseconds a unit, and CPU cores that were busy."""


def bench(out: Path, groups: Sequence[Group], rounds: int = 7, seconds: float = 0.2) -> Content:
    """Measure groups of contenders on this machine.

    All contenders are set up first, compiling with empty caches; then each has its turn in every round. A
    time is the median over the rounds, a ratio the median of the rounds' own ratios to a case's first.

    Args:
        out: folder for bench.json (all numbers) and bench.md (the tables); made where missing.
        rounds: turns of each contender.
        seconds: what a turn takes at least.

    Returns:
        {"machine", "rounds", "groups"}, as in bench.json. Each group has a title, a unit, rows and notes;
        each row the case, the contender, the microseconds a unit of every round, their median, smallest and
        largest, and the ratio.

    Raises:
        UserError: no C++ compiler is here, or the disk refuses.
    """
    machine = _machine()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {out}: cannot be made: {error.strerror}") from error
    with clean_machine():
        ready, notes = _prepare(groups, seconds)
        gc.collect()
        say(f"measuring {len(ready)} contenders in turn, {rounds} times each", True)
        turns: dict[Contender, list[Turn]] = {contender: [] for contender in ready}
        every = [contender for _ in range(rounds) for contender in ready]
        for contender in counted(every, len(every), "measuring"):
            turns[contender].append(turn(ready[contender], contender.units, seconds))
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
            for group in groups
        ],
    }
    write_text(out / "bench.json", json.dumps(content, indent=2, allow_nan=False))
    write_text(out / "bench.md", table.markdown(content))
    return content


def _prepare(groups: Sequence[Group], seconds: float) -> tuple[dict[Contender, Ready], dict[Contender, str]]:
    """Every contender that can run here, ready; and of the others, why they cannot."""
    contenders = [contender for group in groups for case in group.cases for contender in case.contenders]
    say(f"setting {len(contenders)} contenders up; compiling takes a while", True)
    ready: dict[Contender, Ready] = {}
    notes: dict[Contender, str] = {}
    for contender in counted(contenders, len(contenders), "setting up"):
        try:
            ready[contender] = prepare(contender, seconds)
        except Unavailable as reason:
            notes[contender] = f"{contender.name}: left out. {reason}"
        except FusedUnavailable as reason:
            raise UserError(f"there is nothing to measure: the fused engine {reason}") from reason
    return ready, notes


def _rows(
    group: Group, case: Case, ready: dict[Contender, Ready], turns: dict[Contender, list[Turn]]
) -> list[Content]:
    first = [microseconds for microseconds, _ in turns[case.contenders[0]]]
    rows = []
    for contender in case.contenders:
        if contender not in ready:
            continue
        times, cores = zip(*turns[contender], strict=True)
        row = {
            "case": case.label,
            "contender": contender.name,
            "microseconds": statistics.median(times),
            "ratio": statistics.median(time / own for time, own in zip(times, first, strict=True)),
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
        "cpu": processor(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        **versions("torch", "jax"),
        "compiler": _compiler(),
        "load_before": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def _compiler() -> str:
    """The first line of what the C++ compiler says of itself."""
    try:
        path = compiler()
    except FusedUnavailable as reason:
        raise UserError(f"there is nothing to measure: the fused engine {reason}") from reason
    return subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout.partition(
        "\n"
    )[0]
