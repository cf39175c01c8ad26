"""The command line: thin, and quick to answer. torch is imported only once a command is sure to run."""

import difflib
import itertools
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console

from framegen.config import Config, Device, Mode, Model, Task, Training
from framegen.errors import OptionError, UserError
from framegen.experiments import DESCRIPTIONS, EXPERIMENTS

COMMANDS = {
    "train": "train a model: framegen train [EXPERIMENT] [--options]",
    "evaluate": "measure a run against every baseline and the optimum: framegen evaluate RUN",
    "generate": "let a run's model continue a prompt: framegen generate RUN --frames 40 --out clip.gif",
    "draw": "draw a run's net and its curves: framegen draw RUN",
}
SWEPT = ("--learning-rate", "--hidden-size")
"""Options that may have several values: one run for each."""
Positional = tyro.conf.Positional


@dataclass(frozen=True)
class Train:
    """Train a model. Everything about the run is left in runs/NAME."""

    task: Task
    model: Model
    training: Training
    seeds: tuple[int, ...] = ()
    """Train a population: so many nets at once that differ in their seed (0, 1, 2, ...), or a list of seeds."""
    name: str | None = None
    """Name of the run; None takes the experiment's with the next free number."""
    track: Mode | None = None
    """Weights & Biases; None asks WANDB_MODE, else offline: files only, nothing leaves the machine."""
    runs_dir: Path = Path("runs")
    """Folder of the runs."""
    data_dir: Path = Path("data")
    """Folder of the data sets."""


@dataclass(frozen=True)
class Resume:
    """Take up a training where it was stopped. The run keeps the options that it began with."""

    resume: str
    """The run: its folder, or its name in the folder of the runs."""
    track: Mode | None = None
    """Weights & Biases; None goes on as before."""
    runs_dir: Path = Path("runs")
    """Folder of the runs."""


@dataclass(frozen=True)
class Evaluate:
    """Measure a run's model and every baseline on the test clips, one step ahead and closed-loop."""

    run: Positional[str]
    """The run: its folder, or its name in the folder of the runs."""
    device: Device = "auto"
    """Where to compute."""
    runs_dir: Path = Path("runs")
    """Folder of the runs."""


@dataclass(frozen=True)
class Draw:
    """Draw a run: its net in space and in time, losses, film strip, error over horizon, hidden states."""

    run: Positional[str]
    """The run: its folder, or its name in the folder of the runs."""
    runs_dir: Path = Path("runs")
    """Folder of the runs."""


@dataclass(frozen=True)
class Generate:
    """Let a run's model continue a prompt, frame by frame."""

    run: Positional[str]
    """The run: its folder, or its name in the folder of the runs; with --prompt, a checkpoint file is enough."""
    frames: int
    """Frames to generate."""
    out: Path
    """File to write; its ending says what: .gif, .mp4, .png (film strip) or .npy (the numbers)."""
    prompt: Path | None = None
    """Video, GIF, picture, folder of pictures, .npy or .npz to continue; None takes a test clip."""
    clip: int = 0
    """Which test clip to continue, where there is no --prompt."""
    context: int | None = None
    """Frames of the prompt that the model sees, the rest is shown as truth; None: all of a file, or evaluation's choice."""
    fps: float = 10
    """Frames a second of .gif and .mp4."""
    device: Device = "auto"
    """Where to compute."""
    seed: int | None = None
    """Which member of a population; None takes the median one."""
    runs_dir: Path = Path("runs")
    """Folder of the runs."""


