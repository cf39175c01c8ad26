"""The command line's words become options and configs."""

import itertools
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from framegen.config.config import Config, population
from framegen.config.experiments import EXPERIMENTS, nearest, suited
from framegen.config.options import Generate, Search, Train, TrainFilms
from framegen.config.tasks import Film
from framegen.config.training import Training, check_given
from framegen.machine.errors import OptionError


def parse(kind: Any, command: str, arguments: Sequence[str]) -> Any:
    """The options of a command, as an instance of their class. Ends the process where they cannot be read."""
    return tyro.cli(kind, prog=f"framegen {command}", args=arguments, config=(tyro.conf.OmitArgPrefixes,))


@dataclass(frozen=True)
class Asked:
    """A training that `train` is asked for."""

    label: str
    """What tells it from the others of a grid, and the end of its folder's name; "" where it is alone."""
    options: Train
    config: Config


def read_train(words: Sequence[str]) -> dict[str, Any]:
    """What `train` is asked for; all of it is checked before one is trained."""
    name, rest = experiment_of(words)
    return {"asked": [Asked(label, *parse_train(name, each)) for label, each in sweep(name, rest)]}


def experiment_of(words: Sequence[str]) -> tuple[str, Sequence[str]]:
    """The experiment that is named, the first where none is, and what comes behind; films are of "clips"."""
    if not words or words[0].startswith("-"):
        return "video", words
    if words[0] in EXPERIMENTS:
        return words[0], words[1:]
    if Path(words[0]).exists():
        return "clips", words
    raise OptionError(
        f"{words[0]}: no such experiment{nearest(words[0], EXPERIMENTS)}; there are"
        f" {', '.join(EXPERIMENTS)}; a film is named by its file"
    )


def read_generate(arguments: Sequence[str]) -> dict[str, Any]:
    """The options of `generate`. Raises OptionError where something stands beside the one run and the
    one prompt."""
    without_value = {"", "--force", "--no-force", "--sample", "--no-sample", "-h", "--help"}
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
    return vars(parse(Generate, "generate", arguments))


def parse_train(name: str, arguments: Sequence[str]) -> tuple[Train, Config]:
    """The options of `train`, and the config that they make of the experiment's. Raises OptionError for an
    impossible one."""
    for argument in arguments:
        if (option := argument.split("=")[0]) in ("--data", "--video", "--videos", "--prompt"):
            raise OptionError(
                f"{option}: films stand alone: framegen train clips FILM..., or framegen continue FILM"
            )
    default = EXPERIMENTS[name]
    kind = TrainFilms if isinstance(default.task, Film) else Train
    options = tyro.cli(
        kind,
        prog=f"framegen train {name}",
        description=f"{name}: {default.description}. Go on with a stopped run: framegen train --resume RUN.",
        args=arguments,
        default=kind(default.task, default.model, default.training),
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.AvoidSubcommands),
    )
    if isinstance(options, TrainFilms) and not options.films:
        for argument in arguments:
            if (option := argument.split("=")[0]) in ("--size", "--channels", "--fps"):
                raise OptionError(
                    f"{option}: is of films that are imported; name some, framegen train {name} FILM"
                )
    training = _suited(options, arguments, default)
    return options, Config(options.task, options.model, training, name, _seeds(options))


def parse_search(name: str, arguments: Sequence[str]) -> tuple[Search, Config]:
    """The options of `search`, and the config of a trial, from words in which each option has one value."""
    default = EXPERIMENTS[name]
    options = tyro.cli(
        Search,
        prog=f"framegen search {name}",
        args=arguments,
        default=Search(default.task, default.model, default.training),
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.AvoidSubcommands),
    )
    training = _suited(options, arguments, default)
    return options, Config(options.task, options.model, training, name, _seeds(options))


def _suited(options: Train | Search, arguments: Sequence[str], default: Config) -> Training:
    """The training that the options say, at a rate that suits the model where none was given. Raises
    OptionError where others are given that follow from --minutes."""
    words = (argument.partition("=")[0] for argument in arguments)
    check_given(options.training, [word.removeprefix("--").replace("-", "_") for word in words])
    if any(re.match(r"--learning[-_]rate(=|$)", argument) for argument in arguments):
        return options.training
    return suited(options.training, options.model, default.model)


def refuse_empty(arguments: Sequence[str]) -> None:
    """Raises OptionError where an argument is empty: as a path it would be the current folder."""
    if any(re.fullmatch(r"(--[\w-]+=)?", each) for each in arguments):
        given = shlex.join(arguments)
        raise OptionError(f"{given}: an argument is empty, perhaps a variable of the shell that is not set")


def _seeds(options: Train | Search) -> tuple[int, ...]:
    """The seeds of the population that is asked for: a single number counts them; () is none."""
    if options.seeds and options.training.seed:
        raise OptionError(f"--seed {options.training.seed}: stands beside --seeds; give one of the two")
    return population(options.seeds[0]) if len(options.seeds) == 1 else options.seeds


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
            else list(itertools.takewhile(lambda v: not re.match(r"-(?!\.?\d)", v), behind))  # -1 is a value
        )
        if option in single and len(values) > 1:
            rest = sweep(name, behind if equals else behind[len(values) :])
            return [
                (f"{option[1:]}-{value}{label}", [*arguments[:position], option, value, *after])
                for value in dict.fromkeys(values)
                for label, after in rest
            ]
    return [("", arguments)]
