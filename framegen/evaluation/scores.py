"""Every predictor of a task side by side, one step ahead and closed-loop."""

import math
from collections.abc import Mapping
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from framegen.config.tasks import Task
from framegen.data.clips import Clips, Data
from framegen.evaluation import metrics
from framegen.evaluation.cache import reference_errors
from framegen.evaluation.clip_errors import closed_loop_errors, mean_square, observer_errors, one_step_errors
from framegen.evaluation.image_quality import MIN_SIDE, picture_scores
from framegen.evaluation.likelihood import calibrate, likelihood_scores
from framegen.evaluation.metrics import CONVENTION, Range, number
from framegen.evaluation.permanence import memory, permanence
from framegen.evaluation.references import COPY_LAST, ONE_FRAME, OPTIMUM, irreducible
from framegen.evaluation.results import ClosedLoop, Curves, Errors, Member, Name, Results, Scores
from framegen.models.optima.observer import Observer
from framegen.models.predictor import Predictor

T = TypeVar("T")
AllErrors = Mapping[int | str, Mapping[str, Errors]]
"""By a model's seed or a reference's name, by part."""


def validate_references(references: Mapping[str, Predictor], clips: Clips) -> dict[str, float]:
    """One-step mse on the validation clips of copying and of the optimum, where that is known."""
    return {name: mean_square(references[name], clips) for name in (COPY_LAST, OPTIMUM) if name in references}


def all_errors(
    models: Mapping[Name, Predictor], task: Task, data: Data, references: Mapping[str, Predictor]
) -> AllErrors:
    """Each test clip's errors of every model and reference: "one_step" and, of next frames, "closed_loop"."""
    pictures = min(data.frame_shape[1:]) >= MIN_SIDE
    measure = partial(_errors, data=data, picture_range=task.value_range if pictures else None)
    return {**measure(models), **reference_errors(task, data, references, measure)}


def _errors(
    models: Mapping[Name, Predictor], data: Data, picture_range: Range | None
) -> dict[Name, Mapping[str, Errors]]:
    observers = {name: each for name, each in models.items() if isinstance(each, Observer)}
    known = observer_errors(observers, data.test, picture_range) if observers else {}
    found: dict[Name, Mapping[str, Errors]] = {}
    for name, model in models.items():
        one_step = known[name] if name in known else one_step_errors(model, data.test, picture_range)
        found[name] = {"one_step": one_step}
        if data.test_frames is not None:
            frames, context = data.test_frames, data.context
            # The frames before its last ones say nothing to an observer: left out, they cost nothing either.
            told = min(model.seen, context) if isinstance(model, Observer) else context
            asked = None if data.asked is None else data.asked[:, context - told :]
            loop = closed_loop_errors(model, frames[:, context - told :], told, picture_range, asked)
            found[name] = {"one_step": one_step, "closed_loop": loop}
    return found


