"""Next-frame video generation with recurrent networks, measured against the best possible predictor.

    import framegen

    run = framegen.train("video", seeds=64)
    run.model, run.results, run.metrics()

Each name is imported when it is first asked for, so that `import framegen` answers at once and brings no
torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from framegen.commands.comparing import table
    from framegen.commands.continuing import continue_film, continue_films
    from framegen.commands.evaluation import draw, evaluate
    from framegen.commands.generation import generate
    from framegen.commands.own_films import train_on
    from framegen.commands.playing import play
    from framegen.commands.training import Enough, resume, train
    from framegen.config.config import Config
    from framegen.config.experiments import EXPERIMENTS
    from framegen.config.models import MLP, ConvRecurrent, Model, MotionFilter, Recurrent
    from framegen.config.tasks import Film, MovingMNIST, Orbit, Sine, Task
    from framegen.config.training import Training
    from framegen.evaluation.results import Results
    from framegen.machine.errors import OptionError, UserError
    from framegen.machine.interrupts import Interrupted
    from framegen.models.predictor import Predictor
    from framegen.models.rollout import rollout
    from framegen.report.save import save
    from framegen.runs.run import Run, load
    from framegen.runs.tracking import Tracker
    from framegen.studies.probe.results import Probe
    from framegen.studies.probe.run import probe
    from framegen.studies.search.space import Choice, Range
    from framegen.studies.search.start import Found, search
    from framegen.training.loop import Epoch

    __version__: str

_PLACES = {
    "table": "commands.comparing.table",
    "continue_film": "commands.continuing.continue_film",
    "continue_films": "commands.continuing.continue_films",
    "train_on": "commands.own_films.train_on",
    "draw": "commands.evaluation.draw",
    "evaluate": "commands.evaluation.evaluate",
    "generate": "commands.generation.generate",
    "play": "commands.playing.play",
    "probe": "studies.probe.run.probe",
    "Enough": "commands.training.Enough",
    "resume": "commands.training.resume",
    "train": "commands.training.train",
    "Config": "config.config.Config",
    "Film": "config.tasks.Film",
    "MovingMNIST": "config.tasks.MovingMNIST",
    "Orbit": "config.tasks.Orbit",
    "Sine": "config.tasks.Sine",
    "Task": "config.tasks.Task",
    "EXPERIMENTS": "config.experiments.EXPERIMENTS",
    "ConvRecurrent": "config.models.ConvRecurrent",
    "MLP": "config.models.MLP",
    "Model": "config.models.Model",
    "MotionFilter": "config.models.MotionFilter",
    "Recurrent": "config.models.Recurrent",
    "Choice": "studies.search.space.Choice",
    "Range": "studies.search.space.Range",
    "Training": "config.training.Training",
    "OptionError": "machine.errors.OptionError",
    "UserError": "machine.errors.UserError",
    "Probe": "studies.probe.results.Probe",
    "Results": "evaluation.results.Results",
    "Predictor": "models.predictor.Predictor",
    "rollout": "models.rollout.rollout",
    "save": "report.save.save",
    "Run": "runs.run.Run",
    "load": "runs.run.load",
    "Tracker": "runs.tracking.Tracker",
    "Found": "studies.search.start.Found",
    "search": "studies.search.start.search",
    "Interrupted": "machine.interrupts.Interrupted",
    "Epoch": "training.loop.Epoch",
}
"""Where each public name lives."""

__all__ = [
    "EXPERIMENTS",
    "MLP",
    "Choice",
    "Config",
    "ConvRecurrent",
    "Enough",
    "Epoch",
    "Film",
    "Found",
    "Interrupted",
    "Model",
    "MotionFilter",
    "MovingMNIST",
    "OptionError",
    "Orbit",
    "Predictor",
    "Probe",
    "Range",
    "Recurrent",
    "Results",
    "Run",
    "Sine",
    "Task",
    "Tracker",
    "Training",
    "UserError",
    "__version__",
    "continue_film",
    "continue_films",
    "draw",
    "evaluate",
    "generate",
    "load",
    "play",
    "probe",
    "resume",
    "rollout",
    "save",
    "search",
    "table",
    "train",
    "train_on",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("framegen")
    elif name in _PLACES:
        module, attribute = _PLACES[name].rsplit(".", 1)
        value = getattr(import_module(f"framegen.{module}"), attribute)
    else:
        raise AttributeError(f"module 'framegen' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
