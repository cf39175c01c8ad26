"""Text at the width of the terminal."""

import re
import shutil
import textwrap


def folded(text: str, most: int = 100) -> list[str]:
    """Paragraphs, and indented lines of two columns, in lines as wide as the terminal, at most `most`
    letters; an indented line of one column is a command, to be pasted, and stays whole."""
    width = min(most, shutil.get_terminal_size().columns)
    lines = re.sub(r"(?m)^(\S.*)\n(?=\S)", r"\1 ", text).splitlines()
    return [part for line in lines for part in _fold(line, width) or [""]]


def _fold(line: str, width: int) -> list[str]:
    column = re.match(r" +(?:\S+ )*\S+ {2,}(?=\S)", line)
    if column is None and line[:1] == " ":
        return [line]
    last = 0 if column is None else len(column[0]) if len(column[0]) < width // 2 else 4
    return textwrap.wrap(line, width, subsequent_indent=" " * last)
