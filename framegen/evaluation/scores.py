"""Every predictor of a task side by side, one step ahead and closed-loop."""

import math
from collections.abc import Mapping
from functools import partial

from torch import Tensor

from framegen.config.tasks import Task
from framegen.data.clips import Clips, Data
from framegen.evaluation.cache import reference_errors
from framegen.evaluation.clip_errors import Errors, closed_loop_errors, one_step_errors, one_step_mse
from framegen.evaluation.image_quality import PICTURE_CONVENTION, are_pictures, picture_scores
from framegen.evaluation.irreducible import irreducible
from framegen.evaluation.likelihood import calibrate, likelihood_convention, likelihood_scores
from framegen.evaluation.metrics import (
    CONVENTION,
    EXCESS_CONVENTION,
    SKILL_CONVENTION,
    Range,
    excess,
    median_index,
    number,
    psnr,
    skill,
    skill_standard_error,
    spread,
    standard_error,
)
from framegen.evaluation.permanence import permanence
from framegen.evaluation.references import COPY_LAST, OPTIMUM
from framegen.evaluation.results import ClosedLoop, Curves, Member, Name, Results, Scores
from framegen.models.predictor import Predictor

AllErrors = Mapping[int | str, Mapping[str, Errors]]
"""By a model's seed or a reference's name, by part."""


def validate_references(references: Mapping[str, Predictor], clips: Clips) -> dict[str, float]:
    """One-step mse on the validation clips of copying and of the optimum, where that is known."""
    return {
        name: one_step_mse(references[name], clips) for name in (COPY_LAST, OPTIMUM) if name in references
    }


def all_errors(
    models: Mapping[int, Predictor], task: Task, data: Data, references: Mapping[str, Predictor]
) -> AllErrors:
    """Each test clip's errors of every model and every reference: by "one_step" and, where the target is the
    next frame, "closed_loop"."""
    measure = partial(_errors, data=data, picture_range=_picture_range(task, data))
    return {
        **{seed: measure(model) for seed, model in models.items()},
        **reference_errors(task, data, references, measure),
    }


def evaluate(
    models: Mapping[int, Predictor],
    task: Task,
    data: Data,
    references: Mapping[str, Predictor],
    validation: Mapping[str, float] | None = None,
    errors: AllErrors | None = None,
) -> Results:
    """Every model and every reference on the test clips; and the models on the validation clips, to choose
    by.

    Args:
        models: by seed, on any device: one, or a population.
        references: what `fit_references(task, data)` gives.
        validation: what `validate_references` gave of them, where that is known already.
        errors: what `all_errors` gave of all, where that is known already.
    """
    validated = {seed: number(one_step_mse(model, data.val)) for seed, model in models.items()}
    median_seed = list(models)[median_index(list(validated.values()))]
    predictors: dict[int | str, Predictor] = {**models, **references}
    errors = errors or all_errors(models, task, data, references)
    one_step = _scores({name: each["one_step"].of_clips() for name, each in errors.items()}, task.value_range)
    sure, covered = likelihood_scores(predictors, OPTIMUM, data.test)
    one_step = {name: each | sure.get(name, {}) for name, each in one_step.items()}
    floor = irreducible(task, data) if OPTIMUM in references else None
    loop, curves = _closed_loop(errors, data, task.value_range, floor)
    one_step, loop = (_as_sure_as_known(each, data) for each in (one_step, loop))
    members = tuple(
        Member(seed, validated[seed], one_step[seed], loop.get(seed), curves.get(seed)) for seed in models
    )
    picture_range = _picture_range(task, data)
    convention = _convention(references, floor, picture_range) | likelihood_convention(sure)
    parts = {"one_step": one_step} | ({"closed_loop": loop} if loop else {})
    shown = {median_seed: "model", **{name: name for name in references}}
    return Results(
        convention=convention,
        validation=_finite(validation or validate_references(references, data.val)),
        one_step={name: one_step[key] for key, name in shown.items()},
        closed_loop=None
        if not loop
        else ClosedLoop(
            data.context,
            len(curves[median_seed]["mse"]),
            {name: loop[key] for key, name in shown.items()},
            {name: curves[key] for key, name in shown.items()},
        ),
        members=members,
        median_seed=median_seed,
        spread={
            part: {
                m: spread([table[seed][m] for seed in models]) for m in convention if m in table[median_seed]
            }
            for part, table in parts.items()
            if len(members) > 1
        },
        permanence=permanence({name: errors[key]["one_step"].squared for key, name in shown.items()}, data),
        calibration=calibrate(models[median_seed], covered[median_seed], data) if covered else None,
    )


