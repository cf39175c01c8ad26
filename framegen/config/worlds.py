"""The knobs of worlds of many pixels whose best possible prediction is computed, not estimated."""

import math
from dataclasses import dataclass

from framegen.config.checks import MAX_SEED, check, check_batch, check_bytes, check_clips
from framegen.config.data import Orbit, Task


@dataclass(frozen=True)
class Drift(Task):
    """A texture that nobody has seen before, with the spectrum of photographs, slides across a torus at an
    unknown velocity of whole pixels a frame, seen through pixel noise."""

    size: int = 32
    """Height and width of a frame in pixels."""
    num_frames: int = 20
    """Frames a clip."""
    context: int = 10
    """Frames of a test clip that are the prompt."""
    num_clips: int = 1000
    """Training clips."""
    num_val_clips: int = 100
    """Validation clips, measured while training goes on."""
    num_test_clips: int = 200
    """Test clips, measured once at the end."""
    reach: int = 3
    """Pixels a frame by which a texture moves at most, in height and in width: (2 reach + 1)^2 velocities."""
    noise: float = 0.05
    """Standard deviation of the noise on each pixel (pixel values lie in [0, 1])."""
    data_seed: int = 0
    """Seed of the clips; the training seed is another."""

    def __post_init__(self) -> None:
        _check_world(self)
        check(0 < self.noise <= 0.12, f"--noise {self.noise}: lies above 0, and at 0.12 or below")

    def check_batch_size(self, batch_size: int) -> None:
        check_batch(batch_size, self.num_clips)

    @property
    def deviation(self) -> float:
        """Standard deviation of a stored pixel about its clean value: the noise, and rounding to 256
        levels."""
        return math.sqrt(self.noise**2 + 1 / 255**2 / 12)


@dataclass(frozen=True)
class Sprites(Task):
    """One of four known shapes moves across a torus, its velocity of whole pixels a frame drawn anew now and
    then, seen through pixel noise; a bar may hide a part of the picture."""

    size: int = 32
    """Height and width of a frame in pixels."""
    num_frames: int = 20
    """Frames a clip."""
    context: int = 10
    """Frames of a test clip that are the prompt."""
    num_clips: int = 1000
    """Training clips."""
    num_val_clips: int = 100
    """Validation clips, measured while training goes on."""
    num_test_clips: int = 200
    """Test clips, measured once at the end."""
    reach: int = 2
    """Pixels a frame by which a shape moves at most, in height and in width: (2 reach + 1)^2 velocities."""
    turning: float = 0.1
    """Probability that the velocity is drawn anew before a frame."""
    noise: float = 0.1
    """Standard deviation of the noise on each pixel (pixel values lie in [0, 1])."""
    bar: int = 0
    """Width in pixels of an opaque bar in the middle, from top to bottom; 0 is none."""
    data_seed: int = 0
    """Seed of the clips; the training seed is another."""

    def __post_init__(self) -> None:
        _check_world(self)
        check(0 <= self.turning <= 1, f"--turning {self.turning}: is a probability, from 0 to 1")
        check(0 < self.noise <= 1, f"--noise {self.noise}: lies above 0, and at 1 or below")
        check(
            0 <= self.bar < self.size,
            f"--bar {self.bar}: lies between 0 and {self.size - 1}, so that something is seen (--size)",
        )

    def check_batch_size(self, batch_size: int) -> None:
        check_batch(batch_size, self.num_clips)


World = Orbit | Drift | Sprites
"""What a formula gives; its clips are made once, and kept."""


def _check_world(task: Drift | Sprites) -> None:
    check(4 <= task.size <= 64, f"--size {task.size}: a frame has 4 to 64 pixels a side")
    check(task.num_frames >= 2, f"--num-frames {task.num_frames}: a clip needs at least 2 frames")
    check(
        1 <= task.context < task.num_frames,
        f"--context {task.context}: lies in 1 ... {task.num_frames - 1} (--num-frames)",
    )
    check_clips(task)
    clips = task.num_clips + task.num_val_clips + task.num_test_clips
    check_bytes(clips * task.num_frames * task.size**2, "--num-clips, --num-frames, --size")
    check(
        1 <= task.reach <= min(8, (task.size - 1) // 2),
        f"--reach {task.reach}: lies between 1 and {min(8, (task.size - 1) // 2)} (--size)",
    )
    check(0 <= task.data_seed <= MAX_SEED, f"--data-seed {task.data_seed}: lies between 0 and {MAX_SEED}")
