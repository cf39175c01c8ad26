"""Errors that a user can fix, in lines that any terminal can show."""


def printable(text: object) -> str:
    """The text as one line of printable letters: a name may hold others, which a terminal obeys."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(text))


class UserError(Exception):
    """Something the user can mend: the message names the file or option, and the way out.

    The command line prints the message as one line, without a traceback, and exits with `exit_code`.
    """

    exit_code = 1

    @property
    def line(self) -> str:
        """The message as one line of printable letters."""
        return printable(self)


class OptionError(UserError):
    """An option whose value cannot work."""

    exit_code = 2
