"""What the exact filters believe, read from their states; their `forward` knows nothing of it."""

import torch
from torch import Tensor

from framegen.models.optima.bayes import BayesFilter
from framegen.models.optima.texture_filter import TextureFilter
from framegen.models.predictor import State


def phase_posterior(model: BayesFilter, state: State) -> Tensor:
    """The probability of shift and angle in the last frame that was seen, (B, S, G) float64: the filter's
    state, that of the coming frame, turned back by each shift."""
    back = [each.roll(-by, 1) for each, by in zip(state.unbind(1), model.shifts, strict=True)]
    log = torch.stack(back, 1)  # (B, S, G)
    return log.flatten(1).softmax(1).view_as(log)


def velocity_posterior(model: TextureFilter, state: State) -> Tensor:
    """The probability of each velocity of a texture after the frames that were seen, (B, V) float32."""
    _, log_odds = model.known(*state)
    return log_odds.softmax(1).float()


def entropy(probabilities: Tensor) -> Tensor:
    """Of distributions (B, …), in nats: (B,)."""
    return torch.special.entr(probabilities.double()).flatten(1).sum(1)
