"""What the exact filters believe, against brute force; states as rows."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from framegen.config.models import ConvRecurrent, Model, Recurrent
from framegen.config.tasks import Drift, Orbit, Sprites
from framegen.data import drift, orbit, sprites
from framegen.data.clips import Data, TensorClips
from framegen.evaluation.references import optimal_predictor
from framegen.models import build
from framegen.models.baselines import CopyLast
from framegen.models.optima.bayes import BayesFilter
from framegen.models.predictor import map_state
from framegen.studies.probe.beliefs import DIRECTION, ENTROPY, JOINT, MEANINGS, POSITION, SPEED, known
from framegen.studies.probe.linear import known_by
from framegen.studies.probe.states import layout_of

NO_CLIPS = TensorClips(torch.zeros(0), torch.zeros(0))
NO_DATA = Data(NO_CLIPS, NO_CLIPS, NO_CLIPS)
ORBIT = Orbit(period=8, speeds=(1, 3), noise=0.3, num_frames=5, num_test_clips=3)


def _after_all(task: Orbit | Drift | Sprites, frames: torch.Tensor) -> dict[str, np.ndarray]:
    """What the optimum knows after the last of the frames, by name: (N, K)."""
    optimum = optimal_predictor(task, NO_DATA)
    assert optimum is not None
    after_each = known_by(task, optimum)
    assert after_each is not None
    return {name: values[:, -1].numpy() for name, values in after_each(frames).items()}


def test_what_is_known_of_a_light_is_a_brute_force_posterior() -> None:
    clips = orbit.sample(ORBIT, "test")
    found = _after_all(ORBIT, clips / 255)
    angles = np.linspace(0, 2 * math.pi, 2000, endpoint=False)
    for number, clip in enumerate(clips.flatten(2).numpy().astype(float)):
        weights, directions, speeds, now = [], [], [], []
        for speed, direction in itertools.product(ORBIT.speeds, (1, -1)):
            step = direction * speed * 2 * math.pi / ORBIT.period
            first = angles - step * (len(clip) - 1)  # so that `angles` are those of the last frame
            log = np.zeros(len(angles))
            for t, frame in enumerate(clip):
                mean = orbit.render(ORBIT, torch.from_numpy(first + step * t)).flatten(1).numpy()
                low = torch.from_numpy(((frame - 0.5) / 255 - mean) / ORBIT.noise)
                high = torch.from_numpy(((frame + 0.5) / 255 - mean) / ORBIT.noise)
                below = np.where(frame == 0, 0, torch.special.ndtr(low).numpy())
                above = np.where(frame == 255, 1, torch.special.ndtr(high).numpy())
                log += np.log(above - below).sum(1)
            weights.append(log)
            directions.append(np.full(len(angles), direction))
            speeds.append(np.full(len(angles), speed))
            now.append(angles)
        weight = np.exp(np.concatenate(weights) - np.max(weights))
        weight /= weight.sum()
        direction, speed, angle = map(np.concatenate, (directions, speeds, now))
        circle = np.stack([np.cos(angle), np.sin(angle)], 1)
        np.testing.assert_allclose(found[POSITION][number], weight @ circle, atol=1e-3)
        np.testing.assert_allclose(found[JOINT][number], (weight * direction) @ circle, atol=1e-3)
        np.testing.assert_allclose(found[DIRECTION][number], [weight @ direction], atol=1e-3)
        np.testing.assert_allclose(
            found[SPEED][number], [weight[speed == each].sum() for each in ORBIT.speeds], atol=1e-3
        )
        # The finer grid has as many more points to be unsure between.
        optimum = optimal_predictor(ORBIT, NO_DATA)
        assert isinstance(optimum, BayesFilter)
        coarser = math.log(2000 / len(optimum.picture))
        entropy = -(weight * np.log(np.maximum(weight, 1e-300))).sum()
        np.testing.assert_allclose(found[ENTROPY][number], [entropy - coarser], atol=1e-2)


def test_the_posterior_of_a_frame_turned_on_is_that_of_the_coming_one() -> None:
    model = BayesFilter(*orbit.phase_grid(ORBIT), ORBIT.deviation)
    frames = orbit.sample(ORBIT, "test") / 255
    _, state = model(frames)
    now = model.posterior(state)
    _, ahead = model(torch.full_like(frames[:, :1], math.nan), state)
    assert now.sum((1, 2)).numpy() == pytest.approx(np.ones(3))
    torch.testing.assert_close(model.posterior(ahead), state.flatten(1).softmax(1).view_as(state))


@pytest.mark.parametrize("task", [Drift(size=4, reach=1), Sprites(size=4, reach=1, noise=0.3)])
def test_with_almost_no_doubt_what_is_known_of_a_world_is_the_truth(task: Drift | Sprites) -> None:
    """With much less noise the posterior is one point; the truth is in how the clips are made."""
    task = replace(task, size=8, noise=0.02, num_frames=6, context=3, num_test_clips=4)
    if isinstance(task, Sprites):
        task = replace(task, turning=0.0)
        _, shape, places = sprites.paths(task, "test")
        found = _after_all(task, sprites.sample(task, "test")[:, :-1] / 255)
        np.testing.assert_allclose(found["shape"], np.eye(4)[shape.numpy()], atol=1e-4)
        turn = places[:, -1].double() * 2 * math.pi / task.size  # (N, 2)
        circles = torch.stack([turn.cos(), turn.sin()], 2).flatten(1)
        np.testing.assert_allclose(found["place"], circles.numpy(), atol=1e-4)
        steps = ((places[:, 1] - places[:, 0] + 1) % task.size - 1).numpy()
    else:
        clips = drift.sample(task, "test")
        found = _after_all(task, clips[:, :-1] / 255)
        ways = drift.velocities(task)
        moved = [
            [
                torch.roll(clip[0, 0], tuple(way.tolist()), (0, 1)).sub(clip[1, 0].float()).square().mean()
                for way in ways
            ]
            for clip in clips.float()
        ]
        steps = ways[torch.tensor(moved).argmin(1)].numpy()
    np.testing.assert_allclose(found["velocity"], steps, atol=1e-3)
    assert found["velocities"].max(1) == pytest.approx(np.ones(4), abs=1e-3)
    assert (found[ENTROPY] < 0.02).all()


def test_without_a_belief_nothing_is_known() -> None:
    from framegen.config.tasks import Sine

    assert known(Sine(), CopyLast(), None) == {}
    assert known_by(Sine(), CopyLast()) is None
    assert set(MEANINGS) >= {POSITION, JOINT, DIRECTION, SPEED, ENTROPY}


@pytest.mark.parametrize(
    ("config", "side", "size"),
    [
        (Recurrent(num_layers=2), 2, 10),
        (Recurrent("lstm", 3), 2, 6),
        (ConvRecurrent("convlstm", 2, 2, 3, 2), 8, 2 * 2 * 2 * 16),
        (ConvRecurrent("predrnn", 2, 2, 3, 4), 8, None),
    ],
)
def test_a_state_becomes_rows_and_a_state_again(config: Model, side: int, size: int | None) -> None:
    shape = (1, side, side)
    model = build(config, shape, 0)
    layout = layout_of(model, shape)
    frames = torch.rand(5, 3, *shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        _, state = model(frames)
        rows = layout.pack(state)
        assert rows.shape == (5, layout.size)
        assert size in (None, layout.size)
        again = layout.unpack(rows)
        equal = map_state(lambda one, other: (one == other).all(), state, again)
        assert all(layout_flat(equal))
        # Each row is one sequence's.
        alone = model(frames[2:3])[1]
        torch.testing.assert_close(layout.pack(alone)[0], rows[2], atol=1e-6, rtol=1e-5)


def layout_flat(state: object) -> list[bool]:
    if isinstance(state, tuple):
        return [each for part in state for each in layout_flat(part)]
    return [bool(state)]