def evaluate(
    models: Mapping[int, Predictor],
    task: Task,
    data: Data,
    references: Mapping[str, Predictor],
    validation: Mapping[str, float] | None = None,
    errors: AllErrors | None = None,
) -> Results:
    """Every model and reference on the test clips; and the models on the validation clips, to choose by.

    Args:
        models: by seed, on any device: one, or a population.
        references: what `fit_references(task, data)` gives.
        validation, errors: what `validate_references` and `all_errors` gave of them, where known already.
    """
    validated = {seed: number(mean_square(model, data.val)) for seed, model in models.items()}
    median_seed = list(models)[metrics.median_index([*validated.values()])]
    errors = errors or all_errors(models, task, data, references)
    validation = validation or validate_references(references, data.val)
    sure, covered = likelihood_scores({**models, **references}, OPTIMUM, data.test)
    one_step = _scores({name: each["one_step"] for name, each in errors.items()}, task.value_range)
    squared = {name: each["one_step"]["squared"] for name, each in errors.items()}
    back = torch.zeros(0) if data.unseen is None else data.unseen[:, 1:] > 0
    known = memory(squared, back) if ONE_FRAME in errors and back.any() else {}
    one_step = {name: each | known.get(name, {}) | sure.get(name, {}) for name, each in one_step.items()}
    parts, curves = {"one_step": one_step}, {}
    if data.test_frames is not None:
        loops, floor = {name: each["closed_loop"] for name, each in errors.items()}, irreducible(task, data)
        parts["closed_loop"] = _scores(loops, task.value_range, floor if OPTIMUM in references else None)
        curves = _curves(loops, task.value_range)
    loop = parts.get("closed_loop", {})
    if data.overlapping:
        for scores in (*one_step.values(), *loop.values()):  # clips that share frames say less
            scores.update({metric: None for metric in scores if metric.endswith("_se")})
    found = {metric for part in parts.values() for each in part.values() for metric in each}

    def shown(table: Mapping[int | str, T]) -> dict[str, T]:
        return {"model": table[median_seed], **{name: table[name] for name in references}}

    horizon = len(next(iter(curves.values()))["mse"]) if loop else 0
    return Results(
        convention={metric: meaning for metric, meaning in CONVENTION.items() if metric in found},
        validation={name: value for name, value in validation.items() if math.isfinite(value)},
        one_step=shown(one_step),
        closed_loop=ClosedLoop(data.context, horizon, shown(loop), shown(curves)) if loop else None,
        members=tuple(
            Member(seed, validated[seed], one_step[seed], loop.get(seed), curves.get(seed)) for seed in models
        ),
        median_seed=median_seed,
        spread={
            part: {m: metrics.spread([table[seed][m] for seed in models]) for m in table[median_seed]}
            for part, table in parts.items()
            if len(models) > 1
        },
        permanence=permanence(squared, data, median_seed),
        calibration=calibrate(models[median_seed], covered[median_seed], data) if covered else None,
    )


def _scores(
    errors: Mapping[int | str, Errors], value_range: Range, floor: Tensor | None = None
) -> dict[int | str, Scores]:
    """Every metric, by predictor; excess where each clip's floor (N,) is known."""
    clips = {name: {metric: x.mean(1) for metric, x in each.items()} for name, each in errors.items()}
    squared = {name: each["squared"] for name, each in clips.items()}
    scores = _means(clips, value_range)
    for name, each in squared.items():
        found = {**scores[name], "mse_se": metrics.standard_error(each)}
        if OPTIMUM in errors:
            gain, most = squared[COPY_LAST] - each, squared[COPY_LAST] - squared[OPTIMUM]
            found["skill_se"] = metrics.ratio_standard_error(gain, most)
        if floor is not None:
            found["excess"], found["excess_se"] = metrics.excess(each, squared[OPTIMUM], floor)
        scores[name] = {metric: found[metric] for metric in CONVENTION if metric in found}
    return scores


def _curves(errors: Mapping[int | str, Errors], value_range: Range) -> dict[int | str, Curves]:
    """Every metric but the standard errors at each horizon, by predictor."""
    horizons = range(errors[COPY_LAST]["squared"].shape[1])
    steps = [
        _means({name: {k: x[:, h] for k, x in each.items()} for name, each in errors.items()}, value_range)
        for h in horizons
    ]
    return {
        name: {metric: [step[name][metric] for step in steps] for metric in steps[0][name]} for name in errors
    }


def _means(errors: Mapping[int | str, Errors], value_range: Range) -> dict[int | str, Scores]:
    """Every metric but the standard errors of errors (N,), by predictor."""
    mse = {name: each["squared"].mean().item() for name, each in errors.items()}
    ends = [mse[name] for name in (COPY_LAST, OPTIMUM) if name in mse]
    return {
        name: {
            "mse": number(mse[name]),
            "mae": number(each["absolute"].mean().item()),
            "psnr": metrics.psnr(mse[name], value_range),
            **({"skill": metrics.skill(mse[name], *ends)} if OPTIMUM in errors else {}),
            **picture_scores(each),
        }
        for name, each in errors.items()
    }
