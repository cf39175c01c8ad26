"""A film that repeats itself goes on repeating; any other is predicted as if nothing were remembered."""

import math

import pytest
import torch
from torch import Tensor

from framegen.config.models import MotionFilter
from framegen.models import build, motion_filter
from framegen.models.recall import AVERAGED, CLEARLY, MEMORY, begin, recall, repeats
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
    film, model = _looping(PERIOD + 20 + 400), build(MotionFilter(4), (3, 20, 24), 0)
    made = generate(model, film[:, : PERIOD + 20], 400)
    assert torch.equal(made, film[:, PERIOD + 20 :])
    once = generate(model, film[:, :PERIOD], 400)
    assert (once - film[:, PERIOD : PERIOD + 400]).abs().mean() > 0.01


def test_a_clip_that_loops_tells_nothing_of_one_that_does_not() -> None:
    model, pan, loop = _awake(), _panning(40), _looping(40)
    both, alone = (generate(model, clips, 30) for clips in (torch.cat([pan, loop]), pan))
    torch.testing.assert_close(both[:1], alone, atol=1e-6, rtol=0)
    assert torch.equal(both[1:], _looping(70)[:, 40:])


def test_a_film_that_does_not_repeat_itself_is_predicted_by_its_motion(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, pan = _awake(), _panning(40)
    made = generate(model, pan, 10)

    def forgetful(*arguments: Tensor) -> tuple[object, Tensor, Tensor]:
        memory, following, found = recall(*arguments)  # pyright: ignore[reportArgumentType]
        return memory, following, torch.zeros_like(found)

    monkeypatch.setattr(motion_filter, "recall", forgetful)
    assert torch.equal(generate(model, pan, 10), made)


def test_the_next_frame_is_that_behind_the_best_lag() -> None:
    """Against a computation lag by lag, over a film longer than what is remembered."""
    random = torch.Generator().manual_seed(0)
    film = [torch.rand(3, 2, 2, generator=random) for _ in range(MEMORY + 40)]
    memory, said = begin(film[0][None]), torch.full((1, 3, 2, 2), 0.5)
    expected = dict.fromkeys(range(MEMORY + 1), 1.0)
    for t, frame in enumerate(film):
        own = t % 7 == 6
        memory, following, found = recall(memory, frame[None], said, torch.tensor([own]))
        for lag in range(min(t, MEMORY) + 1):
            error = (frame - (film[t - lag] if lag else said[0])).abs().mean().item()
            expected[lag] += 0 if own else AVERAGED * (error - expected[lag])
        assert memory.errors[0].tolist() == pytest.approx(list(expected.values()), abs=1e-6)
        best = min(range(1, min(t + 1, MEMORY) + 1), key=lambda lag: memory.errors[0, lag].item())
        assert torch.equal(following[0], film[t + 1 - best])
        assert bool(found) == (memory.errors[0, best] < CLEARLY * memory.errors[0, 0]).item()
    assert memory.frames.shape == (1, MEMORY, 3, 2, 2)


def test_what_repeats_itself_is_told_from_what_stands_still_or_moves_on() -> None:
    assert repeats(_looping(PERIOD + 20)[0])
    assert not repeats(_looping(PERIOD)[0])
    assert not repeats(_panning(50)[0])
    assert not repeats(_panning(1)[0].expand(60, -1, -1, -1))
    noisy = _looping(60)[0] + 0.2 * torch.rand(60, 3, 20, 24, generator=torch.Generator().manual_seed(0))
    assert not repeats(noisy)
