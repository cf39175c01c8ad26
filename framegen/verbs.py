"""The commands, each from its words to its last lines; torch is imported only once one is sure to run."""

import re
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from framegen.config.data_options import Import, ListData, ShowData
from framegen.config.experiments import EXPERIMENTS, nearest
from framegen.config.options import (
    Bench,
    Compare,
    Continue,
    Draw,
    Evaluate,
    Play,
    Probe,
    Reproduce,
    Resume,
    TrainFilms,
)
from framegen.config.reading import parse, parse_generate, parse_train, seconds_of, sweep
from framegen.config.tasks import Film
from framegen.machine.errors import OptionError
from framegen.machine.progress import answer
from framegen.studies.search.space import read_search

if TYPE_CHECKING:
    from framegen.runs.run import Run


def continue_films(words: list[str]) -> None:
    options = parse(Continue, "continue", words)
    values = {name: value for name, value in vars(options).items() if name not in ("films", "start")}
    start = None if options.start is None else seconds_of(options.start)
    if options.experiment not in EXPERIMENTS:
        raise OptionError(
            f"--experiment {options.experiment}: no such experiment{nearest(options.experiment, EXPERIMENTS)}"
        )
    from framegen.commands import continuing
    from framegen.report.tables import print_results

    made = continuing.continue_films(options.films, start=start, **values)
    print_results(made.run.results, Console())
    answer(
        "",
        f"How it goes on:           {made.continued}",
        f"With the truth, unseen:   {made.compared} ({made.part})",
        f"The run, to generate more: {made.run.folder}",
    )


def data(words: list[str]) -> None:
    match words:
        case ["import", *rest]:
            options: Import = parse(Import, "data import", rest)
            from framegen.data.films.importing import import_films

            values = {name: value for name, value in vars(options).items() if name != "paths"}
            folder = import_films(options.paths, **values)
            answer(folder, f"Next: uv run framegen data show {options.name}")
        case ["list", *rest]:
            place: ListData = parse(ListData, "data list", rest)
            from framegen.commands.datasets import list_datasets

            listed = list_datasets(place.data_dir)
            for name, text in listed.items():
                answer(f"{name}: {text}")
            if not listed:
                way_out = "framegen data import FILM --name NAME brings some in"
                answer(f"{place.data_dir}: holds no films; {way_out}")
        case ["show", *rest]:
            shown: ShowData = parse(ShowData, "data show", rest)
            from framegen.commands.datasets import show

            lines, pictures = show(**vars(shown))
            answer(*lines, *pictures)
        case [] | ["-h" | "--help", *_]:
            print("framegen data import PATH... --name NAME [--size 64] [--channels 1|3] [--fps F]")
            print("framegen data list", "framegen data show NAME-or-FILE", sep="\n")
        case [unknown, *_]:
            verbs = ("import", "list", "show")
            raise OptionError(
                f"data {unknown}: no such command{nearest(unknown, verbs)}; there are {', '.join(verbs)}"
            )


def train(words: list[str]) -> None:
    if any(argument.split("=")[0] == "--resume" for argument in words):
        options = parse(Resume, "train", words)
        from framegen.commands import training
        from framegen.runs.folder import find

        _report(training.resume(find(options.resume, options.runs_dir), options.track))
        return
    name, rest = _experiment(words)
    # All are checked before one is trained.
    chosen = [(label, *parse_train(name, each)) for label, each in sweep(name, rest)]
    for label, options, _ in chosen[1:]:
        folder = options.runs_dir / f"{options.name}{label}"
        if options.name is not None and folder.exists():
            raise OptionError(f"--name {options.name}: {folder} exists already; choose another")
    from framegen.commands import training

    runs = {}
    for number, (label, options, config) in enumerate(chosen):
        said = label.replace("-", " ").strip()
        if len(chosen) > 1:
            print(f"{number + 1} of {len(chosen)}: {said}", file=sys.stderr)
        places, began = (options.runs_dir, options.data_dir), time.perf_counter()
        if isinstance(options, TrainFilms) and isinstance(config.task, Film) and options.films:
            from framegen.commands.own_films import import_as_task

            brought = (options.films, options.size, options.channels, options.fps, options.data_dir)
            task = import_as_task(config.task, *brought, strict=options.strict)
            config = replace(config, task=task)
        runs[said] = training.train(
            config,
            options.name,
            options.track,
            *places,
            label=label,
            group=options.group,
            tags=options.tags,
            began=began,
        )
    if len(runs) == 1:
        _report(next(iter(runs.values())))
    else:
        _compare(runs)


def _experiment(arguments: list[str]) -> tuple[str, list[str]]:
    """The experiment that is named, the first where none is, and what comes behind; films are of "clips"."""
    if not arguments or arguments[0].startswith("-"):
        return "video", arguments
    if arguments[0] in EXPERIMENTS:
        return arguments[0], arguments[1:]
    if Path(arguments[0]).exists():
        return "clips", arguments
    raise OptionError(
        f"{arguments[0]}: no such experiment{nearest(arguments[0], EXPERIMENTS)}; there are"
        f" {', '.join(EXPERIMENTS)}; a film is named by its file"
    )


