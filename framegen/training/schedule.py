"""In which order the clips are seen, how many steps are taken, and how the learning rate goes on."""

import math

import numpy as np
import torch
from torch import Tensor

from framegen.config.config import Config
from framegen.config.training import Training
from framegen.data.clips import Data


def epoch_order(seed: int, epoch: int, num_clips: int, in_order: bool) -> Tensor:
    """The clips of one epoch in the order in which a net sees them, (num_clips,): a function of seed and
    epoch alone."""
    order = np.arange(num_clips) if in_order else np.random.default_rng([seed, epoch]).permutation(num_clips)
    return torch.from_numpy(order)


def steps_per_epoch(config: Config, data: Data) -> int:
    """Optimizer steps in which all clips are seen once."""
    return math.ceil(len(data.train) / config.training.batch_size)


def total_steps(config: Config, data: Data) -> int:
    """Optimizer steps of the whole training."""
    return config.training.epochs * steps_per_epoch(config, data)


def learning_rate_at(training: Training, step: int, total_steps: int) -> float:
    """The learning rate of step 0 … total_steps - 1 (Loshchilov and Hutter, "SGDR", 2017, eq. 5, one
    period)."""
    match training.schedule:
        case "constant":
            return training.learning_rate
        case "cosine":
            return training.learning_rate * 0.5 * (1 + math.cos(math.pi * step / total_steps))
