"""The runs that the claims are made from, what a claim is, and how its numbers are said."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from framegen.config.config import Config
from framegen.config.experiments import configure
from framegen.evaluation.metrics import numbers, spread
from framegen.evaluation.references import OPTIMUM
from framegen.evaluation.results import Results, read_results
from framegen.studies.claims.rules import Verdict

HIDDEN_SIZES = (1, 2, 4, 8, 16, 32, 64)
DEPTHS = {
    "video": (1, 5),
    "two-of-5": (2, 5),
    "three-of-5": (3, 5),
    "hidden-8": (1, 8),
    "one-of-10": (1, 10),
}
"""Nets of claim 3 by their runs, of which other claims have two as well: layers and units a layer; the last
two have about the parameters of the deep ones."""

OTHER_RATES = (0.003, 0.03)
"""Learning rates of claim 2, beside that of the article's experiments."""


@dataclass(frozen=True)
class Planned:
    """A run that claims need: an experiment, its seeds, and what differs from its defaults."""

    experiment: str
    seeds: int
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> Config:
        """Raises OptionError for a value that cannot work."""
        return configure(self.experiment, self.seeds, self.options)

    @property
    def command(self) -> str:
        """The command that makes this run alone."""
        values = {
            name: " ".join(map(str, each)) if isinstance(each, tuple) else each
            for name, each in self.options.items()
        }
        options = [f"--{name.replace('_', '-')} {value}" for name, value in values.items()]
        return " ".join(["framegen train", self.experiment, *options, f"--seeds {self.seeds}"])


@dataclass(frozen=True)
class Runs:
    """The runs that claims are made from: their folder, and by name how each is made."""

    folder: Path
    planned: Mapping[str, Planned]

    def results(self, name: str) -> Results:
        return read_results(self.folder / name)

    def command(self, name: str) -> str:
        return self.planned[name].command

    def picture(self, name: str) -> Path:
        return self.folder / f"{name}.png"


@dataclass(frozen=True)
class Finding:
    """The result of a claim's experiment."""

    sentence: str
    """A number with its spread."""
    verdict: Verdict
    """The verdict on the claim, by a rule in the claim's code."""
    pictures: Sequence[tuple[Path, str]]
    """The figures, each with a caption."""
    values: Mapping[str, float]
    """The numbers, for W&B, by name."""
    commands: Sequence[str] = ()
    """Further commands that repeat it, beside the trainings."""


@dataclass(frozen=True)
class Claim:
    """One claim of the article as an experiment."""

    title: str
    text: str
    """A claim, and its experiment."""
    needs: Sequence[str]
    """The runs that it is made from, by their names in `planned_runs`."""
    measure: Callable[[Runs], Finding]


def planned_runs(seeds: int, options: Mapping[str, Any] | None = None) -> dict[str, Planned]:
    """All runs that the claims need, by name.

    Args:
        seeds: nets a run, at least 2; with density at most 8, whose measuring takes long, CNNs at most 4.
            Those of 128 units and more have 1, behind the bar 2, which trains for minutes.
        options: values that every run takes in place of its own.
    """
    eight = min(seeds, 8)
    speeds = {"period": 40, "speeds": tuple(range(1, 9))}
    large = {"size": 8, "epochs": 20}
    behind = {"size": 12, "bar": 8, "reach": 2}
    brief = {"num_clips": 20_000, "epochs": 30}  # a fifth of its training
    runs = {
        "video": Planned("video", seeds),
        "relu": Planned("video-relu", seeds),
        **{
            f"{name}-{rate:g}": Planned(experiment, seeds, {"learning_rate": rate})
            for name, experiment in (("video", "video"), ("relu", "video-relu"))
            for rate in OTHER_RATES
        },
        "mlp": Planned("video-mlp", seeds),
        "gru": Planned("video-gru", seeds),
        "lstm": Planned("video-gru", seeds, {"cell": "lstm"}),
        "mingru": Planned("video-gru", seeds, {"cell": "mingru", "num_layers": 2}),
        "speeds": Planned("video-speeds", seeds),
        "speeds-mlp": Planned("video-mlp", seeds, speeds),
        "speeds-gru": Planned("video-speeds-gru", seeds),
        "speeds-wide": Planned("video-speeds-closed", 1, {**brief, "closed_loop": 0}),
        "speeds-closed": Planned("video-speeds-closed", 1, brief),
        "speeds-lstm": Planned("video-speeds-gru", seeds, {"cell": "lstm"}),
        "large-mlp": Planned("video-mlp", seeds, large),
        "large-gru": Planned("video-gru", seeds, large),
        "large-cnn": Planned("video-cnn", min(seeds, 4)),
        "hidden-moving": Planned("sprites-hidden", min(seeds, 2), {**behind, "max_speed": 2, "epochs": 4}),
        "hidden-gru": Planned("sprites-small", min(seeds, 2), {**behind, "num_frames": 40, "turning": 0.03}),
        **{f"hidden-{size}": Planned("video", seeds, {"hidden_size": size}) for size in HIDDEN_SIZES},
        "bits": Planned("video", eight, {"density": 4}),
        "bits-gru": Planned("video-gru", eight, {"density": 4}),
        "sine-lag": Planned("sine-lag", seeds),
        "sine-next": Planned("sine-next", seeds),
    }
    for name, (layers, size) in DEPTHS.items():  # those of one layer are there, but for one
        runs.setdefault(name, Planned("video", seeds, {"num_layers": layers, "hidden_size": size}))
    return {name: replace(run, options={**run.options, **(options or {})}) for name, run in runs.items()}


def skills_of(results: Results) -> list[float]:
    """One step ahead, of each net that has one."""
    return [value for value in results.values("one_step", "skill") if value is not None]


def over_optimum(results: Results) -> list[float]:
    """Each net's closed-loop error over the optimal forecast's."""
    assert results.closed_loop is not None
    optimum = results.closed_loop.predictors[OPTIMUM]["mse"] or math.nan
    return [(mse or math.nan) / optimum for mse in results.values("closed_loop", "mse")]


def excess_of(results: Results) -> float:
    """The median over the nets; NaN where a run has none."""
    if "excess" not in results.convention:
        return math.nan
    return statistics.median(numbers(results.values("closed_loop", "excess")))


def middle_half(values: Sequence[float]) -> str:
    """Median, and between which values the middle half of the nets lie."""
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"{median:.3g} ({low:.3g} to {high:.3g})"


def spread_text(values: Sequence[float], digits: int = 3) -> str:
    found = spread(values)
    return f"{found.mean:.{digits}f} ± {found.sd:.{digits}f}"
