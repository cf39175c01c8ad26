"""What `framegen COMMAND --help` says: values in words, and of a training the options that matter most."""

import inspect
import re
import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, fields, make_dataclass, replace
from itertools import zip_longest
from typing import Annotated, Any

from tyro.conf import Suppress
from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    PrimitiveTypeInfo,
    UnsupportedTypeAnnotationError,
)

from framegen.config.experiments import EXPERIMENTS, PARTS
from framegen.config.options import Generate
from framegen.config.reading import experiment_of, parse, usual_options
from framegen.machine.plugins import command as typed
from framegen.machine.progress import answer

EXAMPLES = {
    "train": ["--epochs 30 --name mine", "--learning-rate 3e-3,1e-2    a run for each, compared"],
    "search": ["--learning-rate 1e-3..1e-1 --batch-size 10,50"],
}
MORE = """framegen experiments lists every EXPERIMENT, --help-all every option. framegen train --resume RUN
goes on with a stopped training."""
IN_WORDS = ConstructorRegistry()
"""Makes tyro say NUMBER in place of INT, FLOAT and {None}|FLOAT, and none where there is no value."""
_WORDS = {
    r"\{None\}\|": "",
    r"\{None,": "{",
    r"\bINT\b|\bFLOAT\b": "NUMBER",
    r"\bSTR\b": "TEXT",
    r"\[(\w+) \[\1 \.\.\.\]\]": r"\1 ...",
}
_MATTER_MOST = {
    *("films", "seeds", "name", "minutes", "epochs", "batch_size", "learning_rate", "trials", "workers"),
    *("num_clips", "cell", "hidden_size", "num_layers"),
}
_under_way: list[PrimitiveTypeInfo] = []


def show(command: str, kind: Any, words: Sequence[str]) -> None:
    """Print what a command takes: `kind` is the class of its options, or reads its words."""
    about, more = "", {}
    if not isinstance(kind, type) and command in EXAMPLES:
        name, _ = experiment_of([word for word in words if not word.startswith("-")][:1])
        usual = usual_options(command, name)
        begin = typed(command, name)
        examples = "\n".join(f"  {begin} {each}" for each in EXAMPLES[command])
        about = f"\n{name}: {EXPERIMENTS[name].description}.\n\n{examples}\n\n{MORE}\n"
        more["default"] = usual if "--help-all" in words else _in_short(usual)
        kind, command = type(more["default"]), f"{command} [EXPERIMENT]"
    elif command == "generate":
        kind = Generate
    answer(*_wrapped(f"{inspect.getdoc(kind)}\n{about}"), "")
    parse(kind, command, ["--help"], description="", registry=IN_WORDS, **more)


@dataclass
class ListExperiments:
    """List what can be trained."""


def list_experiments() -> list[str]:
    """What can be trained, in lines of the terminal's width; those of plug-ins too."""
    width = max(20, shutil.get_terminal_size().columns - 26)
    told = [(name, textwrap.wrap(each.description, width)) for name, each in EXPERIMENTS.items()]
    lines = [
        f"{begin:<25}{line}"
        for name, parts in told
        for begin, line in zip_longest([name], parts, fillvalue="")
    ]
    return [*lines, "", "framegen train EXPERIMENT trains one; with --help its options are shown."]


@IN_WORDS.primitive_rule
def _in_words(
    kind: PrimitiveTypeInfo,
) -> PrimitiveConstructorSpec[Any] | UnsupportedTypeAnnotationError | None:
    if _under_way:  # tyro asks for its own rule of the kind, or of what the kind is made of
        return None
    _under_way.append(kind)
    try:
        usual = ConstructorRegistry.get_primitive_spec(kind)
    finally:
        _under_way.clear()
    if not isinstance(usual, PrimitiveConstructorSpec):
        return usual
    words = usual.metavar
    for pattern, word in _WORDS.items():
        words = re.sub(pattern, word, words)
    return replace(
        usual,
        metavar=words,
        str_from_instance=lambda value: (
            usual.str_from_instance(value) if value not in (None, ()) else ["none"]
        ),
    )


def _wrapped(text: str) -> list[str]:
    """Paragraphs as lines of the terminal's width, at most 100; an indented line stays as it is.

    Not left to tyro, which would make one line of each paragraph.
    """
    width = min(100, shutil.get_terminal_size().columns)
    lines = re.sub(r"(?<=\S)\n(?=\S)", " ", text).splitlines()
    return [
        part for line in lines for part in ([line] if line[:1] == " " else textwrap.wrap(line, width) or [""])
    ]


def _in_short(options: Any) -> Any:
    """The same options as an instance of a class that shows those in `_MATTER_MOST` alone."""
    kind, values = type(options), dict(vars(options))
    values |= {name: _in_short(values[name]) for name in PARTS if name in values}
    parts = [(name, type(values[name])) for name in PARTS if name in values]
    is_ours = kind.__module__.startswith("framegen.")  # of a world of one's own every option is shown
    rest = [each for each in fields(kind) if is_ours and each.name not in {*_MATTER_MOST, *PARTS}]
    hidden = [(each.name, Annotated[each.type, Suppress], each.default) for each in rest]
    names = {"__doc__": kind.__doc__, "__module__": kind.__module__}
    name = f"_Shown{kind.__name__}"  # a config that names a class finds the whole one
    short = make_dataclass(name, [*parts, *hidden], bases=(kind,), frozen=True, kw_only=True, namespace=names)
    return short(**values)
