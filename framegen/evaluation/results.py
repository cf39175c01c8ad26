"""The results of a trained model, and their files: results.json, and each test clip's errors."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from framegen.evaluation.metrics import Spread
from framegen.machine.errors import UserError
from framegen.machine.files import (
    Finite,
    load_tensors,
    parse_json,
    read_json,
    save_tensors,
    to_json,
    write_bytes,
)
from framegen.machine.plugins import command

RESULTS, CLIP_ERRORS = "results.json", "errors.safetensors"
Name = TypeVar("Name", bound=int | str)
"""A model's seed, or a reference's name."""
Errors = Mapping[str, Tensor]
"""Each clip's (N, T) float64, at each step or horizon: "squared" and "absolute", means over a frame, and of
pictures what `measure_pictures` gives."""
Scores = dict[str, float | None]
"""By metric (see `Results.convention`); None where there is no number."""
Curves = dict[str, list[float | None]]
"""By metric, its values at each horizon 1, 2, …"""
ClipErrors = dict[str, dict[int | str, Tensor]]
"""By "one_step" and "closed_loop", by seed or reference, each test clip's mse, (N,) float32."""


@dataclass(frozen=True)
class Member(Finite):
    """One net: a member of a population, or the only one."""

    seed: int
    validation_mse: float | None
    """One-step mse on the validation clips: by it best, median and worst are chosen."""
    one_step: Scores
    closed_loop: Scores | None
    per_horizon: Curves | None
    """Closed-loop."""


@dataclass(frozen=True)
class ClosedLoop(Finite):
    """Errors of predictors that run on by themselves after a prompt; "model" is the median member."""

    context: int
    """Frames of the prompt."""
    horizon: int
    """Frames generated after it."""
    predictors: dict[str, Scores]
    per_horizon: dict[str, Curves]


@dataclass(frozen=True)
class Permanence(Finite):
    """Errors of predictors in the frame in which something comes back into sight, and what they remember."""

    frames: list[int]
    """Numbers of frames it was hidden for; from LONGEST on all are pooled."""
    events: list[int]
    """Number of such events in the test clips."""
    squared_error: Curves
    """By predictor, the mean squared error summed over that frame, at each of `frames`."""
    standard_error: Curves
    """Standard errors of those means, over the events."""
    memory: Curves = field(default_factory=dict)
    """By predictor, its memory skill at each of `frames`; empty in older files."""
    memory_se: Curves = field(default_factory=dict)
    """Standard errors of it, over the clips."""
    members: list[list[float | None]] = field(default_factory=list)
    """The memory skill of each net, in the order of the seeds."""


@dataclass(frozen=True)
class Calibration(Finite):
    """The share of true pixels within the central intervals of a model with a density head, by their
    percent: "50", "90". Where the model is as sure as it should be, the two are the same."""

    one_step: Curves
    """At each frame that is predicted, of clips from their second frame on."""
    closed_loop: Curves | None
    """At each horizon, of futures that were drawn; None where the target is not the next frame."""


@dataclass(frozen=True)
class Kept(Finite):
    """The epoch whose weights --keep best kept, and the validation mse that decided:
    closed-loop where that is trained, else one step ahead."""

    epoch: int
    """0 is the untrained model."""
    mse: float
    lowest_mse: float
    """The lowest of all epochs, without the untrained model."""
    copying_mse: float
    """Copying's."""


@dataclass(frozen=True)
class Weights(Finite):
    """How a blend weighs its experts."""

    experts: list[str]
    weights: list[list[float]]
    """By horizon 1, 2, ..., by expert: at least 0, together 1."""
    clips: int
    """Windows of the validation part that they were fitted on."""


@dataclass(frozen=True)
class Session(Finite):
    """A part of a training: from which step on, and by what it was trained."""

    step: int
    device: str
    engine: str
    processes: int


@dataclass(frozen=True)
class TrainingFacts(Finite):
    """Facts of a training that was finished."""

    parameters: int
    """Numbers that are trained, of one net."""
    device: str
    engine: str
    seconds: float
    """Seconds of all optimizer steps."""
    clips_per_second: float | None = None
    """Clips per second of all members together."""
    waiting: float | None = None
    """Share of that time in which steps waited for their clips."""
    peak_memory: int | None = None
    """The most bytes held: of a GPU since the training began, or of main memory since its process did."""
    tf32: bool = False
    """Whether a GPU multiplied float32 numbers with 10 bits after the point."""
    processes: int = 1
    """Number of processes that trained together."""
    earlier: list[Session] = field(default_factory=list)
    """Machines and engines that trained the run before it was resumed elsewhere."""
    options: dict[str, bool | int | float | str | None] = field(default_factory=dict)
    """The training options that differ from their defaults: precision, compile, ema, accumulate, ..."""
    dropped: dict[int, int] = field(default_factory=dict)
    """Members whose loss was no longer finite: seed, and the step at which it was dropped."""
    epochs: int | None = None
    """Number of epochs trained."""
    frozen_parameters: int = 0
    """Numbers of its parameters that are not trained."""
    kept: Kept | None = None
    """The median member's; None where the last weights were kept."""


