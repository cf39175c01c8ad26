"""What noise alone makes of an error, and what is left of it: against scenes and levels written out here."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from framegen.config.config import Config
from framegen.config.models import MLP
from framegen.config.tasks import LEVEL, Drift, Orbit, Sine, Sprites, Task
from framegen.data import orbit, sprites
from framegen.data.loading import load_data
from framegen.evaluation import metrics
from framegen.evaluation.references import expected_frames, fit_references, irreducible
from framegen.evaluation.scores import evaluate
from framegen.models.baselines import CopyLast
from framegen.models.rollout import generate
from framegen.report.tables import print_all_metrics, print_results
from framegen.studies.comparison.finished import Finished
from framegen.studies.comparison.tables import print_comparison

FEW: dict[str, Any] = {"num_clips": 20, "num_val_clips": 2, "num_test_clips": 12, "num_frames": 16}
ORBIT = Orbit(size=4, bar=1, noise=0.3, **FEW)
SPRITES = Sprites(size=8, bar=3, reach=1, noise=0.4, context=6, **FEW)
DRIFT = Drift(size=8, reach=2, noise=0.05, context=6, **FEW)


def _mean_level(clean: np.ndarray, noise: float) -> np.ndarray:
    """The mean of clean values that are stored with noise: a sum over all levels."""
    edges = (np.arange(255) + 0.5) / 255
    above = torch.special.ndtr(torch.from_numpy((clean[..., None] - edges) / noise))  # of each level but 0
    return above.sum(-1).numpy() / 255


def _orbit(task: Orbit) -> np.ndarray:
    """(N, T, H, W) without noise."""
    angles = orbit.phases(task, "test").numpy()[..., None, None]
    place = (2 * np.arange(task.size) + 1) / task.size - 1
    squared = (place - 0.7 * np.cos(angles)) ** 2 + (place[:, None] - 0.7 * np.sin(angles)) ** 2
    return 0.2 + 0.6 * np.exp(-squared / (2 * task.light_width**2 * 2 / task.size))


def _sprites(task: Sprites) -> np.ndarray:
    _, kinds, places = sprites.paths(task, "test")
    found = np.full((*places.shape[:2], task.size, task.size), 0.25)
    for clip, (kind, way) in enumerate(zip(kinds.tolist(), places.tolist(), strict=True)):
        covers = np.argwhere(sprites.shapes(task)[kind].numpy())
        for time, place in enumerate(way):
            for row, column in (covers + place) % task.size:
                found[clip, time, row, column] = 0.75
    return found


@pytest.mark.parametrize(("task", "clean"), [(ORBIT, _orbit), (SPRITES, _sprites)], ids=["orbit", "sprites"])
def test_who_knows_the_scene_errs_by_its_noise_alone(
    task: Orbit | Sprites, clean: Callable[..., np.ndarray], tmp_path: Path
) -> None:
    data = load_data(task, tmp_path)
    assert data.test_frames is not None
    expected = _mean_level(clean(task), task.noise)
    covered = slice((task.size - task.bar) // 2, (task.size - task.bar) // 2 + task.bar)
    expected[..., covered] = 0
    squared = (data.test_frames[:, :, 0].numpy() / 255 - expected)[:, data.context :] ** 2
    found = irreducible(task, data)
    assert found is not None
    np.testing.assert_allclose(found.numpy(), squared.mean((1, 2, 3)), rtol=1e-5)


def test_a_texture_without_noise_slides_and_what_is_left_is_noise(tmp_path: Path) -> None:
    frames, found = load_data(DRIFT, tmp_path).test_frames, expected_frames(DRIFT)
    assert frames is not None
    assert found is not None
    expected = torch.stack(list(found))
    for clip in expected[:, :, 0]:
        ways = [(down, right) for down in range(-2, 3) for right in range(-2, 3)]
        fits = [(clip[1:] - clip[:-1].roll(way, (1, 2))).abs().max().item() for way in ways]
        assert min(fits) < 1e-12
    noise = (frames / 255 - expected).flatten()
    assert noise.square().mean().item() == pytest.approx(DRIFT.noise**2 + LEVEL**2 / 12, rel=0.03)
    assert abs(noise.mean().item()) < 3 * DRIFT.noise / math.sqrt(len(noise))
    together = torch.corrcoef(torch.stack([noise, expected.flatten()]))[0, 1].item()
    assert abs(together) < 3 / math.sqrt(len(noise))


@pytest.mark.parametrize("task", [ORBIT, SPRITES, DRIFT], ids=["orbit", "sprites", "drift"])
def test_the_excess_is_what_is_left_over_the_optimums(task: Task, tmp_path: Path) -> None:
    data = load_data(task, tmp_path)
    references = fit_references(task, data)
    results = evaluate({0: CopyLast()}, task, data, references)
    frames, floor = data.test_frames, irreducible(task, data)
    assert frames is not None
    assert floor is not None
    assert results.closed_loop is not None
    prompt, truth = (frames / 255).split([data.context, frames.shape[1] - data.context], 1)
    over = {
        name: (generate(each, prompt, truth.shape[1]) - truth).double().square().mean().item()
        - floor.mean().item()
        for name, each in references.items()
    }
    for name, scores in results.closed_loop.predictors.items():
        expected = over["copy last" if name == "model" else name] / over["optimum"]
        assert scores["excess"] == pytest.approx(expected, rel=1e-4)
    assert results.closed_loop.predictors["optimum"]["excess"] == 1
    assert results.members[0].closed_loop == results.closed_loop.predictors["model"]
    assert "excess" not in results.one_step["model"]
    excess = results.closed_loop.predictors["model"]["excess"] or math.nan
    run = Finished(Path("a"), Config(task, MLP()), results, None)
    for show in (print_results, print_all_metrics, lambda _, c: print_comparison({"a": run, "b": run}, c)):
        console = Console(width=80)
        with console.capture() as captured:
            show(results, console)
        assert f"{excess:.1f}" in captured.get()
        assert "…" not in captured.get()


def test_who_knows_the_scene_has_no_excess_and_its_standard_error_is_that_of_other_clips() -> None:
    random = torch.Generator().manual_seed(0)
    floor = torch.rand(400, generator=random, dtype=torch.float64) + 0.5
    optimal, model = floor + 0.1 * torch.rand(400, generator=random), floor * 1.3
    assert metrics.excess(floor, optimal, floor) == (0, pytest.approx(0, abs=1e-12))
    assert metrics.excess(optimal, optimal, floor)[0] == 1
    assert metrics.excess(model, floor, floor) == (None, None)
    drawn = torch.randint(400, (4000, 400), generator=random)
    errors, best, least = (each[drawn].mean(1) for each in (model, optimal, floor))
    bootstrap = ((errors - least) / (best - least)).std().item()
    assert metrics.excess(model, optimal, floor)[1] == pytest.approx(bootstrap, rel=0.05)


@pytest.mark.parametrize(
    "task",
    [
        Sine(lag=-1),
        replace(ORBIT, noise=0.5 * LEVEL),
        replace(DRIFT, noise=0.001),
        replace(SPRITES, noise=1e-6),
    ],
    ids=["sine", "orbit", "drift", "sprites"],
)
def test_where_noise_is_not_known_there_is_no_excess(task: Task, tmp_path: Path) -> None:
    data = load_data(task, tmp_path)
    assert irreducible(task, data) is None
    results = evaluate({0: CopyLast()}, task, data, fit_references(task, data))
    assert results.closed_loop is not None
    assert "excess" not in results.convention | results.closed_loop.predictors["model"]
