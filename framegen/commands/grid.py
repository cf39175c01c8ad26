"""`framegen train`: one training, or a grid of them, one for each combination of the options that have
several values."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from framegen.commands.own_films import on_films
from framegen.commands.training import train
from framegen.config.options import TrainFilms
from framegen.config.reading import Asked
from framegen.live.content import is_playable
from framegen.machine.errors import OptionError
from framegen.machine.plugins import command
from framegen.machine.progress import answer, say
from framegen.report.comparison import print_comparison
from framegen.report.tables import print_results
from framegen.runs.finished import read_finished
from framegen.runs.run import Run


def train_all(asked: Sequence[Asked]) -> dict[str, Run]:
    """Train one after another; returns the runs, by what tells each from the others. See `train`."""
    for each in asked[1:]:
        folder = each.options.runs_dir / f"{each.options.name}{each.label}"
        if each.options.name is not None and folder.exists():
            raise OptionError(f"--name {each.options.name}: {folder} exists already; choose another")
    runs = {}
    for number, each in enumerate(asked, start=1):
        said = each.label.replace("-", " ").strip()
        say(f"{number} of {len(asked)}: {said}", len(asked) > 1)
        runs[said] = _train(each)
    return runs


def _train(asked: Asked) -> Run:
    options, config, began = asked.options, asked.config, time.perf_counter()
    if isinstance(options, TrainFilms) and options.films:
        read = options.size, options.channels, options.fps, options.strict
        config = on_films(config, options.films, *read, not asked.own_length, options.data_dir)
    names = "name", "track", "runs_dir", "data_dir", "group", "tags"
    values = {name: getattr(options, name) for name in names}
    return train(config, label=asked.label, began=began, **values)


def print_all(runs: Mapping[str, Run], **_: Any) -> None:
    """What came of `train_all`."""
    if len(runs) == 1:
        print_run(next(iter(runs.values())))
        return
    print_comparison({run.folder.name: read_finished(run.folder) for run in runs.values()}, Console())
    answer("", "Everything is in", *(f"  {run.folder}" for run in runs.values()))


def print_run(run: Run, /, **_: Any) -> None:
    """What came of a training, what there is to look at, and what can be done with it."""
    folder, results = run.folder, run.results
    print_results(results, Console())
    made = sorted(folder.glob("*.gif")) + sorted((folder / "figures").glob("*.png"))
    answer("", f"Everything is in {folder}. To look at:", *(f"  {path}" for path in made))
    if len(results.members) > 1:
        shown = f"seed {results.median_seed}, the median one on the validation clips"
        print(f"Videos and drawings show {shown}; so does generate, without --seed.")
    clip = folder / f"clip{'.gif' if (folder / 'generated.gif').exists() else '.png'}"
    runs_on = f"generate {folder} --num-frames 100 --out {clip}"
    answer(f"Next: {command(runs_on if results.closed_loop else f'evaluate {folder}')}")
    if is_playable(run):
        answer(f"Or play with it in a browser: {command(f'play {folder}')}")
