"""Worlds in which memory pays: their optima against two hidden chains of states, written out in full."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from framegen.config.tasks import Sprites
from framegen.data import sprites
from framegen.data.clips import Data
from framegen.data.loading import load_data
from framegen.data.sprites import BRIGHT, DARK
from framegen.evaluation.references import optimal_predictor
from framegen.machine.errors import UserError
from framegen.models.predictor import Predictor
from framegen.models.rollout import generate
from framegen.models.window import told_motion

FEW: dict[str, Any] = {"num_clips": 16, "num_val_clips": 2, "num_test_clips": 12}
TINY = Sprites(size=4, num_frames=7, context=4, reach=1, noise=0.2, turning=0.3, **FEW)
EVERY = np.arange(256.0)
PLACES = list(itertools.product(range(4), repeat=2))
WAYS = list(itertools.product((-1, 0, 1), repeat=2))

Chain = tuple[np.ndarray, np.ndarray]
"""The probability of each state at first, (S,), and of each next one, (S, S)."""


def _optimum(task: Sprites, folder: Path) -> tuple[Predictor, Data, Tensor]:
    data = load_data(task, folder)
    found = optimal_predictor(task, data)
    assert found is not None
    assert data.test_frames is not None
    return found, data, data.test_frames / 255


def _levels(clean: float, noise: float) -> np.ndarray:
    """The probability of each stored level, (256,)."""
    edges = torch.special.ndtr((torch.arange(255.0, dtype=torch.float64) + 0.5 - 255 * clean) / (255 * noise))
    return np.diff(np.concatenate([[0.0], edges.numpy(), [1.0]]))


def _thing(task: Sprites) -> tuple[Chain, np.ndarray]:
    """Shape, velocity and place, as a chain of states; and the pixels that are covered, (S, H, W) bool."""
    states = list(itertools.product(range(4), WAYS, PLACES))
    number = {state: k for k, state in enumerate(states)}
    step = np.zeros((len(states), len(states)))
    for (shape, way, place), k in number.items():
        for turned in WAYS:
            chance = task.turning / len(WAYS) + (1 - task.turning) * (turned == way)
            after = (place[0] + turned[0]) % 4, (place[1] + turned[1]) % 4
            step[k, number[shape, turned, after]] += chance
    masks = sprites.shapes(task).numpy()
    covers = np.array([np.roll(masks[shape], place, (0, 1)) for shape, _, place in states])
    return (np.full(len(states), 1 / len(states)), step), covers


def _forward(
    chains: tuple[Chain, Chain],
    clip: np.ndarray,
    evidence: Callable[[np.ndarray], np.ndarray],
    expected: Callable[[np.ndarray], np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Two chains that are seen together, by the forward algorithm over all pairs of their states: each coming
    frame's mean, and log p of each frame given those before it. `evidence` gives p(frame | pair), (S, S')."""
    (first, step), (other_first, other_step) = chains
    joint, means, logs = np.outer(first, other_first), [], []
    for frame in clip:
        if not np.isnan(frame).all():
            joint = joint * evidence(frame)
        logs.append(np.log(joint.sum()))
        joint = step.T @ (joint / joint.sum()) @ other_step
        means.append(expected(joint))
    return np.array(means), np.array(logs)


def _pixels(levels: np.ndarray, covers: np.ndarray, noise: float) -> np.ndarray:
    """p(a channel (H, W) in levels | covered pixels), (S,)."""
    dark, bright = (_levels(clean, noise)[levels.astype(int)] for clean in (DARK, BRIGHT))
    return np.where(covers, bright, dark).prod((1, 2))


ALONE: Chain = np.ones(1), np.ones((1, 1))


