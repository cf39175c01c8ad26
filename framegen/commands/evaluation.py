"""Measure and draw a finished run."""

import copy
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

from torch import nn

from framegen.config.config import Config
from framegen.config.experiments import configure
from framegen.config.tasks import Task
from framegen.data.clips import Data
from framegen.data.films.dataset import MANIFEST
from framegen.data.films.sources import content_digest
from framegen.data.loading import determine, load_data
from framegen.evaluation.blending import BLEND, fit_blend
from framegen.evaluation.metrics import summary
from framegen.evaluation.references import fit_references
from framegen.evaluation.results import (
    RESULTS,
    ClipErrors,
    Results,
    read_results,
    write_clip_errors,
    write_results,
)
from framegen.evaluation.scores import AllErrors, all_errors
from framegen.evaluation.scores import evaluate as measure_all
from framegen.machine.device import choose_device
from framegen.machine.errors import UserError
from framegen.machine.plugins import command
from framegen.machine.progress import answer
from framegen.models.kernels import fused
from framegen.models.predictor import Plain, Predictor
from framegen.report.clip_films import write_clip_films
from framegen.report.draw import could_make, draw_run
from framegen.report.tables import Screen, print_all_metrics
from framegen.runs.checkpoint import CHECKPOINT
from framegen.runs.folder import Named, lock
from framegen.runs.run import Run, load
from framegen.runs.tracking import Tracker, Untracked

CLIPS = "clips"
"""Folder of test clips as films, where W&B is told of the run."""


@overload
def evaluate(run: Named, *, device: str = ..., runs_dir: Path | str = ...) -> Run: ...
@overload
def evaluate(
    run: nn.Module, on: str | Task | Config, *, device: str = ..., data_dir: Path | str = ...
) -> Results: ...
def evaluate(
    run: Named | nn.Module,
    on: str | Task | Config = "video",
    *,
    device: str = "auto",
    runs_dir: Path | str = "runs",
    data_dir: Path | str = "data",
) -> Run | Results:
    """Measure a run's models and every reference on the test clips; write results.json and pictures again.

    The run is named by its folder, or by its name in `runs_dir`. Of any module in its place a copy in eval
    mode is measured on an experiment's task, with data in `data_dir`; nothing is written. One that returns
    predictions alone has no state, and is shown one frame when it runs on. UserError: the run is in training.
    """
    if isinstance(run, nn.Module):
        task = determine(on if isinstance(on, Task) else configure(on).task, Path(data_dir))
        data = load_data(task, Path(data_dir))
        model = copy.deepcopy(run).to(choose_device(device)).eval()
        model = model if isinstance(model, Predictor) else Plain(model)
        return measure_all({0: model}, task, data, fit_references(task, data))
    opened = load(run, device, runs_dir)
    with lock(opened.folder):
        facts = None
        with suppress(UserError):  # missing or damaged, it is written again
            facts = opened.results.training
        results, errors = measure(opened)
        results = replace(results, training=facts)
        opened.shown = results.median_seed
        write_clip_errors(opened.folder, errors)
        write_results(opened.folder, results)
        draw_run(opened, results)
    return opened


def print_run(run: Run, /, **_: Any) -> None:
    """Print the result of `evaluate`."""
    print_all_metrics(run.results, Screen())
    if run.config.task.reservation:
        print(run.config.task.reservation)
    answer("", run.folder / RESULTS, run.folder / "figures")


def draw(run: Named, runs_dir: Path | str = "runs") -> list[Path]:
    """Make a run's pictures again from its files; returns their paths. The run as in `evaluate`."""
    opened = load(run, runs_dir=runs_dir)
    if not (opened.folder / RESULTS).exists():
        way_out = f"`{command('evaluate', opened.folder)}` makes it and the pictures"
        raise UserError(f"{opened.folder}: has no {RESULTS} yet; {way_out}")
    results = read_results(opened.folder)
    opened.shown = results.median_seed
    if not (made := draw_run(opened, results)):
        raise UserError(f"{run}: no picture could be made")
    return made


