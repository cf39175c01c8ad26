"""The log of a training on disk: metrics.jsonl and members.jsonl, one row per line."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from framegen.machine.errors import UserError
from framegen.machine.files import MAX_JSON_BYTES, blaming, check_file, json_text, parse_json

METRICS, MEMBERS = "metrics.jsonl", "members.jsonl"
Row = dict[str, int | float]


@dataclass(frozen=True)
class Metrics:
    """The log of a run, in order. Columns change where a population is left with a single net."""

    steps: list[Row]
    """One an optimizer step: step, train/loss, train/grad_norm, train/learning_rate."""
    epochs: list[Row]
    """One an epoch: step, epoch, val/mse, with an optimum val/skill, and what `Epoch.log` was given."""
    members: list[Row]
    """One per epoch and member: epoch, seed, train/loss (the epoch's mean), val/mse."""


def finite(values: Mapping[str, float]) -> Row:
    """Those of the values that JSON has numbers for."""
    return {name: value for name, value in values.items() if math.isfinite(value)}


class MetricsFiles:
    """Writes both files of a run; rows wait in memory until `flush`, or the end of a `with` block.

    Args:
        lengths: bytes to which the files are cut back, else 0: a resumed run writes the rest again.
    """

    def __init__(self, folder: Path, lengths: Mapping[str, int]) -> None:
        self.folder = folder
        self.pending: dict[str, list[Row]] = {METRICS: [], MEMBERS: []}
        for name in self.pending:
            with blaming(folder / name), (folder / name).open("ab") as file:
                if file.tell() < (length := lengths.get(name, 0)):
                    reason = "is shorter than when the run was saved; it was changed or damaged since"
                    raise UserError(f"{folder / name}: {reason}")
                file.truncate(length)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        with suppress(UserError):  # what brought us here says more
            self.flush()

    def add(self, name: str, row: Mapping[str, float]) -> Row:
        """A row for one of the files, without what is not finite; until `flush` it may be added to."""
        self.pending[name].append(finite(row))
        return self.pending[name][-1]

    def forget(self) -> None:
        """Drop what waits: of several processes one writes it."""
        for rows in self.pending.values():
            rows.clear()

    def flush(self) -> dict[str, int]:
        """Write what waits; returns the files' lengths in bytes. Raises UserError where the disk refuses."""
        lengths = {}
        for name, rows in self.pending.items():
            path = self.folder / name
            with blaming(path), path.open("ab") as file:
                file.write(b"".join(json_text(row).encode() + b"\n" for row in rows))
                lengths[name] = file.tell()
            rows.clear()
        return lengths


def read_metrics(folder: Path) -> Metrics:
    """All rows of a run; a last line that was not finished when the run was killed is left out.

    Raises UserError that names the file where one is missing or holds something else.
    """
    rows = _rows(folder / METRICS, ("step",))
    epochs = [row for row in rows if "epoch" in row]
    steps = [row for row in rows if "epoch" not in row]
    return Metrics(steps, epochs, _rows(folder / MEMBERS, ("epoch", "seed")))


def whole_epochs(folder: Path, members: int) -> list[Row]:
    """The epochs behind a run, up to the first with fewer nets left; none where it has not begun."""
    if not (folder / MEMBERS).exists():
        return []
    metrics = read_metrics(folder)
    left = Counter(row["epoch"] for row in metrics.members)
    return list(takewhile(lambda row: left[row["epoch"]] == members, metrics.epochs))


def _rows(path: Path, keys: Sequence[str]) -> list[Row]:
    check_file(path, MAX_JSON_BYTES)
    *lines, _unfinished = path.read_bytes().split(b"\n")
    rows = parse_json(b"[" + b",".join(lines) + b"]", list[Row], str(path))
    for number, row in enumerate(rows, 1):
        if not all(map(math.isfinite, row.values())):
            raise UserError(f"{path}: is damaged: line {number} has a value that is not finite")
        if missing := [key for key in keys if key not in row]:
            raise UserError(f"{path}: is damaged: line {number} has no {missing[0]}")
    return rows
