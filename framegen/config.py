"""Every knob of framegen: frozen dataclasses that check themselves, to JSON and back.

This file imports no torch, so that `--help` and a wrong option answer at once.
The modules that do the work stand in `tasks/`, `models/` and `train.py`, each beside the meaning of its knobs.
"""

import math
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal

from framegen.errors import OptionError, UserError

Device = Literal["auto", "cpu", "cuda", "mps"]
Engine = Literal["auto", "fused", "torch"]


MAX_SEED = 2**63 - 1
MAX_SEEDS = 4096
MAX_BYTES = 4 * 2**30


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise OptionError(message)


@dataclass(frozen=True)
class Orbit:
    """A light that circles the picture at one of a few constant speeds, seen through pixel noise."""

    value_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    next_frame: ClassVar[bool] = True

    size: int = 2
    """Height and width of a frame in pixels."""
    num_frames: int = 50
    """Frames a clip."""
    num_clips: int = 1000
    """Training clips."""
    num_val_clips: int = 200
    """Validation clips, measured while training goes on."""
    num_test_clips: int = 500
    """Test clips, measured once at the end."""
    period: int = 12
    """Frames a revolution takes at speed 1."""
    speeds: tuple[int, ...] = (1,)
    """Speeds a clip's light may have, in revolutions a period, separated by spaces; each in both directions."""
    noise: float = 0.05
    """Standard deviation of the noise on each pixel (pixel values lie in [0, 1])."""
    light_width: float = 0.6
    """Width of the light at size 2, where half the picture is 1; it shrinks as 1/sqrt(size)."""
    data_seed: int = 0
    """Seed of the clips; the training seed is another."""

    def __post_init__(self) -> None:
        _check(2 <= self.size <= 64, f"--size {self.size}: a frame has 2 to 64 pixels a side")
        _check(self.num_frames >= 2, f"--num-frames {self.num_frames}: a clip needs at least 2 frames")
        for name in ("num_clips", "num_val_clips", "num_test_clips"):
            _check(getattr(self, name) >= 1, f"--{name.replace('_', '-')} {getattr(self, name)}: at least 1 clip is needed")
        size = (self.num_clips + self.num_val_clips + self.num_test_clips) * self.num_frames * self.size**2
        _check(
            size <= MAX_BYTES,
            f"--num-clips, --num-frames, --size: {size / 2**30:.1f} GiB of clips; at most {MAX_BYTES / 2**30:.0f}",
        )
        _check(2 <= self.period <= 1000, f"--period {self.period}: a revolution takes 2 to 1000 frames")
        _check(len(self.speeds) > 0, "--speeds: at least one speed is needed")
        _check(len(set(self.speeds)) == len(self.speeds), f"--speeds {self.speeds}: a speed stands twice")
        _check(
            all(0 < s <= self.period for s in self.speeds),
            f"--speeds {self.speeds}: each lies in 1 ... {self.period} (--period)",
        )
        _check(0 <= self.noise <= 1, f"--noise {self.noise}: lies between 0 and 1")
        _check(0.05 <= self.light_width <= 10, f"--light-width {self.light_width}: lies between 0.05 and 10")
        _check(0 <= self.data_seed <= MAX_SEED, f"--data-seed {self.data_seed}: lies between 0 and {MAX_SEED}")

    @property
    def deviation(self) -> float:
        """Standard deviation of a stored pixel about its clean value: the noise, and rounding to 256 levels."""
        return math.sqrt(self.noise**2 + 1 / 255**2 / 12)


@dataclass(frozen=True)
class Sine:
    """A sampled sine goes in, the same sine shifted by `lag` samples is the target; the state is carried on."""

    value_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)

    lag: int = 1
    """Samples by which the target lags behind the input; -1 is one sample ahead: the next frame."""
    window: int = 20
    """Samples a window, which spans half a period; one window is one training step."""
    num_windows: int = 75
    """Training windows, in a row."""
    num_val_windows: int = 25
    """Windows after those, measured while training goes on."""
    num_test_windows: int = 50
    """Windows after those, measured once at the end."""

    def __post_init__(self) -> None:
        _check(2 <= self.window <= 1000, f"--window {self.window}: a window has 2 to 1000 samples")
        _check(self.lag != 0, "--lag 0: the target would be the input itself")
        _check(abs(self.lag) <= self.window, f"--lag {self.lag}: is longer than the window of {self.window} samples")
        for name in ("num_windows", "num_val_windows", "num_test_windows"):
            number = getattr(self, name)
            _check(1 <= number <= 10_000, f"--{name.replace('_', '-')} {number}: lies between 1 and 10000 windows")

    @property
    def next_frame(self) -> bool:
        """Whether the target is the next frame, so that a model can run on by itself."""
        return self.lag == -1


