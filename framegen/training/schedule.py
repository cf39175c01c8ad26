"""The order of the clips, the number of steps, and the course of the learning rate."""

import math

import numpy as np
import torch
from torch import Tensor

from framegen.config.config import Config
from framegen.config.training import Training
from framegen.data.clips import Data


def epoch_order(seed: int, epoch: int, num_clips: int, in_order: bool) -> Tensor:
    """The order of the clips in an epoch, (num_clips,): a function of seed and epoch alone."""
    order = np.arange(num_clips) if in_order else np.random.default_rng([seed, epoch]).permutation(num_clips)
    return torch.from_numpy(order)


def clips_per_epoch(config: Config, data: Data) -> int:
    """Clips that a net sees in an epoch."""
    return min(config.training.clips_per_epoch or len(data.train), len(data.train))


def steps_per_epoch(config: Config, data: Data) -> int:
    """Optimizer steps of an epoch."""
    return math.ceil(clips_per_epoch(config, data) / config.training.batch_size)


def total_steps(config: Config, data: Data) -> int:
    """Optimizer steps of the whole training."""
    return config.training.epochs * steps_per_epoch(config, data)


def learning_rate_at(training: Training, step: int, total_steps: int) -> float:
    """The learning rate of step 0 … total_steps - 1; the schedule has the steps behind the warm-up.

    Cosine: Loshchilov and Hutter, "SGDR", 2017, eq. 5, one period. One-cycle: Smith and Topin,
    "Super-convergence", 2018, with half cosines up from 1/25 and down to 1/250,000, as torch's OneCycleLR.
    """
    highest, rise = training.learning_rate, training.warm_up
    rising = math.ceil(rise if rise >= 1 else rise * total_steps)
    if step < rising:
        return highest * (step + 1) / rising
    step, total_steps = step - rising, total_steps - rising
    match training.schedule:
        case "constant":
            return highest
        case "cosine":
            return highest * 0.5 * (1 + math.cos(math.pi * step / total_steps))
        case "one-cycle":
            top = max(0.3 * total_steps - 1, 1e-9)
            if step <= top:
                return _half_cosine(highest / 25, highest, step / top)
            return _half_cosine(highest, highest / 25e4, (step - top) / (total_steps - 1 - top))


def _half_cosine(start: float, end: float, part: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * part))
