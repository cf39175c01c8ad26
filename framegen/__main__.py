"""The command line: thin, and quick to answer. torch is imported only once a command is sure to run."""

import os
import signal
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from framegen.config.data import Film
from framegen.config.experiments import EXPERIMENTS, nearest
from framegen.config.options import (
    Bench,
    Continue,
    Draw,
    Evaluate,
    Generate,
    Import,
    ListData,
    Reproduce,
    Resume,
    ShowData,
    TrainFilms,
)
from framegen.config.reading import parse, parse_generate, parse_train, refuse_empty, seconds_of, sweep
from framegen.errors import OptionError, UserError
from framegen.progress import prepare_streams

if TYPE_CHECKING:
    from framegen.runs.run import Run

COMMANDS = {
    "continue": "let a film of your own go on: framegen continue my.mp4 --seconds 2",
    "data": "bring films of your own in: framegen data import my.mp4 --name my; data list; data show my",
    "train": "train a model, or many seeds of it: framegen train [EXPERIMENT] [--seeds N] [--options]",
    "evaluate": "measure a run against every baseline and the optimum: framegen evaluate RUN",
    "generate": "let a run's model continue a prompt: framegen generate RUN --frames 40 --out clip.gif",
    "draw": "draw a run's net and its curves: framegen draw RUN",
    "reproduce": "run every claim of the article, and write a report: framegen reproduce",
    "bench": "measure this engine beside PyTorch and JAX: framegen bench",
}


