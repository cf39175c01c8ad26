"""The optima of drift and sprites: against brute force, and against everybody else."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from framegen.config.tasks import Drift, Sprites
from framegen.data import sprites
from framegen.data.drift import MIDDLE, SPREAD, sample, spectrum
from framegen.data.kept import hidden
from framegen.data.loading import load_data
from framegen.data.sprites import BRIGHT, DARK
from framegen.evaluation.clip_errors import closed_loop_errors, one_step_errors
from framegen.evaluation.references import OBSERVERS, fit_references, optimal_predictor
from framegen.models.predictor import Predictor
from framegen.models.rollout import generate

FEW: dict[str, Any] = {"num_clips": 40, "num_val_clips": 2, "num_test_clips": 60}
DRIFT = Drift(size=6, num_frames=6, context=3, reach=1, **FEW)
SPRITES = Sprites(size=6, num_frames=8, context=5, reach=1, noise=0.3, turning=0.3, **FEW)
WORLDS = [DRIFT, replace(DRIFT, size=5, noise=0.1), SPRITES, replace(SPRITES, bar=2)]


def _optimum(task: Any, folder: Path) -> Predictor:
    found = optimal_predictor(task, load_data(task, folder))
    assert found is not None
    return found


def _clips(task: Any, folder: Path) -> Tensor:
    frames = load_data(task, folder).test_frames
    assert frames is not None
    return frames / 255


def _forecast(model: Predictor, frames: Tensor, horizon: int) -> np.ndarray:
    """A clip's frame so many steps after those that are shown, (H, W)."""
    return generate(model, frames, horizon)[-1, 0].numpy()


def _normal(task: Drift, frames: np.ndarray, horizon: int) -> np.ndarray:
    """The same by brute force: at each velocity all pixels of all frames are one dense normal vector."""
    size, count, noise = task.size, len(frames), task.deviation
    power = spectrum(task).numpy()
    wave = np.exp(2j * np.pi * np.outer(np.arange(size), np.arange(size)) / size)
    # The covariance of two pixels follows from the variances of all waves, each written out.
    covariance = np.zeros((size, size))
    for k, m in itertools.product(range(size), range(size)):
        covariance += (power[k, m] * np.outer(wave[k], wave[m])).real / size**2
    places = np.array(list(itertools.product(range(size), range(size))))  # (P, 2)
    odds, means = [], []
    for way in itertools.product(range(-task.reach, task.reach + 1), repeat=2):
        # The texture's own place under each pixel of each frame, the one to forecast last.
        times = [*range(count), count - 1 + horizon]
        under = np.concatenate([places - np.array(way) * time for time in times])  # (T * P, 2)
        apart = (under[:, None] - under[None]) % size
        joint = covariance[apart[..., 0], apart[..., 1]]
        seen = size**2 * count
        known = joint[:seen, :seen] + noise**2 * np.eye(seen)
        less = frames.reshape(-1) - MIDDLE
        solved = np.linalg.solve(known, less)
        odds.append(-0.5 * (less @ solved + np.linalg.slogdet(known)[1]))
        means.append(MIDDLE + joint[seen:, :seen] @ solved)
    weights = np.exp(np.array(odds) - max(odds))
    return (weights @ np.array(means) / weights.sum()).reshape(size, size)


def _paths(task: Sprites, frames: np.ndarray, horizon: int) -> np.ndarray:
    """The same by brute force: every shape, first place and course of velocities weighed by its probability,
    each level of each pixel by its own."""

    def below(levels: np.ndarray, mean: np.ndarray) -> np.ndarray:
        edges = torch.from_numpy((levels - 0.5) / 255 - mean) / task.noise
        inner = torch.special.ndtr(edges).numpy()
        return np.where(levels <= 0, 0.0, np.where(levels > 255, 1.0, inner))

    masks, covered = sprites.shapes(task).numpy(), hidden(task.size, task.bar).numpy()
    levels = np.round(frames * 255)
    every = np.arange(256.0)
    expected = {
        clean: float(
            ((below(every + 1, np.array(clean)) - below(every, np.array(clean))) * every).sum() / 255
        )
        for clean in (DARK, BRIGHT)
    }
    ways = list(itertools.product(range(-task.reach, task.reach + 1), repeat=2))
    total, mean = 0.0, np.zeros((task.size, task.size))
    places = itertools.product(range(task.size), range(task.size))
    for mask, place in itertools.product(masks, places):
        pictures: dict[tuple[int, int], np.ndarray] = {}
        for course in itertools.product(ways, repeat=len(frames) - 1 + horizon):
            probability, at = 1 / len(ways), np.array(place)
            # A velocity that is drawn anew may come out as it was.
            for before, after in itertools.pairwise(course):
                probability *= task.turning / len(ways) + (1 - task.turning) * (before == after)
            if probability == 0:
                continue
            for time, level in enumerate(levels):
                key = int(at[0] % task.size), int(at[1] % task.size)
                if key not in pictures:
                    pictures[key] = np.where(np.roll(mask, key, (0, 1)), BRIGHT, DARK)
                clean = pictures[key]
                each = below(level + 1, clean) - below(level, clean)
                probability *= np.where(covered, 1.0, each * 100).prod()
                if time < len(course):
                    at = at + course[time]
            for step in course[len(levels) :]:
                at = at + step
            clean = np.roll(mask, (int(at[0]), int(at[1])), (0, 1))
            total += probability
            mean += probability * np.where(clean, expected[BRIGHT], expected[DARK]) * ~covered
    return mean / total


