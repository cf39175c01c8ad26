"""From a film to its continuation: import it, train on it, and let the model go on from its end."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from framegen.commands import training
from framegen.commands.generation import check_output, continuation
from framegen.config.config import Config
from framegen.config.data import Film
from framegen.config.experiments import configure
from framegen.config.training import Mode
from framegen.data.clips import to_float
from framegen.data.dataset import digest_of, read_manifest
from framegen.data.frames import read_frames, read_last
from framegen.data.importing import import_films
from framegen.data.sources import content_digest, find_films
from framegen.errors import OptionError
from framegen.evaluation.results import finished
from framegen.models.rollout import generate
from framegen.progress import counted, say
from framegen.report.video import Continuation, write_generated
from framegen.report.writers import ANIMATIONS
from framegen.runs.folder import CONFIG
from framegen.runs.run import Run, load
from framegen.training.budget import check_minutes

EXPERIMENT = "clips"
MINUTES = 5.0


@dataclass(frozen=True)
class Continued:
    """What came of a film."""

    run: Run
    continued: Path
    """The frames after its end, alone."""
    compared: Path
    """Truth above generation, on the last part that training never saw."""


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
    return training.train(config, run_dir.name, track, runs_dir, data_dir, show, minutes=minutes)


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


def continue_film(
    run: Run,
    film: Path | str,
    seconds: float = 2.0,
    start: float | None = None,
    last: int | None = None,
) -> Tensor:
    """What a run's model generates after a film's end, float32 (T, C, H, W) in the task's value range.

    Args:
        seconds: how much to generate, at the rate at which the film is read.
        start: seconds from the film's beginning after which the model goes on; None is its end.
        last: frames before that which the model sees; None: as many as its training clips have.
    """
    path = Path(film)
    prompt, rate = _prompt(run, path, start, last)
    return generate(run.model, prompt, max(1, round(seconds * rate)))


def _prompt(run: Run, film: Path, start: float | None, last: int | None) -> tuple[Tensor, float]:
    """The frames that the model goes on from, (T, C, H, W), and how many a second they are."""
    task = run.config.task
    if not isinstance(task, Film):
        raise OptionError(
            f"{run.folder}: was not trained on films; framegen generate {run.folder} --prompt {film} goes on"
        )
    count = last or task.num_frames
    channels, height, width = run.data.frame_shape
    assert run.data.file is not None
    manifest, digest = read_manifest(run.data.file.parent), content_digest(film)
    # Another film than those of the data set is read at the first one's rate.
    own = [source for source in manifest.sources if source.sha256 == digest]
    rate = (own or manifest.sources)[0].fps
    if start is None:
        frames = read_last(film, count, (height, width), channels, manifest.fps)
    else:
        began = max(0.0, start - count / rate)
        frames = list(read_frames(film, (height, width), channels, rate, began, start))
    if not frames:
        raise OptionError(f"--start {start}: {film} has no frames before that")
    return to_float(torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)), rate


def continue_films(
    films: Sequence[Path | str],
    seconds: float = 2.0,
    minutes: float = MINUTES,
    size: int = 64,
    channels: int = 3,
    out: Path | None = None,
    start: float | None = None,
    last: int | None = None,
    force: bool = False,
    **options: Any,
) -> Continued:
    """Train on films and write how the first of them goes on: NAME-continued.mp4, frames alone, and
    NAME-compare.mp4, truth above generation on the last part that training never saw.

    Args:
        out: the first file; its name gives the second's. None: the film's name, in the current folder.
        options: see `train_on`.

    Raises:
        UserError: see `train_on`; a file that stands there stays there unless `force`.
    """
    if not 0 < seconds <= 3600:
        raise OptionError(f"--seconds {seconds:g}: must be more than 0, and at most 3600")
    check_minutes(minutes)
    if last is not None and last < 1:
        raise OptionError(f"--last {last}: a model needs at least 1 frame to go on from")
    film = find_films([Path(each) for each in films[:1]])[0].path
    out = out or Path(f"{film.stem}-continued.mp4")
    compared = out.with_name(f"{out.stem.removesuffix('-continued')}-compare{out.suffix or '.mp4'}")
    if out.suffix.lower() not in ANIMATIONS:
        endings = ", ".join(ending for ending in ANIMATIONS if ending)
        raise OptionError(
            f"--out {out}: the ending says what to write: {endings}; without one, a folder of PNG"
        )
    for path in (out, compared):
        for each in films:
            check_output(path, Path(each), force)
    run = train_on(films, minutes, size, channels, **options)
    prompt, rate = _prompt(run, film, start, last)
    frames = max(1, round(seconds * rate))
    made = counted(continuation(run.model, prompt, frames), frames, "generating")
    value_range = run.config.task.value_range
    write_generated(out, Continuation(prompt, made, frames, value_range), rate, "clean")
    return Continued(run, out, _compare(run, compared, rate))


def _compare(run: Run, out: Path, rate: float) -> Path:
    """The last test clip, continued."""
    data = run.data
    assert data.test_frames is not None
    clip = to_float(data.test_frames[-1])
    prompt, truth = clip[: data.context], clip[data.context :]
    made = continuation(run.model, prompt, len(truth))
    shown = Continuation(prompt, made, len(truth), run.config.task.value_range, truth, error=True)
    return write_generated(out, shown, rate)
