"""What is predicted from what: each file makes the data of one kind of task."""

from functools import singledispatch
from pathlib import Path

from framegen.config.data import Orbit, Sine, Task
from framegen.data import orbit, sine
from framegen.data.clips import Data


@singledispatch
def load_data(task: Task, data_dir: Path) -> Data:
    """The task's clips, kept in (or made into) `data_dir`: what is registered below for the task's class.

    Raises UserError where a file there is damaged.
    """
    raise TypeError(f"no data is registered for {type(task).__name__}")


# A new task is a line here.
load_data.register(Orbit, orbit.load)
load_data.register(Sine, sine.load)
