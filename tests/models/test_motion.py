"""The motion baseline: on what moves evenly it is right, and it keeps the contract."""

import math

import pytest
import torch
from torch import Tensor, nn

from framegen.models.baselines import CopyLast
from framegen.models.motion import Motion, warp
from framegen.models.predictor import map_state, name_parts
from framegen.models.rollout import generate

STEPS = ((1, 0), (0, -2), (-1, 1))
"""Pixels a frame down and to the right, of each clip."""
HEIGHT, WIDTH = 24, 40


def _film(num_frames: int = 12) -> Tensor:
    """Windows that move over smooth coloured pictures: (3, T, 3, HEIGHT, WIDTH) in [0, 1]."""
    random = torch.Generator().manual_seed(0)
    noise = torch.rand(len(STEPS), 3, 24, 28, generator=random)
    picture = nn.functional.interpolate(noise, scale_factor=4, mode="bicubic").clamp(0, 1)  # 96 x 112
    return torch.stack(
        [
            torch.stack(
                [clip[:, 36 + t * down :, 36 + t * right :][:, :HEIGHT, :WIDTH] for t in range(num_frames)]
            )
            for clip, (down, right) in zip(picture, STEPS, strict=True)
        ]
    )


FILM = _film()


@pytest.fixture
def model() -> Motion:
    return Motion((0.0, 1.0))


def _inner_error(predictions: Tensor, targets: Tensor, margin: int) -> Tensor:
    """Of each clip, without the border, where what comes into the picture cannot be known."""
    inside = (..., slice(margin, HEIGHT - margin), slice(margin, WIDTH - margin))
    return (predictions - targets)[inside].square().flatten(1).mean(1)


def test_what_moves_evenly_is_foreseen(model: Motion) -> None:
    ours = _inner_error(model(FILM[:, :-1])[0][:, 1:], FILM[:, 2:], 3)
    copied = _inner_error(FILM[:, 1:-1], FILM[:, 2:], 3)
    assert (ours < copied / 20).all()


def test_a_rollout_goes_on_with_the_motion_that_was_seen(model: Motion) -> None:
    prompt, truth = FILM[:, :6], FILM[:, 6:9]
    ours = _inner_error(generate(model, prompt, 3), truth, 7)
    copied = _inner_error(generate(CopyLast(), prompt, 3), truth, 7)
    assert (ours < copied / 10).all()


def test_of_one_frame_it_knows_no_motion_and_copies(model: Motion) -> None:
    torch.testing.assert_close(model(FILM[:, :1])[0], FILM[:, :1])
    still = FILM[:, :1].expand(-1, 5, -1, -1, -1)
    torch.testing.assert_close(model(still)[0], still)
    torch.testing.assert_close(generate(model, FILM[:, 0:1], 4), FILM[:, :1].expand(-1, 4, -1, -1, -1))


def test_moving_is_reading_elsewhere_and_the_border_goes_on() -> None:
    frames = torch.rand(1, 2, 5, 7, generator=torch.Generator().manual_seed(1))
    flow = torch.zeros(1, 2, 5, 7)
    flow[:, 0], flow[:, 1] = 2, -1
    rows, columns = (torch.arange(5) - 1).clamp(0, 4), (torch.arange(7) + 2).clamp(0, 6)
    torch.testing.assert_close(warp(frames, flow), frames[:, :, rows][..., columns])
    flow[:, 0], flow[:, 1] = 0.25, 0
    right = frames[..., (torch.arange(7) + 1).clamp(max=6)]
    torch.testing.assert_close(warp(frames, flow), 0.75 * frames + 0.25 * right)


def test_it_keeps_the_contract(model: Motion) -> None:
    whole, _ = model(FILM)
    state, steps = None, []
    for t in range(FILM.shape[1]):
        prediction, state = model(FILM[:, t : t + 1], state)
        steps.append(prediction)
    assert torch.equal(torch.cat(steps, 1), whole)
    changed = FILM.clone()
    changed[:, 7:] = 1 - changed[:, 7:]
    assert torch.equal(model(changed)[0][:, :7], whole[:, :7])
    torch.testing.assert_close(model(FILM[1:2])[0], whole[1:2])
    assert torch.equal(FILM, _film())
    before = name_parts(map_state(Tensor.clone, state), "state")
    model(FILM, state)
    torch.testing.assert_close(name_parts(state, "state"), before)


def test_a_clip_that_was_not_observed_moves_on_beside_others_that_were(model: Motion) -> None:
    shown = FILM.clone()
    shown[1, 6:] = math.nan
    predictions, _ = model(shown)
    whole, _ = model(FILM)
    torch.testing.assert_close(predictions[[0, 2]], whole[[0, 2]])
    torch.testing.assert_close(predictions[1, 5:], generate(model, FILM[1, :6], 7))


def test_the_range_of_the_values_does_not_matter(model: Motion) -> None:
    wide = Motion((-1.0, 1.0))
    torch.testing.assert_close((wide(FILM * 2 - 1)[0] + 1) / 2, model(FILM)[0], atol=1e-3, rtol=0)


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 16, 90), (4, 130, 17)])
def test_frames_of_any_shape_from_16_pixels_on(shape: tuple[int, int, int], model: Motion) -> None:
    frames = torch.rand(2, 3, *shape, generator=torch.Generator().manual_seed(2))
    predictions, _ = model(frames)
    assert predictions.shape == frames.shape
    assert 0 <= predictions.min() <= predictions.max() <= 1
