"""The example and the pages do what they say."""

import re
import runpy
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import framegen

ROOT = Path(__file__).parents[1]


def _run(folder: Path, small_run: Path, code: str) -> dict[str, Any]:
    """The names that a piece of code leaves, run beside a run of that name."""
    shutil.copytree(small_run, folder / "runs" / "video-1")
    names: dict[str, Any] = {}
    exec(compile(code, "weights.md", "exec"), names)
    return names


@pytest.fixture
def pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The code of docs/weights.md, to be run in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "weights.md").read_text(), re.M | re.S)


def test_the_weights_in_plain_pytorch_say_the_same(
    small_run: Path, pieces: list[str], tmp_path: Path
) -> None:
    names = _run(tmp_path, small_run, pieces[0])
    predictions, state = framegen.load(small_run).model(names["frames"])
    assert torch.equal(names["predictions"], predictions)
    assert torch.equal(names["state"], state)


@pytest.mark.filterwarnings("ignore:The tensor attributes self.rnn._flat_weights:UserWarning")  # torch's
def test_one_step_can_be_exported(small_run: Path, pieces: list[str], tmp_path: Path) -> None:
    names = _run(tmp_path, small_run, pieces[1])
    model, step = names["model"], torch.export.load("step.pt2").module()
    frames = torch.rand(1, 6, 1, 2, 2)
    state, made = torch.zeros_like(names["state"]), []
    for frame in frames.split(1, 1):
        prediction, state = step(frame, state)
        made.append(prediction)
    torch.testing.assert_close(torch.cat(made, 1), model(frames)[0])


def test_the_flat_loop_learns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = ROOT / "examples" / "loop.py"
    assert len(path.read_text().splitlines()) <= 150
    assert not re.search(r"(from|import) framegen\.", path.read_text())
    words = ["--epochs", "4", "--num-clips", "200", "--learning-rate", "0.02"]
    words += ["--data-dir", tmp_path / "data", "--out", tmp_path / "a.gif"]
    monkeypatch.setattr(sys, "argv", [str(path), *map(str, words)])
    runpy.run_path(str(path), run_name="__main__")
    out = capsys.readouterr().out
    skills = re.findall(r"^  (\w+(?: \w+)*) .* skill +([\d.-]+)$", out, re.MULTILINE)
    assert float(dict(skills[:3])["model"]) > 0.25
    assert (tmp_path / "a.gif").stat().st_size > 0


def test_every_file_of_a_run_and_of_its_data_is_told(small_run: Path, places: tuple[Path, Path]) -> None:
    of_runs, of_data = ((ROOT / folder / "README.md").read_text() for folder in ("runs", "data"))
    for path in small_run.rglob("*"):
        if path.is_file():
            first, *_ = path.relative_to(small_run).parts
            said = {path.name, path.stem} if first == "figures" else {first, f"{first}/"}
            assert any(f"`{name}`" in of_runs for name in said), path
    for path in places[1].iterdir():
        assert f"`{path.name.split('-')[0]}-" in of_data, path
