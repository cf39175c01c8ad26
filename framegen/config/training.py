"""The knobs of training."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Literal

from framegen.config.checks import MAX_SEED, check
from framegen.machine.errors import OptionError

Device = Literal["auto", "cpu", "cuda"]

Engine = Literal["auto", "fused", "torch"]

MAX_MINUTES = 60.0 * 24 * 365

FOLLOWING = ("epochs", "clips_per_epoch", "media_every")
"""Options that follow from --minutes."""


@dataclass(frozen=True)
class Training:
    """How a model is trained: Adam on the mean squared error, or with --density on the likelihood."""

    epochs: int = 60
    """Times the training data is gone through."""
    batch_size: int = 10
    """Clips a training step (a sine is one stream: always 1 window)."""
    learning_rate: float = 1e-2
    """Adam's learning rate at the start. Not given, it is smaller for a recurrent net that is made wider than
    64 units: 32 over their number as large."""
    schedule: Literal["cosine", "constant", "one-cycle"] = "cosine"
    """How the learning rate goes on: down to 0 along half a cosine, unchanged, or first up for 3/10 of the
    training and then down."""
    max_grad_norm: float = 1.0
    """The gradient is scaled down to this norm where it is longer; inf never clips."""
    seed: int = 0
    """Seed of the initial weights and of the order of the clips."""
    device: Device = "auto"
    """Where to compute; auto is the CPU for the fused engine, else CUDA where there is one."""
    engine: Engine = "auto"
    """What takes the steps: fused is compiled code for fully connected nets, torch is PyTorch; auto is fused
    where it can be."""
    media_every: int = 20
    """Epochs between the videos and film strips made while training goes on, from the first; 0 makes none."""

    minutes: float | None = None
    """How long the training may take on this machine, from the timing of its steps to its last validation;
    epochs, clips an epoch and pictures follow. Reading, measuring and drawing come on top. Not for a search,
    whose trials are compared epoch by epoch."""
    clips_per_epoch: int = 0
    """Clips of an epoch, other ones each time, where the task has more; 0 takes all."""
    closed_loop: int = 0
    """So many of a clip's last steps are trained on the model's own predictions; none at first, then ever
    more of them."""
    closed_loop_grown: float = 0.5
    """Part of the training by whose end --closed-loop has its full length."""
    closed_loop_share: float = 1.0
    """Share of the training steps that --closed-loop is for, drawn by chance; the others show true frames, so
    that a net does not unlearn to predict from those."""
    sampling: Literal["none", "scheduled", "reverse"] = "none"
    """Own predictions in place of frames, by chance: scheduled, ever more of them (Bengio et al. 2015);
    reverse, in the first half of a clip ever fewer besides (PredRNN-V2)."""
    input_noise: float = 0.0
    """Standard deviation of noise added to the frames that the model is shown in training."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the forward pass in training: bfloat16 through autocast; weights stay float32."""
    compile: bool = False
    """Whether torch.compile compiles the model for training."""
    channels_last: bool = False
    """Whether the weights of convolutions have their channels last in memory, as GPUs like it."""
    accumulate: int = 1
    """Parts in which a batch goes through the model one after another, which takes less memory."""
    loss: Literal["mse", "relative"] = "mse"
    """What is made small: the squared error; or that over copying's at each step of each clip, so that near
    frames and quiet clips, where there is little to gain, count as much as others."""
    keep: Literal["last", "best"] = "last"
    """Which weights are kept at the end: the last, or those that were best on validation, the first ones
    among them; with --closed-loop, closed-loop."""
    ema: float = 0.0
    """Measured and kept is a running mean of the weights that keeps so much of itself each step; 0: the
    weights themselves."""

    @property
    def true_frames(self) -> bool:
        """Whether a model is shown the clips as they are while it is trained."""
        return not (self.closed_loop or self.input_noise) and self.sampling == "none"

    @property
    def special(self) -> dict[str, Any]:
        """The options that are on of those which PyTorch's engine alone knows, by name."""
        names = (
            "closed_loop",
            "sampling",
            "input_noise",
            "precision",
            "compile",
            "channels_last",
            "accumulate",
            "ema",
            "loss",
        )
        return {name: value for name, value in self.changed.items() if name in names}

    @property
    def changed(self) -> dict[str, Any]:
        """The options that are not as usual, by name."""
        values = ((each, getattr(self, each.name)) for each in fields(self))
        return {each.name: value for each, value in values if value != each.default}

    def __post_init__(self) -> None:
        check(self.epochs >= 1, f"--epochs {self.epochs}: at least 1 epoch is needed")
        check(self.batch_size >= 1, f"--batch-size {self.batch_size}: at least 1 clip is needed")
        check(0 < self.learning_rate < math.inf, f"--learning-rate {self.learning_rate}: must be positive")
        check(
            self.max_grad_norm > 0, f"--max-grad-norm {self.max_grad_norm}: must be positive; inf never clips"
        )
        check(
            self.minutes is None or 0 < self.minutes <= MAX_MINUTES,
            f"--minutes {self.minutes}: must be more than 0, and at most a year",
        )
        check(self.clips_per_epoch >= 0, f"--clips-per-epoch {self.clips_per_epoch}: must not be negative")
        check(self.closed_loop >= 0, f"--closed-loop {self.closed_loop}: must not be negative")
        check(
            0 < self.closed_loop_share <= 1,
            f"--closed-loop-share {self.closed_loop_share}: lies between 0 and 1, and is not 0",
        )
        check(
            0 < self.closed_loop_grown <= 1,
            f"--closed-loop-grown {self.closed_loop_grown}: lies between 0 and 1, and is not 0",
        )
        together = not (self.closed_loop and self.sampling != "none")
        check(together, f"--closed-loop {self.closed_loop}: stands beside --sampling; give one of the two")
        check(
            0 <= self.input_noise < math.inf, f"--input-noise {self.input_noise}: must be a number from 0 on"
        )
        check(
            1 <= self.accumulate <= self.batch_size,
            f"--accumulate {self.accumulate}: lies between 1 and --batch-size {self.batch_size}",
        )
        check(0 <= self.ema < 1, f"--ema {self.ema}: lies between 0 and 1")
        check(0 <= self.seed <= MAX_SEED, f"--seed {self.seed}: lies between 0 and {MAX_SEED}")
        check(self.media_every >= 0, f"--media-every {self.media_every}: must not be negative; 0 makes none")


def check_given(training: Training, given: Iterable[str]) -> None:
    """Raises OptionError where --minutes stand beside options, by the names of their fields, that follow from
    it."""
    for name in FOLLOWING:
        if training.minutes is not None and name in given:
            option = f"--{name.replace('_', '-')}"
            raise OptionError(
                f"{option}: follows from --minutes {training.minutes:g}; leave one of the two out"
                " (in Python minutes=None)"
            )


Mode = Literal["online", "offline", "disabled"]
"""How Weights & Biases tracks a run."""
