"""The options as keywords of Python's functions, for editors and type checkers; see their dataclasses."""

from pathlib import Path
from typing import Literal, TypedDict

from framegen.config.config import Config
from framegen.config.models import Answer, Border, Cell, Unit
from framegen.config.training import Device, Engine, Loss, Mode, Optimizer, Precision, Sampling, Schedule


class FilmKeywords(TypedDict, total=False):
    """Options of a training on films, but for the minutes, and for what says which films."""

    num_frames: int
    context: int
    flip: bool
    flip_vertical: bool
    reverse: bool
    crop: int
    max_val_clips: int
    max_test_clips: int

    density: int
    cell: Unit | Cell
    hidden_size: int
    num_layers: int
    kernel_size: int
    patch: int
    answer: Answer

    epochs: int
    batch_size: int
    learning_rate: float
    schedule: Schedule
    warm_up: float
    optimizer: Optimizer
    weight_decay: float
    max_grad_norm: float
    seed: int
    device: Device
    engine: Engine
    media_every: int
    clips_per_epoch: int
    closed_loop: int
    closed_loop_grown: float
    closed_loop_share: float
    sampling: Sampling
    input_noise: float
    square: int
    precision: Precision
    compile: bool
    channels_last: bool
    accumulate: int
    loss: Loss
    keep: Literal["last", "best"]
    patience: int
    ema: float


class Keywords(FilmKeywords, total=False):
    """Options of any experiment."""

    minutes: float | None

    size: int
    num_clips: int
    num_val_clips: int
    num_test_clips: int
    data_seed: int
    noise: float
    period: int
    speeds: tuple[int, ...] | list[int]
    bar: int
    light_width: float
    reach: int
    max_speed: int
    features: int
    border: Border
    apart: bool
    canvas: int
    turning: float
    away: int
    things: int
    view: int
    pan: int
    told: bool
    num_digits: int
    step: float
    digits: Literal["mnist", "sklearn"]
    lag: int
    window: int
    num_windows: int
    num_val_windows: int
    num_test_windows: int
    dataset: str
    digest: str


class TrainOnKeywords(FilmKeywords, total=False):
    """Options that `continue_films` passes on to `train_on`."""

    fps: float | None
    strict: bool
    experiment: str | Config
    runs_dir: Path | str
    data_dir: Path | str
    track: Mode | None
    show: bool
