"""Observers of the last frames: against brute force, the filter begun anew, and each other."""

import itertools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from framegen.config.tasks import Drift, Sprites
from framegen.data.clips import Data
from framegen.data.loading import load_data
from framegen.evaluation import scores
from framegen.evaluation.clip_errors import closed_loop_errors, one_step_errors
from framegen.evaluation.references import OBSERVERS, OPTIMUM, fit_references, optimal_predictor
from framegen.models.optima.observer import Observer
from framegen.models.predictor import Forecaster
from framegen.models.rollout import generate
from tests.models.test_optimum import SPEEDS, _brute_force
from tests.models.test_worlds import DRIFT, SPRITES, _hidden_markov, _normal

BAR = replace(SPRITES, size=4, bar=2)
ORBIT = replace(SPEEDS, num_clips=20, num_val_clips=2, num_test_clips=30, num_frames=8, noise=0.2)
WORLDS = {
    "drift": replace(DRIFT, num_frames=8),
    "sprites": replace(SPRITES, size=4),
    "bar": BAR,
    "orbit": ORBIT,
}


def _known(task: Any, folder: Path) -> tuple[Forecaster, Data, torch.Tensor]:
    """A world's optimum, its data, and its test clips."""
    data = load_data(task, folder)
    optimum = optimal_predictor(task, data)
    assert isinstance(optimum, Forecaster)
    assert data.test_frames is not None
    return optimum, data, data.test_frames / 255


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Forecaster, Data, torch.Tensor]:
    return _known(WORLDS[request.param], tmp_path)


@pytest.mark.parametrize("name", WORLDS)
def test_an_observer_knows_what_all_that_agrees_with_the_last_frames_says(name: str, tmp_path: Path) -> None:
    task = WORLDS[name]
    optimum, _, clips = _known(task, tmp_path)
    for clip, (seen, time) in zip(clips, ((1, 3), (2, 4), (3, 5)), strict=False):
        made = Observer(optimum, seen)(clip[None, : time + 1])[0][0, -1, 0].flatten()
        last, off = clip[time + 1 - seen : time + 1].numpy(), 2e-5
        match task:
            case Sprites():
                with_next = clip[time + 1 - seen : time + 2, 0].numpy()
                expected = _hidden_markov(task, np.round(with_next * 255))[0][-1]
            case Drift():
                expected = _normal(task, last, 1)
            case _:
                expected, off = _brute_force(task, np.round(last.reshape(seen, -1) * 255), seen, 1), 2e-4
        np.testing.assert_allclose(made, expected.flatten(), atol=off)


@torch.inference_mode()
def test_who_has_seen_all_is_the_optimum_and_who_saw_one_frame_begins_anew_at_each(
    world: tuple[Forecaster, Data, torch.Tensor],
) -> None:
    optimum, _, clips = world
    whole, _ = optimum(clips)
    for seen in (clips.shape[1], clips.shape[1] + 3):
        torch.testing.assert_close(Observer(optimum, seen)(clips)[0], whole)
    made, _ = Observer(optimum, 1)(clips)
    anew = torch.cat([optimum(frame)[0] for frame in clips.split(1, 1)], 1)
    torch.testing.assert_close(made, anew)
    assert not torch.allclose(made, whole, atol=1e-3)


@torch.inference_mode()
def test_what_is_not_observed_moves_the_belief_of_the_last_frames_on(
    world: tuple[Forecaster, Data, torch.Tensor],
) -> None:
    optimum, _, clips = world
    observer = Observer(optimum, 2)
    forecast = generate(observer, clips[:, :4], 4)
    torch.testing.assert_close(forecast, generate(optimum, clips[:, 2:4], 4))
    shown = clips.clone()
    shown[:, 4:6] = math.nan
    shown[0, 3] = math.nan  # one clip alone
    whole, _ = observer(shown)
    torch.testing.assert_close(whole[1:, 3:6], forecast[1:, :3])
    torch.testing.assert_close(whole[:1], observer(shown[:1])[0])
    torch.testing.assert_close(whole[:, 7], observer(clips)[0][:, 7])
    state, steps = None, []
    for frame in shown.split(1, 1):
        made, state = observer(frame, state)
        steps.append(made)
    torch.testing.assert_close(torch.cat(steps, 1), whole)


@pytest.mark.parametrize("name", WORLDS)
def test_no_observer_beats_the_optimum_and_more_frames_are_never_worse(name: str, tmp_path: Path) -> None:
    task = replace(WORLDS[name], num_frames=12, num_test_clips=100)
    _, data, _ = _known(task, tmp_path)
    errors = scores.all_errors({}, task, data, fit_references(task, data))
    for part in ("one_step", "closed_loop"):
        ranks = [errors[each][part]["squared"].mean(1) for each in (*OBSERVERS, OPTIMUM)]
        for fewer, more in itertools.pairwise(ranks):
            gain = fewer - more
            assert gain.mean() > -2 * gain.std() / len(gain) ** 0.5 - 1e-9
        assert ranks[0].mean() > ranks[-1].mean()


def test_together_they_are_measured_as_each_alone(world: tuple[Forecaster, Data, torch.Tensor]) -> None:
    optimum, data, _ = world
    assert data.test_frames is not None
    observers = {name: Observer(optimum, seen) for name, seen in OBSERVERS.items()}
    found = scores._errors(observers, data, None)
    for name, each in observers.items():
        alone = one_step_errors(each, data.test), closed_loop_errors(each, data.test_frames, data.context)
        for part, errors in zip(("one_step", "closed_loop"), alone, strict=True):
            torch.testing.assert_close(found[name][part]["squared"], errors["squared"])


def test_a_frame_that_is_not_asked_for_is_no_error_of_any_observer(tmp_path: Path) -> None:
    task = Sprites(size=8, reach=1, away=3, num_frames=14, num_clips=2, num_val_clips=2, num_test_clips=20)
    optimum, data, _ = _known(task, tmp_path)
    observers = {name: Observer(optimum, seen) for name, seen in OBSERVERS.items()}
    assert data.asked is not None
    unasked = ~data.asked[:, 1:]
    assert unasked.any()
    for name, found in scores._errors(observers, data, None).items():
        squared = found["one_step"]["squared"]
        assert (squared[unasked] == 0).all()
        assert (squared[~unasked] > 0).all()
        alone = one_step_errors(observers[str(name)], data.test)["squared"]
        torch.testing.assert_close(squared, alone)
