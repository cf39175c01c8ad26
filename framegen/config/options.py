"""What can be said on the command line: the options of each command, and how they are read."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro

from framegen.config.config import Config
from framegen.config.data import Task
from framegen.config.experiments import EXPERIMENTS
from framegen.config.models import Model
from framegen.config.training import Device, Mode, Training
from framegen.errors import OptionError

Positional = tyro.conf.Positional
Look = Literal["compare", "clean"]


@dataclass(frozen=True)
class Train:
    """Train a model. Everything about the run is left in runs/NAME."""

    task: Task
    model: Model
    training: Training
    seeds: tuple[int, ...] = ()
    """Train a population: so many nets at once that differ in their seed (0, 1, 2, ...), or a list of
    seeds."""
    minutes: float | None = None
    """How long the training may take on this machine: epochs, clips an epoch and pictures follow from it."""
    name: str | None = None
    """Name of the run; None takes the experiment's with the next free number."""
    track: Mode | None = None
    """Weights & Biases; None asks WANDB_MODE, else offline: files only, nothing leaves the machine.
    Under `wandb agent` it is online."""
    group: str | None = None
    """W&B's group of runs; None asks WANDB_RUN_GROUP, else the experiment."""
    tags: tuple[str, ...] = ()
    """W&B's tags, beside WANDB_TAGS and the names of the task and the model."""
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
    """The run: its folder, or its name in the folder of the runs; with --prompt, a checkpoint file is
    enough."""
    out: Path
    """What to write, by its ending: .gif, .mp4, .webm, .webp, .png (film strip), .npy (the numbers); a name
    without one is a folder of PNG."""
    frames: int | None = None
    """Frames to generate; None: 40, or as many as --seconds says."""
    seconds: float | None = None
    """Seconds to generate, instead of --frames."""
    prompt: Path | None = None
    """Video, GIF, picture, folder of pictures, .npy or .npz to continue; None takes a test clip."""
    clip: int = 0
    """Which test clip to continue, where there is no --prompt."""
    context: int | None = None
    """Frames of the prompt that the model sees, the rest is shown as truth; None: all of a file, or
    evaluation's choice."""
    fps: float | None = None
    """Frames a second of what moves, 0.1 to 240; None: the prompt's own rate, or 10."""
    look: Look = "compare"
    """compare: labels, numbers, the prompt, truth and error where the truth is known; clean: the generated
    frames alone."""
    scale: int | None = None
    """Pixels that one pixel of the model is wide; None: as many as make small frames good to look at."""
    device: Device = "auto"
    """Where to compute."""
    seed: int | None = None
    """Which member of a population; None takes the median one."""
    force: bool = False
    """Replace --out where it exists; a prompt is never replaced."""
    runs_dir: Path = Path("runs")
    """Folder of the runs."""


@dataclass(frozen=True)
class Reproduce:
    """Run every claim of the article as an experiment; what came out is in runs/reproduce/report.html."""

    claims: tuple[int, ...] = ()
    """Which: 1 memory, 2 tanh and relu, 3 width, depth, 4 generation, 5 length, 6 parallel, 7 sines, 8
    drawings; none: all."""
    seeds: int = 64
    """Nets a result, where the fused engine trains them; PyTorch trains 2 to 4."""
    track: Mode | None = None
    """Weights & Biases; None asks WANDB_MODE, else offline: files only, nothing leaves the machine."""
    runs_dir: Path = Path("runs")
    """Folder of the runs."""
    data_dir: Path = Path("data")
    """Folder of the data sets."""


@dataclass(frozen=True)
class Bench:
    """Measure this engine beside PyTorch and JAX on this machine."""

    out: Path = Path("runs/bench")
    """Folder for bench.json (all numbers) and bench.md (the tables)."""


@dataclass(frozen=True)
class Import:
    """Bring films into a data set: decoded once, cut into shots, split, kept in data/NAME. The same films again
    are known; an import that was stopped goes on."""

    paths: Positional[tuple[Path, ...]]
    """Films (MP4, MOV, MKV, WebM, AVI, GIF, APNG, WebP, …), folders of them, folders of pictures."""
    name: str
    """Name of the data set."""
    size: int = 64
    """Longer side of a frame in pixels, a multiple of 4; the other keeps the first film's aspect ratio."""
    channels: Literal[1, 3] = 3
    """1 is grey, 3 is colour."""
    fps: float | None = None
    """Frames a second; None keeps each film's own."""
    data_dir: Path = Path("data")
    """Folder of the data sets."""


