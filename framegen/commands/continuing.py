"""From a film to its continuation: train on it, and let the model go on from its end."""

import itertools
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import torch
from torch import Tensor

from framegen.commands.generation import as_it_plays, check_output
from framegen.commands.own_films import MINUTES, train_on
from framegen.config.checks import check, check_range
from framegen.config.film import Film
from framegen.config.keywords import TrainOnKeywords
from framegen.config.models import MotionFilter
from framegen.data.clips import to_float
from framegen.data.film import Windows, cropped
from framegen.data.films.dataset import clock, open_split, read_manifest
from framegen.data.films.facts import probe
from framegen.data.films.frames import read_frames, read_last
from framegen.data.films.prompt import MAX_PROMPT_FRAMES
from framegen.data.films.shots import shot_starts
from framegen.data.films.sources import as_paths, content_digest, find_films
from framegen.machine.errors import OptionError, UserError
from framegen.machine.files import make_parents, numbered
from framegen.machine.plugins import command
from framegen.machine.progress import answer, count_of, say
from framegen.models.nets.recall import MEMORY, repeats
from framegen.models.predictor import Predictor
from framegen.models.rollout import continuation, generate
from framegen.report.continuation import Continuation, write_generated
from framegen.report.own_size import Place, write_continued
from framegen.report.tables import Screen, print_results
from framegen.report.writers import ANIMATIONS
from framegen.runs.run import Run

SEEN = 10
"""Frames of a shot from which it can be known how it moves."""


@dataclass(frozen=True)
class Continued:
    """The continuation of a film."""

    run: Run
    continued: Path
    """The generated frames alone, at the film's own size."""
    compared: Path
    """Truth and generation, on the last part that training never saw."""
    part: str
    """That part's film, and when it begins there."""


def continue_film(
    run: Run,
    film: Path | str,
    seconds: float = 2.0,
    start: float | None = None,
    last: int | None = None,
) -> Tensor:
    """Frames that a run's model generates after a film's end, float32 (T, C, H, W) in the task's value range.

    Args:
        film: brought to the shape and the rate of those that the run was trained on.
        seconds: how much to generate, at the rate at which the film is read.
        start: seconds from the film's beginning; None is its end.
        last: frames before that which the model sees; see `framegen continue --help`.
    """
    check_range("last", last, 1, MAX_PROMPT_FRAMES, " frames to go on from")
    prompt, rate, loops = _prompt(run, Path(film), start, last)
    return generate(_forecaster(run, loops), prompt, max(1, round(seconds * rate)))


def _forecaster(run: Run, loops: bool) -> Predictor:
    """What goes on from a prompt; one that loops is repeated by the model, which remembers it."""
    return run.model if loops else run.blend


def _prompt(run: Run, film: Path, start: float | None, last: int | None) -> tuple[Tensor, float, bool]:
    """The frames that the model goes on from, (T, C, H, W), their rate, and whether they loop."""
    task = run.config.task
    if not isinstance(task, Film):
        way_out = f"{command('generate', run.folder, '--prompt', film)} goes on"
        raise OptionError(f"{run.folder}: was not trained on films; {way_out}")
    assert run.data.file is not None
    manifest, digest = read_manifest(run.data.file.parent), content_digest(film)
    # Another film than those of the data set is read at the first one's rate.
    own = [source for source in manifest.sources if source.sha256 == digest]
    rate = (own or manifest.sources)[0].fps
    channels, height, width = manifest.shape
    remembers = last is None and isinstance(run.config.model, MotionFilter)
    usual = last or task.num_frames
    count = max(usual, 2 * MEMORY) if remembers else usual
    if start is None:
        frames = read_last(film, count, (height, width), channels, rate)
    else:
        began = max(0.0, start - count / rate)
        frames = list(read_frames(film, (height, width), channels, rate, began, start))
    check(len(frames) > 0, f"--start {start}: {film} has no frames before that")
    cut = cropped(np.stack(frames).transpose(0, 3, 1, 2), task.crop)
    prompt = to_float(torch.from_numpy(np.ascontiguousarray(cut)))
    if remembers and start is None:
        prompt = as_it_plays(run.config.model, film, prompt)
    if remembers and repeats(prompt):
        return prompt, rate, True
    return prompt[-usual:], rate, False


