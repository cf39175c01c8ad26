"""The floor of Moving MNIST against a brute-force posterior, and against everybody else."""

import itertools
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from framegen.config.config import Config
from framegen.config.models import MLP
from framegen.config.tasks import MovingMNIST
from framegen.config.training import Training
from framegen.data.clips import Data
from framegen.data.loading import load_data
from framegen.data.moving_mnist import BouncingClips, draw
from framegen.evaluation.clip_errors import closed_loop_errors, one_step_errors
from framegen.evaluation.references import optimal_predictor
from framegen.models.optima.floor import Floor, expected_maximum
from framegen.models.rollout import generate

TASK = MovingMNIST(size=16, digits="sklearn", num_clips=20, num_val_clips=2, num_test_clips=32)
FAST = replace(TASK, step=0.35, num_frames=12, context=5)
LARGE = replace(TASK, size=32)


def _world(task: MovingMNIST, angles: int = 256) -> tuple[Data, Floor, Tensor]:
    """Its data, the floor of its test clips, and where their digits are, (N, digits, T, 2)."""
    data = load_data(task, Path("nowhere"))
    assert isinstance(data.test, BouncingClips)
    assert data.test_frames is not None
    pictures, places = data.test.scenes(slice(None))
    return data, Floor(data.test_frames, pictures, places, task.room, task.step, angles), places


def _fly(start: np.ndarray, velocity: np.ndarray, frames: int) -> np.ndarray:
    """Along one axis, (frames, ...): nothing is shared with the floor or with the generator."""
    places = []
    for _ in range(frames):
        start = start + velocity
        velocity = np.where((start <= 0) | (start >= 1), -velocity, velocity)
        start = np.clip(start, 0, 1)
        places.append(start)
    return np.stack(places)


def _brute_force(task: MovingMNIST, seen: np.ndarray, ahead: int) -> np.ndarray:
    """(room + 1, room + 1): where a digit stands `ahead` frames after it was `seen`, (t, 2); of a dense
    grid of angles and starts all that agree are counted."""
    angles = (np.arange(2400) + 0.5) / 2400 * 2 * math.pi
    starts = (np.arange(300) + 0.5) / 300
    axes = []
    for axis, component in enumerate((np.sin(angles), np.cos(angles))):
        way = _fly(starts, task.step * component[:, None], len(seen) + ahead)  # (t + ahead, angles, starts)
        pixels = np.floor(task.room * way)
        agree = (pixels[: len(seen)] == seen[:, axis, None, None]).all(0)
        axes.append([(agree & (pixels[-1] == pixel)).sum(1) for pixel in range(task.room + 1)])
    rows, columns = np.array(axes, float)
    together = rows @ columns.T
    return together / together.sum()


def _mean_canvas(pictures: np.ndarray, chances: np.ndarray, size: int) -> np.ndarray:
    """Every place of each digit against every place of the others."""
    mean, side = np.zeros((size, size)), pictures.shape[1]
    spots = [[place for place in np.ndindex(chance.shape) if chance[place] > 0] for chance in chances]
    for places in itertools.product(*spots):
        canvas = np.zeros((size, size))
        for picture, (row, column) in zip(pictures, places, strict=True):
            part = canvas[row : row + side, column : column + side]
            part[:] = np.maximum(part, picture / 255)
        mean += canvas * math.prod(chance[place] for chance, place in zip(chances, places, strict=True))
    return mean


@pytest.mark.parametrize(
    ("task", "frames", "ahead"),
    [(TASK, 1, 1), (TASK, 2, 3), (TASK, 4, 1), (TASK, 6, 6), (FAST, 3, 1), (FAST, 5, 4)],
    ids=["1+1", "2+3", "4+1", "6+6", "fast 3+1", "fast 5+4"],
)
def test_forecasts_equal_a_brute_force_posterior(task: MovingMNIST, frames: int, ahead: int) -> None:
    data, floor, places = _world(replace(task, num_test_clips=2))
    assert data.test_frames is not None
    forecasts = generate(floor, data.test_frames[:, :frames].float() / 255, ahead)[:, -1, 0]
    for clip, forecast in enumerate(forecasts):
        chances = [_brute_force(task, way[:frames].numpy(), ahead) for way in places[clip]]
        pictures = floor.pictures[clip]
        expected = expected_maximum(pictures, torch.from_numpy(np.stack(chances)), task.size)
        torch.testing.assert_close(forecast.double(), expected, atol=0.015, rtol=0)


@pytest.mark.parametrize("digits", [1, 2, 3])
def test_the_mean_of_the_brighter_pixel_is_that_over_all_places(digits: int) -> None:
    random = np.random.default_rng(digits)
    pictures = random.integers(0, 256, (digits, 3, 3), np.uint8) * random.integers(
        0, 2, (digits, 3, 3), np.uint8
    )
    chances = random.random((digits, 3, 3)) * random.integers(0, 2, (digits, 3, 3))
    chances /= chances.sum((1, 2), keepdims=True)
    found = expected_maximum(torch.from_numpy(pictures), torch.from_numpy(chances), 5)
    np.testing.assert_allclose(found, _mean_canvas(pictures, chances, 5), atol=1e-12)