@pytest.mark.parametrize("task", WORLDS[:2])
def test_the_texture_is_forecast_as_dense_normal_vectors_are(task: Drift, tmp_path: Path) -> None:
    optimum = _optimum(task, tmp_path)
    for clip in _clips(task, tmp_path)[:2]:
        for count, horizon in ((1, 1), (2, 1), (4, 1), (2, 3)):
            made = _forecast(optimum, clip[:count], horizon)
            np.testing.assert_allclose(made, _normal(task, clip[:count].numpy(), horizon), atol=2e-6)


@pytest.mark.parametrize("task", WORLDS[2:])
def test_the_sprite_is_forecast_as_all_its_courses_are(task: Sprites, tmp_path: Path) -> None:
    task = replace(task, size=4)
    optimum = _optimum(task, tmp_path)
    for clip, (count, horizon) in zip(_clips(task, tmp_path), ((2, 1), (1, 2)), strict=False):
        made = _forecast(optimum, clip[:count], horizon)
        np.testing.assert_allclose(made, _paths(task, clip[:count].numpy(), horizon), atol=2e-5)


def _hidden_markov(task: Sprites, clip: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of a clip (T, H, W) in levels by the forward algorithm over a list of shapes, velocities and places,
    pixel by pixel in logarithms: each next frame's mean (T - 1, H, W), and log p of it (T - 1,)."""
    every = np.arange(256.0)
    log_levels, means = [], []
    for clean in (DARK, BRIGHT):
        edges = torch.from_numpy((every - 0.5) / 255 - clean) / task.noise
        below = torch.special.log_ndtr(edges).numpy()
        below[0] = -np.inf
        above = torch.special.log_ndtr(-edges).numpy()
        above[0] = 0.0
        # Of a level below the clean value from the tail below it, else from the one above: p = e^a - e^b.
        a = np.where(every / 255 < clean, np.append(below[1:], 0.0), above)
        b = np.where(every / 255 < clean, below, np.append(above[1:], -np.inf))
        with np.errstate(divide="ignore", invalid="ignore"):
            log = np.where(a > b, a + np.log1p(-np.exp(np.minimum(b - a, 0.0))), -np.inf)
        log_levels.append(np.maximum(log, -1e9))  # a sum of these is a number too
        means.append(float(np.exp(log) @ every) / 255)
    visible = ~hidden(task.size, task.bar).numpy()
    places = list(itertools.product(range(task.size), repeat=2))
    scenes = [np.roll(mask, place, (0, 1)) for mask in sprites.shapes(task).numpy() for place in places]
    covers = np.array(scenes).reshape(4, len(places), task.size, task.size)  # (4, P, H, W)
    ways = list(itertools.product(range(-task.reach, task.reach + 1), repeat=2))
    goes = np.array([[places.index(tuple(np.add(p, w) % task.size)) for p in places] for w in ways])
    chance = np.full((4, len(ways), len(places)), 1 / (4 * len(ways) * len(places)))
    predicted, found = [], []
    for time, levels in enumerate(clip.astype(int)):
        each = np.where(covers, log_levels[1][levels], log_levels[0][levels])
        seen = (each * visible).sum((2, 3))  # (4, P)
        with np.errstate(divide="ignore"):
            joint = np.log(chance) + seen[:, None]
        best = joint.max()
        if time:
            found.append(best + np.log(np.exp(joint - best).sum()))
        chance = np.exp(joint - best) / np.exp(joint - best).sum()
        chance = (1 - task.turning) * chance + task.turning * chance.mean(1, keepdims=True)
        moved = np.empty_like(chance)
        for way, to in enumerate(goes):
            moved[:, way, to] = chance[:, way]
        chance = moved
        covered = np.einsum("kvp,kphw->hw", chance, covers)
        predicted.append((means[0] + (means[1] - means[0]) * covered) * visible)
    return np.array(predicted[:-1]), np.array(found)


@pytest.mark.parametrize("noise", [1e-9, 1e-6, 1e-5, 1e-4, 1e-3, 4e-3, 0.1])
@pytest.mark.parametrize("bar", [0, 5])
def test_the_sprite_is_known_exactly_however_little_noise_there_is(
    noise: float, bar: int, tmp_path: Path
) -> None:
    task = Sprites(size=8, bar=bar, reach=1, noise=noise, num_frames=16, num_clips=1, num_test_clips=8)
    optimum, clips = _optimum(task, tmp_path), _clips(task, tmp_path)
    made, _ = optimum(clips[:, :-1])
    bits = optimum.log_prob(clips[:, :-1], clips[:, 1:]).numpy()
    for clip, means, logs in zip(clips[:, :, 0].numpy(), made[:, :, 0].numpy(), bits, strict=True):
        expected, probability = _hidden_markov(task, np.round(clip * 255))
        np.testing.assert_allclose(means, expected, atol=1e-5)
        np.testing.assert_allclose(logs, probability, atol=1e-4, rtol=1e-6)


@pytest.mark.parametrize("task", WORLDS)
def test_nobody_beats_the_optimum(task: Any, tmp_path: Path) -> None:
    data = load_data(task, tmp_path)
    references = fit_references(task, data)
    frames = data.test_frames
    assert frames is not None
    steps = {name: one_step_errors(each, data.test) for name, each in references.items()}
    loops = {name: closed_loop_errors(each, frames, data.context) for name, each in references.items()}
    for found in (steps, loops):
        errors = {name: each["squared"].mean(1) for name, each in found.items()}
        optimum = errors.pop("optimum")
        for name, theirs in errors.items():
            paired = theirs - optimum
            margin = -2 if name in OBSERVERS else 2  # who has seen many frames may be as good
            assert paired.mean() > margin * paired.std() / len(paired) ** 0.5 - 1e-9, name


@pytest.mark.parametrize("task", WORLDS)
def test_stepping_is_the_same_as_looking_at_all_at_once(task: Any, tmp_path: Path) -> None:
    optimum, frames = _optimum(task, tmp_path), _clips(task, tmp_path)[:4]
    whole, state = optimum(frames), None
    for time in range(frames.shape[1]):
        made, state = optimum(frames[:, time : time + 1], state)
        torch.testing.assert_close(made[:, 0], whole[0][:, time])


def test_textures_have_the_spectrum_of_photographs() -> None:
    task = Drift(size=16, num_test_clips=400, num_frames=2, context=1, noise=0.05)
    frames = sample(task, "test")[:, 0, 0].double() / 255 - MIDDLE
    measured = torch.fft.fft2(frames, norm="ortho").abs().square().mean(0)
    expected = spectrum(task) + task.deviation**2
    torch.testing.assert_close(measured, expected, rtol=0.35, atol=0)  # of 400: 7 % is a standard deviation
    assert frames.std().item() == pytest.approx(SPREAD, rel=0.03)


def test_a_texture_slides_by_whole_pixels_and_comes_back() -> None:
    clean = sample(replace(DRIFT, noise=1e-3, num_test_clips=5), "test")[:, :, 0].float()
    for clip in clean:
        ways = itertools.product((-1, 0, 1), repeat=2)
        fits = [
            all((clip[t + 1] - clip[t].roll(way, (0, 1))).abs().max() < 3 for t in range(5)) for way in ways
        ]
        assert sum(fits) == 1


def test_a_sprite_keeps_its_velocity_as_often_as_it_should() -> None:
    task = Sprites(size=64, num_test_clips=3000, num_frames=3, context=1, turning=0.25, reach=2)
    _, shapes, places = sprites.paths(task, "test")
    steps = places.diff(dim=1)
    steps = (steps + 32) % 64 - 32
    kept = (steps[:, 0] == steps[:, 1]).all(1).double().mean().item()
    assert kept == pytest.approx(0.75 + 0.25 / 25, abs=0.03)
    assert steps.unique(dim=1).abs().max() == 2
    assert shapes.bincount().tolist() == pytest.approx([750] * 4, abs=100)


def test_what_the_bar_hides_is_black_and_no_evidence(tmp_path: Path) -> None:
    task = replace(SPRITES, bar=2)
    frames, covered = _clips(task, tmp_path), hidden(task.size, task.bar)
    assert covered.sum() == 12
    assert not frames[..., covered].any()
    optimum = _optimum(task, tmp_path)
    made, _ = optimum(frames)
    assert not made[..., covered].any()
    other, _ = optimum(torch.where(covered, torch.rand(frames.shape), frames))
    torch.testing.assert_close(made, other)