def _away(task: Sprites, clip: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    chain, covers = _thing(task)
    dark, bright = (_levels(clean, task.noise) @ EVERY / 255 for clean in (DARK, BRIGHT))

    def evidence(frame: np.ndarray) -> np.ndarray:
        seen = _pixels(frame[0], covers, task.noise) if frame.any() else np.ones(len(covers))
        return seen[:, None]

    def expected(joint: np.ndarray) -> np.ndarray:
        return (dark + (bright - dark) * np.tensordot(joint[:, 0], covers, 1))[None]

    return _forward((chain, ALONE), clip, evidence, expected)


def _two(task: Sprites, clip: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    chain, covers = _thing(task)
    dark, bright = (_levels(clean, task.noise) @ EVERY / 255 for clean in (DARK, BRIGHT))

    def evidence(frame: np.ndarray) -> np.ndarray:
        one, other = (_pixels(channel, covers, task.noise) for channel in frame[:2])
        return np.outer(one, other) * _pixels(frame[2], np.zeros((1, 4, 4), bool), task.noise)

    def expected(joint: np.ndarray) -> np.ndarray:
        covered = [np.tensordot(joint.sum(axis), covers, 1) for axis in (1, 0)]
        return dark + (bright - dark) * np.stack([*covered, np.zeros((4, 4))])

    return _forward((chain, chain), clip, evidence, expected)


def _window(task: Sprites, clip: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The other chain is the window's: its place on the torus, and its motion to the next frame."""
    chain, covers = _thing(task)
    dark, bright = (_levels(clean, task.noise) @ EVERY / 255 for clean in (DARK, BRIGHT))
    states = list(itertools.product(PLACES, WAYS))
    number = {state: k for k, state in enumerate(states)}
    step = np.zeros((len(states), len(states)))
    for (place, way), k in number.items():
        after = (place[0] + way[0]) % 4, (place[1] + way[1]) % 4
        for turned in WAYS:
            step[k, number[after, turned]] = task.turning / len(WAYS) + (1 - task.turning) * (turned == way)
    other = np.full(len(states), 1 / len(states)), step
    through = [
        np.roll(covers, (-down, -right), (1, 2))[:, : task.view, : task.view] for down, right in PLACES
    ]
    bar = (task.view - task.bar) // 2
    clear = np.ones((task.view, task.view), bool)
    clear[:, bar : bar + task.bar] = False
    levels = np.round(255 * (0.5 + np.array([way for _, way in states]) / 16))  # (S', 2)

    def evidence(frame: np.ndarray) -> np.ndarray:
        seen = [_pixels(frame[0][clear][None], each[:, clear][:, None], task.noise) for each in through]
        nothing = np.zeros((1, 1, clear.sum()), bool)  # in green and blue
        empty = [_pixels(colour[clear][None], nothing, task.noise) for colour in frame[1:3]]
        chances = np.prod(empty) * np.repeat(np.stack(seen, 1), len(WAYS), 1)
        return chances * (levels == frame[3:, 0, 0]).all(1)

    def expected(joint: np.ndarray) -> np.ndarray:
        by_place = joint.reshape(len(covers), len(PLACES), len(WAYS)).sum(2)
        covered = sum(np.tensordot(by_place[:, k], each, 1) for k, each in enumerate(through))
        told = joint.sum(0) @ levels / 255
        colours = [(dark + (bright - dark) * covered) * clear, dark * clear, dark * clear]
        return np.stack([*colours, *(np.full(clear.shape, x) for x in told)])

    return _forward((chain, other), clip, evidence, expected)


WINDOW = replace(TINY, view=2)
WORLDS: dict[str, tuple[Sprites, Any]] = {
    "away": (replace(TINY, away=2), _away),
    "two things": (replace(TINY, things=2), _two),
    "window": (WINDOW, _window),
    "window behind a bar": (replace(WINDOW, bar=1, view=3), _window),
}


@pytest.mark.parametrize("name", WORLDS)
def test_the_optimum_is_the_posterior_over_all_states(name: str, tmp_path: Path) -> None:
    task, posterior = WORLDS[name]
    optimum, data, frames = _optimum(task, tmp_path)
    made, _ = optimum(frames)
    inputs, targets = data.test.batch(slice(None))
    logs = optimum.log_prob(inputs, targets)
    for k in range(4):
        clip = np.round(frames[k].numpy() * 255)
        means, found = posterior(task, clip)
        np.testing.assert_allclose(made[k].numpy(), means, atol=2e-5)
        asked = ~targets[k, :, 0, 0, 0].isnan().numpy()
        np.testing.assert_allclose(logs[k].numpy(), np.where(asked, found[1:], 0), atol=1e-4)
        forecast = generate(optimum, frames[k, : task.context], 3).numpy()
        later = np.concatenate([clip[: task.context], np.full_like(clip[:2], np.nan)])
        np.testing.assert_allclose(forecast, posterior(task, later)[0][task.context - 1 :], atol=2e-5)


@pytest.mark.parametrize("name", WORLDS)
def test_frame_by_frame_it_is_the_same(name: str, tmp_path: Path) -> None:
    optimum, _, frames = _optimum(WORLDS[name][0], tmp_path)
    whole, state = optimum(frames)[0], None
    for time in range(frames.shape[1]):
        made, state = optimum(frames[:, time : time + 1], state)
        torch.testing.assert_close(made[:, 0], whole[:, time], atol=1e-5, rtol=1e-5)


def _errors(task: Sprites, folder: Path) -> Tensor:
    """The optimum's squared error of each test clip's frames one step ahead, (N, T - 1, pixels)."""
    optimum, _, frames = _optimum(task, folder)
    made, _ = optimum(frames[:, :-1])
    return (made - frames[:, 1:]).square().flatten(2)


def test_a_window_as_large_as_the_torus_that_stands_still_is_the_plain_world(tmp_path: Path) -> None:
    plain, window = (replace(TINY, size=8, things=2, view=view, pan=pan) for view, pan in ((0, 1), (8, 0)))
    (whole, data, frames), (optimum, _, through) = (_optimum(task, tmp_path) for task in (plain, window))
    assert torch.equal(frames, through[:, :, :3])
    assert (through[:, :, 3:] == 128 / 255).all()
    torch.testing.assert_close(optimum(through)[0][:, :, :3], whole(frames)[0], atol=1e-5, rtol=0)
    logs = optimum.log_prob(through[:, :-1], through[:, 1:])
    torch.testing.assert_close(logs, whole.log_prob(*data.test.batch(slice(None))), atol=1e-4, rtol=0)


def test_the_floor_of_a_window_that_tells_nothing_is_told_all_the_same(tmp_path: Path) -> None:
    world = replace(TINY, size=8, view=5, things=2)
    silent = replace(world, told=False)
    (optimum, _, frames), (floor, data, shown) = (_optimum(task, tmp_path) for task in (world, silent))
    assert data.frame_shape == (3, 5, 5)
    assert torch.equal(frames[:, :, :3], shown)
    assert torch.equal(optimum(frames[:, :-1])[0][:, :, :3], floor(shown[:, :-1])[0])
    forecast = generate(optimum, frames[:, :4], 3)[:, :, :3]
    assert torch.equal(forecast, generate(floor, shown[:, :4], 3))
    assert not floor.has_bits
    assert "floor" in silent.reservation
    with pytest.raises(UserError, match="knows only validation and test clips"):
        floor(1 - shown)


def test_what_is_told_is_the_windows_coming_motion() -> None:
    world = replace(TINY, size=8, view=5, pan=7, turning=0.5, noise=1e-3)
    frames = sprites.sample(world, "test") / 255
    motion = told_motion(frames)
    assert torch.equal(motion, sprites.panning(world, "test"))
    assert motion.unique().tolist() == list(range(-7, 8))
    straight = replace(world, turning=0)
    _, _, places = sprites.paths(straight, "test")
    apart = (places.diff(dim=1) + sprites.panning(straight, "test")[:, :-1]) % 8
    assert (apart == apart[:, :1]).all()  # on the torus it goes on as before, wherever the window goes


def test_who_sees_more_knows_more(tmp_path: Path) -> None:
    task = replace(TINY, size=8, num_frames=12, num_test_clips=300)
    asked = sprites.awake(replace(task, away=3), "test")[:, 1:]
    always, seldom = (_errors(replace(task, away=away), tmp_path) for away in (0, 3))
    paired = (seldom - always).mean(2)[asked]
    assert paired.mean() > 3 * paired.std() / len(paired) ** 0.5
    narrow, wide = (_errors(replace(task, view=view, pan=0), tmp_path) for view in (4, 6))
    common = wide[..., :36].unflatten(2, (6, 6))[..., :4, :4].flatten(2)
    paired = (narrow[..., :16] - common).mean(2).flatten()
    assert paired.mean() > 3 * paired.std() / len(paired) ** 0.5


@pytest.mark.parametrize("size", [16, 64])
def test_every_size_runs(size: int, tmp_path: Path) -> None:
    few: dict[str, Any] = {"num_clips": 1, "num_val_clips": 1, "num_test_clips": 1, "num_frames": 5}
    task = Sprites(size=size, view=size * 3 // 4, bar=4, things=3, away=2, pan=3, **few, context=2)
    optimum, data, frames = _optimum(task, tmp_path)
    made = generate(optimum, frames[:, :2], 3)
    assert made.shape == (1, 3, 5, task.side, task.side)
    assert made.min() >= -1e-5
    assert made.max() < 0.8
    assert optimum.log_prob(*data.test.batch(slice(None))).isfinite().all()
