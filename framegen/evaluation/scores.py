"""Every predictor of a task side by side, one step ahead and closed-loop."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from framegen.config.data import Task
from framegen.data.clips import CHUNK, Clips, Data, chunks, to_float
from framegen.evaluation.metrics import (
    CONVENTION,
    SKILL_CONVENTION,
    median_index,
    number,
    psnr,
    skill,
    skill_standard_error,
    spread,
    standard_error,
)
from framegen.evaluation.references import COPY_LAST, OPTIMUM
from framegen.evaluation.results import ClosedLoop, Curves, Member, Results, Scores
from framegen.models.predictor import Predictor, device_of
from framegen.models.rollout import generate

Range = tuple[float, float]


@dataclass(frozen=True)
class Errors:
    """Mean squared and mean absolute error of each clip, (N,) float64; closed-loop at each horizon, (N,
    H)."""

    squared: Tensor
    absolute: Tensor

    def at(self, horizon: int) -> "Errors":
        """Those of one horizon, 0, 1, …"""
        return Errors(self.squared[:, horizon], self.absolute[:, horizon])

    def over_horizons(self) -> "Errors":
        """Each clip's mean over all horizons."""
        return Errors(self.squared.mean(1), self.absolute.mean(1))


@torch.inference_mode()
def _differences(model: Predictor, clips: Clips) -> Iterator[Tensor]:
    """Prediction minus target, one step ahead, a few clips at a time: (B, T, C, H, W) float64 without the
    burn-in."""
    device = device_of(model)
    for inputs, targets in chunks(clips):
        predictions, _ = model(inputs.to(device))
        yield (predictions.cpu() - targets.cpu())[:, clips.burn_in :].double()


def one_step_mse(model: Predictor, clips: Clips) -> float:
    """Mean squared error one step ahead, of all clips together."""
    squared = count = 0.0
    for difference in _differences(model, clips):
        squared, count = squared + difference.square().sum().item(), count + difference.numel()
    return squared / count


def one_step_errors(model: Predictor, clips: Clips) -> Errors:
    """Each clip's errors one step ahead."""
    parts = [(d.square().flatten(1).mean(1), d.abs().flatten(1).mean(1)) for d in _differences(model, clips)]
    squared, absolute = (torch.cat(each) for each in zip(*parts, strict=True))
    return Errors(squared, absolute)


def closed_loop_errors(model: Predictor, frames: Tensor, context: int) -> Errors:
    """Each clip's errors at each horizon 1, 2, … of a rollout.

    Args:
        model: a predictor of the next frame.
        frames: (N, T, C, H, W) clips, uint8 or float32; the first `context` frames are the prompt.
        context: 1 to T - 1.
    """
    squared, absolute = [], []
    for chunk in frames.split(CHUNK):
        clips = to_float(chunk)
        generated = generate(model, clips[:, :context], frames.shape[1] - context)
        difference = (generated - clips[:, context:]).double().flatten(2)  # (B, horizon, P)
        squared.append(difference.square().mean(2))
        absolute.append(difference.abs().mean(2))
    return Errors(torch.cat(squared), torch.cat(absolute))


def validate_references(references: Mapping[str, Predictor], clips: Clips) -> dict[str, float]:
    """One-step mse on the validation clips of copying and of the optimum, where that is known."""
    return {
        name: one_step_mse(references[name], clips) for name in (COPY_LAST, OPTIMUM) if name in references
    }


def evaluate(
    models: Mapping[int, Predictor], task: Task, data: Data, references: Mapping[str, Predictor]
) -> Results:
    """Every model and every reference on the test clips; and the models on the validation clips, to choose
    by.

    Args:
        models: by seed, on any device: one, or a population.
        references: what `fit_references(task, data)` gives.
    """
    validation = {seed: number(one_step_mse(model, data.val)) for seed, model in models.items()}
    median_seed = list(models)[median_index(list(validation.values()))]
    names = {f"seed {seed}": seed for seed in models}
    predictors = dict(zip(names, models.values(), strict=True)) | dict(references)
    one_step = _scores(
        {name: one_step_errors(each, data.test) for name, each in predictors.items()}, task.value_range
    )
    loop, curves = _closed_loop(predictors, data, task.value_range)
    members = tuple(
        Member(seed, validation[seed], one_step[name], loop.get(name), curves.get(name))
        for name, seed in names.items()
    )
    has_skill = OPTIMUM in references
    convention = CONVENTION | (SKILL_CONVENTION if has_skill else {})
    shown = {f"seed {median_seed}": "model", **{name: name for name in references}}
    parts = {"one_step": one_step} | ({"closed_loop": loop} if loop else {})
    return Results(
        convention=convention,
        validation=validate_references(references, data.val),
        one_step={name: one_step[key] for key, name in shown.items()},
        closed_loop=None
        if not loop
        else ClosedLoop(
            data.context,
            len(curves[next(iter(curves))]["mse"]),
            {name: loop[key] for key, name in shown.items()},
            {name: curves[key] for key, name in shown.items()},
        ),
        members=members,
        median_seed=median_seed,
        spread={
            part: {metric: spread([table[name][metric] for name in names]) for metric in convention}
            for part, table in parts.items()
            if len(members) > 1
        },
    )


def _closed_loop(
    predictors: Mapping[str, Predictor], data: Data, value_range: Range
) -> tuple[dict[str, Scores], dict[str, Curves]]:
    """Scores over all horizons and the curves over them, by predictor; empty where the target is not the next
    frame."""
    if data.test_frames is None:
        return {}, {}
    errors = {
        name: closed_loop_errors(each, data.test_frames, data.context) for name, each in predictors.items()
    }
    horizons = range(data.test_frames.shape[1] - data.context)
    steps = [_means({name: each.at(h) for name, each in errors.items()}, value_range) for h in horizons]
    curves = {
        name: {metric: [s[name][metric] for s in steps] for metric in steps[0][name]} for name in predictors
    }
    return _scores({name: each.over_horizons() for name, each in errors.items()}, value_range), curves


def _means(errors: Mapping[str, Errors], value_range: Range) -> dict[str, Scores]:
    """Every metric but the standard errors, by predictor."""
    mse = {name: each.squared.mean().item() for name, each in errors.items()}
    return {
        name: {
            "mse": number(mse[name]),
            "mae": number(each.absolute.mean().item()),
            "psnr": psnr(mse[name], value_range),
            **({"skill": skill(mse[name], mse[COPY_LAST], mse[OPTIMUM])} if OPTIMUM in errors else {}),
        }
        for name, each in errors.items()
    }


def _scores(errors: Mapping[str, Errors], value_range: Range) -> dict[str, Scores]:
    """Every metric, by predictor."""
    means = _means(errors, value_range)
    scores: dict[str, Scores] = {}
    for name, each in errors.items():
        mean = means[name]
        scores[name] = {"mse": mean["mse"], "mse_se": standard_error(each.squared)}
        scores[name] |= {"mae": mean["mae"], "psnr": mean["psnr"]}
        if OPTIMUM in errors:
            paired = (each.squared, errors[COPY_LAST].squared, errors[OPTIMUM].squared)
            scores[name] |= {"skill": mean["skill"], "skill_se": skill_standard_error(*paired)}
    return scores
