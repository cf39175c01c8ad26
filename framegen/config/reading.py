"""The command line's words become options and configs."""

import itertools
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import tyro

from framegen.config.checks import check, option
from framegen.config.config import Config
from framegen.config.experiments import EXPERIMENTS, PARTS, configure, nearest, values_of
from framegen.config.film import Film
from framegen.config.options import Search, Train, TrainFilms
from framegen.machine.errors import OptionError

NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
VALUE = r"(?!--?[A-Za-z])"
"""A word that is no option; -1 is a value."""


def parse(kind: Any, command: str, words: Sequence[str], **more: Any) -> Any:
    """The options of a command, as an instance of their class. Raises OptionError for a word too many, and
    ends the process where a value cannot be read."""
    more |= {"config": (tyro.conf.OmitArgPrefixes, tyro.conf.AvoidSubcommands), "return_unknown_args": True}
    options, others = tyro.cli(kind, prog=f"framegen {command}", args=words, **more)
    if not others:
        return options
    word, shows = others[0].partition("=")[0], f"framegen {command} --help shows what it takes"
    if not word.startswith("-"):
        pictures = "; the pictures of a film belong in a folder" if Path(word).is_file() else ""
        raise OptionError(f"{word}: is one too many{pictures}; {shows}")
    parts = [options, *(getattr(options, part) for part in PARTS if hasattr(options, part))]
    likely = nearest(word, [option(name) for part in parts for name in vars(part)])
    raise OptionError(f"{word}: no such option{likely}; {shows}")


class Asked(NamedTuple):
    """A training that `train` is asked for."""

    label: str
    """Its difference from the others of a grid, and the end of its folder's name; "" where it is alone."""
    options: Train
    config: Config
    own_length: bool
    """Whether --num-frames was given."""


def read_train(words: Sequence[str]) -> dict[str, Any]:
    """The trainings that `train` is asked for; all are checked before the first is trained."""
    name, rest = experiment_of(words)
    found = several(name, rest)
    varied = {each.field: each for each in found if isinstance(each, Several)}
    for each in varied.values():
        said = f"{option(each.field)} {'..'.join(each.texts)}"
        check(not each.is_range, f"{said}: a range is for framegen search; give values, with commas between")
    asked = []
    for texts in itertools.product(*(each.texts for each in varied.values())):
        chosen = dict(zip(varied, texts, strict=True))
        label = "".join(f"{option(field)[1:]}-{text}" for field, text in chosen.items())
        asked.append(Asked(label, *parse_train(name, flat(found, chosen)), "num_frames" in _given(rest)))
    return {"asked": asked}


def parse_train(name: str, words: Sequence[str]) -> tuple[Train, Config]:
    """The options of `train`, one value each, and their config. Raises OptionError for an impossible one."""
    for each in _given(words) & {"data", "video", "videos", "prompt"}:
        ways = "framegen train clips FILM..., or framegen continue FILM"
        raise OptionError(f"--{each}: cannot be combined with films: {ways}")
    options, config = parse_experiment("train", name, words)
    if isinstance(options, TrainFilms) and not options.films:
        for each in _given(words) & {"size", "channels", "fps", "strict"}:
            way_out = f"name some, framegen train {name} FILM"
            raise OptionError(f"--{each}: is for films that are imported; {way_out}")
    return options, config


def parse_experiment(command: str, name: str, words: Sequence[str]) -> tuple[Any, Config]:
    """The options of `train` or `search`, one value each, and their config."""
    usual = usual_options(command, name)
    options = parse(type(usual), f"{command} {name}", words, default=usual)
    values = {**vars(options.task), **vars(options.model), **vars(options.training)}
    given = {field: value for field, value in values.items() if field in _given(words)}
    seeds = options.seeds[0] if len(options.seeds) == 1 else options.seeds or None
    return options, configure(name, seeds, given)


def usual_options(command: str, name: str) -> Train | Search:
    """The options of `train` or `search` with the values of an experiment."""
    usual = EXPERIMENTS[name]
    kind = Search if command == "search" else TrainFilms if isinstance(usual.task, Film) else Train
    return kind(task=usual.task, model=usual.model, training=usual.training)


