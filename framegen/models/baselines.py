"""Predictors that are fitted, not trained: the ones a net must beat to be worth its training."""

from collections.abc import Iterable

import torch
from torch import Tensor

from framegen.models.predictor import Predictor, State

RIDGE = 1e-9
"""Added to the normal equations, relative to their mean diagonal: keeps noise-free data solvable."""


class CopyLast(Predictor):
    """The next frame is the current one; skill 0 by definition."""

    def forward(self, frames: Tensor, state: State = None) -> tuple[Tensor, State]:
        return frames, None


class MeanFrame(Predictor):
    """Always the same frame: the mean of the training targets, (C, H, W)."""

    mean: Tensor

    def __init__(self, mean: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)

    def forward(self, frames: Tensor, state: State = None) -> tuple[Tensor, State]:
        return self.mean.to(frames.dtype).expand_as(frames), None


class AutoRegression(Predictor):
    """A linear map of the last `num_frames` frames; before the first frame, the first is thought repeated.

    `weight` is (num_frames * P, P) and `bias` (P,), P = C * H * W; the newest frame's rows come first.
    The state holds the last num_frames - 1 frames, (B, num_frames - 1, P).
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.num_frames = len(weight) // len(bias)
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    def forward(self, frames: Tensor, state: State = None) -> tuple[Tensor, State]:
        features, state = _past(frames, self.num_frames, state)
        predictions = features @ self.weight.to(frames.dtype) + self.bias.to(frames.dtype)
        return predictions.view_as(frames), state


def _past(frames: Tensor, num_frames: int, state: State) -> tuple[Tensor, State]:
    """Each step's last frames side by side, newest first: (B, T, num_frames * P); and the state to go on
    with."""
    flat = frames.flatten(2)  # (B, T, P)
    before = num_frames - 1
    history = torch.cat(
        [flat[:, :1].expand(-1, before, -1) if state is None else state, flat], 1
    )  # (B, before + T, P)
    lagged = [history[:, before - k : history.shape[1] - k] for k in range(num_frames)]
    return torch.cat(lagged, -1), history[:, history.shape[1] - before :]


def fit_mean(targets: Iterable[Tensor]) -> Tensor:
    """The mean frame (C, H, W) of batches (B, T, C, H, W), float32; summed in float64, a batch at a time."""
    total, count = torch.zeros((), dtype=torch.float64), 0
    for batch in targets:
        total = total + batch.double().sum((0, 1))
        count += batch.shape[0] * batch.shape[1]
    return (total / count).float()


def fit_autoregression(
    batches: Iterable[tuple[Tensor, Tensor]], num_frames: int, carry_state: bool = False
) -> AutoRegression:
    """Least squares over all clips, through the normal equations in float64.

    Args:
        batches: inputs and targets, each (B, T, C, H, W).
        num_frames: how many frames each prediction sees.
        carry_state: the batches are one stream, each going on where the last one ended.
    """
    gram, moment = torch.zeros(1, 1), torch.zeros(1, 1)
    state: State = None
    for inputs, targets in batches:
        features, after = _past(inputs.double(), num_frames, state)  # (B, T, num_frames * P)
        known = (
            0 if state is not None or not carry_state else num_frames - 1
        )  # a stream's first frames have no past
        state = after if carry_state else None
        features, targets = features[:, known:].flatten(0, 1), targets[:, known:]
        features = torch.cat([features, features.new_ones(len(features), 1)], 1)
        gram = gram + features.T @ features
        moment = moment + features.T @ targets.double().flatten(2).flatten(0, 1)
    ridge = RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    solution = torch.linalg.solve(gram + ridge, moment)  # (num_frames * P + 1, P)
    return AutoRegression(solution[:-1], solution[-1])
