"""What the optima say of the next frame's probability: against brute force that shares nothing with them."""

import itertools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from framegen.config.tasks import LEVEL, Drift, Orbit, Sprites
from framegen.data import sprites
from framegen.data.drift import MIDDLE, spectrum
from framegen.data.kept import hidden
from framegen.data.loading import load_data
from framegen.data.orbit import render
from framegen.data.sprites import BRIGHT, DARK
from framegen.evaluation.references import optimal_predictor
from framegen.models.mixture import Mixture
from framegen.models.predictor import Predictor

FEW: dict[str, Any] = {"num_clips": 40, "num_val_clips": 2, "num_test_clips": 60}
SPEEDS = Orbit(num_frames=6, period=12, speeds=(1, 3), **FEW)
DRIFT = Drift(size=5, num_frames=5, context=3, reach=1, noise=0.1, **FEW)
SPRITES = Sprites(size=4, num_frames=4, context=3, reach=1, noise=0.3, turning=0.3, bar=1, **FEW)


def _world(task: Orbit | Drift | Sprites, folder: Path) -> tuple[Predictor, torch.Tensor]:
    """The optimum, and its test clips as values."""
    data = load_data(task, folder)
    optimum = optimal_predictor(task, data)
    assert optimum is not None
    assert data.test_frames is not None
    return optimum, data.test_frames / 255


def _level_probability(levels: np.ndarray, mean: np.ndarray, deviation: float) -> np.ndarray:
    """Of a normal value that is cut to [0, 1] and rounded to levels, each by its own interval."""
    low = np.where(levels <= 0, -np.inf, (levels - 0.5) / 255 - mean) / deviation
    high = np.where(levels >= 255, np.inf, (levels + 0.5) / 255 - mean) / deviation
    ends = (torch.special.ndtr(torch.from_numpy(each)).numpy() for each in (high, low))
    return np.subtract(*ends)


def _orbit(task: Orbit, frames: np.ndarray) -> float:
    """log p of frames (T, P) in levels: every speed, and a dense grid of first angles."""
    starts, found = torch.linspace(0, 2 * math.pi, 3001, dtype=torch.float64)[:-1], []
    for speed, sign in itertools.product(task.speeds, (1, -1)):
        angles = (starts + time * sign * speed * 2 * math.pi / task.period for time in range(len(frames)))
        clean = [render(task, angle).flatten(1).numpy() for angle in angles]
        each = [
            _level_probability(frame, mean, task.noise) for frame, mean in zip(frames, clean, strict=True)
        ]
        found.append(np.prod(each, (0, 2)))
    return math.log(np.mean(found))


def _sprites(task: Sprites, frames: np.ndarray) -> float:
    """The same: every shape, first place and course of velocities."""
    ways, seen = list(itertools.product(range(-task.reach, task.reach + 1), repeat=2)), {}
    visible = ~hidden(task.size, task.bar).numpy()
    total = 0.0
    places = itertools.product(range(task.size), range(task.size))
    for (number, mask), place in itertools.product(enumerate(sprites.shapes(task).numpy()), places):
        for course in itertools.product(ways, repeat=len(frames) - 1):
            chance, at = (1 / len(ways) if course else 1.0), np.array(place)
            for before, after in itertools.pairwise(course):
                chance *= task.turning / len(ways) + (1 - task.turning) * (before == after)
            for time, frame in enumerate(frames):
                key = number, time, int(at[0] % task.size), int(at[1] % task.size)
                if key not in seen:
                    clean = np.where(np.roll(mask, key[2:], (0, 1)), BRIGHT, DARK)
                    seen[key] = _level_probability(frame, clean, task.noise)[visible].prod()
                chance *= seen[key]
                at = at + (course[time] if time < len(course) else 0)
            total += chance
    return math.log(total / (4 * task.size**2))


def _drift(task: Drift, frames: np.ndarray) -> float:
    """The same, all pixels of all frames one dense normal vector at each velocity; a level is its width."""
    size, power = task.size, spectrum(task).numpy()
    wave = np.exp(2j * np.pi * np.outer(np.arange(size), np.arange(size)) / size)
    covariance = np.einsum("km,kx,my->xy", power, wave, wave).real / size**2
    places = np.array(list(itertools.product(range(size), range(size))))
    less, found = frames.reshape(-1) / 255 - MIDDLE, []
    for way in itertools.product(range(-task.reach, task.reach + 1), repeat=2):
        under = np.concatenate([places - np.array(way) * time for time in range(len(frames))])
        apart = (under[:, None] - under[None]) % size
        joint = covariance[apart[..., 0], apart[..., 1]] + task.deviation**2 * np.eye(len(under))
        volume = np.linalg.slogdet(2 * np.pi * joint)[1]
        found.append(-0.5 * (less @ np.linalg.solve(joint, less) + volume) + len(less) * math.log(LEVEL))
    return float(torch.tensor(found).logsumexp(0)) - math.log(len(found))


