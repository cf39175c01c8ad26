"""`framegen train`: one training, or a grid of them, one for each combination of the options that have
several values."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from framegen.commands.own_films import on_films
from framegen.commands.training import begin_or_go_on, train
from framegen.config.config import Config
from framegen.config.options import Train, TrainFilms
from framegen.config.reading import Asked
from framegen.config.training import FOLLOWING
from framegen.data.loading import determine
from framegen.evaluation.results import finished
from framegen.live.content import is_playable
from framegen.machine.errors import OptionError
from framegen.machine.interrupts import Interrupted, Interrupts
from framegen.machine.plugins import command
from framegen.machine.progress import answer, say
from framegen.report.tables import Screen, print_results
from framegen.runs.folder import CONFIG, never_began, read_config
from framegen.runs.run import Run
from framegen.studies.comparison.finished import read_finished
from framegen.studies.comparison.tables import print_comparison
from framegen.training.loop import Diverged


def train_all(asked: Sequence[Asked]) -> dict[str, Run]:
    """Train one after another; returns the runs, by what tells each from the others. See `train`.

    The same call resumes a grid. A training that diverges does not stop the others: the error is
    raised in the end.
    """
    began = time.perf_counter()
    configs = [_config(each) for each in asked]
    if len(asked) == 1:
        options = asked[0].options
        return {"": train(configs[0], options.name, runs_dir=options.runs_dir, began=began, **_told(options))}
    folders = _folders(asked, configs)
    runs, diverged = {}, []
    with Interrupts() as interrupts:
        for number, (each, config, folder) in enumerate(zip(asked, configs, folders, strict=True)):
            said, left = each.label.replace("-", " ").strip(), len(asked) - number
            advice = f"; all is saved: {left} of {len(asked)} are left, and the same command resumes it"
            interrupts.advice = advice
            say(f"{number + 1} of {len(asked)}: {said}", True)
            try:
                runs[said] = begin_or_go_on(folder, config, **_told(each.options))
            except Diverged as error:
                say(error.line, True)
                diverged.append(folder.name)
            except Interrupted as interrupt:
                raise Interrupted(interrupt.number, advice) from interrupt
    if diverged:
        others = f"; framegen compare puts the others side by side, in {folders[0].parent}" if runs else ""
        raise Diverged(f"{', '.join(diverged)}: diverged, {len(diverged)} of {len(asked)}{others}")
    return runs


def _config(asked: Asked) -> Config:
    """The config: on films, which are imported first, or on the data set as it is."""
    options, config = asked.options, asked.config
    if isinstance(options, TrainFilms) and options.films:
        read = options.size, options.channels, options.fps, options.strict
        config = on_films(config, options.films, *read, not asked.own_length, options.data_dir)
    return replace(config, task=determine(config.task, options.data_dir))


def _told(options: Train) -> dict[str, Any]:
    return {name: getattr(options, name) for name in ("track", "data_dir", "group", "tags")}


def _folders(asked: Sequence[Asked], configs: Sequence[Config]) -> list[Path]:
    """The folders of a grid's runs. Without a name they have the number of the newest such grid where
    something of that is left, else the next one. Raises OptionError where a name is another run's."""
    options = asked[0].options

    def named(end: str) -> list[Path]:
        start = options.name or configs[0].experiment
        return [options.runs_dir / f"{start}{each.label}{end}" for each in asked]

    if options.name is not None:
        folders = named("")
        for folder, config in zip(folders, configs, strict=True):
            if folder.exists() and not _is_of(folder, config):
                other = "holds a run of other options"
                raise OptionError(f"--name {options.name}: {folder} {other}; choose another, or move it away")
        return folders
    taken = [
        int(number)
        for folder in named("-")
        for path in folder.parent.glob(f"{folder.name}*")
        if (number := path.name.removeprefix(folder.name)).isdecimal()
    ]
    newest = named(f"-{max(taken, default=0)}")
    begun = [(folder, config) for folder, config in zip(newest, configs, strict=True) if folder.exists()]
    if begun and all(_is_of(*each) for each in begun) and not all(map(finished, newest)):
        return newest
    return named(f"-{max(taken, default=0) + 1}")


def _is_of(folder: Path, config: Config) -> bool:
    """Whether a folder holds a run of a config, or nothing yet. With minutes, what an epoch is follows from
    them as the training begins."""
    if not (folder / CONFIG).exists():
        return never_began(folder)
    there = read_config(folder).config
    if config.training.minutes is not None:
        fitted = {name: getattr(config.training, name) for name in FOLLOWING}
        there = replace(there, training=replace(there.training, **fitted))
    return there == config


def print_all(runs: Mapping[str, Run], **_: Any) -> None:
    """Print the result of `train_all`."""
    if len(runs) == 1:
        print_run(next(iter(runs.values())))
        return
    print_comparison({run.folder.name: read_finished(run.folder) for run in runs.values()}, Screen())
    answer("", "Everything is in", *(f"  {run.folder}" for run in runs.values()))


def print_run(run: Run, /, **_: Any) -> None:
    """Print a training's results, the pictures to look at, and the next commands."""
    folder, results = run.folder, run.results
    print_results(results, Screen())
    made = sorted(folder.glob("*.gif")) + sorted(
        path for path in (folder / "figures").glob("*") if path.suffix in (".gif", ".png")
    )
    answer("", f"Everything is in {folder}. To look at:", *(f"  {path}" for path in made))
    if len(results.members) > 1:
        shown = f"seed {results.median_seed}, the median one on the validation clips"
        print(f"Videos and drawings show {shown}; so does generate, without --seed.")
    clip = folder / f"clip{'.gif' if (folder / 'generated.gif').exists() else '.png'}"
    runs_on = "generate", folder, "--num-frames", 40, "--out", clip
    answer(f"Next: {command(*runs_on if results.closed_loop else ('evaluate', folder))}")
    if is_playable(run):
        answer(f"Or play with it in a browser: {command('play', folder)}")
