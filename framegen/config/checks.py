"""What the configs check their values with."""

from framegen.errors import OptionError

MAX_SEED = 2**63 - 1


def check(condition: bool, message: str) -> None:
    """Raises OptionError with the message where the condition does not hold."""
    if not condition:
        raise OptionError(message)