@pytest.mark.parametrize(
    ("task", "probability", "last", "error"),
    [
        (SPEEDS, _orbit, 5, 1e-3),
        (replace(SPEEDS, noise=0.4), _orbit, 5, 1e-3),  # many a pixel is cut
        (SPRITES, _sprites, 2, 1e-4),
        (DRIFT, _drift, 4, 1e-4),
        (replace(DRIFT, noise=LEVEL), _drift, 4, 1e-3),
    ],
    ids=["orbit", "orbit, much noise", "sprites", "drift", "drift, little noise"],
)
def test_the_code_length_is_that_of_brute_force(task, probability, last: int, error: float, tmp_path: Path):
    optimum, clips = _world(task, tmp_path)
    assert optimum.has_bits
    found = optimum.log_prob(clips[:2, :-1], clips[:2, 1:])
    assert found.shape == (2, task.num_frames - 1)
    for clip, ours in zip(clips[:2], found.tolist(), strict=True):
        frames = (clip[:, 0] * 255).round().numpy()
        frames = frames.reshape(len(frames), -1) if isinstance(task, Orbit) else frames
        # The chain rule: of so many frames, less of those before.
        whole = [probability(task, frames[:count]) for count in range(1, last + 1)]
        np.testing.assert_allclose(ours[: last - 1], np.diff(whole), atol=error)


def test_the_target_may_be_any_frame(tmp_path: Path) -> None:
    optimum, clips = _world(SPEEDS, tmp_path)
    other = clips[:1, 1:] + 8 * LEVEL
    (ours,) = optimum.log_prob(clips[:1, :-1], other).tolist()
    for count in range(1, 6):
        seen, target = (
            (each[:, 0] * 255).round().numpy() for each in (clips[0, :count], other[0, count - 1 : count])
        )
        both = np.concatenate([seen, target]).reshape(count + 1, -1)
        assert ours[count - 1] == pytest.approx(_orbit(SPEEDS, both) - _orbit(SPEEDS, both[:-1]), abs=5e-3)


@pytest.mark.parametrize("part", [1e-6, 0.96, 0.999, 1.0, 3.0])
@pytest.mark.parametrize("task", [SPEEDS, SPRITES, DRIFT], ids=["orbit", "sprites", "drift"])
def test_where_there_are_no_bits_the_world_says_so(
    task: Orbit | Drift | Sprites, part: float, tmp_path: Path
) -> None:
    """Rounding is noise from a level on; the optimum of sprites needs no such assumption."""
    world = replace(task, noise=part * LEVEL)
    optimum, _ = _world(world, tmp_path)
    assert optimum.has_bits == (part >= 1 or isinstance(task, Sprites))
    assert ("it has no bits" in world.reservation) == (not optimum.has_bits)
    assert bool(world.reservation) == (not optimum.has_bits)
    assert "\n" not in world.reservation


@pytest.mark.parametrize("task", [SPEEDS, SPRITES, DRIFT], ids=["orbit", "sprites", "drift"])
def test_nobody_codes_shorter(task: Orbit | Drift | Sprites, tmp_path: Path) -> None:
    """Its mean, with normal errors as large as they really are, whether of all pixels or of each one."""
    optimum, clips = _world(task, tmp_path)
    seen, coming = clips[:, :-1], clips[:, 1:]
    mean = optimum(seen)[0]
    best = optimum.log_prob(seen, coming)
    for axes in ((0, 1, 2, 3, 4), (0, 1)):
        error = (coming - mean).square().mean(axes, keepdim=True).sqrt().clamp(min=LEVEL)
        guess = Mixture(
            mean[:, :, None], error.expand_as(mean)[:, :, None], torch.zeros(*mean.shape[:2], 1, 1, 1, 1)
        )
        apart = best - guess.log_prob(coming)
        clip = apart.mean(1)
        assert clip.mean() > 2 * clip.std() / len(clip) ** 0.5