def measure(run: Run) -> tuple[Results, AllErrors]:
    """The results of a run's models and references on the test clips, and each clip's errors."""
    engine, task, data, references = run.config.training.engine, run.config.task, run.data, run.references
    models = {seed: fused.compiled(model, engine) for seed, model in run.models.items()}
    fitted = fit_blend(run.model, run.config, data, references)
    blend, weights = ({}, None) if fitted is None else ({BLEND: fitted[0]}, fitted[1])
    errors = all_errors({**models, **blend}, task, data, references)
    results = measure_all(models, task, data, {**blend, **references}, run.validation, errors)
    return replace(results, blend=weights), errors


def log_data(data: Data, tracker: Tracker) -> None:
    """Tell the tracker of the file that the clips come from."""
    if (file := data.file) is not None:
        name = file.parent.name if file.name == MANIFEST else file.stem
        tracker.file(name, "dataset", file, {"sha256": content_digest(file)})


def log_run(
    run: Run, measured: Results, errors: ClipErrors, made: Sequence[Path], tracker: Tracker, step: int
) -> None:
    """Tell the tracker what was measured and drawn of a trained run, and of its checkpoint."""
    tracker.media(step, {f"figures/{each.stem}": each for each in sorted(made, key=lambda path: path.suffix)})
    log_results(measured, step, tracker)
    shown = {run.shown: "model", **{name: name for name in measured.one_step}}
    for part, each in errors.items():  # a stream is cut into other clips for its closed loop
        columns = {shown[name]: values.tolist() for name, values in each.items() if name in shown}
        rows = [[number, *row] for number, row in enumerate(zip(*columns.values(), strict=True))]
        tracker.table(step, f"test/errors_{part}", ["clip", *columns], rows)
    if len(measured.members) > 1:
        columns = ["epoch", "seed", "train/loss", "val/mse"]
        rows = [[row.get(column) for column in columns] for row in run.metrics().members]
        tracker.table(step, "val/members", columns, rows)
    metadata = {"step": step, "seed": run.shown, "validation_mse": measured.median.validation_mse}
    if measured.has_skill:
        metadata["skill"] = measured.median.one_step["skill"]
    metadata["sha256"] = content_digest(run.folder / CHECKPOINT)
    name = run.config.experiment
    tracker.file(name, "model", run.folder / CHECKPOINT, metadata)
    if made and not isinstance(tracker, Untracked) and measured.closed_loop and not run.data.carry_state:
        could_make(run.folder / CLIPS, lambda: _log_clips(run, metadata["sha256"], tracker, step))


def _log_clips(run: Run, model: str, tracker: Tracker, step: int) -> None:
    """Tell the tracker how test clips are continued: a table of films, and the films as an artifact."""
    folder, name = run.folder / CLIPS, run.config.experiment
    clips = write_clip_films(run, folder)
    rows = [[clip.number, clip.mse, *clip.films.values()] for clip in clips]
    tracker.table(step, "test/clips", ["clip", "mse", *clips[0].films], rows)
    metadata = {"model": name, "model_sha256": model, "seed": run.shown}
    tracker.file(f"{name}-clips", "clips", folder, metadata)


def log_results(results: Results, step: int, tracker: Tracker) -> None:
    """Tell the tracker the results: tables of predictors and members, and values to compare runs by."""
    columns = list(results.convention)
    for part, predictors in results.parts().items():
        rows = [[name, *(scores.get(m) for m in columns)] for name, scores in predictors.items()]
        tracker.table(step, f"test/{part}", ["predictor", *columns], rows)
        errors = {f"references/{part}/{name}": s["mse"] for name, s in predictors.items() if name != "model"}
        tracker.summary({name: mse for name, mse in errors.items() if mse is not None})
    if results.closed_loop is not None:
        curves = results.closed_loop.per_horizon
        metrics = list(curves["model"])
        rows = [
            [horizon, name, *values]
            for name, each in curves.items()
            for horizon, values in enumerate(zip(*(each[m] for m in metrics), strict=True), start=1)
        ]
        tracker.table(step, "test/horizon", ["horizon", "predictor", *metrics], rows)
    values = results.by_metric()
    if len(results.members) > 1:
        rows = zip([member.seed for member in results.members], *values.values(), strict=True)
        tracker.table(step, "test/members", ["seed", *values], [list(row) for row in rows])
    tracker.summary(summary({f"test/{name}": each for name, each in values.items()}))