def continue_films(
    films: Sequence[Path | str] | Path | str,
    seconds: float = 2.0,
    minutes: float | None = MINUTES,
    size: int = 64,
    channels: int = 3,
    out: Path | None = None,
    start: float | str | None = None,
    last: int | None = None,
    force: bool = False,
    **options: Unpack[TrainOnKeywords],
) -> Continued:
    """Train on films and write how the first of them goes on: NAME-continued.mp4, frames alone at its own
    size, and NAME-compare.mp4, truth and generation on the last part that training never saw, at the model's.

    Args:
        size: the longer side at which motion is found, pixels.
        out: the first file; its name gives the second's. None: after the film's name, in the current
            folder, numbered where such files are there.
        start: see `continue_film`; a text such as 0:12 or 1:02:03 too.
        options: see `train_on`, which says what is raised too.
    """
    check(0 < seconds <= 3600, f"--seconds {seconds:g}: must be more than 0, and at most 3600")
    check_range("last", last, 1, MAX_PROMPT_FRAMES, " frames to go on from")
    start = seconds_of(start) if isinstance(start, str) else start
    paths = as_paths(films)
    film = find_films(paths[:1])[0].path
    if start is not None:
        length = probe(film).seconds
        has = f"{film} has frames after 0 s" + ("" if length is None else f" and lasts {length:.4g} s")
        check(0 < start <= (length or start), f"--start {start:g}: {has}; give a time between")
    show = options.get("show", True)
    pairs = _named(film, out)
    wanted = next(pairs) if force or out is not None else _free(pairs)
    if out is None and wanted[0].stem != f"{film.stem}-continued":
        there = f"{film.stem}-continued.mp4 or {film.stem}-compare.mp4 is there already"
        say(f"{there}: this one becomes {wanted[0]}; --force would replace what is there", show)
    for path in wanted:
        for each in paths:
            check_output(path, each, force)
    goes_on = film, seconds, start, last
    with _Early(wanted[0], force) as early:
        on_start = lambda untrained: early.write(untrained, goes_on, show)  # noqa: E731
        run = train_on(paths, minutes, size, channels, on_start=on_start, **options)
    prompt, frames, place = _goes_on(run, *goes_on, show)
    shown, shot_fps, part = _unseen(run, frames)
    make_parents(wanted[0])
    written = wanted if force else _free(itertools.chain([wanted], pairs))
    write_continued(written[0], run, prompt, frames, place, exclusive=not force)
    write_generated(written[1], shown, shot_fps, exclusive=not force)
    if written != wanted:  # somebody took a name during the training
        said = f"{' or '.join(map(str, wanted))} is there by now, and stays"
        if out is not None:
            raise UserError(f"{said}; what was made here is {' and '.join(map(str, written))}")
        say(f"{said}: this one becomes {written[0]}", show)
    return Continued(run, *written, part)


@dataclass
class _Early:
    """What stands at the first file's name while a training goes on; then, or where that fails, the name is
    free again, unless somebody else has it by now. Where nothing is saved yet to go on with, it stays."""

    path: Path
    force: bool
    made: os.stat_result | None = None

    def __enter__(self) -> "_Early":
        return self

    def write(self, run: Run, goes_on: tuple[Path, float, float | None, int | None], show: bool) -> None:
        """Write how it goes on by an untrained filter, unless the name is taken by now, or a folder's."""
        taken = not self.path.suffix or (os.path.lexists(self.path) and not self.force)
        if taken or not isinstance(run.config.model, MotionFilter):  # other nets know nothing yet
            return
        make_parents(self.path)
        write_continued(self.path, run, *_goes_on(run, *goes_on), exclusive=not self.force)
        self.made = self.path.stat()
        say(f"{self.path}: how it goes on, untrained; training may replace it, and Ctrl-C ends that", show)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.made is None or kind is KeyboardInterrupt or not self.path.exists():
            return
        now = self.path.stat()
        if (now.st_ino, now.st_mtime_ns) == (self.made.st_ino, self.made.st_mtime_ns):
            self.path.unlink()


