"""What a search tries: of an option a range, low..high, or a list; on the command line or in a TOML file."""

import itertools
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from framegen.config.config import Config, population
from framegen.config.experiments import EXPERIMENTS, configure, suited
from framegen.config.options import Search
from framegen.config.reading import experiment_of, parse_search
from framegen.machine.errors import OptionError, UserError
from framegen.machine.files import check_file

Value = bool | int | float | str
PARTS = ("task", "model", "training")
MAX_CORNERS = 4096
MAX_BYTES = 2**20
DECADE = 10
_NUMBER = r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"


@dataclass(frozen=True)
class Range:
    """All numbers from `low` to `high`, both among them; whole ones where the option is a whole number."""

    low: int | float
    high: int | float

    @property
    def log(self) -> bool:
        """Whether it is searched on a logarithmic scale: it is positive and spans a decade or more."""
        return self.low > 0 and self.high >= DECADE * self.low

    @property
    def values(self) -> tuple[Value, ...]:
        """Its ends."""
        return (self.low, self.high)


@dataclass(frozen=True)
class Choice:
    """One of some values."""

    values: tuple[Value, ...]


Space = dict[str, Range | Choice]
"""By the name of a field of the task, the model or the training."""


def read_words(words: Sequence[str]) -> dict[str, Any]:
    """What `search` is asked for: its arguments."""
    options, config, space = read_search(*experiment_of(words))
    if re.search(r"://[^/@]*:[^/@]*@", options.storage or ""):
        raise OptionError(
            "--storage: holds a password, and a run keeps its command; give the URL as OPTUNA_STORAGE instead"
        )
    fixed = (*PARTS, "seeds", "space")
    values = {name: value for name, value in vars(options).items() if name not in fixed}
    return {"experiment": config, "space": space, **values}


def read_search(name: str, words: Sequence[str]) -> tuple[Search, Config, Space]:
    """The options of `search`, the experiment's config with the first value of all that is searched, and
    what is searched.

    Raises OptionError where nothing is searched; what the values are is for `check_space` to see.
    """
    fixed, searched = _split(name, [*_of_file(words), *words])

    def parsed(**chosen: str) -> tuple[Search, Config]:
        said = (word for each in chosen.items() for word in _said(name, *each))
        return parse_search(name, [*fixed, *said])

    first = {field: texts[0] for field, (_, texts) in searched.items()}
    options, config = parsed(**first)
    space: Space = {}
    for field, (is_range, texts) in searched.items():
        others = [field_of(parsed(**{**first, field: text})[1], field) for text in texts[1:]]
        values = (field_of(config, field), *others)
        space[field] = Range(*values) if is_range else Choice(values)
    return options, config, space


def check_space(config: Config, space: Mapping[str, Range | Choice]) -> Space:
    """The same, with whole numbers made floats where an option is one.

    Raises OptionError where nothing is searched, or for what cannot work: each end of a range and each value
    of a list is tried with those of all others, as far as they are not more than some thousand.
    """
    if not space:
        raise OptionError(
            "search: nothing is searched; give an option a range or a list, such as"
            " --learning-rate 1e-3..1e-1 --cell tanh gru"
        )
    fitted = {field: _fitted(config, field, each) for field, each in space.items()}
    corners = itertools.product(*(each.values for each in fitted.values()))
    for corner in itertools.islice(corners, MAX_CORNERS):
        configure(config, None, dict(zip(fitted, corner, strict=True)))
    return fitted


def field_of(config: Config, field: str) -> Any:
    """What an option is in a config. Raises OptionError where it has none of that name."""
    for part in PARTS:
        if field in {each.name for each in fields(getattr(config, part))}:
            return getattr(getattr(config, part), field)
    raise OptionError(f"{field}: {config.experiment} has no such option")


def command(config: Config) -> str:
    """The command that makes a run of this config. Raises KeyError where its experiment is none of
    framegen's."""
    default, words = EXPERIMENTS[config.experiment], ["framegen", "train", config.experiment]
    default = replace(default, training=suited(default.training, config.model, default.model))
    for part in PARTS:
        ours, usual = getattr(config, part), getattr(default, part)
        for each in fields(ours):
            if (value := getattr(ours, each.name)) != getattr(usual, each.name):
                words += _option(each.name, value)
    if config.seeds:
        counted = config.seeds == population(len(config.seeds))
        words += _option("seeds", len(config.seeds) if counted else config.seeds)
    return " ".join(words)


