"""Text at the width of the terminal."""

import re
import shutil
import textwrap


def folded(text: str, most: int = 100) -> list[str]:
    """Paragraphs, and lines that begin with spaces, in lines as wide as the terminal, at most `most` letters;
    such a line goes on where its last column begins."""
    width = min(most, shutil.get_terminal_size().columns)
    lines = re.sub(r"(?m)^(\S.*)\n(?=\S)", r"\1 ", text).splitlines()
    return [part for line in lines for part in _fold(line, width) or [""]]


def _fold(line: str, width: int) -> list[str]:
    columns = re.match(r"( +)(?:\S+ )*\S+ {2,}(?=\S)|( *)", line)
    assert columns is not None
    last = len(columns[0]) if len(columns[0]) < width // 2 else 4
    return textwrap.wrap(line, width, subsequent_indent=" " * last if line[:1] == " " else "")
