"""The knobs of the tasks; `framegen.data` makes their clips."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from framegen.config.checks import MAX_SEED, check, check_bar, check_batch, check_bytes, check_clips

LEVEL = 1 / 255
"""Between two neighbouring values that a stored pixel can have."""


def stored_deviation(noise: float) -> float:
    """Standard deviation of a stored pixel about its clean value: the noise, and rounding to 256 levels."""
    return math.sqrt(noise**2 + LEVEL**2 / 12)


LEAST_DEVIATION = stored_deviation(LEVEL)
"""Of a stored pixel whose rounding may be taken for noise of its own. With less noise than a level the same
picture is rounded the same way each time: who leaves that out of account still knows what comes, to a level,
but not how probable a level is."""


def rounding_reservation(noise: float) -> str:
    """The reservation of a world whose optimum takes rounding for noise."""
    if stored_deviation(noise) >= LEAST_DEVIATION:
        return ""
    taken = "is less than a level of 1/255, and the optimum takes rounding for noise"
    return (
        f"--noise {noise:g}: {taken}; up to {LEVEL**2 / 12:.1e} of its mse could be saved, and it has no bits"
    )


@dataclass(frozen=True)
class Task:
    """What is predicted from what: the base of every task's knobs. A subclass is known by its name in
    config.json."""

    value_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    """Lowest and highest value of a pixel."""

    @property
    def next_frame(self) -> bool:
        """Whether the target is the next frame, so that a model can run on by itself."""
        return True

    @property
    def reservation(self) -> str:
        """What its optimum's numbers are to be read with, or why some are not offered, in a line; mostly
        nothing."""
        return ""

    def check_batch_size(self, batch_size: int) -> None:
        """Raises OptionError where batches of so many clips cannot be."""


@dataclass(frozen=True)
class Orbit(Task):
    """A light that circles the picture at one of a few constant speeds, seen through pixel noise."""

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
    """Speeds a clip's light may have, in revolutions a period, separated by spaces; each in both
    directions."""
    noise: float = 0.05
    """Standard deviation of the noise on each pixel (pixel values lie in [0, 1])."""
    bar: int = 0
    """Width in pixels of an opaque bar in the middle, from top to bottom; 0 is none."""
    light_width: float = 0.6
    """Width of the light at size 2, where half the picture is 1; it shrinks as 1/sqrt(size)."""
    data_seed: int = 0
    """Seed of the clips; the training seed is another."""

    def __post_init__(self) -> None:
        check(2 <= self.size <= 64, f"--size {self.size}: a frame has 2 to 64 pixels a side")
        check(self.num_frames >= 2, f"--num-frames {self.num_frames}: a clip needs at least 2 frames")
        check_clips(self)
        size = (self.num_clips + self.num_val_clips + self.num_test_clips) * self.num_frames * self.size**2
        check_bytes(size, "--num-clips, --num-frames, --size")
        check(2 <= self.period <= 1000, f"--period {self.period}: a revolution takes 2 to 1000 frames")
        check(len(self.speeds) > 0, "--speeds: at least one speed is needed")
        check(len(set(self.speeds)) == len(self.speeds), f"--speeds {self.speeds}: a speed stands twice")
        check(
            all(0 < s <= self.period for s in self.speeds),
            f"--speeds {self.speeds}: each lies in 1 ... {self.period} (--period)",
        )
        check(0 <= self.noise <= 1, f"--noise {self.noise}: lies between 0 and 1")
        check_bar(self.bar, self.size)
        check(0.05 <= self.light_width <= 10, f"--light-width {self.light_width}: lies between 0.05 and 10")
        check(0 <= self.data_seed <= MAX_SEED, f"--data-seed {self.data_seed}: lies between 0 and {MAX_SEED}")

    def check_batch_size(self, batch_size: int) -> None:
        check_batch(batch_size, self.num_clips)

    @property
    def deviation(self) -> float:
        return stored_deviation(self.noise)

    @property
    def reservation(self) -> str:
        return rounding_reservation(self.noise)


@dataclass(frozen=True)
class Sine(Task):
    """A sampled sine goes in, the same sine shifted by `lag` samples is the target; the state is carried
    on."""

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
        check(2 <= self.window <= 1000, f"--window {self.window}: a window has 2 to 1000 samples")
        check(self.lag != 0, "--lag 0: the target would be the input itself")
        check(
            abs(self.lag) <= self.window,
            f"--lag {self.lag}: is longer than the window of {self.window} samples",
        )
        for name in ("num_windows", "num_val_windows", "num_test_windows"):
            number = getattr(self, name)
            check(
                1 <= number <= 10_000,
                f"--{name.replace('_', '-')} {number}: lies between 1 and 10000 windows",
            )

    @property
    def next_frame(self) -> bool:
        return self.lag == -1

    def check_batch_size(self, batch_size: int) -> None:
        check(
            batch_size == 1,
            f"--batch-size {batch_size}: a sine is one stream, trained one window at a time: 1",
        )


@dataclass(frozen=True)
class Film(Task):
    """Clips from films of one's own, which `framegen data import` has brought in."""

    dataset: str = ""
    """Name of the data set; `framegen data list` shows those that there are."""
    digest: str = ""
    """SHA-256 of the data set's manifest; empty takes the data set as it is now, and a run keeps that."""
    num_frames: int = 20
    """Frames a clip."""
    context: int = 10
    """Frames of a test clip that are the prompt."""
    flip: bool = False
    """Train on mirrored clips too."""
    flip_vertical: bool = False
    """Train on clips that stand on their head too."""
    reverse: bool = False
    """Train on clips that run backwards too."""
    crop: int = 0
    """Pixels that are cut from height and width: training clips in the middle and in each corner, others in
    the middle."""
    max_val_clips: int = 64
    """Validation clips at most, spread evenly over their shots."""
    max_test_clips: int = 200
    """Test clips at most, spread evenly over their shots."""

    def __post_init__(self) -> None:
        check(2 <= self.num_frames <= 1000, f"--num-frames {self.num_frames}: a clip has 2 to 1000 frames")
        check(
            1 <= self.context < self.num_frames,
            f"--context {self.context}: lies between 1 and {self.num_frames - 1}, since a clip has"
            f" {self.num_frames} frames (--num-frames)",
        )
        check(self.crop >= 0, f"--crop {self.crop}: is not negative")
        for name in ("max_val_clips", "max_test_clips"):
            check(getattr(self, name) >= 1, f"--{name.replace('_', '-')} {getattr(self, name)}: at least 1")


