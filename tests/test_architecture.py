"""The plan of the house: which room may know which, and how much of it there is to read."""

import ast
import subprocess
import sys

from tests.architecture import CORE, arrows, arrows_of_files, files, floors, lines

FLOORS = [  # from the ground up; what stands together does not know each other
    ["machine"],
    ["config"],
    ["data", "models"],
    ["evaluation"],
    ["tables"],
    ["runs"],
    ["training", "report"],
    ["live"],
    ["commands"],
    ["studies"],
    ["__main__", "__init__"],
]
HEIGHT = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
MOST_LINES = 300
MOST_LINES_OF_A_FUNCTION = 50
MOST_LINES_OF_THE_CORE = 14_600


def test_imports_point_down() -> None:
    for room, others in arrows().items():
        for other in others:
            assert HEIGHT[other] < HEIGHT[room], f"{room} knows {other}"


def test_every_room_stands_on_a_floor() -> None:
    assert arrows().keys() == HEIGHT.keys()
    assert floors(arrows()).keys() == HEIGHT.keys()


def test_no_file_knows_itself_through_others() -> None:
    house = arrows_of_files()
    assert house["training.engine"] > {"training.base", "data.clips"}
    floors(house)


def test_no_file_and_no_function_is_too_long_to_be_understood() -> None:
    for path in files({".py"}):
        text = path.read_text()
        assert len(text.splitlines()) <= MOST_LINES, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                long = (node.end_lineno or 0) - node.lineno - _doc(node)
                assert long < MOST_LINES_OF_A_FUNCTION, f"{path}: {node.name}"


def test_the_core_is_read_in_an_hour() -> None:
    assert sum(lines()[room] for room in CORE) <= MOST_LINES_OF_THE_CORE


def _doc(node: ast.FunctionDef) -> int:
    """Lines of a function's docstring."""
    first = node.body[0]
    is_doc = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return (first.end_lineno or 0) - first.lineno + 1 if is_doc else 0


def test_the_command_line_is_a_table_and_imports_no_torch() -> None:
    program = (
        "import sys, framegen.__main__; rooms = {name.split('.')[1] for name in sys.modules if"
        " name.startswith('framegen.')}; sys.exit(rooms != {'__main__', 'machine'} or 'torch' in"
        " sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