@dataclass(frozen=True)
class ListData:
    """List the data sets of films."""

    data_dir: Path = Path("data")
    """Folder of the data sets."""


@dataclass(frozen=True)
class ShowData:
    """Show what a data set holds, or how a film is read: statistics, a contact sheet, and of a data set a
    GIF."""

    what: Positional[str]
    """Name of a data set, or a film, or a folder of pictures."""
    size: int = 64
    """Longer side at which a film is shown, in pixels; a data set has its own."""
    out: Path | None = None
    """Folder for the pictures; None: the data set's own, or for a film the folder of the data sets."""
    data_dir: Path = Path("data")
    """Folder of the data sets."""


def parse(kind: Any, command: str, arguments: Sequence[str]) -> Any:
    """The options of a command, as an instance of their class. Ends the process where they cannot be read."""
    return tyro.cli(kind, prog=f"framegen {command}", args=arguments, config=(tyro.conf.OmitArgPrefixes,))


def parse_generate(arguments: Sequence[str]) -> Generate:
    """The options of `generate`. Raises OptionError where something stands beside the one run and the
    one prompt."""
    without_value = {"", "--force", "--no-force", "-h", "--help"}
    options = [word if word.startswith("-") and "=" not in word else "" for word in arguments]
    alone = [
        word
        for before, word in zip(["", *options], arguments, strict=False)
        if before in without_value and not word.startswith("-")
    ]
    if len(alone) > 1:
        raise OptionError(
            f"{alone[1]}: is one too many; generate takes one RUN, and after --prompt one file or one folder"
            " (the pictures of a film belong in a folder)"
        )
    return parse(Generate, "generate", arguments)


def parse_train(name: str, arguments: Sequence[str]) -> tuple[Train, Config]:
    """The options of `train`, and the config that they make of the experiment's. Raises OptionError for an
    impossible one."""
    for argument in arguments:
        if (option := argument.split("=")[0]) in ("--data", "--video", "--videos", "--prompt"):
            raise OptionError(
                f"{option}: training on films of your own is not there yet; a trained model continues one:"
                " framegen generate RUN --prompt FILE --out clip.gif"
            )
    default = EXPERIMENTS[name]
    options = tyro.cli(
        Train,
        prog=f"framegen train {name}",
        description=f"{name}: {default.description}. Go on with a stopped run: framegen train --resume RUN.",
        args=arguments,
        default=Train(default.task, default.model, default.training),
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.AvoidSubcommands),
    )
    return options, Config(options.task, options.model, options.training, name, _seeds(options))


def _seeds(options: Train) -> tuple[int, ...]:
    """The seeds of the population that is asked for: a single number counts them; () is none."""
    if options.seeds and options.training.seed:
        raise OptionError(f"--seed {options.training.seed}: stands beside --seeds; give one of the two")
    if len(options.seeds) != 1:
        return options.seeds
    if options.seeds[0] < 1:
        raise OptionError(f"--seeds {options.seeds[0]}: a population has at least 1 net")
    return tuple(range(options.seeds[0]))


def sweep(name: str, arguments: Sequence[str]) -> list[tuple[str, Sequence[str]]]:
    """The same arguments once for each value where an option of the experiment has several (1 2, or =1,2).

    Options that are lists by themselves (--seeds, --speeds) are left as they are. Each comes with a label
    that tells its values.
    """
    default = EXPERIMENTS[name]
    fields = {**vars(default.task), **vars(default.model), **vars(default.training)}
    single = {
        f"--{field.replace('_', '-')}" for field, value in fields.items() if not isinstance(value, tuple)
    }
    for position, argument in enumerate(arguments):
        head, equals, listed = argument.partition("=")
        option, behind = head.replace("_", "-"), arguments[position + 1 :]
        values = (
            listed.split(",")
            if equals
            else list(itertools.takewhile(lambda v: not v.startswith("-"), behind))
        )
        if option in single and len(values) > 1:
            rest = sweep(name, behind if equals else behind[len(values) :])
            return [
                (f"{option[1:]}-{value}{label}", [*arguments[:position], option, value, *after])
                for value in dict.fromkeys(values)
                for label, after in rest
            ]
    return [("", arguments)]
