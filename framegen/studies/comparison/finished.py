"""Finished runs as they are compared: read from their folders, without their models."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from framegen.config.config import Config, to_dict
from framegen.evaluation.metrics import standard_error
from framegen.evaluation.results import ClipErrors, Results, read_clip_errors, read_results
from framegen.machine.errors import UserError
from framegen.runs.folder import read_config


@dataclass(frozen=True)
class Finished:
    """A finished run."""

    folder: Path
    config: Config
    results: Results
    errors: ClipErrors | None
    """None of a run that was measured before they were kept; `framegen evaluate` makes them."""

    @property
    def options(self) -> dict[str, Any]:
        """Every option by its name, but for the seeds: those are rows."""
        values = to_dict(self.config)
        kinds = {part: values[part].pop("kind") for part in ("task", "model")}
        every = {**values["task"], **values["model"], **values["training"]}
        # A data set's digest says what its name says.
        named = {name: value for name, value in every.items() if name not in ("seed", "digest")}
        return {"experiment": values["experiment"], **kinds, **named}

    def rows(self) -> list[dict[str, Any]]:
        """A row a seed: run, seed, every option, and every score on the test clips."""
        scores = {name: iter(values) for name, values in self.results.by_metric().items()}
        return [
            {"run": self.folder.name, "seed": member.seed, **self.options}
            | {"validation_mse": member.validation_mse}
            | {name: next(values) for name, values in scores.items()}
            for member in self.results.members
        ]


@dataclass(frozen=True)
class Difference:
    """By how much one run's mse is above another's on the same test clips."""

    mean: float
    over_clips: float | None
    """Standard error over the clips, each the mean over its run's seeds; None for a single clip."""
    over_seeds: float | None
    """Standard error over the seeds; None where the two have not the same, two or more."""


def read_finished(folder: Path) -> Finished:
    """Raises UserError where the run has no results, or a file is damaged."""
    config = read_config(folder).config
    results, errors = read_results(folder), None
    with suppress(UserError):
        errors = read_clip_errors(folder)
    return Finished(folder, config, results, errors)


def in_order(folders: Sequence[Path]) -> list[Path]:
    """Folders as they were given; where that is the alphabet's order, as of a shell's `runs/*`, by the
    numbers in their names: 4, 8, 16."""
    if list(folders) != sorted(folders):
        return list(folders)
    return sorted(
        folders, key=lambda path: [(int(n or 0), t) for t, n in re.findall(r"(\D*)(\d*)", str(path))]
    )


def differing(runs: Mapping[str, Finished]) -> dict[str, list[Any]]:
    """The options in which runs differ, each with its value in every run; None where a run has no such."""
    every = [run.options for run in runs.values()]
    names = dict.fromkeys(name for options in every for name in options)
    values = {name: [options.get(name) for options in every] for name in names}
    return {name: each for name, each in values.items() if any(value != each[0] for value in each)}


def number_that_differs(runs: Mapping[str, Finished]) -> tuple[str, list[float]] | None:
    """The one option in which runs differ, where it is a number, and its values."""
    match list(differing(runs).items()):
        case [(name, values)] if name != "data_seed" and all(type(each) in (int, float) for each in values):
            return name, values
        case _:
            return None


def best_of(runs: Mapping[str, Finished]) -> str:
    """The run that is best on its validation clips, over its seeds."""

    def mse(name: str) -> float:
        known = [member.validation_mse for member in runs[name].results.members]
        return sum(float("inf") if each is None else each for each in known) / len(known)

    return min(runs, key=mse)


def differences(runs: Mapping[str, Finished], best: str) -> dict[str, dict[str, Difference]]:
    """By how much each other run's mse on the test clips is above the best one's, by part; of runs on the
    same clips whose errors are known."""
    chosen, found = runs[best], {}
    for name, run in runs.items():
        if name == best or run.config.task != chosen.config.task or not (run.errors and chosen.errors):
            continue
        found[name] = {
            part: difference(run.errors[part], chosen.errors[part]) for part in run.results.parts()
        }
        if chosen.results.one_step["model"]["mse_se"] is None:  # clips that share frames
            found[name] = {part: replace(each, over_clips=None) for part, each in found[name].items()}
    return found


def difference(one: Mapping[int | str, Tensor], other: Mapping[int | str, Tensor]) -> Difference:
    """Paired: a clip that is hard for both moves it little. Two runs' errors, by their seeds, (N,) each."""
    left, right = (
        {name: values.double() for name, values in each.items() if isinstance(name, int)}
        for each in (one, other)
    )
    clips = torch.stack([*left.values()]).mean(0) - torch.stack([*right.values()]).mean(0)  # (N,)
    seeds = torch.stack(
        [(left[seed] - right[seed]).mean() for seed in left if seed in right] or [clips.mean()]
    )
    same = left.keys() == right.keys()
    return Difference(clips.mean().item(), standard_error(clips), standard_error(seeds) if same else None)
