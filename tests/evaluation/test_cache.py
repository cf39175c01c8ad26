"""What the references' errors are is measured once a data set."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from framegen.config.tasks import Orbit
from framegen.data.clips import Data
from framegen.data.loading import load_data
from framegen.evaluation import cache, scores
from framegen.evaluation.references import OBSERVERS, fit_references
from framegen.evaluation.results import Results
from framegen.models.baselines import CopyLast
from framegen.models.predictor import Predictor

WORLD = Orbit(num_clips=20, num_val_clips=4, num_test_clips=12, num_frames=24)


def _evaluated(data: Data, task: Orbit = WORLD) -> Results:
    return scores.evaluate({0: CopyLast()}, task, data, fit_references(task, data))


def test_the_references_are_measured_once_and_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[Predictor] = []
    errors = scores.one_step_errors

    def counted(model: Predictor, *more: Any) -> Any:
        measured.append(model)
        return errors(model, *more)

    monkeypatch.setattr(scores, "one_step_errors", counted)
    data = load_data(WORLD, tmp_path)
    first, again = _evaluated(data), _evaluated(data)
    assert first == again
    assert list(first.one_step) == list(again.one_step)
    alone = len(first.one_step) - len(OBSERVERS)  # who are measured together
    assert len(measured) == alone + 1  # the second time the model alone
    (path,) = tmp_path.glob(".references-*")
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    assert _evaluated(data) == first
    assert path.read_bytes() == whole
    del measured[:]
    assert _evaluated(replace(data, file=None)) == first
    assert len(measured) == alone


def test_what_another_version_measured_is_measured_again_and_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = load_data(WORLD, tmp_path)
    _evaluated(data)
    (before,) = tmp_path.glob(".references-*")
    monkeypatch.setattr(cache, "VERSION", cache.VERSION + 1)
    _evaluated(data)
    (after,) = tmp_path.glob(".references-*")
    assert after.name != before.name


def test_other_clips_have_errors_of_their_own(tmp_path: Path) -> None:
    noisy = replace(WORLD, noise=0.2)
    first, other = (_evaluated(load_data(task, tmp_path), task) for task in (WORLD, noisy))
    assert len(list(tmp_path.glob(".references-*"))) == 2
    assert (other.one_step["optimum"]["mse"] or 0) > 2 * (first.one_step["optimum"]["mse"] or 1)
    assert other.one_step["model"]["mse"] == other.one_step["copy last"]["mse"]
