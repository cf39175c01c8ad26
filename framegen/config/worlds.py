"""The knobs of worlds of many pixels whose best possible prediction is computed, not estimated."""

from dataclasses import dataclass

from framegen.config.checks import MAX_SEED, check, check_bar, check_batch, check_bytes, check_clips
from framegen.config.tasks import Orbit, Task, rounding_reservation, stored_deviation


@dataclass(frozen=True)
class _OnTorus(Task):
    """What moves by whole pixels across a torus: no task by itself, but what the two below share."""

    size: int = 32
    """Height and width of a frame in pixels."""
    num_frames: int = 20
    """Frames a clip."""
    context: int = 10
    """Frames of a test clip that are the prompt."""
    num_clips: int = 4000
    """Training clips; --clips-per-epoch says how many an epoch sees."""
    num_val_clips: int = 100
    """Validation clips, measured while training goes on."""
    num_test_clips: int = 200
    """Test clips, measured once at the end."""
    reach: int = 3
    """Pixels a frame by which it moves at most, in height and in width: (2 reach + 1)^2 velocities."""
    noise: float = 0.05
    """Standard deviation of the noise on each pixel (pixel values lie in [0, 1])."""
    data_seed: int = 0
    """Seed of the clips; the training seed is another."""

    def __post_init__(self) -> None:
        check(4 <= self.size <= 64, f"--size {self.size}: a frame has 4 to 64 pixels a side")
        check(self.num_frames >= 2, f"--num-frames {self.num_frames}: a clip needs at least 2 frames")
        check(
            1 <= self.context < self.num_frames,
            f"--context {self.context}: lies in 1 ... {self.num_frames - 1} (--num-frames)",
        )
        check_clips(self)
        clips = self.num_clips + self.num_val_clips + self.num_test_clips
        check_bytes(clips * self.num_frames * self.size**2, "--num-clips, --num-frames, --size")
        farthest = min(8, (self.size - 1) // 2)
        check(
            1 <= self.reach <= farthest,
            f"--reach {self.reach}: lies between 1 and {farthest} (--size)",
        )
        check(0 <= self.data_seed <= MAX_SEED, f"--data-seed {self.data_seed}: lies between 0 and {MAX_SEED}")

    def check_batch_size(self, batch_size: int) -> None:
        check_batch(batch_size, self.num_clips)


@dataclass(frozen=True)
class Drift(_OnTorus):
    """A texture that nobody has seen before, with the spectrum of photographs, slides across a torus at an
    unknown velocity of whole pixels a frame, seen through pixel noise."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check(0 < self.noise <= 0.12, f"--noise {self.noise}: lies above 0, and at 0.12 or below")

    @property
    def deviation(self) -> float:
        return stored_deviation(self.noise)

    @property
    def reservation(self) -> str:
        return rounding_reservation(self.noise)


@dataclass(frozen=True)
class Sprites(_OnTorus):
    """One of four known shapes moves across a torus, its velocity of whole pixels a frame drawn anew now and
    then, seen through pixel noise; a bar may hide a part of the picture. Its optimum takes each level for
    what it is, so it is exact however little noise there is."""

    reach: int = 2
    noise: float = 0.1
    turning: float = 0.1
    """Probability that the velocity is drawn anew before a frame."""
    bar: int = 0
    """Width in pixels of an opaque bar in the middle, from top to bottom; 0 is none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check(0 <= self.turning <= 1, f"--turning {self.turning}: is a probability, from 0 to 1")
        check(0 < self.noise <= 1, f"--noise {self.noise}: lies above 0, and at 1 or below")
        check_bar(self.bar, self.size)


World = Orbit | Drift | Sprites
"""What a formula gives; its clips are made once, and kept."""
