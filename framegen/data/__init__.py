"""What is predicted from what: each file makes the data of one kind of task."""

from pathlib import Path

from framegen.config.data import Orbit, Sine, Task
from framegen.data import orbit, sine
from framegen.data.clips import Data


def load_data(task: Task, data_dir: Path) -> Data:
    """The task's clips, kept in (or made into) `data_dir`. Raises UserError where a file there is damaged."""
    match task:
        case Orbit():
            return orbit.load(task, data_dir)
        case Sine():
            return sine.load(task)


def data_file(task: Task, data_dir: Path) -> Path | None:
    """The file that keeps the task's data; None where a formula gives it."""
    return orbit.data_file(task, data_dir) if isinstance(task, Orbit) else None