@dataclass(frozen=True)
class Results(Finite):
    """All that was measured of a run; test clips unless a name says otherwise. To strict JSON and back."""

    convention: dict[str, str]
    """The meaning of each metric."""
    validation: dict[str, float]
    """One-step mse on the validation clips of copy last, and of the optimum where it is known, if finite."""
    one_step: dict[str, Scores]
    """By predictor, one step ahead; "model" is the median member."""
    closed_loop: ClosedLoop | None
    """None where the target is not the next frame."""
    members: tuple[Member, ...]
    """In the order of the seeds."""
    median_seed: int
    """The member whose validation mse is the (lower) median one."""
    spread: dict[str, dict[str, Spread]]
    """A population's spread over its members: by "one_step" and "closed_loop", by metric."""
    permanence: Permanence | None = None
    """None where nothing is hidden."""
    calibration: Calibration | None = None
    """The median member's; None where it has no density head."""
    blend: Weights | None = None
    """Of films: how the median member and what else is known of a film's future are put together."""
    training: TrainingFacts | None = None
    """None where the run was measured before its training had ended."""

    @property
    def has_skill(self) -> bool:
        """Whether the task's optimum is known."""
        return "skill" in self.convention

    @property
    def by_validation(self) -> tuple[Member, ...]:
        """The members from the best to the worst on the validation clips."""
        worst = float("inf")
        return tuple(
            sorted(self.members, key=lambda m: worst if m.validation_mse is None else m.validation_mse)
        )

    @property
    def median(self) -> Member:
        """The member that pictures and videos show."""
        return next(member for member in self.members if member.seed == self.median_seed)

    def parts(self) -> Mapping[str, dict[str, Scores]]:
        """By "one_step" and, where there is one, "closed_loop": each predictor's scores."""
        loop = {} if self.closed_loop is None else {"closed_loop": self.closed_loop.predictors}
        return {"one_step": self.one_step, **loop}

    def values(self, part: str, metric: str) -> list[float | None]:
        """A metric of every member, part as in `parts`."""
        return [getattr(member, part)[metric] for member in self.members]

    def by_metric(self) -> dict[str, list[float | None]]:
        """Every metric of every member, closed-loop ones with that before their names."""
        prefixes = {"one_step": "", "closed_loop": "closed_loop_"}
        return {
            f"{prefixes[part]}{metric}": self.values(part, metric)
            for part in self.parts()
            for metric in self.metrics(part)
        }

    def metrics(self, part: str) -> list[str]:
        """The metrics that members have in that part, in the order of the convention."""
        return [metric for metric in self.convention if metric in getattr(self.members[0], part)]


def write_results(folder: Path, results: Results) -> None:
    """Write results.json."""
    write_bytes(folder / RESULTS, to_json(results))


def read_results(folder: Path) -> Results:
    """Read results.json. Raises UserError where it is missing or damaged."""
    way_out = f"`{command('evaluate', folder)}` makes it again"
    try:
        results = read_json(folder / RESULTS, Results)
        if results.median_seed not in [member.seed for member in results.members]:
            raise UserError(f"{folder / RESULTS}: is damaged: no member has its median seed")
        return results
    except UserError as error:
        raise UserError(f"{error}; {way_out}") from error


def finished(folder: Path) -> bool:
    """Whether a run was trained to its end: results of one evaluated on the way have no facts of training."""
    return (folder / RESULTS).exists() and read_results(folder).training is not None


def write_clip_errors(folder: Path, errors: Mapping[int | str, Mapping[str, Errors]]) -> ClipErrors:
    """Keep each clip's mean over its frames; returns it."""
    parts = next(iter(errors.values()))
    means = {
        part: torch.stack([each[part]["squared"].mean(1) for each in errors.values()]).float()
        for part in parts
    }
    save_tensors(folder / CLIP_ERRORS, means, {"predictors": list(errors)})
    return {part: dict(zip(errors, values, strict=True)) for part, values in means.items()}


def read_clip_errors(folder: Path) -> ClipErrors:
    """Read the file of `write_clip_errors`. Raises UserError where it is missing or damaged."""
    path = folder / CLIP_ERRORS
    tensors, metadata = load_tensors(path)
    names = parse_json(metadata.get("predictors", ""), list[int | str], str(path))
    if any(values.shape[0] != len(names) for values in tensors.values()):
        raise UserError(f"{path}: is damaged: it names other predictors than it holds")
    return {part: dict(zip(names, values, strict=True)) for part, values in tensors.items()}
