"""Measure and draw a finished run."""

from dataclasses import replace
from pathlib import Path

import torch

from framegen.data import load_data
from framegen.errors import UserError
from framegen.evaluation.metrics import CONVENTION, over_members
from framegen.evaluation.references import baselines
from framegen.evaluation.results import RESULTS, read_results, write_results
from framegen.evaluation.scores import Results, evaluate, validation
from framegen.models import fused
from framegen.models.device import choose_device
from framegen.report import draw
from framegen.runs import checkpoint
from framegen.runs.folder import Run, read_config
from framegen.runs.tracking import Tracker


def open_run(folder: Path, device: str = "cpu") -> Run:
    """Load a run with all its models. Raises UserError where its checkpoint or its data is missing or damaged."""
    saved = checkpoint.load(folder)
    task = saved.config.task
    data = load_data(task, read_config(folder).data_dir)
    models = {seed: model.to(choose_device(device)) for seed, model in saved.models.items()}
    return Run(folder, saved.config, data, models, baselines(task, data), saved.shown)


def evaluate_run(folder: Path, device: str = "auto") -> Results:
    """Measure a run's model and every baseline on the test clips; see `scores.evaluate` for what is returned.

    Writes results.json and the pictures anew.
    """
    run = open_run(folder, device)
    try:
        facts = read_results(folder).get("training", {})
    except UserError:  # it is written anew
        facts = {}
    results = {**measure(run), "validation": validation(run), "training": facts}
    run = replace(run, shown=results["median_seed"])
    draw.draw_run(run, results)
    write_results(run, results)
    return results


def draw_run(folder: Path) -> list[Path]:
    """Make a run's pictures anew from its files; returns their paths."""
    results = read_results(folder)
    if not results:
        raise UserError(
            f"{folder}: has no {RESULTS} yet; `uv run framegen evaluate {folder}` makes it and the pictures"
        )
    return draw.draw_run(replace(open_run(folder), shown=results["median_seed"]), results)


def measure(run: Run) -> Results:
    """Evaluate a run's models and its references on the test clips."""
    models = {seed: fused.compiled(model, run.config.training.engine) for seed, model in run.models.items()}
    return evaluate(models, run.config.task, run.data, run.references)


def log_results(results: Results, step: int, tracker: Tracker) -> None:
    """Leave the results in W&B: tables of the predictors and of a population's members, and values to compare runs by."""
    one_step, loop, members = results["one_step"], results["closed_loop"], results["members"]
    tracker.log_table(
        step, "test/one_step", ["predictor", *CONVENTION], [[n, *s.values()] for n, s in one_step.items()]
    )
    parts = {"": "one_step"} | ({"closed_loop_": "closed_loop"} if loop else {})
    columns = {
        f"{prefix}{m}": [member[part][m] for member in members]
        for prefix, part in parts.items()
        for m in CONVENTION
    }
    if len(members) > 1:
        rows = zip([member["seed"] for member in members], *columns.values(), strict=True)
        tracker.log_table(step, "test/members", ["seed", *columns], [list(row) for row in rows])
    summaries = (over_members(f"test/{name}", torch.tensor(values)) for name, values in columns.items())
    tracker.log_summary({key: value.item() for summary in summaries for key, value in summary.items()})
