"""Ridge regression (Hoerl and Kennard, 1970), and the share of the variance that it explains."""

from dataclasses import dataclass

import torch
from torch import Tensor

RIDGE = 1e-6
"""The penalty of a weight, a row; of inputs of variance 1, whose squared errors are summed."""
ROWS = 2**16
"""So many rows are looked at at once."""
NOTHING = 1e-9
"""A variance below which there is nothing to explain."""


@dataclass(frozen=True)
class LinearMap:
    """x -> x @ weight + bias."""

    weight: Tensor
    """(F, K) float64."""
    bias: Tensor
    """(K,) float64."""

    def __call__(self, inputs: Tensor) -> Tensor:
        """(…, F) -> (…, K) float64."""
        return inputs.double() @ self.weight + self.bias


def fit_ridge(inputs: Tensor, targets: Tensor, ridge: float = RIDGE) -> LinearMap:
    """The linear map of least squares over all rows, with a penalty on its weights.

    With X the inputs less their mean, over their deviation, Y the targets less their mean, and N rows:

        W = (X^T X + N ridge I)^-1 X^T Y

    Args:
        inputs: (…, F), targets: (…, K); in float64 from here on. An input that never changes has weight 0.
    """
    x, y = inputs.flatten(0, -2), targets.flatten(0, -2)
    centre, middle = x.double().mean(0), y.double().mean(0)
    gram = torch.zeros(x.shape[1], x.shape[1], dtype=torch.float64)
    moment = torch.zeros(x.shape[1], y.shape[1], dtype=torch.float64)
    for some, wanted in zip(x.split(ROWS), y.split(ROWS), strict=True):
        less = some.double() - centre
        gram, moment = gram + less.T @ less, moment + less.T @ (wanted.double() - middle)
    deviation = (gram.diagonal() / len(x)).sqrt()
    scale = torch.where(deviation > NOTHING, 1 / deviation, torch.zeros_like(deviation))
    penalty = ridge * len(x) * torch.eye(len(gram), dtype=torch.float64)
    scaled = torch.linalg.solve(scale[:, None] * gram * scale + penalty, scale[:, None] * moment)
    weight = scale[:, None] * scaled
    return LinearMap(weight, middle - centre @ weight)


def r_squared(made: Tensor, true: Tensor) -> float | None:
    """1 - (squared error) / (squared distance from the mean), each summed over all rows and all K targets.

    1 is perfect, 0 is what the mean of these rows reaches, below that it is worse. None where the targets
    do not vary.

    Args:
        made, true: (…, K).
    """
    made, true = made.double().flatten(0, -2), true.double().flatten(0, -2)
    varied = (true - true.mean(0)).square().sum()
    if varied < NOTHING * len(true):
        return None
    return (1 - (made - true).square().sum() / varied).item()
