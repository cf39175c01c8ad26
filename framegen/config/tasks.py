"""The options of the tasks; `framegen.data` makes their clips."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from framegen.config.checks import MAX_SEED, check, check_between, check_bytes, check_least

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
LEVEL = 1 / 255
"""Between two neighbouring values that a stored pixel can have."""
TOLD = 16
"""A window's coming motion of so many pixels would be told as 1 more than that of none, which is 1/2."""


LEAST_DEVIATION = math.sqrt(LEVEL**2 + LEVEL**2 / 12)
"""Least deviation at which a pixel's rounding acts as independent noise. With less noise a picture is
rounded the same way each time: the next level is still known, but not how probable a level is."""


@dataclass(frozen=True)
class Task:
    """The base of every task's options. config.json has a subclass by its name."""

    value_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    """Lowest and highest value of a pixel."""

    @property
    def next_frame(self) -> bool:
        """Whether the target is the next frame, so that a model can run on by itself."""
        return True

    @property
    def reservation(self) -> str:
        """In a line, how to read the optimum's numbers, or why some are missing; mostly empty."""
        return ""

    def check_batch_size(self, batch_size: int) -> None:
        """Raises OptionError where batches of this size cannot be."""


@dataclass(frozen=True)
class _Made(Task):
    """Clips that are made from a seed; a class with an underscore is no task."""

    sizes: ClassVar[tuple[int, int]]
    """The smallest and the largest size."""

    size: int
    """Height and width of a frame in pixels."""
    num_frames: int
    """Frames per clip."""
    num_clips: int
    """Training clips; --clips-per-epoch says how many an epoch sees."""
    num_val_clips: int = 100
    """Validation clips, measured during training."""
    num_test_clips: int = 500
    """Test clips, measured once at the end."""
    data_seed: int = 0
    """Seed of the clips; the training seed is another."""

    def __post_init__(self) -> None:
        check_between(self, *self.sizes, "size")
        check_least(self, 2, "num_frames")
        check_least(self, 1, "num_clips", "num_val_clips", "num_test_clips")
        check_between(self, 0, MAX_SEED, "data_seed")

    def check_batch_size(self, batch_size: int) -> None:
        clips = self.num_clips
        said = f"--batch-size {batch_size}: larger than the {clips} training clips (--num-clips)"
        check(batch_size <= clips, said)


@dataclass(frozen=True)
class _World(_Made):
    """A world with a formula: its clips are kept in a file, its best prediction is computed."""

    noise: float = 0.05
    """Standard deviation of the noise on each pixel (pixel values lie in [0, 1])."""

    def __post_init__(self) -> None:
        super().__post_init__()
        clips = self.num_clips + self.num_val_clips + self.num_test_clips
        values = clips * self.num_frames * self.channels * self.size**2
        check_bytes(values, "--num-clips, --num-frames, --size")

    @property
    def channels(self) -> int:
        """Of a frame's picture."""
        return 1

    @property
    def deviation(self) -> float:
        """Standard deviation of a stored pixel about its clean value: noise, and rounding to 256 levels."""
        return math.sqrt(self.noise**2 + LEVEL**2 / 12)

    @property
    def reservation(self) -> str:
        if self.deviation >= LEAST_DEVIATION:
            return ""
        taken = "is less than a level of 1/255, and the optimum takes rounding for noise"
        lost = f"up to {LEVEL**2 / 12:.1e} of its mse could be saved, and it has no bits"
        return f"--noise {self.noise:g}: {taken}; {lost}"


