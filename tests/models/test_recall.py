"""A film that repeats itself goes on repeating; any other is predicted as if nothing were remembered."""

import math

import pytest
import torch
from torch import Tensor

from framegen.config.models import MotionFilter
from framegen.models import build
from framegen.models.nets import motion_filter
from framegen.models.nets.recall import AVERAGED, CLEARLY, MEMORY, TRUSTED_AFTER, begin, recall, repeats
from framegen.models.rollout import generate
from tests.models.test_motion_filter import _awake, _panning

PERIOD = 17


def _looping(frames: int, period: int = PERIOD) -> Tensor:
    """A soft light that goes round, (1, frames, 3, 20, 24), uint8 levels."""
    rows, columns = torch.meshgrid(torch.arange(20.0), torch.arange(24.0), indexing="ij")
    angle = 2 * math.pi * (torch.arange(frames) % period) / period
    down = rows - 10 - 6 * angle.sin()[:, None, None]
    across = columns - 12 - 8 * angle.cos()[:, None, None]
    light = torch.exp(-(down**2 + across**2) / 8)[:, None].expand(-1, 3, -1, -1)
    return ((0.2 + 0.7 * light) * 255).round()[None] / 255


def test_a_loop_that_was_seen_once_and_a_little_goes_on_for_ever() -> None:
    film, model = _looping(PERIOD + TRUSTED_AFTER + 400), build(MotionFilter(4), (3, 20, 24), 0)
    made = generate(model, film[:, : PERIOD + TRUSTED_AFTER], 400)
    assert torch.equal(made, film[:, PERIOD + TRUSTED_AFTER :])
    once = generate(model, film[:, :PERIOD], 400)
    assert (once - film[:, PERIOD : PERIOD + 400]).abs().mean() > 0.01


def test_in_a_step_of_training_nothing_is_recalled() -> None:
    film, model = _looping(PERIOD + TRUSTED_AFTER + 5), build(MotionFilter(4), (3, 20, 24), 0)
    with torch.no_grad():
        recalled = model(film)[0]
    trained = model(film)[0]
    assert torch.equal(trained[:, :PERIOD], recalled[:, :PERIOD])
    assert not torch.equal(trained[:, -5:], recalled[:, -5:])
    model.eval()
    assert torch.equal(model(film)[0], recalled)


def test_with_a_density_head_too() -> None:
    """Whose mean is not what was said before it; what is remembered is not altered each time it comes."""
    film, model = _looping(60 + 12 * PERIOD), build(MotionFilter(4, density=2), (3, 20, 24), 0)
    made = generate(model, film[:, :60], 12 * PERIOD)
    errors = (made - film[:, 60:]).abs().mean((0, 2, 3, 4))
    assert errors[-PERIOD:].mean().item() == pytest.approx(
        errors[PERIOD : 2 * PERIOD].mean().item(), rel=1e-3
    )


def test_a_clip_that_loops_tells_nothing_of_one_that_does_not() -> None:
    model, pan, loop = _awake(), _panning(50), _looping(50)
    both, alone = (generate(model, clips, 30) for clips in (torch.cat([pan, loop]), pan))
    torch.testing.assert_close(both[:1], alone, atol=1e-5, rtol=0)
    assert torch.equal(both[1:], _looping(80)[:, 50:])


def test_a_film_that_does_not_repeat_itself_is_predicted_by_its_motion(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, pan = _awake(), _panning(50)
    made = generate(model, pan, 10)

    def forgetful(*arguments: Tensor) -> tuple[object, Tensor, Tensor]:
        memory, following, found = recall(*arguments)  # pyright: ignore[reportArgumentType]
        return memory, following, torch.zeros_like(found)

    monkeypatch.setattr(motion_filter, "recall", forgetful)
    assert torch.equal(generate(model, pan, 10), made)


def test_the_next_frame_is_that_behind_the_best_lag() -> None:
    """Against a computation lag by lag, over a film longer than what is remembered: noise that comes back
    after 50 frames, then noise alone."""
    random = torch.Generator().manual_seed(0)
    film = [torch.rand(3, 16, 16, generator=random) for _ in range(MEMORY)]
    film = film[:50] * 2 + film[50:]
    memory, said = begin(film[0][None]), torch.full((1, 3, 16, 16), 0.5)
    expected, times = dict.fromkeys(range(MEMORY + 1), 1.0), 0
    for t, frame in enumerate(film):
        own = t % 7 == 6
        memory, following, found = recall(memory, frame[None], said, torch.tensor([own]))
        for lag in range(MEMORY + 1):
            before = film[t - lag] if 0 < lag <= t else said[0] if lag == 0 else torch.tensor(2.0)
            error = (frame - before).abs().mean().item()
            expected[lag] += 0 if own else AVERAGED * (error - expected[lag])
        assert memory.errors[0].tolist() == pytest.approx(list(expected.values()), abs=1e-5)
        best = min(range(1, MEMORY + 1), key=lambda lag: expected[lag])
        assert bool(found) == (expected[best] < CLEARLY * expected[0])
        if found:
            times += 1
            assert torch.equal(following[0], film[t + 1 - best])
            assert best == 50
    assert times > 20
    assert len(memory.frames) == MEMORY


def test_what_repeats_itself_is_told_from_what_stands_still_or_moves_on() -> None:
    assert repeats(_looping(PERIOD + TRUSTED_AFTER)[0])
    assert not repeats(_looping(PERIOD)[0])
    assert not repeats(_panning(50)[0])
    assert not repeats(_panning(1)[0].expand(60, -1, -1, -1))
    wide = torch.cat([_panning(1, seed)[:, 0] for seed in range(2)], 3)[0]
    places = torch.randint(0, 6, (50,), generator=torch.Generator().manual_seed(0)).tolist()
    assert not repeats(torch.stack([wide[..., place : place + 24] for place in places]))  # shaken
    noisy = _looping(60)[0] + 0.2 * torch.rand(60, 3, 20, 24, generator=torch.Generator().manual_seed(0))
    assert not repeats(noisy)
