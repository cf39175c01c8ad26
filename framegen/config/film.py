"""The options of a task of films."""

from dataclasses import dataclass

from framegen.config.checks import check_between, check_least
from framegen.config.tasks import Task


@dataclass(frozen=True)
class Film(Task):
    """Clips from films that `framegen data import` has imported."""

    dataset: str = ""
    """Name of the data set; `framegen data list` lists them."""
    digest: str = ""
    """SHA-256 of the data set's manifest; empty takes the data set as it is now, and a run keeps that."""
    num_frames: int = 20
    """Frames per clip."""
    context: int = 10
    """Frames of a test clip that are the prompt."""
    flip: bool = False
    """Train on mirrored clips too."""
    flip_vertical: bool = False
    """Train on clips that are upside down too."""
    reverse: bool = False
    """Train on clips that run backwards too."""
    crop: int = 0
    """Pixels cut from height and width; the middle is kept, of training clips each corner too."""
    max_val_clips: int = 64
    """Validation clips at most, spread evenly over their shots."""
    max_test_clips: int = 200
    """Test clips at most, spread evenly over their shots."""

    def __post_init__(self) -> None:
        check_between(self, 2, 1000, "num_frames")
        check_between(self, 1, self.num_frames - 1, "context", why=" (--num-frames)")
        check_least(self, 0, "crop")
        check_least(self, 1, "max_val_clips", "max_test_clips")
