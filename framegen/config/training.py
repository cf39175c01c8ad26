"""The options of training."""

import math
from dataclasses import dataclass, fields
from typing import Any, Literal

from framegen.config.checks import MAX_SEED, check, check_between, check_least, option

Device = Literal["auto", "cpu", "cuda"]
Engine = Literal["auto", "fused", "torch"]
Loss = Literal["mse", "relative"]
Mode = Literal["online", "offline", "disabled"]
"""How Weights & Biases tracks a run."""
Optimizer = Literal["adam", "adamw"]
Precision = Literal["float32", "bfloat16"]
Sampling = Literal["none", "scheduled", "reverse"]
Schedule = Literal["cosine", "constant", "one-cycle"]

MAX_MINUTES = 60.0 * 24 * 365

FOLLOWING = ("epochs", "clips_per_epoch", "media_every")
"""Options that follow from --minutes."""


@dataclass(frozen=True)
class Training:
    """How a model is trained: on the mean squared error, or with --density on the likelihood."""

    epochs: int = 60
    """Passes over the training data."""
    batch_size: int = 10
    """Clips per training step (a sine is one stream: always 1 window)."""
    learning_rate: float = 1e-2
    """The highest learning rate. Not given, a recurrent net wider than 64 takes 32 / hidden_size of it."""
    schedule: Schedule = "cosine"
    """Learning rate schedule: cosine decay to 0, constant, or one-cycle: up for 3/10 of the steps, down."""
    warm_up: float = 0.0
    """Steps in which the learning rate first rises linearly; less than 1: a share of the training."""
    optimizer: Optimizer = "adam"
    """Adam, with weight decay in the gradient, or AdamW, which decays weights (Loshchilov, Hutter 2019)."""
    weight_decay: float = 0.0
    """Weight decay; AdamW subtracts this times the learning rate times the weights at each step."""
    max_grad_norm: float = 1.0
    """The gradient is scaled down to this norm where it is longer; inf never clips."""
    seed: int = 0
    """Seed of the initial weights and of the order of the clips."""
    device: Device = "auto"
    """Where to compute; auto is the CPU for the fused engine, else CUDA where there is one."""
    engine: Engine = "auto"
    """fused: compiled code for fully connected nets; torch: PyTorch; auto: fused where it can."""
    media_every: int = 20
    """Epochs between the videos and film strips made during training, from the first; 0 makes none."""

    minutes: float | None = None
    """How long the training may take here; reading, measuring and drawing come on top. Epochs, clips an epoch
    and pictures follow. Not for a search, whose trials are compared epoch by epoch."""
    clips_per_epoch: int = 0
    """Clips per epoch, different ones each time, where the task has more; 0 takes all."""
    closed_loop: int = 0
    """How many of a clip's last steps are trained on the net's own predictions; it grows from 0."""
    closed_loop_grown: float = 0.5
    """Share of the training after which --closed-loop has its full length."""
    closed_loop_share: float = 1.0
    """Share of the training steps, drawn at random, that use --closed-loop; others show true frames."""
    sampling: Sampling = "none"
    """Own predictions in place of frames, at random: scheduled, more and more (Bengio et al. 2015);
    reverse, also fewer and fewer in the first half of a clip (PredRNN-V2)."""
    input_noise: float = 0.0
    """Standard deviation of noise added to the frames that the model is shown in training."""
    square: int = 0
    """Side in pixels of the square that is cut at random out of the clips of each training step, for nets
    that convolve; 0 takes whole frames."""
    precision: Precision = "float32"
    """Precision of the forward pass in training: bfloat16 by autocast; weights stay float32."""
    compile: bool = False
    """Whether torch.compile compiles the model for training."""
    channels_last: bool = False
    """Whether the weights of convolutions have their channels last in memory, as GPUs like it."""
    accumulate: int = 1
    """Parts in which a batch goes through the model one after another, which takes less memory."""
    loss: Loss = "mse"
    """The loss that is minimised: the squared error; or that over copying's at each step of each clip, so
    that near frames and quiet clips, where there is little to gain, count as much as others."""
    keep: Literal["last", "best"] = "last"
    """Which weights are kept: the last, or the first best on validation (closed-loop with --closed-loop)."""
    patience: int = 0
    """Epochs in a row that are no better on validation, after which the training ends with --keep best; 0
    goes on."""
    ema: float = 0.0
    """Decay per step of a running mean of the weights, which is measured and kept; 0: the weights."""

    @property
    def true_frames(self) -> bool:
        """Whether a model is shown the clips as they are while it is trained."""
        return not (self.closed_loop or self.input_noise) and self.sampling == "none"

    @property
    def special(self) -> dict[str, Any]:
        """The options that are on of those which PyTorch's engine alone knows, by name."""
        known = "closed_loop sampling input_noise square precision compile channels_last accumulate ema loss"
        return {name: value for name, value in self.changed.items() if name in known.split()}

    @property
    def changed(self) -> dict[str, Any]:
        """The options that are not as usual, by name."""
        values = ((each, getattr(self, each.name)) for each in fields(self))
        return {each.name: value for each, value in values if value != each.default}

    def __post_init__(self) -> None:
        check_least(self, 1, "epochs", "batch_size")
        check_least(self, 0, "media_every", "clips_per_epoch", "closed_loop", "square", "patience")
        check_between(self, 0, MAX_SEED, "seed")
        check_between(self, 1, self.batch_size, "accumulate", why=" (--batch-size)")
        check(0 < self.learning_rate < math.inf, f"--learning-rate {self.learning_rate}: must be more than 0")
        norm = self.max_grad_norm
        check(norm > 0, f"--max-grad-norm {norm}: must be more than 0; inf never clips")
        limit = self.minutes is None or 0 < self.minutes <= MAX_MINUTES
        check(limit, f"--minutes {self.minutes}: must be more than 0, and at most a year")
        for name in ("closed_loop_share", "closed_loop_grown"):
            share = getattr(self, name)
            check(0 < share <= 1, f"{option(name)} {share}: must be more than 0, and at most 1")
        small = 0 < self.square < 16
        check(not small, f"--square {self.square}: must be at least 16 pixels; 0 takes whole frames")
        last = self.patience and self.keep != "best"
        check(not last, f"--patience {self.patience}: is for a training with --keep best")
        both = self.closed_loop and self.sampling != "none"
        check(not both, f"--closed-loop {self.closed_loop}: cannot be combined with --sampling")
        for name in ("input_noise", "weight_decay", "warm_up"):
            value = getattr(self, name)
            check(0 <= value < math.inf, f"{option(name)} {value}: must be at least 0")
        check(0 <= self.ema < 1, f"--ema {self.ema}: must be at least 0, and less than 1")
        plain = self.optimizer == "adamw" and not self.weight_decay
        check(not plain, "--optimizer adamw: without a --weight-decay, such as 0.01, it is adam")
        rises = self.warm_up and self.schedule == "one-cycle"
        check(not rises, f"--warm-up {self.warm_up:g}: --schedule one-cycle begins with a rise of its own")
