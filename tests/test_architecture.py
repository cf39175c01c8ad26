"""The plan of the house: which folder may know which."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "framegen"
FLOORS = [  # from the ground up; what stands together does not know each other
    ["files", "errors", "progress"],
    ["config"],
    ["data", "models"],
    ["evaluation"],
    ["runs"],
    ["training", "report"],
    ["commands"],
    ["studies"],
    ["verbs"],
    ["__main__", "__init__"],
]
HEIGHT = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
GROUND = {("files", "errors"), ("progress", "errors")}
"""Beside each other on the ground: files say in an error what is wrong with them, and lines are
made alike."""


def _room(name: str) -> str:
    return name.split(".")[1] if "." in name else "__init__"


def _imports(path: Path) -> set[str]:
    """The rooms of framegen that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "framegen":
            found |= {_room(node.module)} if "." in node.module else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {_room(alias.name) for alias in node.names if alias.name.startswith("framegen.")}
    return found


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    for other in _imports(path) - {parts[0]}:
        assert HEIGHT[other] < HEIGHT[parts[0]] or (parts[0], other) in GROUND, f"{path} knows {other}"


def test_every_room_stands_on_a_floor() -> None:
    rooms = {path.relative_to(PACKAGE).with_suffix("").parts[0] for path in FILES}
    assert rooms == set(HEIGHT) & rooms == rooms


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_file_and_no_function_is_too_long_to_be_understood(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 50 + _doc(node), node.name


def _doc(node: ast.FunctionDef) -> int:
    """Lines of a function's docstring."""
    first = node.body[0]
    is_doc = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return (first.end_lineno or 0) - first.lineno + 1 if is_doc else 0


def test_configs_import_no_torch() -> None:
    program = "import sys, framegen.config.config, framegen.config.options; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