def test_a_finer_grid_changes_nothing_and_a_coarse_one_never_loses_a_digit() -> None:
    fine, usual, coarse = (_world(replace(LARGE, num_test_clips=8), angles) for angles in (1024, 256, 16))
    errors = [one_step_errors(floor, data.test)["squared"] for data, floor, _ in (fine, usual, coarse)]
    assert errors[1].mean().item() == pytest.approx(errors[0].mean().item(), rel=3e-3)
    assert errors[2].isfinite().all()


def test_frame_by_frame_is_the_same_as_in_one_piece() -> None:
    data, floor, _ = _world(replace(TASK, num_test_clips=3))
    frames, _ = data.test.batch(slice(None))
    before = frames.clone()
    whole, _ = floor(frames)
    state, parts = None, []
    for t in range(frames.shape[1]):
        made, state = floor(frames[:, t : t + 1], state)
        parts.append(made)
    assert torch.equal(torch.cat(parts, 1), whole)
    assert torch.equal(frames, before)
    assert torch.equal(floor(frames.flip(0))[0].flip(0), whole)


def test_it_forecasts_from_what_was_seen_and_takes_its_own_frames_for_no_evidence() -> None:
    data, floor, _ = _world(replace(TASK, num_test_clips=3))
    frames, _ = data.test.batch(slice(None))
    unseen = torch.full_like(frames, math.nan)
    shown = torch.cat([frames[:, :6], unseen[:, :8]], 1)
    torch.testing.assert_close(floor(shown)[0][:, 5:], generate(floor, frames[:, :6], 9))


def test_a_clip_that_it_was_not_told_of_is_no_clip_of_its_own() -> None:
    data, floor, _ = _world(TASK)
    frames, _ = data.train.batch(slice(0, 1))
    with pytest.raises(ValueError, match="knows only the clips"):
        floor(frames)


@pytest.fixture(scope="module")
def predicted() -> tuple[tuple[Tensor, ...], Tensor]:
    """What is predicted from the second frame on, and the truth: by the floor; by who knows both digits too,
    and lets them go on by the step that they made last; by who copies the last frame."""
    data, floor, places = _world(LARGE)
    inputs, targets = data.test.batch(slice(None))
    guess = (2 * places[:, :, 1:-1] - places[:, :, :-2]).clamp(0, floor.room)
    rivals = (floor(inputs)[0][:, 1:], draw(floor.pictures, guess, LARGE.size) / 255, inputs[:, 1:])
    return rivals, targets[:, 1:]


def test_nobody_comes_as_low(predicted: tuple[tuple[Tensor, ...], Tensor]) -> None:
    rivals, truth = predicted
    ours, straight_on, copied = ((made - truth).square().flatten(1).mean(1) for made in rivals)
    for theirs in (straight_on, copied):
        excess = theirs - ours
        assert excess.mean() > 3 * excess.std() / math.sqrt(len(excess))


def test_what_it_says_is_as_likely_as_it_says(predicted: tuple[tuple[Tensor, ...], Tensor]) -> None:
    """Pixels that it expects at some brightness have that brightness on the mean."""
    (ours, *_), truth = predicted
    for low in (0.1, 0.3, 0.5, 0.7):
        near = (ours > low) & (ours < low + 0.2)
        assert truth[near].mean().item() == pytest.approx(ours[near].mean().item(), abs=0.015)


def test_the_more_was_seen_the_lower_it_is() -> None:
    data, floor, _ = _world(replace(LARGE, num_test_clips=24))
    assert data.test_frames is not None
    short, long = (closed_loop_errors(floor, data.test_frames[:, :14], n)["squared"][:, -1] for n in (3, 10))
    assert long.mean() < short.mean()


def test_skill_and_pictures_work_as_for_orbit(tmp_path: Path) -> None:
    from framegen.commands.generation import generate as write
    from framegen.commands.training import train

    task = replace(TASK, size=8, num_test_clips=6)
    config = Config(task, MLP(), Training(epochs=1, batch_size=10, media_every=0, device="cpu"), "custom")
    run = train(config, "run", "disabled", tmp_path / "runs", tmp_path / "data", show=False, draw=False)
    results = run.results
    assert results.has_skill
    assert results.closed_loop is not None
    assert (results.closed_loop.context, results.closed_loop.horizon) == (10, 10)
    for scores in results.parts().values():
        assert (scores["copy last"]["skill"], scores["optimum"]["skill"]) == (0, 1)
        assert scores["optimum"]["mse"] == min(row["mse"] or math.inf for row in scores.values())
    assert results.validation["optimum"] < results.validation["copy last"]
    assert "val/skill" in run.metrics().epochs[0]
    assert write(run.folder, 15, tmp_path / "clip.gif", clip=5).exists()


def test_there_is_a_floor_where_clips_are_made() -> None:
    data, _, _ = _world(TASK)
    floor = optimal_predictor(TASK, data)
    assert floor is not None
    for clips in (data.val, data.test):
        inputs, _ = clips.batch(slice(0, 2))
        assert floor(inputs)[0].shape == inputs.shape