def experiment_of(words: Sequence[str]) -> tuple[str, Sequence[str]]:
    """The experiment that is named, else the first or, before films, "clips"; and what comes behind."""
    if not words or words[0].startswith("-"):
        return "video", words
    if words[0] in EXPERIMENTS:
        return words[0], words[1:]
    if Path(words[0]).exists():
        return "clips", words
    ways = "framegen experiments lists them, --import FILE.py brings yours; a film is named by its file"
    raise OptionError(f"{words[0]}: no such experiment{nearest(words[0], EXPERIMENTS)}; {ways}")


def refuse_empty(arguments: Sequence[str]) -> None:
    """Raises OptionError where an argument is empty: as a path it would be the current folder."""
    if any(re.fullmatch(r"(--[\w-]+=)?", each) for each in arguments):
        given = shlex.join(arguments)
        raise OptionError(f"{given}: an argument is empty, perhaps a variable of the shell that is not set")


def _given(words: Sequence[str]) -> set[str]:
    """The fields whose options are among the words."""
    heads = (word.partition("=")[0] for word in words if word.startswith("--"))
    return {head[2:].replace("-", "_").removeprefix("no_") for head in heads}


class Several(NamedTuple):
    """An option with several values, or with a range, whose ends are its texts."""

    field: str
    texts: tuple[str, ...]
    is_range: bool


def several(name: str, words: Sequence[str]) -> list[str | Several]:
    """The words behind an experiment, each option that has several values, 4,8,16, or a range, low..high,
    taken together; one that is a list by itself is left as it is.

    Raises OptionError for values that cannot be told from what stands behind them.
    """
    found: list[str | Several] = []
    rest, usual = list(words), values_of(EXPERIMENTS[name])
    while rest:
        word = rest.pop(0)
        head, equals, text = word.partition("=")
        field = head[2:].replace("-", "_")
        if not head.startswith("--") or isinstance(usual.get(field, ()), tuple):
            found.append(word)
            continue
        is_flag = isinstance(usual[field], bool)
        if not equals and rest and re.match("(true|false)(,|$)" if is_flag else VALUE, rest[0]):
            text = rest.pop(0)
        found += _values(field, text, is_flag)
        if not is_flag and rest and re.match(VALUE, rest[0]):
            _check_behind(name, f"{head} {text}", rest[0])
    together = [each.field for each in found if isinstance(each, Several)]
    for field in together:
        once = together.count(field) == 1 and option(field) not in found
        check(once, f"{option(field)}: is given twice")
    return found


def flat(found: Sequence[str | Several], chosen: Mapping[str, str]) -> list[str]:
    """The words again, with one value of each option that has several."""
    return [
        word
        for each in found
        for word in ([each] if isinstance(each, str) else spelled(each.field, chosen[each.field]))
    ]


def spelled(field: str, value: object) -> list[str]:
    """An option with its value, as words: --flag is on, --no-flag off."""
    if str(value).lower() in ("true", "false"):
        return [option(field) if str(value).lower() == "true" else option(f"no_{field}")]
    return [option(field), *map(str, value if isinstance(value, tuple) else (value,))]


def _values(field: str, text: str, is_flag: bool) -> Iterator[str | Several]:
    texts, is_range = text.split(","), rf"({NUMBER})\.\.({NUMBER})"
    if ends := re.fullmatch(is_range, text):
        yield Several(field, ends.groups(), True)
    elif len(texts) > 1:
        one = not any(re.fullmatch(is_range, each) for each in texts)
        check(one, f"{option(field)} {text}: give one range, or a list of values")
        check(all(texts), f"{option(field)} {text}: a value is missing at a comma")
        check(len(set(texts)) == len(texts), f"{option(field)} {text}: a value is given twice")
        yield Several(field, tuple(texts), False)
    elif is_flag and text:
        yield from spelled(field, text)
    else:
        yield from (option(field), text) if text else (option(field),)


def _check_behind(name: str, said: str, word: str) -> None:
    """Raises OptionError for a word behind an option and its value, unless it is a film."""
    is_path = Path(word).exists()
    if isinstance(EXPERIMENTS[name].task, Film) and (is_path or not re.fullmatch(NUMBER, word)):
        return
    if word in EXPERIMENTS or is_path:
        raise OptionError(f"{word}: must come before all options, not after {said}")
    raise OptionError(f"{said} {word}: several values have commas between them: {said},{word}")
