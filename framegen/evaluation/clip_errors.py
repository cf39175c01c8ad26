"""Errors of one predictor, one step ahead and closed-loop; memory grows with neither clips nor horizon."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from framegen.data.clips import Clips, chunk_size, chunks, fill, to_float, unasked
from framegen.evaluation.image_quality import measure_pictures
from framegen.evaluation.metrics import Range
from framegen.evaluation.results import Errors, Name
from framegen.machine.device import seeded
from framegen.models.optima.observer import Observer, observe
from framegen.models.predictor import Predictor, device_of
from framegen.models.rollout import rollout


@seeded(0)
@torch.inference_mode()
def mean_square(model: Predictor, clips: Clips, closed_loop: int = 0) -> float:
    """Mean squared error of all clips together, summed in float64: one step ahead behind the burn-in, or of
    so many last steps of each clip, of which each is shown the prediction of the step before it."""
    squared = count = 0.0
    for inputs, targets in chunks(clips):
        shown, length = inputs.to(device_of(model)), inputs.shape[1]
        given = max(1, length - closed_loop)
        made = (model.run_on(shown[:, :given], None, length) if closed_loop else model(shown))[0].cpu()
        apart = (made - fill(targets, made))[:, given if closed_loop else clips.burn_in :]
        squared, count = squared + apart.double().square().sum().item(), count + apart.numel()
    return squared / count


@seeded(0)
@torch.inference_mode()
def one_step_errors(model: Predictor, clips: Clips, picture_range: Range | None = None) -> Errors:
    """Each clip's errors one step ahead, at each step behind the burn-in.

    Args:
        picture_range: lowest and highest value of a pixel; None where frames are no pictures.
    """
    parts = []
    for inputs, targets in chunks(clips):
        made = model(inputs.to(device_of(model)))[0].cpu()
        every = inputs, made, fill(targets, made)
        inputs, made, targets = (each[:, clips.burn_in :] for each in every)
        parts.append(_of_steps(inputs, made, targets, picture_range))
    return _join(parts, torch.cat, 0)


@torch.inference_mode()
def observer_errors(
    observers: Mapping[Name, Observer], clips: Clips, picture_range: Range | None = None
) -> dict[Name, Errors]:
    """The same of observers of one world, by name, all in one go."""
    parts = {name: [] for name in observers}
    optimum = next(iter(observers.values())).optimum
    for inputs, targets in chunks(clips):
        made = observe(optimum, inputs, [each.seen for each in observers.values()])
        for name, each in observers.items():
            own = made[each.seen]
            parts[name].append(_of_steps(inputs, own, fill(targets, own), picture_range))
    return {name: _join(each, torch.cat, 0) for name, each in parts.items()}


def _of_steps(inputs: Tensor, made: Tensor, targets: Tensor, picture_range: Range | None) -> Errors:
    """The errors of predictions (B, T, C, H, W) at each step: (B, T) each."""
    by_step = zip(*(each.unbind(1) for each in (inputs, made, targets)), strict=True)
    steps = [_of_frames(p, true, seen, seen, picture_range) for seen, p, true in by_step]
    return _join(steps, torch.stack, 1)


@seeded(0)
def closed_loop_errors(
    model: Predictor,
    frames: Tensor,
    context: int,
    picture_range: Range | None = None,
    asked: Tensor | None = None,
) -> Errors:
    """Each clip's errors at each horizon 1, 2, … of a rollout.

    Args:
        model: a predictor of the next frame.
        frames: (N, T, C, H, W) clips, uint8 or float32; the first `context`, 1 to T - 1, are the prompt.
        picture_range: as of `one_step_errors`.
        asked: which frames are asked for, (N, T) bool; None: all.
    """
    parts = []
    for index in torch.arange(len(frames)).split(chunk_size(frames.shape[1:])):
        clips = to_float(frames[index])
        truth = clips if asked is None else unasked(clips, asked[index])
        generated = rollout(model, clips[:, :context], frames.shape[1] - context)
        made_before = true_before = clips[:, context - 1]
        steps = []
        for made, stored in zip(generated, truth[:, context:].unbind(1), strict=True):
            true = fill(stored, made)
            steps.append(_of_frames(made, true, made_before, true_before, picture_range))
            made_before, true_before = made, true
        parts.append(_join(steps, torch.stack, 1))
    return _join(parts, torch.cat, 0)


def _of_frames(
    made: Tensor, true: Tensor, made_before: Tensor, true_before: Tensor, picture_range: Range | None
) -> Errors:
    """The errors of frames (B, C, H, W), given those before them: (B,) each."""
    difference = (made - true).double().flatten(1)
    errors = {"squared": difference.square().mean(1), "absolute": difference.abs().mean(1)}
    if picture_range is None:
        return errors
    return errors | measure_pictures((made, true), (made_before, true_before), picture_range)


def _join(parts: Sequence[Errors], join: Callable[[list[Tensor], int], Tensor], dim: int) -> Errors:
    return {name: join([each[name] for each in parts], dim) for name in parts[0]}