@dataclass(frozen=True)
class Orbit(_World):
    """A light that circles the picture at a constant speed, either way round, seen through pixel noise."""

    sizes = 2, 64
    size: int = 2
    num_frames: int = 50
    num_clips: int = 1000
    num_val_clips: int = 200
    period: int = 12
    """Frames per revolution at speed 1."""
    speeds: tuple[int, ...] = (1,)
    """Possible speeds, in revolutions per period, separated by spaces; each in both directions."""
    bar: int = 0
    """Width in pixels of an opaque bar in the middle, from top to bottom; 0 is none."""
    light_width: float = 0.6
    """Width of the light at size 2, where half the picture is 1; it shrinks as 1/sqrt(size)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_between(self, 2, 1000, "period")
        check(len(self.speeds) > 0, "--speeds: at least one speed is needed")
        check(len(set(self.speeds)) == len(self.speeds), f"--speeds {self.speeds}: a speed is given twice")
        said = f"--speeds {self.speeds}: each must lie between 1 and {self.period} (--period)"
        check(all(0 < s <= self.period for s in self.speeds), said)
        check_between(self, 0, 1, "noise")
        check_between(self, 0, self.size - 1, "bar", why=" (--size)")
        check_between(self, 0.05, 10, "light_width")


@dataclass(frozen=True)
class _OnTorus(_World):
    """Something that moves by whole pixels across a torus."""

    sizes = 4, 64
    size: int = 32
    num_frames: int = 20
    num_clips: int = 4000
    num_test_clips: int = 200
    context: int = 10
    """Frames of a test clip that are the prompt."""
    reach: int = 3
    """Largest motion in pixels per frame, in height and in width: (2 reach + 1)^2 velocities."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_between(self, 1, self.num_frames - 1, "context", why=" (--num-frames)")
        check_between(self, 1, min(8, (self.size - 1) // 2), "reach", why=" (--size)")
        check(self.noise > 0, f"--noise {self.noise}: must be more than 0")


@dataclass(frozen=True)
class Drift(_OnTorus):
    """A texture that nobody has seen before, with the spectrum of photographs, slides across a torus at an
    unknown velocity of whole pixels per frame, seen through pixel noise."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_between(self, 0, 0.12, "noise")


@dataclass(frozen=True)
class Sprites(_OnTorus):
    """One of four known shapes moves across a torus, its velocity of whole pixels per frame drawn now and
    then, seen through pixel noise; a bar may hide a part of the picture.

    Several things have a colour channel each, so that what is known of them is known of each alone. Within
    one channel it is not: two things there have all pairs of their states, too many but for tiny worlds."""

    reach: int = 2
    noise: float = 0.1
    turning: float = 0.1
    """Probability that the velocity is drawn again before a frame."""
    bar: int = 0
    """Width in pixels of an opaque bar in the middle, from top to bottom; 0 is none."""

    away: int = 0
    """Most frames for which the eye closes at a time, which are then black; 0: it never does."""
    things: int = 1
    """Things that move, each on its own; of 2 or 3 each has one of three colour channels."""
    view: int = 0
    """Side in pixels of a window that pans over the torus, and of the frames; 0: all is seen."""
    pan: int = 1
    """Largest motion of the window in pixels per frame; it is drawn now and then, as the shapes' is."""
    told: bool = True
    """Whether two more channels tell the window's motion to the next frame, down and to the right."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_between(self, 0, 1, "turning", "noise")
        check_between(self, 1, 3, "things")
        check_between(self, 0, self.size, "view", why=" (--size)")
        check_between(self, 0, 7, "pan")
        check_between(self, 0, self.side - 1, "bar", why=" (--view)" if self.view else " (--size)")
        still = "--pan, --no-told: are for a window; --view 16 opens one"
        check(self.view > 0 or (self.pan == 1 and self.told), still)
        alike = "--no-told: frames that may be alike do not say which clip the floor is told of"
        known = self.told or (not self.away and self.noise >= LEVEL)
        check(known, f"{alike}; leave out --away, and --noise low")
        check_between(self, 0, self.num_frames, "away", why=" (--num-frames)")
        unclear = f"--away {self.away}: with --noise {self.noise:g} what is seen may be black too"
        check(not self.away or self.noise <= 0.2, f"{unclear}; at most 0.2")

    @property
    def channels(self) -> int:
        """Of the picture: what is told of a window stands behind red, green and blue."""
        return 3 if self.things > 1 or self.view else 1

    @property
    def side(self) -> int:
        """Height and width of a frame in pixels."""
        return self.view or self.size

    @property
    def reservation(self) -> str:
        """The optimum takes each level for what it is, so it is exact however little noise there is."""
        return "" if self.told else "--no-told: the optimum is a floor, which is told the window's motion"


World = Orbit | Drift | Sprites
"""Worlds with a formula; their clips are made once, and kept."""


@dataclass(frozen=True)
class MovingMNIST(_Made):
    """Handwritten digits that fly straight across a dark canvas and bounce off its edges (Srivastava et al.,
    2015), made on demand; test clips are the first of mnist_test_seq.npy, where that file exists."""

    sizes = 8, 256
    size: int = 64
    """Height and width of the canvas in pixels; a digit takes 28/64 of it."""
    num_frames: int = 20
    num_clips: int = 1_000_000
    num_digits: int = 2
    """Digits per clip; where they overlap the brighter pixel is seen."""
    context: int = 10
    """Frames of a test clip that are the prompt; the others are generated."""
    step: float = 0.1
    """Motion of a digit per frame, as a share of its free space on the canvas."""
    digits: Literal["mnist", "sklearn"] = "mnist"
    """Source of the digits: MNIST's files in the data folder, or scikit-learn's 8x8 digits."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_between(self, 1, 10, "num_digits")
        check_between(self, 1, self.num_frames - 1, "context", why=" (--num-frames)")
        check(0 < self.step <= 1, f"--step {self.step}: must be more than 0, and at most 1")
        held = self.num_test_clips * self.num_frames * self.size**2
        check_bytes(held, "--num-test-clips, --num-frames, --size")

    @property
    def digit_size(self) -> int:
        """Height and width of a digit's picture in pixels: MNIST's 28 on the field's canvas of 64."""
        return round(self.size * 28 / 64)

    @property
    def room(self) -> int:
        """Pixels by which a digit can move: its upper left corner stands at 0 ... room."""
        return self.size - self.digit_size


@dataclass(frozen=True)
class Sine(Task):
    """A sampled sine goes in, the same shifted by `lag` samples is the target; the state is carried on."""

    value_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)

    lag: int = 1
    """Samples by which the target lags behind the input; -1 is one sample ahead: the next frame."""
    window: int = 20
    """Samples per window, which spans half a period; one window is one training step."""
    num_windows: int = 75
    """Training windows, in a row."""
    num_val_windows: int = 25
    """Windows after those, measured during training."""
    num_test_windows: int = 50
    """Windows after those, measured once at the end."""

    def __post_init__(self) -> None:
        check_between(self, 2, 1000, "window")
        check(self.lag != 0, "--lag 0: the target would be the input itself")
        longer = f"--lag {self.lag}: is longer than the window of {self.window} samples"
        check(abs(self.lag) <= self.window, longer)
        check_between(self, 1, 10_000, "num_windows", "num_val_windows", "num_test_windows")

    @property
    def next_frame(self) -> bool:
        return self.lag == -1

    def check_batch_size(self, batch_size: int) -> None:
        one = f"--batch-size {batch_size}: a sine is one stream, trained one window at a time: 1"
        check(batch_size == 1, one)