def _picture_range(task: Task, data: Data) -> Range | None:
    """Lowest and highest value of a pixel, where frames are large enough to be measured as pictures."""
    return task.value_range if are_pictures(data.frame_shape) else None


def _convention(
    references: Mapping[str, Predictor], floor: Tensor | None, picture_range: Range | None
) -> dict[str, str]:
    gain = SKILL_CONVENTION if OPTIMUM in references else {}
    over = {} if floor is None else EXCESS_CONVENTION
    return CONVENTION | gain | over | ({} if picture_range is None else PICTURE_CONVENTION)


def _finite(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if math.isfinite(value)}


def _as_sure_as_known(scores: dict[Name, Scores], data: Data) -> dict[Name, Scores]:
    """The same, without standard errors where clips may share frames."""
    if not data.overlapping:
        return scores
    return {
        name: {metric: None if metric.endswith("_se") else value for metric, value in each.items()}
        for name, each in scores.items()
    }


def _errors(model: Predictor, data: Data, picture_range: Range | None) -> dict[str, Errors]:
    """One step ahead and, where the target is the next frame, closed-loop."""
    found = {"one_step": one_step_errors(model, data.test, picture_range)}
    if data.test_frames is not None:
        found["closed_loop"] = closed_loop_errors(model, data.test_frames, data.context, picture_range)
    return found


def _closed_loop(
    found: AllErrors, data: Data, value_range: Range, floor: Tensor | None
) -> tuple[dict[int | str, Scores], dict[int | str, Curves]]:
    """Scores over all horizons and the curves over them, by predictor; empty where the target is not the next
    frame."""
    if data.test_frames is None:
        return {}, {}
    errors = {name: each["closed_loop"] for name, each in found.items()}
    horizons = range(data.test_frames.shape[1] - data.context)
    steps = [_means({name: each.at(h) for name, each in errors.items()}, value_range) for h in horizons]
    curves = {
        name: {metric: [s[name][metric] for s in steps] for metric in steps[0][name]} for name in errors
    }
    return _scores({name: each.of_clips() for name, each in errors.items()}, value_range, floor), curves


def _means(errors: Mapping[int | str, Errors], value_range: Range) -> dict[int | str, Scores]:
    """Every metric but the standard errors, by predictor."""
    mse = {name: each.squared.mean().item() for name, each in errors.items()}
    return {
        name: {
            "mse": number(mse[name]),
            "mae": number(each.absolute.mean().item()),
            "psnr": psnr(mse[name], value_range),
            **({"skill": skill(mse[name], mse[COPY_LAST], mse[OPTIMUM])} if OPTIMUM in errors else {}),
            **picture_scores(each.pictures),
        }
        for name, each in errors.items()
    }


def _scores(
    errors: Mapping[int | str, Errors], value_range: Range, floor: Tensor | None = None
) -> dict[int | str, Scores]:
    """Every metric, by predictor; excess where each clip's floor (N,) is known."""
    means = _means(errors, value_range)
    scores: dict[int | str, Scores] = {}
    for name, each in errors.items():
        mean = means[name]
        scores[name] = {"mse": mean["mse"], "mse_se": standard_error(each.squared)}
        scores[name] |= {"mae": mean["mae"], "psnr": mean["psnr"]}
        if OPTIMUM in errors:
            paired = (each.squared, errors[COPY_LAST].squared, errors[OPTIMUM].squared)
            scores[name] |= {"skill": mean["skill"], "skill_se": skill_standard_error(*paired)}
        if floor is not None:
            over = excess(each.squared, errors[OPTIMUM].squared, floor)
            scores[name] |= dict(zip(EXCESS_CONVENTION, over, strict=True))
        scores[name] |= {metric: mean[metric] for metric in PICTURE_CONVENTION if metric in mean}
    return scores
