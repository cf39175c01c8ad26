"""In which order the clips are seen, and how the learning rate goes on."""

import math

import numpy as np
import torch
from torch import Tensor

from framegen.config.training import Training


def epoch_order(seed: int, epoch: int, num_clips: int, in_order: bool) -> Tensor:
    """The clips of one epoch in the order in which a net sees them, (num_clips,): a function of seed and epoch alone."""
    return torch.from_numpy(
        np.arange(num_clips) if in_order else np.random.default_rng([seed, epoch]).permutation(num_clips)
    )


def learning_rate_at(training: Training, step: int, total_steps: int) -> float:
    """The learning rate of step 0 … total_steps - 1 (Loshchilov and Hutter, "SGDR", 2017, eq. 5, one period)."""
    match training.schedule:
        case "constant":
            return training.learning_rate
        case "cosine":
            return training.learning_rate * 0.5 * (1 + math.cos(math.pi * step / total_steps))