@dataclass(frozen=True)
class MovingMNIST(Task):
    """Handwritten digits that fly straight across a dark canvas and bounce off its edges (Srivastava et al.,
    2015)."""

    size: int = 64
    """Height and width of the canvas in pixels; a digit takes 28/64 of it."""
    num_digits: int = 2
    """Digits a clip; where they overlap the brighter pixel is seen."""
    num_frames: int = 20
    """Frames a clip."""
    context: int = 10
    """Frames of a test clip that are the prompt; the others are generated."""
    step: float = 0.1
    """How far a digit moves in a frame, over the room that the canvas leaves it."""
    num_clips: int = 1_000_000
    """Training clips, made as they are asked for; --clips-per-epoch says how many an epoch sees."""
    num_val_clips: int = 100
    """Validation clips, measured while training goes on."""
    num_test_clips: int = 500
    """Test clips, measured once at the end; of mnist_test_seq.npy, where it is there, the first ones."""
    digits: Literal["mnist", "sklearn"] = "mnist"
    """Whose digits: MNIST's files in the data folder, or the 8x8 digits that come with scikit-learn."""
    data_seed: int = 0
    """Seed of the clips; the training seed is another."""

    def __post_init__(self) -> None:
        check(8 <= self.size <= 256, f"--size {self.size}: a canvas has 8 to 256 pixels a side")
        check(1 <= self.num_digits <= 10, f"--num-digits {self.num_digits}: a clip has 1 to 10 digits")
        check(self.num_frames >= 2, f"--num-frames {self.num_frames}: a clip needs at least 2 frames")
        check(
            1 <= self.context < self.num_frames,
            f"--context {self.context}: lies in 1 ... {self.num_frames - 1} (--num-frames)",
        )
        check(0 < self.step <= 1, f"--step {self.step}: lies above 0, and at 1 or below")
        check_clips(self)
        held = self.num_test_clips * self.num_frames * self.size**2
        check_bytes(held, "--num-test-clips, --num-frames, --size")
        check(0 <= self.data_seed <= MAX_SEED, f"--data-seed {self.data_seed}: lies between 0 and {MAX_SEED}")

    def check_batch_size(self, batch_size: int) -> None:
        check_batch(batch_size, self.num_clips)

    @property
    def digit_size(self) -> int:
        """Height and width of a digit's picture in pixels: MNIST's 28 on the field's canvas of 64."""
        return round(self.size * 28 / 64)

    @property
    def room(self) -> int:
        """Pixels by which a digit can move: its upper left corner stands at 0 ... room."""
        return self.size - self.digit_size
