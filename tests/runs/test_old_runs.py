"""Runs that earlier versions left still open, say the same, and go on as they did.

In tests/fixtures, "old-run" is of `video` and two seeds, "old-film-run" of `clips` on four scenes; beside
each lies what it generated when it was made. They stand for the runs that users have, never made anew.
"""

import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

import framegen
from framegen.commands.evaluation import measure
from tests.data.films import scene
from tests.identical import leaves

FIXTURES = Path(__file__).parents[1] / "fixtures"


def _copied(name: str, folder: Path) -> Path:
    return Path(shutil.copytree(FIXTURES / name, folder / name))


def _numbers(results: framegen.Results) -> dict[str, float]:
    """What was measured, by its place."""
    values = leaves(asdict(replace(results, training=None)))
    return {place: value for place, value in values if isinstance(value, int | float)}


def _same_frames(made: Path, stored: str) -> None:
    np.testing.assert_allclose(np.load(made), np.load(FIXTURES / stored), rtol=0, atol=1e-5)


def test_an_old_run_opens_generates_and_is_measured_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()  # its data set is made there again
    run = framegen.load(_copied("old-run", tmp_path))
    assert list(run.models) == [0, 1]
    assert [len(rows) for rows in (run.metrics().epochs, run.metrics().members)] == [2, 4]
    _same_frames(framegen.generate(run.folder, 5, tmp_path / "frames.npy"), "old-run.npy")
    before, after = _numbers(run.results), _numbers(measure(run)[0])
    for place, value in before.items():
        assert after[place] == pytest.approx(value, rel=1e-4), place


def test_an_old_run_on_films_opens_and_generates_as_it_did(tmp_path: Path) -> None:
    run = framegen.load(_copied("old-film-run", tmp_path))
    assert run.results.training is not None
    assert len(run.metrics().epochs) == run.results.training.epochs == 2
    np.save(tmp_path / "prompt.npy", scene(0, 6, (16, 16)))
    made = framegen.generate(run.folder, 3, tmp_path / "frames.npy", prompt=tmp_path / "prompt.npy")
    _same_frames(made, "old-film-run.npy")
