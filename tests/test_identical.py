"""What `tests.identical` takes for the same, and what not."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.identical import differences

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two folders with the same run."""
    for name in ("one", "other"):
        shutil.copytree(FIXTURES / "old-run", tmp_path / name / "run")
    return tmp_path / "one", tmp_path / "other"


def _changed(folder: Path, part: str, name: str, value: Any) -> None:
    path = folder / "run" / "results.json"
    content = json.loads(path.read_text())
    content[part][name] = value
    path.write_text(json.dumps(content))


def test_what_a_clock_decides_is_no_difference(folders: tuple[Path, Path]) -> None:
    _changed(folders[1], "training", "seconds", 1e6)
    assert differences(*folders) == []


def test_each_other_result_is_named(folders: tuple[Path, Path]) -> None:
    one, other = folders
    _changed(other, "validation", "copy last", 0.5)
    shutil.copy(FIXTURES / "old-film-run" / "checkpoint.safetensors", other / "run")
    (one / "drawn.npy").touch()
    found = differences(one, other)
    assert [line.split(":")[0] for line in found] == ["drawn.npy", "run/results.json", "run/weights"]
    assert found[1].endswith("| /validation/copy last: 0.5")
