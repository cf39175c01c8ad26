"""The frames that a model sees in training: true ones, or its own predictions in their place."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from framegen.config.training import Training
from framegen.data.clips import fill
from framegen.models.mixture import Mixture, join, mean_of
from framegen.models.predictor import Predictor, State

STILL = 1e-4
"""Copying's squared error below which a step of a clip counts less: there is nothing to gain."""


def own_frames(
    training: Training, part: float, shape: tuple[int, int], random: np.random.Generator
) -> Tensor:
    """Which steps of a batch are shown the model's own prediction of the step before, (B, T) bool.

    Args:
        part: how much of the training is behind, in [0, 1).
        shape: (B, T). The first step is always shown its true frame.
    """
    if training.true_frames:  # nearly every training: nothing is drawn
        return torch.zeros(shape, dtype=torch.bool)
    batch, steps = shape
    chance = np.zeros(steps)
    match training.sampling:
        case "none" if training.closed_loop:
            grown = min(1.0, part / training.closed_loop_grown)
            length = min(math.ceil(training.closed_loop * grown), steps - 1)
            # Nothing is drawn at a share of 1, so that such trainings stay what they were.
            if training.closed_loop_share == 1 or random.random() < training.closed_loop_share:
                chance[steps - length :] = 1
        case "none":
            pass
        case "scheduled":  # Bengio et al., "Scheduled sampling", 2015, with a linear decay
            chance[:] = part
        case "reverse":  # Wang et al., "PredRNN", 2022, sec. 3.4, with linear courses
            chance[: steps // 2], chance[steps // 2 :] = 0.5 * (1 - part), 0.5 * (1 + part)
    chance[0] = 0
    return torch.from_numpy(random.random((batch, steps)) < chance)


def cut(inputs: Tensor, targets: Tensor, side: int, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Both, (B, T, C, H, W), in a square of this many pixels a side at a random place, as far as there are so
    many: most of what a net that convolves can learn is learned on a part of the frames, in less time."""
    top, left = (int(random.integers(max(0, size - side) + 1)) for size in inputs.shape[3:])
    square = ..., slice(top, top + side), slice(left, left + side)
    return inputs[square], targets[square]


def unroll(
    model: Predictor,
    call: Callable[..., tuple[Any, State]],
    inputs: Tensor,
    state: State,
    own: Tensor,
) -> tuple[Any, State]:
    """Predictions of a model that is shown some of its own predictions; gradients flow through them.

    Args:
        call: what computes predictions, or mixtures, whose means are shown: the model, or that compiled.
        inputs: (B, T, C, H, W).
        own: (B, T) bool as `own_frames` gives it.

    Returns:
        The predictions (B, T, C, H, W) or their mixture, and the state after the last step.
    """
    chosen = own.any(0).nonzero()
    if not len(chosen):
        return call(inputs, state)
    first = int(chosen[0])
    made, state = call(inputs[:, :first], state)
    parts = [made]
    for step in range(first, inputs.shape[1]):
        which = own[:, step].to(inputs.device)[:, None, None, None, None]
        shown = torch.where(which, model.feedback(mean_of(made)[:, -1:]), inputs[:, step : step + 1])
        made, state = call(shown, state)
        parts.append(made)
    return join(parts), state


def bits_loss(made: Mixture, targets: Tensor) -> Tensor:
    """The mean over clips, steps and values of a frame of -log2 of the targets' probability."""
    return -made.log_prob(targets).mean() / (math.log(2) * targets.shape[2:].numel())


def relative_loss(predictions: Tensor, inputs: Tensor, targets: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
    """The mean over clips and steps of squared error over copying's; and copying's mean error, the unit of
    that loss, which parts of a batch share. Copying takes the last true frame that was shown.

    Args:
        predictions, inputs, targets: (B, T, C, H, W).
        own: (B, T) bool as `own_frames` gives it.
    """
    steps = torch.arange(own.shape[1]).expand(own.shape)
    last = torch.where(own, torch.zeros_like(steps), steps).cummax(1).values.to(inputs.device)  # (B, T)
    copied = inputs[torch.arange(len(inputs), device=inputs.device)[:, None], last]
    errors, copying = (
        (each - fill(targets, each)).square().mean((2, 3, 4)) for each in (predictions, copied)
    )  # (B, T)
    return (errors / (copying + STILL)).mean(), copying.mean()
