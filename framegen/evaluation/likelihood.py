"""How sure predictors are, in bits, and whether they are right to be: is the truth where they say?

Bits are a code length: -log2 of the probability that a predictor gave to the frame that came. Their mean is
smallest where the probabilities are the true ones; what is needed beyond the optimum's is regret.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from framegen.config.tasks import LEVEL
from framegen.data.clips import Clips, Data, chunk_size, chunks, evenly, to_float, unasked
from framegen.evaluation.metrics import number, standard_error
from framegen.evaluation.results import Calibration, Curves, Name, Scores
from framegen.machine.device import seeded
from framegen.models.predictor import Predictor, device_of
from framegen.models.rollout import rollout

INTERVALS = {"50": 0.5, "90": 0.9}
"""The central intervals that are looked at, by their percent."""
COVERAGE = [f"coverage_{name}" for name in INTERVALS]
SAMPLES = 32
"""Futures drawn of each clip, closed-loop."""
SAMPLED, PIXELS = 32, 1024
"""Clips whose futures are drawn; of small frames more, up to this number of pixels."""


@seeded(0)
@torch.inference_mode()
def one_step_bits(model: Predictor, clips: Clips) -> Tensor:
    """Each clip's bits a frame, mean over its steps: (N,) float64."""
    device, parts = device_of(model), []
    for inputs, targets in chunks(clips):
        found = model.log_prob(inputs.to(device), targets.to(device))[:, clips.burn_in :]
        parts.append(-found.double().cpu().mean(1) / math.log(2))
    return torch.cat(parts)


@seeded(0)
@torch.inference_mode()
def one_step_coverage(model: Predictor, clips: Clips) -> Tensor:
    """The share of pixels within each of INTERVALS, at each step of a clip: (2, T) float64."""
    device, parts = device_of(model), []
    for inputs, targets in chunks(clips):
        targets = targets.to(device)
        mixture, _ = model.density(inputs.to(device))
        ends = mixture.cdf(targets - LEVEL), mixture.cdf(targets)
        parts.append(_within(*(each[:, clips.burn_in :].double().cpu() for each in ends)))
    return _mean(torch.cat(parts, 1))


@seeded(0)
def closed_loop_coverage(
    model: Predictor, frames: Tensor, context: int, asked: Tensor | None = None
) -> Tensor:
    """The share of pixels within each of INTERVALS of sampled futures, at each horizon: (2, H) float64.

    Args:
        frames: (N, T, C, H, W) clips; the first `context` frames are the prompt.
        asked: which of them are asked for, (N, T) bool; None: all.
    """
    generator, parts = torch.Generator().manual_seed(0), []
    enough = max(SAMPLED, PIXELS // frames.shape[2:].numel())
    some = evenly(len(frames), enough)
    chosen = to_float(frames[some])
    truths = chosen if asked is None else unasked(chosen, asked[some])
    few = chunk_size((SAMPLES, 12, *frames.shape[2:]))  # some components, with three numbers each
    for clips, truth in zip(chosen.split(few), truths.split(few), strict=True):
        prompt = clips[:, :context].repeat_interleave(SAMPLES, 0)
        futures = rollout(model, prompt, frames.shape[1] - context, generator)
        steps = []
        for drawn, true in zip(futures, truth[:, context:].unbind(1), strict=True):
            apart = drawn.unflatten(0, (-1, SAMPLES)) - true[:, None]  # (B, SAMPLES, C, H, W)
            # Among futures as probable as the truth, its rank is any with the same probability.
            below, upto = ((apart < edge).double().sum(1) + 0 * true for edge in (-LEVEL / 2, LEVEL / 2))
            steps.append(_within(below / (SAMPLES + 1), (upto + 1) / (SAMPLES + 1)))
        parts.append(torch.stack(steps, 2))  # (2, B, H, C, H, W)
    return _mean(torch.cat(parts, 1))


def _within(below: Tensor, upto: Tensor) -> Tensor:
    """How much of a value lies within each of INTERVALS, (2, ...) in [0, 1].

    A value stands for all probabilities between these two, (...) in [0, 1]: that of what is less, and that of
    what is not more. Under a right forecast they are uniform, whatever its jumps (Czado, Gneiting and Held,
    "Predictive model assessment for count data", 2009).
    """
    shares, wide = [], upto - below
    for interval in INTERVALS.values():
        low, high = (1 - interval) / 2, (1 + interval) / 2
        inside = (upto.clamp(max=high) - below.clamp(min=low)).clamp(min=0)
        point = (below >= low) & (upto <= high)
        shares.append(torch.where(wide <= 0, point.double(), inside / wide))  # NaN is not asked for
    return torch.stack(shares)


def _mean(shares: Tensor) -> Tensor:
    """Over clips and pixels that are asked for: (2, N, T, ...) -> (2, T)."""
    return shares.flatten(3).nanmean((1, 3))


def likelihood_scores(
    predictors: Mapping[Name, Predictor], optimum: Name, clips: Clips
) -> tuple[dict[Name, Scores], dict[Name, Tensor]]:
    """Bits of every predictor that has them, regret and coverage of those that are trained to, by name; and
    the coverage at each step. Empty where no predictor has a density head."""
    if not any(model.has_density for model in predictors.values()):
        return {}, {}
    bits = {name: one_step_bits(each, clips) for name, each in predictors.items() if each.has_bits}
    covered = {name: one_step_coverage(each, clips) for name, each in predictors.items() if each.has_density}
    scores: dict[Name, Scores] = {}
    for name, each in bits.items():
        scores[name] = {"bits": number(each.mean().item()), "bits_se": standard_error(each)}
        if name in covered and optimum in bits:
            over = each - bits[optimum]
            scores[name] |= {"regret": number(over.mean().item()), "regret_se": standard_error(over)}
        if name in covered:
            shares = covered[name].mean(1).tolist()
            scores[name] |= dict(zip(COVERAGE, map(number, shares), strict=True))
    return scores, covered


def calibrate(model: Predictor, covered: Tensor, data: Data) -> Calibration:
    """A model's calibration, with what `one_step_coverage` gave."""
    loop = None
    if data.test_frames is not None:
        loop = _curves(closed_loop_coverage(model, data.test_frames, data.context, data.asked))
    return Calibration(_curves(covered), loop)


def _curves(covered: Tensor) -> Curves:
    rows = zip(INTERVALS, covered.tolist(), strict=True)
    return {name: [number(each) for each in row] for name, row in rows}
