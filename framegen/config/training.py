"""The knobs of training."""

import math
from dataclasses import dataclass
from typing import Literal

from framegen.config.checks import MAX_SEED, check

Device = Literal["auto", "cpu", "cuda"]

Engine = Literal["auto", "fused", "torch"]


@dataclass(frozen=True)
class Training:
    """How a model is trained: Adam on the mean squared error."""

    epochs: int = 60
    """Times the training data is gone through."""
    batch_size: int = 10
    """Clips a training step (a sine is one stream: always 1 window)."""
    learning_rate: float = 1e-2
    """Adam's learning rate at the start."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """How the learning rate goes on: down to 0 along half a cosine, or unchanged."""
    max_grad_norm: float = 1.0
    """The gradient is scaled down to this norm where it is longer; inf never clips."""
    seed: int = 0
    """Seed of the initial weights and of the order of the clips."""
    device: Device = "auto"
    """Where to compute; auto is the CPU for the fused engine, else CUDA where there is one."""
    engine: Engine = "auto"
    """What takes the steps: fused is compiled code for the plain RNN, torch is PyTorch; auto is fused where
    it can be."""
    media_every: int = 20
    """Epochs between the videos and film strips made while training goes on, from the first; 0 makes none."""

    def __post_init__(self) -> None:
        check(self.epochs >= 1, f"--epochs {self.epochs}: at least 1 epoch is needed")
        check(self.batch_size >= 1, f"--batch-size {self.batch_size}: at least 1 clip is needed")
        check(0 < self.learning_rate < math.inf, f"--learning-rate {self.learning_rate}: must be positive")
        check(
            self.max_grad_norm > 0, f"--max-grad-norm {self.max_grad_norm}: must be positive; inf never clips"
        )
        check(0 <= self.seed <= MAX_SEED, f"--seed {self.seed}: lies between 0 and {MAX_SEED}")
        check(self.media_every >= 0, f"--media-every {self.media_every}: must not be negative; 0 makes none")


Mode = Literal["online", "offline", "disabled"]
"""How Weights & Biases tracks a run."""
