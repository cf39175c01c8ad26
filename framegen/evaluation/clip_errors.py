"""Errors of one predictor: each clip's, one step ahead at each of its steps and at each horizon of a rollout.

Memory grows neither with the number of clips nor with the horizon.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from framegen.data.clips import Clips, chunk_size, chunks, to_float
from framegen.evaluation.image_quality import measure_pictures
from framegen.evaluation.metrics import Range
from framegen.machine.device import seeded
from framegen.models.predictor import Predictor, device_of
from framegen.models.rollout import rollout


@dataclass(frozen=True)
class Errors:
    """Mean squared and mean absolute error of each clip's frames, (N, T) float64: one step ahead of all that
    count, closed-loop at each horizon."""

    squared: Tensor
    absolute: Tensor
    pictures: Mapping[str, Tensor] = field(default_factory=dict)
    """What `measure_pictures` gives, of the same shape; nothing where frames are too small."""

    def each(self, change: Callable[[Tensor], Tensor]) -> "Errors":
        """The same change made to each of them."""
        pictures = {name: change(values) for name, values in self.pictures.items()}
        return Errors(change(self.squared), change(self.absolute), pictures)

    def at(self, horizon: int) -> "Errors":
        """Those of one horizon, 0, 1, …"""
        return self.each(lambda values: values[:, horizon])

    def of_clips(self) -> "Errors":
        """Each clip's mean over its frames, (N,)."""
        return self.each(lambda values: values.mean(1))


def _join(parts: Sequence[Errors], join: Callable[[list[Tensor]], Tensor]) -> Errors:
    return Errors(
        join([each.squared for each in parts]),
        join([each.absolute for each in parts]),
        {name: join([each.pictures[name] for each in parts]) for name in parts[0].pictures},
    )


@torch.inference_mode()
def _predicted(model: Predictor, clips: Clips) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Inputs, predictions and targets one step ahead, a few clips at a time: (B, T, C, H, W) each, without
    the burn-in."""
    device = device_of(model)
    for inputs, targets in chunks(clips):
        predictions, _ = model(inputs.to(device))
        inputs, predictions, targets = (
            each.cpu()[:, clips.burn_in :] for each in (inputs, predictions, targets)
        )
        yield inputs, predictions, targets


@seeded(0)
def one_step_mse(model: Predictor, clips: Clips) -> float:
    """Mean squared error one step ahead, of all clips together."""
    return _mean_square(predictions - targets for _, predictions, targets in _predicted(model, clips))


@seeded(0)
def closed_loop_mse(model: Predictor, clips: Clips, steps: int) -> float:
    """Mean squared error of a clip's last steps, each shown the prediction of the step before it."""
    return _mean_square(_run_on(model, clips, steps))


@torch.inference_mode()
def _run_on(model: Predictor, clips: Clips, steps: int) -> Iterator[Tensor]:
    """Predictions less targets of those steps, a few clips at a time."""
    for inputs, targets in chunks(clips):
        length = inputs.shape[1]
        given = max(1, length - steps)
        made, _ = model.run_on(inputs[:, :given].to(device_of(model)), None, length)
        yield (made.cpu() - targets)[:, given:]


def _mean_square(differences: Iterable[Tensor]) -> float:
    """Over all values, summed in float64."""
    squared = count = 0.0
    for each in differences:
        squared, count = squared + each.double().square().sum().item(), count + each.numel()
    return squared / count


@seeded(0)
def one_step_errors(model: Predictor, clips: Clips, picture_range: Range | None = None) -> Errors:
    """Each clip's errors one step ahead, at each step behind the burn-in.

    Args:
        picture_range: of frames that are pictures, lowest and highest value of a pixel; None measures them as
            numbers alone.
    """
    parts = []
    for inputs, predictions, targets in _predicted(model, clips):
        difference = (predictions - targets).double().flatten(2)
        steps = [
            measure_pictures((made, true), (seen, seen), picture_range)
            for seen, made, true in zip(*(x.unbind(1) for x in (inputs, predictions, targets)), strict=True)
            if picture_range is not None
        ]
        pictures = {name: torch.stack([s[name] for s in steps], 1) for name in steps[0]} if steps else {}
        parts.append(Errors(difference.square().mean(2), difference.abs().mean(2), pictures))
    return _join(parts, torch.cat)


@seeded(0)
def closed_loop_errors(
    model: Predictor, frames: Tensor, context: int, picture_range: Range | None = None
) -> Errors:
    """Each clip's errors at each horizon 1, 2, … of a rollout.

    Args:
        model: a predictor of the next frame.
        frames: (N, T, C, H, W) clips, uint8 or float32; the first `context` frames are the prompt.
        context: 1 to T - 1.
        picture_range: as of `one_step_errors`.
    """
    parts = []
    for chunk in frames.split(chunk_size(frames.shape[1:])):
        clips = to_float(chunk)
        generated = rollout(model, clips[:, :context], frames.shape[1] - context)
        before = clips[:, context - 1], clips[:, context - 1]
        steps = []
        for made, true in zip(generated, clips[:, context:].unbind(1), strict=True):
            difference = (made - true).double().flatten(1)  # (B, P)
            pictures = measure_pictures((made, true), before, picture_range) if picture_range else {}
            steps.append(Errors(difference.square().mean(1), difference.abs().mean(1), pictures))
            before = made, true
        parts.append(_join(steps, lambda values: torch.stack(values, 1)))
    return _join(parts, torch.cat)
