"""The space of a search: ranges, low..high, and lists of options, from the command line or a TOML file."""

import itertools
import re
import shlex
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from framegen.config.checks import option
from framegen.config.config import Config, population
from framegen.config.experiments import EXPERIMENTS, PARTS, configure, nearest, suited, values_of
from framegen.config.options import Search
from framegen.config.reading import Several, experiment_of, flat, parse_experiment, several, spelled
from framegen.machine.errors import OptionError, UserError
from framegen.machine.files import check_file

Value = bool | int | float | str
MAX_CORNERS = 4096
MAX_BYTES = 2**20
DECADE = 10


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
    """The arguments of `search`."""
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
    found = several(name, [*_of_file(name, words), *words])
    searched = [each for each in found if isinstance(each, Several)]
    first = {each.field: each.texts[0] for each in searched}
    options, config = parse_experiment("search", name, flat(found, first))
    space: Space = {}
    for each in searched:
        tried = ({**first, each.field: text} for text in each.texts)
        configs = (parse_experiment("search", name, flat(found, chosen))[1] for chosen in tried)
        values = tuple(field_of(config, each.field) for config in configs)
        space[each.field] = Range(*values) if each.is_range else Choice(values)
    return options, config, space


def check_space(config: Config, space: Mapping[str, Range | Choice]) -> Space:
    """The same, with whole numbers made floats where an option is one.

    Raises OptionError where nothing is searched, or for what cannot work: each end of a range and each value
    of a list is tried with those of all others, as far as they are not more than some thousand.
    """
    if not space:
        raise OptionError(
            "search: nothing is searched; give an option a range or a list, such as"
            " --learning-rate 1e-3..1e-1 --cell tanh,gru"
        )
    fitted = {field: _fitted(config, field, each) for field, each in space.items()}
    corners = itertools.product(*(each.values for each in fitted.values()))
    for corner in itertools.islice(corners, MAX_CORNERS):
        configure(config, None, dict(zip(fitted, corner, strict=True)))
    return fitted


def field_of(config: Config, field: str) -> Any:
    """An option's type in a config. Raises OptionError where it has none of that name."""
    if field not in (known := values_of(config)):
        raise OptionError(f"{field}: {config.experiment} has no such option{nearest(field, known)}")
    return known[field]


def command(config: Config) -> str:
    """The command that makes a run of this config. Raises KeyError where its experiment is none of
    framegen's."""
    default, words = EXPERIMENTS[config.experiment], ["framegen", "train", config.experiment]
    default = replace(default, training=suited(default.training, config.model, default.model))
    usual = values_of(default)
    for field, value in values_of(config).items():
        if value != usual[field]:
            words += spelled(field, value)
    if config.seeds:
        counted = config.seeds == population(len(config.seeds))
        words += spelled("seeds", len(config.seeds) if counted else config.seeds)
    return shlex.join(words)


def _fitted(config: Config, field: str, each: Range | Choice) -> Range | Choice:
    """A range or a list whose values are of the option's type. Raises OptionError where they cannot be."""
    said, usual = option(field), field_of(config, field)
    if isinstance(each, Choice):
        if len(each.values) != len(set(each.values)):
            raise OptionError(f"{said}: a value is given twice")
        return each
    if isinstance(usual, bool) or not isinstance(usual, int | float):
        raise OptionError(f"{said} {each.low}..{each.high}: is no number; give a list of values")
    low, high = (float(end) if isinstance(usual, float) else end for end in (each.low, each.high))
    if isinstance(usual, int) and not (isinstance(low, int) and isinstance(high, int)):
        raise OptionError(f"{said} {low}..{high}: is a whole number, so both ends are")
    if not low < high:
        raise OptionError(f"{said} {low}..{high}: goes from the lower to the higher")
    return Range(low, high)


def _of_file(name: str, words: Sequence[str]) -> list[str]:
    """The content of --space's TOML file, as words: one line per option, without its dashes; an
    option on the command line has precedence.

    Raises UserError that names the file where it cannot be read.
    """
    found = re.search(r"(?:^|\0)--space[=\0]([^\0]*)", "\0".join(words))
    if found is None:
        return []
    given = {word.partition("=")[0].replace("_", "-") for word in words}
    path = Path(found[1])
    check_file(path, MAX_BYTES)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: is no TOML file: {error}") from error
    usual, said = values_of(EXPERIMENTS[name]), []
    for key, value in content.items():
        field, values = key.replace("-", "_"), value if isinstance(value, list) else [value]
        if not all(isinstance(each, Value) for each in values):
            raise UserError(f"{path}: {key}: is a number, a text, true, false, or a list of these")
        if option(field) in given:
            continue
        texts = [str(each).lower() if isinstance(each, bool) else str(each) for each in values]
        several_values = len(texts) > 1 and not isinstance(usual.get(field, ()), tuple)
        said += (
            spelled(field, value)
            if isinstance(value, bool)
            else [option(field), *([",".join(texts)] if several_values else texts)]
        )
    return said