def main() -> None:
    """Entry point of `framegen`. Exits with 0, with 2 for an option that cannot work, else with 1 (or 128 + signal)."""
    from framegen.interrupts import Interrupted

    try:
        _main(sys.argv[1:])
    except UserError as error:
        print(f"framegen: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except Interrupted as interrupt:
        print(f"framegen: {interrupt}", file=sys.stderr)
        sys.exit(interrupt.exit_code)
    except KeyboardInterrupt:
        print("framegen: interrupted", file=sys.stderr)
        sys.exit(130)


def _main(arguments: list[str]) -> None:
    match arguments:
        case [] | ["-h" | "--help", *_]:
            print(_help())
        case ["train", *rest]:
            _train(rest)
        case ["evaluate", *rest]:
            _evaluate(_parse(Evaluate, "evaluate", rest))
        case ["generate", *rest]:
            _generate(_parse(Generate, "generate", rest))
        case ["draw", *rest]:
            _draw(_parse(Draw, "draw", rest))
        case [unknown, *_]:
            raise OptionError(f"{unknown}: no such command{_nearest(unknown, COMMANDS)}; framegen --help lists them")


def _help() -> str:
    lines = ["framegen: next-frame video generation with recurrent networks, measured against the best possible", ""]
    lines += [f"  framegen {name:<10}{text}" for name, text in COMMANDS.items()]
    lines += ["", "experiments for train (the first is the default):", ""]
    lines += [f"  {name:<18}{text}" for name, text in DESCRIPTIONS.items()]
    return "\n".join([*lines, "", "framegen COMMAND --help shows a command's options and their defaults."])


def _nearest(word: str, known: Any) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _parse(kind: Any, command: str, arguments: list[str], **options: Any) -> Any:
    return tyro.cli(kind, prog=f"framegen {command}", args=arguments, config=(tyro.conf.OmitArgPrefixes,), **options)


def _train(arguments: list[str]) -> None:
    if any(argument.split("=")[0] == "--resume" for argument in arguments):
        options = _parse(Resume, "train", arguments)
        from framegen import runs, train

        folder = runs.find(options.resume, options.runs_dir)
        _report(train.resume(folder, options.track))
        return
    name, rest = ("video", arguments) if not arguments or arguments[0].startswith("-") else (arguments[0], arguments[1:])
    if name not in EXPERIMENTS:
        raise OptionError(f"{name}: no such experiment{_nearest(name, EXPERIMENTS)}; there are {', '.join(EXPERIMENTS)}")
    chosen = [(label, _train_options(name, each)) for label, each in _sweep(rest)]  # all are checked before one is trained
    from framegen import train

    folders = []
    for number, (label, options) in enumerate(chosen):
        if len(chosen) > 1:
            print(f"{number + 1} of {len(chosen)}:{label.replace('-', ' ')}", file=sys.stderr)
        config = Config(options.task, options.model, options.training, name, _seeds(options))
        folders.append(train.train(config, options.name, options.track, options.runs_dir, options.data_dir, label=label))
    if len(folders) == 1:
        _report(folders[0])
    else:
        _compare(folders)


def _train_options(name: str, arguments: list[str]) -> Train:
    default = EXPERIMENTS[name]
    options = tyro.cli(
        Train,
        prog=f"framegen train {name}",
        description=f"{name}: {DESCRIPTIONS[name]}. Go on with a stopped run: framegen train --resume RUN.",
        args=arguments,
        default=Train(default.task, default.model, default.training),
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.AvoidSubcommands),
    )
    Config(options.task, options.model, options.training, name, _seeds(options))  # checks what goes together
    return options


def _seeds(options: Train) -> tuple[int, ...]:
    """The seeds of the population that is asked for: a single number counts them; () is none."""
    if options.seeds and options.training.seed:
        raise OptionError(f"--seed {options.training.seed}: stands beside --seeds; give one of the two")
    if len(options.seeds) != 1:
        return options.seeds
    if options.seeds[0] < 1:
        raise OptionError(f"--seeds {options.seeds[0]}: a population has at least 1 net")
    return tuple(range(options.seeds[0]))


def _sweep(arguments: list[str]) -> list[tuple[str, list[str]]]:
    """The same arguments once for each value where an option of SWEPT has several; each with a label that tells it."""
    for position, argument in enumerate(arguments):
        values = list(itertools.takewhile(lambda value: not value.startswith("-"), arguments[position + 1 :]))
        if (option := argument.replace("_", "-")) in SWEPT and len(values) > 1:
            before, after = arguments[:position], _sweep(arguments[position + 1 + len(values) :])
            return [
                (f"{option[1:]}-{value}{label}", [*before, option, value, *rest])
                for value in dict.fromkeys(values)
                for label, rest in after
            ]
    return [("", arguments)]


def _report(folder: Path) -> None:
    import json

    from framegen.tables import print_results

    results = json.loads((folder / "results.json").read_text())
    print_results(results, Console())
    made = sorted(folder.glob("*.gif")) + sorted((folder / "figures").glob("*.png"))
    print(f"\nEverything is in {folder}. To look at:", *(f"  {path}" for path in made), sep="\n")
    if len(results["members"]) > 1:
        print(f"Videos and drawings show seed {results['median_seed']}, the median one; so does generate, without --seed.")
    clip = folder / f"clip{'.gif' if (folder / 'generated.gif').exists() else '.png'}"
    following = f"generate {folder} --frames 100 --out {clip}" if results["closed_loop"] else f"evaluate {folder}"
    print(f"Next: uv run framegen {following}")


def _compare(folders: list[Path]) -> None:
    import json

    from framegen.tables import print_comparison

    print_comparison({folder.name: json.loads((folder / "results.json").read_text()) for folder in folders}, Console())
    print("\nEverything is in", *(f"  {folder}" for folder in folders), sep="\n")


def _evaluate(options: Evaluate) -> None:
    from framegen import commands, runs
    from framegen.tables import print_all_metrics

    folder = runs.find(options.run, options.runs_dir)
    print_all_metrics(commands.evaluate_run(folder, options.device), Console())
    print(f"\n{folder / 'results.json'}\n{folder / 'figures'}")


def _generate(options: Generate) -> None:
    from framegen import commands, runs

    folder = runs.find(options.run, options.runs_dir)
    print(
        commands.generate_run(
            folder,
            options.frames,
            options.out,
            options.prompt,
            options.clip,
            options.context,
            options.fps,
            options.device,
            options.seed,
        )
    )


def _draw(options: Draw) -> None:
    from framegen import commands, runs

    for path in commands.draw_run(runs.find(options.run, options.runs_dir)):
        print(path)
