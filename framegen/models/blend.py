"""Several predictors at once: a weighted mean, whose weights depend on how far ahead it looks."""

import itertools
import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from framegen.models.predictor import Forecaster, Predictor, State

SHRINKAGE = (*(10.0**power for power in range(-3, 3)), math.inf)
"""How much the weights are drawn towards a first guess, as a part of the experts' mean squared error."""
BLOCKS = 4
"""Parts in which clips are held out, to choose the shrinkage by; of neighbouring clips, which are alike."""
NEAR = 1.5
"""The factor up and down within which other horizons speak of the weights of one."""


class Blend(Forecaster):
    """A mean of experts under weights that depend on how many frames nobody has seen (a combination of
    forecasts: Bates and Granger, 1969). Closed-loop each expert goes on from its own predictions.

    The state is the number of frames since one was seen, (B,) int64; and each expert's last prediction
    (B, C, H, W) and state.
    """

    weights: Tensor

    def __init__(self, experts: Mapping[str, Predictor], weights: Tensor) -> None:
        """
        Args:
            experts: by name.
            weights: (H, E), at least 0, a row's sum is 1: of each expert, 1, 2, ... frames ahead. Beyond, the
                last row.
        """
        super().__init__()
        self.names = (*experts,)
        self.experts = torch.nn.ModuleList(experts.values())
        self.register_buffer("weights", weights)

    def weight(self, name: str, ahead: int) -> float:
        """An expert's weight so many frames behind the next one; 0 of one that it does not have."""
        row = self.weights[min(ahead, len(self.weights) - 1)]
        return row[self.names.index(name)].item() if name in self.names else 0.0

    def forward(self, frames: Tensor, state: State = None) -> tuple[Tensor, State]:
        ahead = torch.full((len(frames),), -1, device=frames.device)
        states: Sequence[State] = [(frames[:, 0], None)] * len(self.names)
        if state is not None:
            ahead, states = state
        predictions = []
        for frame in frames.unbind(1):
            unseen = frame.isnan().flatten(1).any(1)
            ahead = torch.where(unseen, ahead + 1, 0)
            weights = self.weights[ahead.clamp(max=len(self.weights) - 1)]  # (B, E)
            made, after = [], []
            for expert, (before, known) in zip(self.experts, states, strict=True):
                assert isinstance(expert, Predictor)
                shown = torch.where(unseen[:, None, None, None], expert.feedback(before), frame)
                prediction, known = expert(shown[:, None], known)
                made.append(prediction[:, 0])
                after.append((prediction[:, 0], known))
            states = tuple(after)
            predictions.append(torch.einsum("be,ebchw->bchw", weights.to(frame.dtype), torch.stack(made)))
        return torch.stack(predictions, 1), (ahead, states)


def fit_weights(products: Tensor, guess: Tensor) -> Tensor:
    """The weights with the least squared error of a blend, drawn towards a guess.

    How much they are drawn is chosen by clips that are held out: the most that is within a standard error of
    the best. Where there is one clip, they are the guess.

    Args:
        products: (N, H, E, E) float64, mean products of two experts' errors, of each clip, 1, 2, ... ahead.
        guess: (E,), at least 0, with the sum 1.

    Returns:
        (H, E), at least 0, a row's sum is 1.
    """
    scale = products.diagonal(dim1=2, dim2=3).mean((0, 2))  # (H,)
    products = products / scale[:, None, None].clamp(min=1e-12)
    horizons = torch.arange(1, products.shape[1] + 1)
    near = (horizons / horizons[:, None]).log().abs() <= torch.tensor(NEAR).log()
    near = near.to(products) / near.sum(1, keepdim=True)

    def fitted(clips: Tensor, part: float) -> Tensor:
        return least(torch.einsum("gh,hij->gij", near, products[clips].mean(0)), guess, part)

    every = torch.arange(len(products))
    blocks = every.tensor_split(min(BLOCKS, len(every)))
    if len(blocks) == 1:
        return fitted(every, SHRINKAGE[-1])
    errors = []  # of each part, of each held-out block
    for part in SHRINKAGE:
        weights = [fitted(every[~torch.isin(every, block)], part) for block in blocks]
        held = [products[block].mean(0) for block in blocks]
        errors.append([torch.einsum("he,hef,hf->", w, r, w) for w, r in zip(weights, held, strict=True)])
    found = torch.tensor(errors)  # (parts, blocks)
    worse = found - found[found.mean(1).argmin()]
    sure = worse.std(1) / len(blocks) ** 0.5
    good = zip(SHRINKAGE, worse.mean(1).tolist(), sure.tolist(), strict=True)
    return fitted(every, max(part for part, mean, error in good if mean <= error))


def least(products: Tensor, guess: Tensor, part: float) -> Tensor:
    """The weights w, at least 0, with the sum 1, that make w R w + part |w - guess|^2 least: exact, by trying
    every set of experts that may have a weight.

    Args:
        products: R, (H, E, E) float64, of each row of weights.
        guess: (E,).

    Returns:
        (H, E).
    """
    horizons, count = products.shape[:2]
    if math.isinf(part):
        return guess.to(products).expand(horizons, -1)
    one = torch.eye(count).to(products)
    sets = torch.tensor([*itertools.product((0.0, 1.0), repeat=count)][1:]).to(products)  # (S, E)
    matrix, vector = products + part * one, part * guess.to(products)
    # Each set's equations, w of all others being 0, with a Lagrange multiplier for the sum.
    system = torch.zeros(horizons, len(sets), count + 1, count + 1).to(products)
    within = sets[:, :, None] * sets[:, None]
    system[..., :count, :count] = within * matrix[:, None] + (1 - sets)[:, :, None] * one
    system[..., :count, count] = system[..., count, :count] = sets
    known = torch.cat([vector * sets, torch.ones(len(sets), 1).to(products)], 1)
    weights = torch.linalg.solve(system, known.expand(horizons, -1, -1))[..., :count]  # (H, S, E)
    error = torch.einsum("hse,hef,hsf->hs", weights, matrix, weights) - 2 * weights @ vector
    best = error.masked_fill(weights.amin(2) < -1e-12, math.inf).argmin(1)
    return weights[torch.arange(horizons), best].clamp(min=0)


@torch.inference_mode()
def error_products(
    experts: Mapping[str, Predictor], frames: Tensor, context: int, device: torch.device | None = None
) -> Tensor:
    """Mean products of two experts' errors over pixels, closed-loop behind a prompt: (N, H, E, E) float64.

    Args:
        frames: (N, T, C, H, W) float32 on the CPU, the first `context` are the prompt.
        device: where the experts compute; None: there too.
    """
    horizon = frames.shape[1] - context
    shown, errors = frames[:, :context].to(device), []
    for expert in experts.values():
        made, _ = expert.run_on(shown, None, context + horizon - 1)
        errors.append((made[:, context - 1 :].cpu() - frames[:, context:]).flatten(2))
    stacked = torch.stack(errors, 2)  # (N, H, E, P)
    return (stacked @ stacked.mT).double() / stacked.shape[3]
