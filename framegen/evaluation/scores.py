"""Evaluation: every predictor of a task side by side, one step ahead and closed-loop."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from framegen.config.data import Task
from framegen.data.clips import CHUNK, Clips, Data, chunks, to_float
from framegen.evaluation.metrics import CONVENTION, median_index, psnr, skill, spread
from framegen.evaluation.references import baselines
from framegen.models.predictor import Predictor, device_of
from framegen.models.rollout import generate
from framegen.runs.folder import Run

Results = dict[str, Any]


@torch.inference_mode()
def one_step_errors(model: Predictor, clips: Clips) -> tuple[float, float]:
    """Mean squared and mean absolute error, one step ahead (see metrics.CONVENTION); burn-in is not scored."""
    device = device_of(model)
    squared = absolute = count = 0.0
    for inputs, targets in chunks(clips):
        predictions, _ = model(inputs.to(device))
        error = (predictions.cpu() - targets)[:, clips.burn_in :].double()
        squared, absolute, count = (
            squared + error.square().sum().item(),
            absolute + error.abs().sum().item(),
            count + error.numel(),
        )
    return squared / count, absolute / count


def closed_loop_errors(model: Predictor, frames: Tensor, context: int) -> tuple[list[float], list[float]]:
    """Mean squared and mean absolute error at each horizon 1, 2, … of a rollout.

    Args:
        model: a predictor of the next frame.
        frames: (N, T, C, H, W) clips, uint8 or float32; the first `context` frames are the prompt.
        context: 1 to T - 1.
    """
    horizon = frames.shape[1] - context
    squared, absolute = torch.zeros(horizon, dtype=torch.float64), torch.zeros(horizon, dtype=torch.float64)
    for chunk in frames.split(CHUNK):
        clips = to_float(chunk)
        generated = generate(model, clips[:, :context], horizon)
        error = (generated - clips[:, context:]).double().flatten(2)  # (B, horizon, P)
        squared += error.square().mean(2).sum(0)
        absolute += error.abs().mean(2).sum(0)
    return (squared / len(frames)).tolist(), (absolute / len(frames)).tolist()


def evaluate(
    models: Mapping[int, Predictor], task: Task, data: Data, references: dict[str, Predictor] | None = None
) -> Results:
    """Every model and every baseline on the test clips.

    Args:
        models: by seed, on any device: one, or a population.
        references: what `baselines(task, data)` gives; None fits them here.

    Returns:
        JSON values. "one_step" and "closed_loop" (None where the target is not the next frame) map each predictor
        ("model", "copy last", …, "optimum") to mse, mae, psnr and skill; closed-loop also to "per_horizon", lists of
        the same four. "context" and "horizon" count the frames; "convention" says what each metric means.
        "members" holds the same for each seed; "model" is the member whose one-step mse is the median one, and
        "median_seed" its seed. Of a population, "spread" has mean, sd, min and max over the members of each metric.
    """
    names = {f"seed {seed}": seed for seed in models}
    predictors = dict(zip(names, models.values(), strict=True)) | (references or baselines(task, data))
    one_step = _scores(
        {name: one_step_errors(each, data.test) for name, each in predictors.items()}, task.value_range
    )
    results: Results = {"convention": CONVENTION, "one_step": one_step, "closed_loop": None}
    if data.test_frames is not None:
        context, horizon = data.context, data.test_frames.shape[1] - data.context
        per_horizon = {
            name: closed_loop_errors(each, data.test_frames, context) for name, each in predictors.items()
        }
        means = {name: (_mean(squared), _mean(absolute)) for name, (squared, absolute) in per_horizon.items()}
        scores = _scores(means, task.value_range)
        steps = [
            _scores(
                {name: (squared[h], absolute[h]) for name, (squared, absolute) in per_horizon.items()},
                task.value_range,
            )
            for h in range(horizon)
        ]
        for name, row in scores.items():
            row["per_horizon"] = {metric: [step[name][metric] for step in steps] for metric in CONVENTION}
        results["closed_loop"] = {"context": context, "horizon": horizon, "predictors": scores}
    return _with_members(results, names)


def _with_members(results: Results, names: dict[str, int]) -> Results:
    """Results in which the median member alone stands among the predictors, and all of them in "members"."""
    tables = {"one_step": results["one_step"]}
    if results["closed_loop"] is not None:
        tables["closed_loop"] = results["closed_loop"]["predictors"]
    members = [
        {"seed": seed, "closed_loop": None, **{part: table[name] for part, table in tables.items()}}
        for name, seed in names.items()
    ]
    median = members[median_index([member["one_step"]["mse"] for member in members])]
    for part, table in tables.items():
        others = {name: scores for name, scores in table.items() if name not in names}
        table.clear()
        table |= {"model": median[part], **others}
    results |= {"median_seed": median["seed"], "members": members}
    if len(members) > 1:
        results["spread"] = {
            part: {metric: spread([member[part][metric] for member in members]) for metric in CONVENTION}
            for part in tables
        }
    return results


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _scores(
    errors: dict[str, tuple[float, float]], value_range: tuple[float, float]
) -> dict[str, dict[str, Any]]:
    copy_last, optimum = errors["copy last"][0], errors["optimum"][0]
    return {
        name: {
            "mse": mse,
            "mae": mae,
            "psnr": psnr(mse, value_range),
            "skill": skill(mse, copy_last, optimum),
        }
        for name, (mse, mae) in errors.items()
    }


def validation(run: Run) -> dict[str, float]:
    """One-step mse of copying and of the optimum on the validation clips."""
    return {name: one_step_errors(run.references[name], run.data.val)[0] for name in ("copy last", "optimum")}
