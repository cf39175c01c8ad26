"""Checks of the configs, and of arguments from Python."""

import re
from collections.abc import Sequence
from typing import Any

from framegen.machine.errors import OptionError

MAX_SEED = 2**63 - 1
MAX_BYTES = 4 * 2**30


def option(name: str) -> str:
    """A field as the command line has it: "--hidden-size"."""
    return f"--{name.replace('_', '-')}"


def check(condition: bool, message: str) -> None:
    """Raises OptionError with the message where the condition does not hold."""
    if not condition:
        raise OptionError(message)


def check_name(name: str, said: str) -> None:
    """A folder can have this name: `said` is how it was given."""
    letters = "letters, digits, dots, dashes and underscores make a name, at most 100"
    check(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name) is not None, f"{said}: {letters}")


def check_range(name: str, value: float | None, low: float, high: float, why: str = "") -> None:
    """An option that has a value lies from low to high."""
    said = f"{option(name)} {value}: must lie between {low} and {high}{why}"
    check(value is None or low <= value <= high, said)


def check_between(config: Any, low: float, high: float, *names: str, why: str = "") -> None:
    """Each of these fields of a config lies from low to high."""
    for name in names:
        check_range(name, getattr(config, name), low, high, why)


def check_least(config: Any, least: int, *names: str) -> None:
    """Each of these fields of a config is at least so much."""
    for name in names:
        value = getattr(config, name)
        check(value >= least, f"{option(name)} {value}: must be at least {least}")


def check_bytes(size: int, options: str) -> None:
    """Raises OptionError where the clips, whose size in bytes follows from these options, are too large."""
    most = f"at most {MAX_BYTES / 2**30:.0f} GiB; make one of them smaller"
    check(size <= MAX_BYTES, f"{options}: {size / 2**30:.1f} GiB of clips; {most}")


def check_type(name: str, value: Any, kind: Any) -> Any:
    """A value of an option as its type has it; a list is taken for a tuple, 1 for 1.0. Raises OptionError
    where it is of another type, or none of its choices."""
    from pydantic import TypeAdapter, ValidationError

    value = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
    try:
        return TypeAdapter(kind).validate_python(value, strict=True)
    except ValidationError as error:
        reason = error.errors(include_url=False, include_input=False)[0]["msg"].removeprefix("Input ")
        raise OptionError(f"{option(name)} {value!r}: {reason}") from error