def _goes_on(
    run: Run, film: Path, seconds: float, start: float | None, last: int | None, show: bool = False
) -> tuple[Tensor, int, Place]:
    """What the model sees of a film, (T, C, H, W), how many frames are to follow, and where."""
    prompt, rate, loops = _prompt(run, film, start, last)
    say(_seen(film, prompt, rate, loops, start), show)
    return prompt, max(1, round(seconds * rate)), Place(film, rate, start)


def print_films(made: Continued, **_: Any) -> None:
    """Print the result of `continue_films`."""
    print_results(made.run.results, Screen())
    answer(
        "",
        f"How it goes on:           {made.continued}",
        f"With the truth, unseen:   {made.compared} ({made.part})",
        f"The run, to generate more: {made.run.folder}",
    )


def seconds_of(text: str) -> float:
    """Seconds from "12.5", "0:12" or "1:02:03". Raises OptionError where it is none of them."""
    if not re.fullmatch(r"(\d+:){0,2}\d+(\.\d+)?", text):
        raise OptionError(f"--start {text}: is a time such as 12.5, 0:12 or 1:02:03")
    return sum(float(part) * 60**place for place, part in enumerate(reversed(text.split(":"))))


def _seen(film: Path, prompt: Tensor, rate: float, loops: bool, start: float | None) -> str:
    """Notes on a prompt, (T, C, H, W) in [0, 1], that loops, or ends in a shot of too few frames."""
    if loops:
        return f"{film}: repeats itself, so the model sees {len(prompt)} frames of it"
    *_, begins = shot_starts((255 * prompt).permute(0, 2, 3, 1).numpy())
    behind = len(prompt) - begins
    if not begins or behind >= SEEN:
        return ""
    said = f"{film}: the model sees {count_of(behind, 'frame')} behind a cut, too few to know what moves"
    length = probe(film).seconds if start is None else start
    if length is None:
        return said
    return f"{said}; --start {length - behind / rate:.2f} goes on from before it, and trains no more"


def _named(film: Path, out: Path | None) -> Iterator[tuple[Path, Path]]:
    """The files to write: where `out` says, or after the film's name; then the same numbered."""
    if out is None:
        stems = (film.stem if number == 1 else f"{film.stem}-{number}" for number in itertools.count(1))
        return ((Path(f"{stem}-continued.mp4"), Path(f"{stem}-compare.mp4")) for stem in stems)
    check(bool(out.name), f"--out {out}: is a folder that is there; name a file, or a new folder")
    known = f"the ending says what to write: {', '.join(filter(None, ANIMATIONS))}"
    check(out.suffix.lower() in ANIMATIONS, f"--out {out}: {known}; without one, a folder of PNG")
    ending = out.suffix or ".mp4"
    return (
        (path, path.with_name(f"{path.stem.removesuffix('-continued')}-compare{ending}"))
        for path in numbered(out)
    )


def _free(pairs: Iterator[tuple[Path, Path]]) -> tuple[Path, Path]:
    """The first two names of which both are free, or an empty folder's."""

    def taken(path: Path) -> bool:
        return os.path.lexists(path) and bool(path.suffix or not path.is_dir() or any(path.iterdir()))

    return next(pair for pair in pairs if not any(map(taken, pair)))


def _unseen(run: Run, num_frames: int) -> tuple[Continuation, float, str]:
    """The end of the last test shot, continued for a limited number of frames; its rate, film and time."""
    data, task = run.data, run.config.task
    assert data.file is not None
    assert isinstance(task, Film)
    folder, context = data.file.parent, data.context
    manifest = read_manifest(folder)
    shot = [each for each in manifest.of("test") if each.frames > context][-1]
    length = min(shot.frames, context + num_frames)
    path, start = open_split(folder, manifest, "test"), torch.tensor([shot.row + shot.frames - length])
    clip = to_float(Windows(path, start, length, crop=task.crop).frames(slice(0, 1))[0])
    prompt, truth = clip[:context], clip[context:]
    made = continuation(run.blend, prompt, len(truth))
    shown = Continuation(prompt, made, len(truth), task.value_range, truth, error=True)
    return shown, shot.fps, f"{shot.source} from {clock(shot.time + (shot.frames - length) / shot.fps)} on"
