"""The data of a task, by its kind."""

from functools import singledispatch
from pathlib import Path

from framegen.config.film import Film
from framegen.config.tasks import Drift, MovingMNIST, Orbit, Sine, Sprites, Task
from framegen.data import drift, film, moving_mnist, orbit, sine, sprites
from framegen.data.clips import Data
from framegen.machine.errors import UserError


@singledispatch
def load_data(task: Task, data_dir: Path) -> Data:
    """The task's clips, kept in (or made into) `data_dir`. Raises UserError where a file there is damaged."""
    name = type(task).__name__
    raise UserError(f"{name}: no data of it are known; framegen.register({name}, LOAD) makes them known")


@singledispatch
def determine(task: Task, data_dir: Path) -> Task:
    """The task as a run keeps it, bound to its files, if any. Raises UserError where these are missing."""
    return task


# A new task is a line here.
load_data.register(Orbit, orbit.load)
load_data.register(Sine, sine.load)
load_data.register(Film, film.load)
determine.register(Film, film.determine)
load_data.register(MovingMNIST, moving_mnist.load)
load_data.register(Drift, drift.load)
load_data.register(Sprites, sprites.load)