@dataclass(frozen=True)
class Recurrent:
    """A recurrent net: frame -> `num_layers` layers of `hidden_size` fully recurrent units -> linear -> frame."""

    cell: Literal["tanh", "relu", "gru", "lstm"] = "tanh"
    """Kind of recurrent unit; tanh and relu are the plain (Elman) RNN."""
    hidden_size: int = 5
    """Recurrent units a layer; of several values on the command line, each makes a run."""
    num_layers: int = 1
    """Recurrent layers."""

    def __post_init__(self) -> None:
        _check(1 <= self.hidden_size <= 4096, f"--hidden-size {self.hidden_size}: lies between 1 and 4096")
        _check(1 <= self.num_layers <= 32, f"--num-layers {self.num_layers}: lies between 1 and 32")


@dataclass(frozen=True)
class MLP:
    """A feed-forward net without memory: the current frame -> `hidden_size` tanh units -> the next frame."""

    hidden_size: int = 32
    """Hidden units; of several values on the command line, each makes a run."""

    def __post_init__(self) -> None:
        _check(1 <= self.hidden_size <= 4096, f"--hidden-size {self.hidden_size}: lies between 1 and 4096")


@dataclass(frozen=True)
class Training:
    """How a model is trained: Adam on the mean squared error."""

    epochs: int = 60
    """Times the training data is gone through."""
    batch_size: int = 10
    """Clips a training step (a sine is one stream: always 1 window)."""
    learning_rate: float = 1e-2
    """Adam's learning rate at the start; of several values on the command line, each makes a run."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """How the learning rate goes on: down to 0 along half a cosine, or unchanged."""
    max_grad_norm: float = 1.0
    """The gradient is scaled down to this norm where it is longer; inf never clips."""
    seed: int = 0
    """Seed of the initial weights and of the order of the clips."""
    device: Device = "auto"
    """Where to compute; auto is the CPU for the fused engine, else CUDA where there is one."""
    engine: Engine = "auto"
    """What takes the steps: fused is compiled code for the plain RNN, torch is PyTorch; auto is fused where it can be."""
    media_every: int = 20
    """Epochs between the videos and film strips made while training goes on, from the first; 0 makes none."""

    def __post_init__(self) -> None:
        _check(self.epochs >= 1, f"--epochs {self.epochs}: at least 1 epoch is needed")
        _check(self.batch_size >= 1, f"--batch-size {self.batch_size}: at least 1 clip is needed")
        _check(0 < self.learning_rate < math.inf, f"--learning-rate {self.learning_rate}: must be positive")
        _check(self.max_grad_norm > 0, f"--max-grad-norm {self.max_grad_norm}: must be positive; inf never clips")
        _check(0 <= self.seed <= MAX_SEED, f"--seed {self.seed}: lies between 0 and {MAX_SEED}")
        _check(self.media_every >= 0, f"--media-every {self.media_every}: must not be negative; 0 makes none")


Mode = Literal["online", "offline", "disabled"]
"""How Weights & Biases tracks a run."""
Task = Orbit | Sine
Model = Recurrent | MLP


@dataclass(frozen=True)
class Config:
    """One experiment: which task, which model, how trained. With the versions at hand it determines a run."""

    task: Task
    model: Model
    training: Training = field(default_factory=Training)
    experiment: str = "custom"
    seeds: tuple[int, ...] = ()
    """A population: one net for each of these seeds, which then stand in place of the training's own; () is one net."""

    def __post_init__(self) -> None:
        _check(len(self.seeds) <= MAX_SEEDS, f"--seeds: {len(self.seeds)} are too many; at most {MAX_SEEDS}")
        _check(len(set(self.seeds)) == len(self.seeds), "--seeds: a seed stands twice")
        _check(all(0 <= seed <= MAX_SEED for seed in self.seeds), f"--seeds: each lies between 0 and {MAX_SEED}")
        match self.task:
            case Orbit(num_clips=clips):
                size = self.training.batch_size
                _check(size <= clips, f"--batch-size {size}: larger than the {clips} training clips (--num-clips)")
            case Sine():
                size = self.training.batch_size
                _check(size == 1, f"--batch-size {size}: a sine is one stream, trained one window at a time: 1")

    @property
    def members(self) -> tuple[int, ...]:
        """The seed of every net that is trained, in order."""
        return self.seeds or (self.training.seed,)


_KINDS = {kind.__name__: kind for kind in (Orbit, Sine, Recurrent, MLP)}


def to_dict(config: Config) -> dict[str, Any]:
    """The config as plain JSON values; the task and the model carry the name of their kind."""
    values = asdict(config)
    for part in ("task", "model"):
        values[part] = {"kind": type(getattr(config, part)).__name__, **values[part]}
    return values


def from_dict(values: dict[str, Any], source: str) -> Config:
    """The inverse of `to_dict`. Raises UserError that names `source` where the values are not a config."""
    try:
        parts = {part: dict(values[part]) for part in ("task", "model")}
        task, model = (_KINDS[part.pop("kind")](**_tuples(part)) for part in parts.values())
        if not isinstance(task, Task) or not isinstance(model, Model):
            raise TypeError("task and model are mixed up")
        return Config(task, model, Training(**values["training"]), values["experiment"], tuple(values["seeds"]))
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{source}: holds no config that this version of framegen knows ({error!r})") from error
    except OptionError as error:
        raise UserError(f"{source}: holds an impossible config: {error}") from error


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