def main() -> None:
    """Entry point of `framegen`. Exits with 0, with 2 for an option that cannot work, else with 1 (or 128 +
    signal)."""
    from framegen.training.interrupts import SIGNALS, Interrupted

    prepare_streams()
    try:
        if os.environ.get("WORLD_SIZE", "1") == "1":
            _main(sys.argv[1:])
        else:  # torchrun
            from framegen.training.distributed import together

            together(partial(_main, sys.argv[1:]))
    except UserError as error:
        print(f"framegen: {error.line}", file=sys.stderr)
        sys.exit(error.exit_code)
    except Interrupted as interrupt:
        for number in SIGNALS:  # all is saved: one more must not spoil the last line
            signal.signal(number, signal.SIG_IGN)
        print(f"framegen: {interrupt}", file=sys.stderr)
        sys.exit(interrupt.exit_code)
    except KeyboardInterrupt:
        print("framegen: interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # whoever read the output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:  # a name too long, a full disk: the place it names says more than a traceback
        print(f"framegen: {error.filename or 'output'}: {error.strerror or error}", file=sys.stderr)
        sys.exit(1)


def _main(arguments: list[str]) -> None:
    refuse_empty(arguments)
    match arguments:
        case [] | ["-h" | "--help", *_]:
            print(_help())
        case ["continue", *rest]:
            _continue(parse(Continue, "continue", rest))
        case ["data", *rest]:
            _data(rest)
        case ["train", *rest]:
            _train(rest)
        case ["evaluate", *rest]:
            _evaluate(parse(Evaluate, "evaluate", rest))
        case ["generate", *rest]:
            _generate(parse_generate(rest))
        case ["draw", *rest]:
            _draw(parse(Draw, "draw", rest))
        case ["reproduce", *rest]:
            _reproduce(parse(Reproduce, "reproduce", rest))
        case ["bench", *rest]:
            _bench(parse(Bench, "bench", rest))
        case [unknown, *_]:
            raise OptionError(
                f"{unknown}: no such command{nearest(unknown, COMMANDS)}; framegen --help lists them"
            )


def _help() -> str:
    lines = [
        "framegen: next-frame video generation with recurrent networks, measured against the best possible",
        "",
    ]
    lines += [f"  framegen {name:<10}{text}" for name, text in COMMANDS.items()]
    lines += ["", "experiments for train (the first is the default):", ""]
    width = max(map(len, EXPERIMENTS)) + 2
    lines += [f"  {name:<{width}}{config.description}" for name, config in EXPERIMENTS.items()]
    return "\n".join([*lines, "", "framegen COMMAND --help shows a command's options and their defaults."])


def _continue(options: Continue) -> None:
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
    print(f"\nHow it goes on:           {made.continued}")
    print(f"Beside the truth, unseen: {made.compared}")
    print(f"The run, to generate more: {made.run.folder}")


def _data(arguments: list[str]) -> None:
    match arguments:
        case ["import", *rest]:
            options: Import = parse(Import, "data import", rest)
            from framegen.data.importing import import_films

            values = {name: value for name, value in vars(options).items() if name != "paths"}
            folder = import_films(options.paths, **values)
            print(f"{folder}\nNext: uv run framegen data show {options.name}")
        case ["list", *rest]:
            place: ListData = parse(ListData, "data list", rest)
            from framegen.commands.data import list_datasets

            listed = list_datasets(place.data_dir)
            for name, text in listed.items():
                print(f"{name}: {text}")
            if not listed:
                way_out = "framegen data import FILM --name NAME brings some in"
                print(f"{place.data_dir}: holds no films; {way_out}")
        case ["show", *rest]:
            shown: ShowData = parse(ShowData, "data show", rest)
            from framegen.commands.data import show

            lines, pictures = show(**vars(shown))
            print(*lines, *pictures, sep="\n")
        case [] | ["-h" | "--help", *_]:
            print("framegen data import PATH... --name NAME [--size 64] [--channels 1|3] [--fps F]")
            print("framegen data list", "framegen data show NAME-or-FILE", sep="\n")
        case [unknown, *_]:
            verbs = ("import", "list", "show")
            raise OptionError(
                f"data {unknown}: no such command{nearest(unknown, verbs)}; there are {', '.join(verbs)}"
            )


def _train(arguments: list[str]) -> None:
    if any(argument.split("=")[0] == "--resume" for argument in arguments):
        options = parse(Resume, "train", arguments)
        from framegen.commands import training
        from framegen.runs.folder import find

        _report(training.resume(find(options.resume, options.runs_dir), options.track))
        return
    name, rest = _experiment(arguments)
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
        places = (options.runs_dir, options.data_dir)
        if isinstance(options, TrainFilms) and isinstance(config.task, Film) and options.films:
            from framegen.commands.films import import_as_task

            brought = (options.films, options.size, options.channels, options.fps, options.data_dir)
            config = replace(config, task=import_as_task(config.task, *brought))
        runs[said] = training.train(
            config,
            options.name,
            options.track,
            *places,
            label=label,
            minutes=options.minutes,
            group=options.group,
            tags=options.tags,
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
    from framegen.report.tables import print_results

    folder, results = run.folder, run.results
    print_results(results, Console())
    made = sorted(folder.glob("*.gif")) + sorted((folder / "figures").glob("*.png"))
    print(f"\nEverything is in {folder}. To look at:", *(f"  {path}" for path in made), sep="\n")
    if len(results.members) > 1:
        shown = f"seed {results.median_seed}, the median one on the validation clips"
        print(f"Videos and drawings show {shown}; so does generate, without --seed.")
    clip = folder / f"clip{'.gif' if (folder / 'generated.gif').exists() else '.png'}"
    runs_on = f"generate {folder} --frames 100 --out {clip}"
    print(f"Next: uv run framegen {runs_on if results.closed_loop else f'evaluate {folder}'}")


def _compare(runs: "dict[str, Run]") -> None:
    from framegen.report.tables import print_comparison

    print_comparison({label: run.results for label, run in runs.items()}, Console())
    print("\nEverything is in", *(f"  {run.folder}" for run in runs.values()), sep="\n")


def _evaluate(options: Evaluate) -> None:
    from framegen.commands import evaluation
    from framegen.report.tables import print_all_metrics
    from framegen.runs.folder import find

    folder = find(options.run, options.runs_dir)
    print_all_metrics(evaluation.evaluate(folder, options.device).results, Console())
    print(f"\n{folder / 'results.json'}\n{folder / 'figures'}")


def _generate(options: Generate) -> None:
    from framegen.commands import generation
    from framegen.runs.folder import find

    values = {
        name: value for name, value in vars(options).items() if name not in ("run", "runs_dir", "frames")
    }
    print(generation.generate(find(options.run, options.runs_dir), options.frames, **values))


def _draw(options: Draw) -> None:
    from framegen.commands import evaluation
    from framegen.runs.folder import find

    for path in evaluation.draw(find(options.run, options.runs_dir)):
        print(path)


def _reproduce(options: Reproduce) -> None:
    from framegen.studies import reproduce
    from framegen.studies.claims import CLAIMS

    findings = reproduce.reproduce(
        options.runs_dir, options.data_dir, options.claims, options.seeds, options.track
    )
    for number, finding in findings.items():
        text = f"\n{number}. {CLAIMS[number].title}. {finding.sentence} The claim {finding.verdict}."
        Console().print(text, highlight=False, markup=False)
    print(f"\nThe report, to open in a browser: {options.runs_dir / reproduce.FOLDER / reproduce.REPORT}")


def _bench(options: Bench) -> None:
    from framegen.studies import bench

    bench.print_tables(bench.bench(options.out), Console())
    print(f"\n{options.out / 'bench.json'}\n{options.out / 'bench.md'}")


if __name__ == "__main__":
    main()
