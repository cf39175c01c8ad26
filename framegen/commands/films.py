"""Train on films of one's own: they are imported first, once."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from framegen.commands import training
from framegen.config.config import Config
from framegen.config.data import Film
from framegen.config.experiments import configure
from framegen.config.training import Mode
from framegen.data.dataset import digest_of
from framegen.data.importing import import_films
from framegen.data.sources import content_digest, find_films
from framegen.errors import OptionError, UserError
from framegen.evaluation.results import finished
from framegen.progress import say
from framegen.runs.folder import CONFIG
from framegen.runs.run import Run, load

EXPERIMENT = "clips"
MINUTES = 5.0


def train_on(
    films: Sequence[Path | str] | Path | str,
    minutes: float | None = MINUTES,
    size: int = 64,
    channels: int = 3,
    fps: float | None = None,
    experiment: str | Config = EXPERIMENT,
    runs_dir: Path | str = "runs",
    data_dir: Path | str = "data",
    track: Mode | None = None,
    show: bool = True,
    **options: Any,
) -> Run:
    """Train a model on films of one's own; a run that is finished is taken up, one that was stopped goes on.

    Args:
        films: films, or folders of them.
        minutes: how long the training may take on this machine; None: as the experiment says.
        size, channels, fps: of the frames; see `import_films`.
        options: values for the fields of the task, the model or the training.

    Raises:
        UserError: no film can be read, an option that cannot work, or a disk that refuses.
    """
    config = configure(experiment, options=options)
    if not isinstance(config.task, Film):
        raise OptionError(f"{config.experiment}: is not trained on films; {EXPERIMENT} is")
    task = import_as_task(config.task, films, size, channels, fps, data_dir, show)
    config = replace(config, task=task)
    said = {**options, "dataset": task.dataset, "digest": task.digest}
    said |= {"minutes": minutes, "experiment": config.experiment}
    run_dir = Path(runs_dir) / f"{task.dataset}-{_short(repr(sorted(said.items())))}"
    if (run_dir / CONFIG).exists():
        if finished(run_dir):
            say(f"{run_dir}: was trained on this film already", show)
            return load(run_dir)
        say(f"{run_dir}: going on where its training was stopped", show)
        return training.resume(run_dir, track, show)
    try:
        return training.train(config, run_dir.name, track, runs_dir, data_dir, show, minutes=minutes)
    except OptionError as error:
        if not (run_dir / CONFIG).exists():
            raise
        begun = f"{run_dir}: another process has meanwhile begun to train on this film"
        raise UserError(f"{begun}; once it has ended, the same command takes its model") from error


def import_as_task(
    task: Film,
    films: Sequence[Path | str] | Path | str,
    size: int = 64,
    channels: int = 3,
    fps: float | None = None,
    data_dir: Path | str = "data",
    show: bool = True,
) -> Film:
    """The task on these films, imported under a name that follows from what they hold; see `import_films`."""
    paths = [Path(each) for each in ([films] if isinstance(films, str | Path) else films)]
    name = _dataset_name(paths, size, channels, fps)
    folder = import_films(paths, name, size, channels, fps, data_dir, show)
    return replace(task, dataset=name, digest=digest_of(folder))


def _dataset_name(paths: Sequence[Path], size: int, channels: int, fps: float | None) -> str:
    """The first film's name, and a digest of all films and options."""
    found = find_films(paths)
    digests = sorted({content_digest(film.path) for film in found})
    stem = re.sub(r"[^A-Za-z0-9]+", "-", paths[0].resolve().stem).strip("-")[:40] or "film"
    return f"{stem}-{_short(repr((digests, size, channels, fps)))}"


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:6]
