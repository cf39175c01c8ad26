"""The Bayes-optimal predictor against an independent posterior, and against everybody else."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from framegen.commands.training import train
from framegen.config.config import Config
from framegen.config.models import MLP, Recurrent
from framegen.config.tasks import LEVEL, Orbit
from framegen.config.training import Training
from framegen.data import orbit
from framegen.data.clips import Data, TensorClips
from framegen.data.kept import hidden
from framegen.data.loading import load_data
from framegen.evaluation.clip_errors import closed_loop_errors, mean_square
from framegen.evaluation.references import fit_references, optimal_predictor
from framegen.models.optima.bayes import BayesFilter
from framegen.models.predictor import Predictor
from framegen.models.rollout import generate

WORLD = Orbit(num_test_clips=40, num_frames=20)
SPEEDS = replace(WORLD, period=40, speeds=(1, 3, 8))

NO_CLIPS = TensorClips(torch.zeros(0), torch.zeros(0))
NO_DATA = Data(NO_CLIPS, NO_CLIPS, NO_CLIPS)
"""The optimum of Orbit looks at none."""


def _optimum(world: Orbit) -> Predictor:
    found = optimal_predictor(world, NO_DATA)
    assert found is not None
    return found


def _clips(config: Orbit) -> torch.Tensor:
    return orbit.sample(config, "test").float() / 255


def _one_step(model: BayesFilter, config: Orbit) -> float:
    frames = _clips(config)
    return mean_square(model, TensorClips(frames[:, :-1], frames[:, 1:]))


def _brute_force(config: Orbit, clip: np.ndarray, context: int, horizon: int) -> np.ndarray:
    """E[frame at context - 1 + horizon | first `context` frames]: every speed, a dense grid of first angles,
    each level
    of each pixel weighed by its own probability. Nothing is shared with the filter but the text of the model.
    """

    def below(z: np.ndarray) -> np.ndarray:
        return torch.special.ndtr(torch.from_numpy(z)).numpy()

    width = config.light_width * math.sqrt(2 / config.size)
    centres = [(2 * i + 1) / config.size - 1 for i in range(config.size)]
    starts = np.linspace(0, 2 * math.pi, 1500, endpoint=False)

    def clean(angle: np.ndarray) -> np.ndarray:
        columns = []
        for y in centres:
            for x in centres:
                squared = (x - 0.7 * np.cos(angle)) ** 2 + (y - 0.7 * np.sin(angle)) ** 2
                columns.append(0.2 + 0.6 * np.exp(-squared / (2 * width**2)))
        return np.stack(columns, -1)  # (angles, P)

    log_weights, expected = [], []
    seen = (~hidden(config.size, config.bar)).flatten().double().numpy()
    levels = np.arange(256) / 255
    for speed in config.speeds:
        for sign in (1, -1):
            step = sign * speed * 2 * math.pi / config.period
            total = np.zeros(len(starts))
            for t in range(context):
                mean = clean(starts + t * step)
                low = np.where(clip[t] == 0, -np.inf, (clip[t] - 0.5) / 255)
                high = np.where(clip[t] == 255, np.inf, (clip[t] + 0.5) / 255)
                upper = np.where(
                    np.isinf(high), 1.0, below((np.where(np.isinf(high), 0, high) - mean) / config.noise)
                )
                lower = np.where(
                    np.isinf(low), 0.0, below((np.where(np.isinf(low), 0, low) - mean) / config.noise)
                )
                total += np.log(np.maximum(upper - lower, 1e-300)) @ seen
            log_weights.append(total)
            mean = clean(starts + (context - 1 + horizon) * step)
            edges = [below((edge - mean) / config.noise) for edge in (levels[:-1] + levels[1:]) / 2]
            cumulative = np.stack([np.zeros_like(mean), *edges, np.ones_like(mean)])  # (257, angles, P)
            expected.append(np.tensordot(levels, np.diff(cumulative, axis=0), 1))
    weights = np.exp(np.concatenate(log_weights) - np.max(log_weights))
    return weights @ np.concatenate(expected) / weights.sum() * seen


@pytest.mark.parametrize(
    "world",
    [
        SPEEDS,
        replace(SPEEDS, noise=0.3),
        replace(WORLD, size=3, noise=0.15),
        replace(WORLD, size=3, noise=0.15, bar=1),
    ],
    ids=["5%", "30%", "3x3", "bar"],
)
def test_forecasts_equal_a_brute_force_posterior(world: Orbit) -> None:
    clips = orbit.sample(replace(world, num_test_clips=2), "test")
    context, horizon = 4, 9
    forecast = generate(_optimum(world), clips.float()[:, :context] / 255, horizon).flatten(2)
    for clip, ours in zip(clips.flatten(2).numpy().astype(float), forecast, strict=True):
        for h in (1, horizon):
            np.testing.assert_allclose(ours[h - 1], _brute_force(world, clip, context, h), atol=2e-4)


@pytest.mark.parametrize("world", [WORLD, SPEEDS, replace(WORLD, noise=0.3)], ids=["orbit", "speeds", "30%"])
def test_refining_the_grid_changes_nothing(world: Orbit) -> None:
    coarse, fine = (BayesFilter(*orbit.phase_grid(world, refine), world.deviation) for refine in (1, 3))
    assert _one_step(coarse, world) == pytest.approx(_one_step(fine, world), rel=1e-5)


def test_without_noise_only_quantisation_is_left() -> None:
    world = replace(SPEEDS, noise=0.0, num_test_clips=5)
    frames = _clips(world)
    error = (_optimum(world)(frames[:, :-1])[0] - frames[:, 1:])[:, 3:]
    floor = 1 / 255**2 / 12
    assert floor / 2 < error.square().mean().item() < 1.5 * floor


def test_a_frame_that_was_not_observed_is_no_evidence() -> None:
    model, frames = _optimum(SPEEDS), _clips(SPEEDS)
    unseen = torch.full_like(frames, math.nan)
    predictions, _ = model(unseen)
    torch.testing.assert_close(predictions[:, 0], predictions[:, -1])
    forecast = generate(model, frames[:, :6], 7)
    shown = torch.cat([frames[:, :6], unseen[:, :6]], 1)
    torch.testing.assert_close(model(shown)[0][:, 5:], forecast)


def test_longer_context_makes_better_forecasts_and_no_baseline_is_better(tmp_path) -> None:
    world = replace(SPEEDS, num_clips=200, num_test_clips=100)
    data = load_data(world, tmp_path)
    errors = {name: mean_square(model, data.test) for name, model in fit_references(world, data).items()}
    assert min(errors, key=lambda name: errors[name]) == "optimum"
    assert data.test_frames is not None
    optimum = _optimum(world)
    short, long = (
        closed_loop_errors(optimum, data.test_frames[:, 10 - n :], n)["squared"].sum() for n in (2, 10)
    )
    assert long < short


@pytest.mark.parametrize("model", [Recurrent(), Recurrent("gru", 16), MLP()], ids=["rnn", "gru", "mlp"])
def test_no_trained_model_beats_it(model, tmp_path) -> None:
    from framegen.commands.training import train

    world = Orbit(num_clips=100, num_test_clips=60, num_frames=20)
    config = Config(world, model, Training(epochs=4, media_every=0), "video")
    run = train(config, None, "disabled", tmp_path / "runs", tmp_path / "data", show=False, draw=False)
    trained, data = run.model, run.data
    inputs, targets = data.test.batch(slice(None))
    with torch.inference_mode():
        excess = (trained(inputs)[0] - targets).square() - (_optimum(world)(inputs)[0] - targets).square()
    by_clip = excess.flatten(1).mean(1)
    assert by_clip.mean() > 3 * by_clip.std() / math.sqrt(len(by_clip))


def test_rounding_is_taken_for_noise_where_there_is_less_than_a_level_and_a_training_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = replace(WORLD, noise=0.0, num_frames=80, num_clips=10, num_val_clips=2)
    clips = _clips(world)
    assert (clips[:, world.period :] == clips[:, : -world.period]).all()  # so an error of 0 is possible
    generated = generate(_optimum(world), clips[:, :40], 40)
    assert 0 < ((generated - clips[:, 40:]) ** 2).mean() <= LEVEL**2 / 12
    assert "up to 1.3e-06 of its mse could be saved" in world.reservation
    assert not replace(world, noise=LEVEL).reservation
    config = Config(replace(world, num_frames=3), Recurrent(), Training(epochs=1, media_every=0))
    train(config, "run", "disabled", tmp_path, tmp_path, draw=False)
    assert world.reservation in capsys.readouterr().err.splitlines()
