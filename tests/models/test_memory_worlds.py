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
from framegen.data import load_data, sprites
from framegen.data.clips import Data
from framegen.data.sprites import BRIGHT, DARK
from framegen.evaluation.references import optimal_predictor
from framegen.models.predictor import Predictor
from framegen.models.rollout import generate

FEW: dict[str, int] = {"num_clips": 16, "num_val_clips": 2, "num_test_clips": 12}
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


WORLDS: dict[str, tuple[Sprites, Any]] = {
    "away": (replace(TINY, away=2), _away),
    "two things": (replace(TINY, things=2), _two),
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
        later = np.concatenate([clip[: task.context], np.zeros_like(clip[:2])])
        if task.away:  # nothing is seen of the frames that are forecast
            np.testing.assert_allclose(forecast, posterior(task, later)[0][task.context - 1 :], atol=2e-5)


@pytest.mark.parametrize("name", WORLDS)
def test_frame_by_frame_it_is_the_same(name: str, tmp_path: Path) -> None:
    optimum, _, frames = _optimum(WORLDS[name][0], tmp_path)
    whole, state = optimum(frames)[0], None
    for time in range(frames.shape[1]):
        made, state = optimum(frames[:, time : time + 1], state)
        torch.testing.assert_close(made[:, 0], whole[:, time], atol=1e-5, rtol=1e-5)
