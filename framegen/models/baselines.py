"""Predictors that are fitted, not trained: the ones a net must beat to be worth its training."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from framegen.models.predictor import Predictor, State

RIDGE = 1e-9
"""The penalty that keeps noise-free data solvable; see `fit_ridge`."""
NOTHING = 1e-9
"""A deviation below which an input says nothing."""


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
        features, state = lagged(frames, self.num_frames, state)
        predictions = features @ self.weight.to(frames.dtype) + self.bias.to(frames.dtype)
        return predictions.view_as(frames), state


def lagged(frames: Tensor, num_frames: int, state: State = None) -> tuple[Tensor, State]:
    """Each step's last frames side by side, newest first, (B, T, num_frames * P); and the state."""
    flat = frames.flatten(2)  # (B, T, P)
    before = num_frames - 1
    past = flat[:, :1].expand(-1, before, -1) if state is None else state
    history = torch.cat([past, flat], 1)  # (B, before + T, P)
    parts = [history[:, before - k : history.shape[1] - k] for k in range(num_frames)]
    return torch.cat(parts, -1), history[:, history.shape[1] - before :]


def fit_mean(targets: Iterable[Tensor]) -> Tensor:
    """The mean frame (C, H, W) of batches (B, T, C, H, W), float32; summed in float64, a batch at a time.
    Frames of NaN are left out."""
    total, count = torch.zeros((), dtype=torch.float64), 0
    for batch in targets:
        total = total + batch.double().nansum((0, 1))
        count += int((~batch[:, :, 0, 0, 0].isnan()).sum())
    return (total / count).float()


def fit_ridge(batches: Iterable[tuple[Tensor, Tensor]], ridge: float) -> tuple[Tensor, Tensor]:
    """Ridge regression (Hoerl and Kennard, 1970), the map x @ weight + bias. With X the inputs less their
    mean, over their deviation, Y the targets less their mean, and N rows:

        W = (X^T X + N ridge I)^-1 X^T Y

    Args:
        batches: inputs (…, F) and targets (…, K); their products are summed in float64.

    Returns:
        The weight (F, K) and the bias (K,), float64. An input that never changes has weight 0.
    """
    gram, moment = torch.zeros(1, 1), torch.zeros(1, 1)
    for inputs, targets in batches:
        rows = inputs.double().flatten(0, -2)
        rows = torch.cat([rows, rows.new_ones(len(rows), 1)], 1)
        gram, moment = gram + rows.T @ rows, moment + rows.T @ targets.double().flatten(0, -2)
    gram, moment = gram / gram[-1, -1], moment / gram[-1, -1]
    centre, middle = gram[-1, :-1], moment[-1]
    covariance, shared = gram[:-1, :-1] - centre.outer(centre), moment[:-1] - centre.outer(middle)
    deviation = covariance.diagonal().clamp(min=0).sqrt()
    scale = torch.where(deviation > NOTHING, 1 / deviation, 0)[:, None]
    penalty = ridge * torch.eye(len(centre), dtype=gram.dtype)
    weight = scale * torch.linalg.solve(scale * covariance * scale.T + penalty, scale * shared)
    return weight, middle - centre @ weight


def fit_autoregression(
    batches: Iterable[tuple[Tensor, Tensor]], num_frames: int, carry_state: bool = False
) -> AutoRegression:
    """Least squares over all clips; targets of NaN are left out.

    Args:
        batches: inputs and targets, each (B, T, C, H, W).
        num_frames: how many frames each prediction sees.
        carry_state: the batches are one stream, each going on where the last one ended.
    """

    def rows() -> Iterator[tuple[Tensor, Tensor]]:
        state: State = None
        for inputs, targets in batches:
            features, after = lagged(inputs, num_frames, state)  # (B, T, num_frames * P)
            # a stream's first frames have no past
            known = num_frames - 1 if carry_state and state is None else 0
            state = after if carry_state else None
            asked = ~targets[:, known:, 0, 0, 0].isnan()
            yield features[:, known:][asked], targets[:, known:][asked].flatten(1)

    return AutoRegression(*fit_ridge(rows(), RIDGE))
