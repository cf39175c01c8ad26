"""The plan of the house, measured on its imports: python -m tests.architecture prints it.

With a command's words behind it, such as train video, it prints the files of the package that run.

A room is a folder or a file right under framegen/; an arrow says that one room imports from another, by an
import, the public face's stub or the table of commands; a room's floor is the longest way down from it. The
core is what is read in an hour: see docs/design.md.
"""

import ast
import inspect
import re
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.table import Table

PACKAGE = Path(__file__).parents[1] / "framegen"
CORE = "commands", "training", "runs", "evaluation", "models", "data", "config", "machine"
SOURCES = {".py", ".pyi", ".cpp", ".hpp", ".js", ".css", ".jinja"}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def files(suffixes: set[str]) -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*") if path.suffix in suffixes)


def imported(path: Path) -> set[str]:
    """What a file imports from framegen, wherever in it, or names as "room.module:function": dotted, such as
    "data.clips.Data"."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and re.fullmatch(r"\w+\.[\w.]+:\w+", str(node.value)):
            found.add(str(node.value).replace(":", "."))
        elif isinstance(node, ast.ImportFrom):
            start = f"{'framegen.' if node.level else ''}{node.module or ''}."
            found |= {start + alias.name for alias in node.names if start.startswith("framegen.")}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("framegen.")}
    return {name.removeprefix("framegen.") for name in found}


def arrows() -> dict[str, set[str]]:
    """Which rooms each room imports from."""
    found: dict[str, set[str]] = {}
    for path in files({".py", ".pyi"}):
        room = room_of(path)
        found.setdefault(room, set()).update({name.split(".")[0] for name in imported(path)} - {room})
    return found


def arrows_of_files() -> dict[str, set[str]]:
    """Which files each file imports from, by their dotted names."""
    modules = {path: ".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in files({".py"})}
    modules = {path: name.removesuffix(".__init__") for path, name in modules.items()}
    known = set(modules.values())
    found = {}
    for path, module in modules.items():
        names = {name if name in known else name.rpartition(".")[0] for name in imported(path)}
        found[module] = names & known - {module}
    return found


def floors(house: Mapping[str, set[str]]) -> dict[str, int]:
    """The floor of each room, or file, from 1 up. Raises ValueError where some know each other in a
    circle."""
    placed: dict[str, int] = {}
    while waiting := [room for room in house if room not in placed]:
        ready = [room for room in waiting if house[room] <= placed.keys()]
        if not ready:
            raise ValueError(f"a circle: {', '.join(waiting)}")
        placed |= {room: 1 + max((placed[other] for other in house[room]), default=0) for room in ready}
    return placed


def lines() -> dict[str, int]:
    """Lines of source in each room, of every language."""
    found: dict[str, int] = {}
    for path in files(SOURCES):
        found[room_of(path)] = found.get(room_of(path), 0) + len(path.read_text().splitlines())
    return found


def way(words: list[str]) -> dict[str, set[str]]:
    """The functions that run for the command framegen WORDS, by their file."""
    from framegen.__main__ import main

    found: dict[str, set[str]] = {}

    def entered(frame: FrameType, event: str, _: object) -> None:
        code, package = frame.f_code, str(PACKAGE)
        is_function = code.co_flags & inspect.CO_OPTIMIZED  # and not a module or a class that is defined
        if event == "call" and is_function and code.co_filename.startswith(package):
            found.setdefault(code.co_filename.removeprefix(package), set()).add(code.co_qualname)

    sys.argv = ["framegen", *words]
    threading.setprofile(entered)
    sys.setprofile(entered)
    try:
        main()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return found


def main() -> None:
    if words := sys.argv[1:]:
        ran = way(words)
        for path, functions in sorted(ran.items()):
            print(f"{len(functions):4}  framegen{path}")
        print(f"{sum(map(len, ran.values())):4}  functions in {len(ran)} files")
        return
    house, size = arrows(), lines()
    height = floors(house)
    table = Table("floor", "room", "lines", "imports from")
    for room in sorted(house, key=lambda room: (-height[room], room)):
        below = sorted(house[room], key=lambda other: -height[other])
        table.add_row(str(height[room]), room, f"{size[room]:,}", ", ".join(below))
    Console().print(table)
    core, total = sum(size[room] for room in CORE), sum(size.values())
    print(
        f"{len(house)} rooms, {max(height.values())} floors, {sum(map(len, house.values()))} arrows, none up,"
        f" no circle; {total:,} lines, {core:,} of them the core ({', '.join(CORE)})"
    )


if __name__ == "__main__":
    main()