def _fitted(config: Config, field: str, each: Range | Choice) -> Range | Choice:
    """A range or a list whose values are of the option's type. Raises OptionError where they cannot be."""
    option, usual = _name(field), field_of(config, field)
    if isinstance(each, Choice):
        if len(each.values) != len(set(each.values)):
            raise OptionError(f"{option}: a value stands twice")
        return each
    if isinstance(usual, bool) or not isinstance(usual, int | float):
        raise OptionError(f"{option} {each.low}..{each.high}: is no number; give a list of values")
    low, high = (float(end) if isinstance(usual, float) else end for end in (each.low, each.high))
    if isinstance(usual, int) and not (isinstance(low, int) and isinstance(high, int)):
        raise OptionError(f"{option} {low}..{high}: is a whole number, so both ends are")
    if not low < high:
        raise OptionError(f"{option} {low}..{high}: goes from the lower to the higher")
    return Range(low, high)


def _split(name: str, words: Sequence[str]) -> tuple[list[str], dict[str, tuple[bool, list[str]]]]:
    """The words that are fixed, and by field what is searched: whether it is a range, and its ends or
    values."""
    single = {_name(field): field for field, value in _fields(name) if not isinstance(value, tuple)}
    fixed: list[str] = []
    searched: dict[str, tuple[bool, list[str]]] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        head, equals, listed = word.partition("=")
        field = single.get(head.replace("_", "-"))
        values = listed.split(",") if equals else list(itertools.takewhile(_is_value, rest))
        ends = [re.fullmatch(rf"{_NUMBER}\.\.{_NUMBER}", value) for value in values]
        if field is None or (len(values) < 2 and not any(ends)):
            fixed.append(word)
            continue
        rest = rest if equals else rest[len(values) :]
        if any(ends) and len(values) > 1:
            raise OptionError(f"{head} {' '.join(values)}: give one range, or a list of values")
        if field in searched:
            raise OptionError(f"{head}: stands twice")
        searched[field] = (True, list(ends[0].groups())) if ends[0] else (False, values)
    return fixed, searched


def _is_value(word: str) -> bool:
    return re.match(r"--?[A-Za-z]", word) is None


def _fields(name: str) -> Iterator[tuple[str, Any]]:
    for part in PARTS:
        yield from vars(getattr(EXPERIMENTS[name], part)).items()


def _name(field: str) -> str:
    return f"--{field.replace('_', '-')}"


def _said(name: str, field: str, text: str) -> list[str]:
    """A value as the command line takes it: of what is on or off, `true` is --flag, `false` is --no-flag."""
    if isinstance(dict(_fields(name))[field], bool) and text.lower() in ("true", "false"):
        return _option(field, text.lower() == "true")
    return [_name(field), text]


def _option(field: str, value: Any) -> list[str]:
    """An option with its value, as words."""
    if isinstance(value, bool):
        return [_name(field) if value else f"--no-{field.replace('_', '-')}"]
    return [_name(field), *map(str, value if isinstance(value, tuple) else (value,))]


def _of_file(words: Sequence[str]) -> list[str]:
    """What the TOML file says that --space names, as words: a line for an option, as without the dashes; what
    stands on the command line too counts there.

    Raises UserError that names the file where it cannot be read.
    """
    given = {word.partition("=")[0].replace("_", "-") for word in words}
    found = re.search(r"(?:^|\0)--space[=\0]([^\0]*)", "\0".join(words))
    if found is None:
        return []
    path = Path(found[1])
    check_file(path, MAX_BYTES)
    try:
        content = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: is no TOML file: {error}") from error
    said: list[str] = []
    for key, value in content.items():
        field, values = key.replace("-", "_"), value if isinstance(value, list) else [value]
        if not all(isinstance(each, Value) for each in values):
            raise UserError(f"{path}: {key}: is a number, a text, true, false, or a list of these")
        if _name(field) in given:
            continue
        if isinstance(value, bool):
            said += _option(field, value)
        else:
            said += [
                _name(field),
                *(str(each).lower() if isinstance(each, bool) else str(each) for each in values),
            ]
    return said
