"""What `framegen COMMAND --help` says: values in words, and of a training the options that matter most."""

import ast
import inspect
import re
from collections.abc import Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field, fields, make_dataclass, replace
from itertools import pairwise
from textwrap import dedent
from typing import Annotated, Any

from tyro.conf import Suppress, arg
from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    PrimitiveTypeInfo,
    UnsupportedTypeAnnotationError,
)

from framegen.config.experiments import EXPERIMENTS, PARTS
from framegen.config.reading import experiment_of, parse, usual_options
from framegen.machine.plugins import command as typed
from framegen.machine.progress import answer
from framegen.report.folded import folded

EXAMPLES = {
    "train": ["--epochs 30 --name mine", "--learning-rate 3e-3,1e-2"],
    "search": ["--learning-rate 1e-3..1e-1 --batch-size 10,50"],
}
SEVERAL = "Of several values, with commas between them, each has a run, and these are compared.\n"
MORE = """framegen experiments lists every EXPERIMENT, --help-all every option. framegen train --resume RUN
goes on with a stopped training."""
IN_WORDS = ConstructorRegistry()
"""Makes tyro say NUMBER in place of INT, FLOAT and {None}|FLOAT."""
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
        more_of_it = SEVERAL + MORE if command == "train" else MORE
        about = f"\n{name}: {EXPERIMENTS[name].description}.\n\n{examples}\n\n{more_of_it}\n"
        more["default"] = usual = _in_full(usual, "--help-all" in words)
        kind, command = type(usual), f"{command} [EXPERIMENT]"
    else:
        kind = _shown(kind)
    answer(*folded(f"{inspect.getdoc(kind)}\n{about}"), "")
    parse(kind, command, ["--help"], description="", registry=IN_WORDS, **more)


@dataclass(frozen=True)
class ListExperiments:
    """List what can be trained."""


def list_experiments() -> list[str]:
    """What can be trained, in lines of the terminal's width; those of plug-ins too."""
    lines = (f"  {name:<23}  {each.description}" for name, each in EXPERIMENTS.items())
    return folded("\n".join([*lines, "", "framegen train EXPERIMENT trains one; --help shows its options."]))


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
    return replace(usual, metavar=words)


def _in_full(options: Any, whole: bool) -> Any:
    """The same options, of a `_shown` class; unless `whole`, it shows those in `_MATTER_MOST` alone."""
    kind, values = type(options), dict(vars(options))
    values |= {name: _in_full(values[name], whole) for name in PARTS if name in values}
    is_ours = kind.__module__.startswith("framegen.")  # of a world of one's own every option is shown
    hidden = {*values} - {*_MATTER_MOST, *PARTS} if is_ours and not whole else set[str]()
    return _shown(kind, hidden, {name: type(values[name]) for name in PARTS if name in values})(**values)


def _shown(kind: type[Any], hidden: Set[str] = frozenset(), parts: dict[str, type[Any]] | None = None) -> Any:
    """A class of the same options, but for the hidden ones; each explains itself in one paragraph."""
    told, given = _docstrings(kind), parts or {}
    named = []
    for each in fields(kind):
        words = arg(help=told.get(each.name), help_behavior_hint=_default)
        typed = Annotated[given.get(each.name, each.type), words]
        typed = Annotated[typed, Suppress] if each.name in hidden else typed
        named.append((each.name, typed, field(default=each.default, default_factory=each.default_factory)))
    names = {"__doc__": kind.__doc__, "__module__": kind.__module__}
    name = f"_Shown{kind.__name__}"  # a config that names a class finds the whole one
    return make_dataclass(name, named, bases=(kind,), frozen=True, kw_only=True, namespace=names)


def _default(value: str) -> str:
    said = {"True": "on", "False": "off"}.get(value, value)
    return "" if value in ("", "None") else f"(default: {said})"


def _docstrings(kind: type[Any]) -> dict[str, str]:
    """What stands below each field, in one line: tyro would end a line where the source does."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__[:-1]):
        with suppress(OSError, TypeError):  # a class that no file holds
            for part in ast.walk(ast.parse(dedent(inspect.getsource(each)))):
                body = part.body if isinstance(part, ast.ClassDef) else []
                for named, below in pairwise(body):
                    match named, below:
                        case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(text))):
                            found[name] = " ".join(text.split())
                        case _:
                            pass
    return found
