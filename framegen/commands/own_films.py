"""Train on films of one's own: they are imported first, once."""

import hashlib
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from framegen.commands import training
from framegen.config.checks import check
from framegen.config.config import Config
from framegen.config.experiments import configure
from framegen.config.film import Film
from framegen.config.keywords import FilmKeywords
from framegen.config.models import MotionFilter
from framegen.config.training import Mode
from framegen.data.film import longest_clip
from framegen.data.films.dataset import MANIFEST
from framegen.data.films.facts import probe
from framegen.data.films.importing import MAX_SIZE, check_size, import_films
from framegen.data.films.pictures import MULTIPLE, frame_size
from framegen.data.films.sources import as_paths, content_digest, find_films
from framegen.data.films.splits import LEAST_CLIP, frames_needed
from framegen.data.loading import load_data
from framegen.evaluation.results import finished
from framegen.machine.errors import OptionError, UserError
from framegen.machine.interrupts import Interrupted
from framegen.machine.progress import count_of, say
from framegen.models import build
from framegen.models.nets.motion_filter import SMALLEST
from framegen.runs.folder import CONFIG
from framegen.runs.run import Run, load

EXPERIMENT = "clips"
MINUTES = 2.0


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
    strict: bool = False,
    on_start: Callable[[Run], object] | None = None,
    **options: Unpack[FilmKeywords],
) -> Run:
    """Train a model on films of one's own; a finished run is opened, one that was stopped goes on.

    Args:
        films: a film or a folder of films, or several.
        minutes: how long the training itself may take on this machine; None: as the experiment says.
        size, channels, fps, strict: see `import_films`.
        on_start: called before the first step with the run as it is then, untrained and not yet on disk. With
            it a first SIGINT ends the training, and what is best by then is the run's model.
        options: fields of task, model or training. Without num_frames clips are as long as shots allow.

    Raises:
        UserError, Interrupted: see `import_films` and `train`; the same call goes on.
    """
    began = time.perf_counter()
    limit = {} if minutes is None else {"minutes": minutes}
    config = configure(experiment, options={**options, **limit})
    shorten = "num_frames" not in options
    config = on_films(config, films, size, channels, fps, strict, shorten, data_dir, show)
    task = config.task
    assert isinstance(task, Film)
    said = {**options, "dataset": task.dataset, "digest": task.digest}
    said |= {"minutes": minutes, "experiment": experiment if isinstance(experiment, str) else config}
    run_dir = Path(runs_dir) / f"{task.dataset}-{_short(repr(sorted(said.items())))}"
    if finished(run_dir):
        say(f"{run_dir}: was trained on this film already", show)
        return load(run_dir)
    if begun := (run_dir / CONFIG).exists():
        say(f"{run_dir}: resuming its training", show)
    elif on_start is not None:
        on_start(_untrained(run_dir, config, Path(data_dir)))
    told = {"show": show, "began": began, "enough": on_start is not None}
    try:
        return training.begin_or_go_on(run_dir, config, track, data_dir, **told)
    except Interrupted as interrupt:
        raise Interrupted(interrupt.number, "; all is saved, and the same command resumes it") from interrupt
    except OptionError as error:
        if begun or not (run_dir / CONFIG).exists():
            raise
        other = f"{run_dir}: another process has meanwhile begun to train on this film"
        raise UserError(f"{other}; once it has ended, the same command takes its model") from error


def _untrained(run_dir: Path, config: Config, data_dir: Path) -> Run:
    data = load_data(config.task, data_dir)
    models = {seed: build(config.model, data.frame_shape, seed).eval() for seed in config.members}
    run = Run(run_dir, config, models, config.members[0])
    run.data = data
    return run


def _shortened(config: Config, task: Film, data_dir: Path, show: bool) -> Config:
    """The same with clips no longer than every split's longest shot; UserError where these are too short."""
    split, frames = longest_clip(task, data_dir)
    if frames >= task.num_frames:
        return config
    if frames < LEAST_CLIP:
        longest = f"the longest shot of its {split} split has {count_of(frames, 'frame')}"
        way_out = f"give a longer film ({frames_needed()} frames of one shot are enough), or several"
        raise UserError(f"{data_dir / task.dataset}: {longest}, and a clip at least {LEAST_CLIP}; {way_out}")
    context = max(1, task.context * frames // task.num_frames)
    # A loop as long as the clip would leave a single frame to go on from, in which nothing moves.
    loop = min(config.training.closed_loop, max(1, frames - context - 1))
    said = f"clips have {frames} frames, where {task.num_frames} are usual, and prompts {context}"
    say(f"{said}: the longest shot of the {split} split has no more", show)
    short = replace(task, num_frames=frames, context=context)
    return replace(config, task=short, training=replace(config.training, closed_loop=loop))


def on_films(
    config: Config,
    films: Sequence[Path | str] | Path | str,
    size: int,
    channels: int,
    fps: float | None,
    strict: bool,
    shorten: bool,
    data_dir: Path | str,
    show: bool = True,
) -> Config:
    """The same on these films, imported under a name that follows from what they hold; see `import_films`.

    Where `shorten`, clips longer than the films' shots are shortened, with their prompts and the closed loop.
    Raises UserError where they would be too short.
    """
    if not isinstance(config.task, Film):
        raise OptionError(f"{config.experiment}: is not trained on films; {EXPERIMENT} is")
    paths = as_paths(films)
    found = [film.path for film in find_films(paths)]
    if isinstance(config.model, MotionFilter) and len(found) == 1:
        _check_size(found[0], size, config.task.crop)
    digests = sorted(set(map(content_digest, found)))
    stem = re.sub(r"[^A-Za-z0-9]+", "-", paths[0].resolve().stem).strip("-")[:40] or "film"
    name = f"{stem}-{_short(repr((digests, size, channels, fps)))}"
    folder = import_films(paths, name, size, channels, fps, data_dir, show, strict)
    task = replace(config.task, dataset=name, digest=content_digest(folder / MANIFEST))
    config = replace(config, task=task)
    return _shortened(config, task, Path(data_dir), show) if shorten else config


def _check_size(film: Path, size: int, crop: int) -> None:
    """Raises OptionError where a motion filter cannot take the film's frames, for they are too small."""
    check_size(size)
    facts = probe(film)
    least = size
    while least < MAX_SIZE and min(frame_size((facts.height, facts.width), least)) - crop < SMALLEST:
        least += MULTIPLE
    too_small = f"--size {size}: the model takes frames of at least {SMALLEST} pixels a side"
    check(least == size, f"{too_small}; --size {least} is the least for {film}")


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:6]