def _report(run: "Run") -> None:
    from framegen.live.content import is_playable
    from framegen.report.tables import print_results

    folder, results = run.folder, run.results
    print_results(results, Console())
    made = sorted(folder.glob("*.gif")) + sorted((folder / "figures").glob("*.png"))
    answer("", f"Everything is in {folder}. To look at:", *(f"  {path}" for path in made))
    if len(results.members) > 1:
        shown = f"seed {results.median_seed}, the median one on the validation clips"
        print(f"Videos and drawings show {shown}; so does generate, without --seed.")
    clip = folder / f"clip{'.gif' if (folder / 'generated.gif').exists() else '.png'}"
    runs_on = f"generate {folder} --frames 100 --out {clip}"
    answer(f"Next: uv run framegen {runs_on if results.closed_loop else f'evaluate {folder}'}")
    if is_playable(run):
        answer(f"Or play with it in a browser: uv run framegen play {folder}")


def _compare(runs: "dict[str, Run]") -> None:
    from framegen.report.comparison import print_comparison
    from framegen.runs.finished import read_finished

    print_comparison({run.folder.name: read_finished(run.folder) for run in runs.values()}, Console())
    answer("", "Everything is in", *(f"  {run.folder}" for run in runs.values()))


def search(words: list[str]) -> None:
    name, rest = _experiment(words)
    options, config, space = read_search(name, rest)
    if re.search(r"://[^/@]*:[^/@]*@", options.storage or ""):
        raise OptionError(
            "--storage: holds a password, and a run keeps its command; give the URL as OPTUNA_STORAGE instead"
        )
    from framegen.report.tables import print_results
    from framegen.studies.search.results import print_trials
    from framegen.studies.search.start import search

    fixed = ("task", "model", "training", "seeds", "space")
    values = {name: value for name, value in vars(options).items() if name not in fixed}
    found = search(config, space, **values)
    print_trials(found.trials, Console())
    print_results(found.run.results, Console())
    made = [found.run.folder, *sorted((found.folder / "figures").glob("*.png"))]
    answer("", "The best one, and the search:", *(f"  {path}" for path in made))
    answer(f"The best one again: uv run {found.trials.command}")


def evaluate(words: list[str]) -> None:
    options = parse(Evaluate, "evaluate", words)
    from framegen.commands import evaluation
    from framegen.report.tables import print_all_metrics
    from framegen.runs.folder import find

    folder = find(options.run, options.runs_dir)
    run = evaluation.evaluate(folder, options.device)
    print_all_metrics(run.results, Console())
    if run.config.task.reservation:
        print(run.config.task.reservation)
    answer("", folder / "results.json", folder / "figures")


def compare(words: list[str]) -> None:
    options = parse(Compare, "compare", words)
    from framegen.commands import comparing
    from framegen.report.comparison import print_comparison
    from framegen.runs.folder import find

    folders = [find(run, options.runs_dir) for run in options.runs]
    compared = comparing.compare(folders, options.out, options.force)
    print_comparison(compared, Console())
    if options.out is not None:
        answer(options.out)


def generate(words: list[str]) -> None:
    options = parse_generate(words)
    from framegen.commands import generation
    from framegen.runs.folder import find

    values = {
        name: value for name, value in vars(options).items() if name not in ("run", "runs_dir", "frames")
    }
    answer(generation.generate(find(options.run, options.runs_dir), options.frames, **values))


def probe(words: list[str]) -> None:
    options = parse(Probe, "probe", words)
    from framegen.runs.folder import find
    from framegen.studies.probe import run
    from framegen.studies.probe.results import PROBE
    from framegen.studies.probe.tables import print_probe

    folder = find(options.run, options.runs_dir)
    print_probe(run.probe(folder, options.frames, options.track), Console())
    made = [folder / "figures" / name for name in ("belief.png", "dynamics.png")]
    answer("", folder / PROBE, *(path for path in made if path.exists()))


def draw(words: list[str]) -> None:
    options = parse(Draw, "draw", words)
    from framegen.commands import evaluation
    from framegen.runs.folder import find

    answer(*evaluation.draw(find(options.run, options.runs_dir)))


def play(words: list[str]) -> None:
    options = parse(Play, "play", words)
    from framegen.commands import playing
    from framegen.runs.folder import find

    path = playing.play(find(options.run, options.runs_dir), options.out, options.force)
    answer(path, "Open it in a browser: it needs nothing else, not even a network.")


def reproduce(words: list[str]) -> None:
    options = parse(Reproduce, "reproduce", words)
    from framegen.studies import reproduce
    from framegen.studies.claims import CLAIMS

    findings = reproduce.reproduce(
        options.runs_dir, options.data_dir, options.claims, options.seeds, options.track
    )
    for number, finding in findings.items():
        text = f"\n{number}. {CLAIMS[number].title}. {finding.sentence} The claim {finding.verdict}."
        Console().print(text, highlight=False, markup=False)
    answer("", f"The report, to open in a browser: {options.runs_dir / reproduce.FOLDER / reproduce.REPORT}")


def bench(words: list[str]) -> None:
    options = parse(Bench, "bench", words)
    from framegen.studies import bench

    bench.print_tables(bench.bench(options.out), Console())
    answer("", options.out / "bench.json", options.out / "bench.md")
