"""The motion filter: it begins at the flow, learns motion, and keeps it when it is shown its own frames."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from framegen.config.models import MotionFilter
from framegen.config.training import Training
from framegen.data.films.frames import read_frames
from framegen.machine.errors import OptionError
from framegen.models import build
from framegen.models.nets.motion_filter import KEPT, TRUSTED, MotionFilterNet
from framegen.models.predictor import Predictor
from framegen.models.rollout import generate
from framegen.training.feeding import own_frames, relative_loss, unroll

SHAPE = (3, 20, 24)
FIXTURES = Path(__file__).parents[1] / "fixtures"


def _panning(frames: int, seed: int = 0, speed: int = 1) -> Tensor:
    """A smooth random picture that a camera pans over, (1, frames, 3, 20, 24)."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 8, 20, generator=random)
    wide = functional.interpolate(coarse, size=(20, 80), mode="bicubic").clamp(0, 1)
    return torch.stack([wide[..., speed * t : speed * t + 24] for t in range(frames)], 1)


def _awake(seed: int = 1) -> Predictor:
    """A net some steps away from its first weights, which say nothing yet."""
    model = build(MotionFilter(4), SHAPE, seed)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=random)
    return model


@pytest.fixture(scope="module")
def trained() -> Predictor:
    model = build(MotionFilter(4), SHAPE, 0)
    clips = torch.cat([_panning(10, seed, speed) for seed in range(3) for speed in (1, 2)])
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for step in range(60):
        given = 9 if step < 20 else 5
        made, _ = model.run_on(clips[:, :given], None, 9)
        loss = (made - clips[:, 1:]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def test_untrained_it_goes_on_moving_and_can_learn() -> None:
    model, clips = build(MotionFilter(4), SHAPE, 0), _panning(8)
    assert torch.equal(model(clips[:, :1])[0], clips[:, :1])  # at rest
    error, copying = (
        (each - clips[:, 1:]).square().mean() for each in (model(clips[:, :-1])[0], clips[:, :-1])
    )
    error.backward()
    assert error < 0.5 * copying
    assert any(
        parameter.grad is not None and parameter.grad.abs().max() > 0 for parameter in model.parameters()
    )


def test_untrained_it_is_better_than_a_copy_on_a_real_film() -> None:
    """36 frames of the trailer of Big Buck Bunny (Blender Foundation, CC BY 3.0)."""
    film = np.stack(list(read_frames(FIXTURES / "bunny.mp4", (36, 64))))
    frames = torch.from_numpy(film).permute(0, 3, 1, 2) / 255
    clips = torch.stack([frames[start : start + 20] for start in range(0, 17, 4)])
    made = generate(build(MotionFilter(), (3, 36, 64), 0), clips[:, :10], 10)
    errors, copying = (
        (each - clips[:, 10:]).square().mean((2, 3, 4)) for each in (made, clips[:, 9:10].expand_as(made))
    )
    assert (errors.mean(0) < copying.mean(0)).all()  # one to ten frames on


def test_on_a_film_that_it_never_saw_it_beats_copying_near_and_far(trained: Predictor) -> None:
    film = _panning(18, seed=99)
    made = generate(trained, film[:, :8], 10)
    errors, copying = (
        (each - film[:, 8:]).square().mean((0, 2, 3, 4)) for each in (made, film[:, 7:8].expand_as(made))
    )
    assert (errors < copying).all()
    assert errors[0] < 0.5 * copying[0]


@torch.inference_mode()
def test_its_own_frames_tell_it_nothing_new() -> None:
    model, clips = _awake(), _panning(6)
    made, state = model(clips)
    _, after = model(model.feedback(made[:, -1:]), state)
    assert torch.equal(after[0], state[0])  # the last frame that it did not make
    assert torch.equal(after[3], state[3])  # the running mean
    assert torch.equal(after[9], state[9])  # the belief


@torch.inference_mode()
def test_stepping_is_unrolling_and_clips_do_not_know_of_each_other() -> None:
    model, clips = _awake(), torch.cat([_panning(6, 1), _panning(6, 2, 2)])
    whole, _ = model(clips)
    state, steps = None, []
    for t in range(6):
        made, state = model(clips[:, t : t + 1], state)
        steps.append(made)
    torch.testing.assert_close(torch.cat(steps, 1), whole, atol=1e-6, rtol=0)
    torch.testing.assert_close(model(clips[1:])[0], whole[1:], atol=1e-6, rtol=0)
    changed = clips.clone()
    changed[:, 4:] = 0
    assert torch.equal(model(changed)[0][:, :4], whole[:, :4])
    one, own = model.run_on(clips[:, :3], None, 6)[0], torch.zeros(2, 6, dtype=torch.bool)
    own[0, 3:] = True  # one clip closed-loop, the other on true frames
    mixed, _ = unroll(model, model, clips, None, own)
    torch.testing.assert_close(mixed[0], one[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(mixed[1], whole[1], atol=1e-6, rtol=0)


@torch.inference_mode()
def test_what_did_not_come_true_lately_is_said_no_more(trained: Predictor) -> None:
    """A camera that is shaken: what moves goes back at once. Against the definition, frame by frame."""
    wide = torch.cat([_panning(1, seed)[:, 0] for seed in range(2)], 3)
    places = torch.randint(0, 6, (14,), generator=torch.Generator().manual_seed(0)).tolist()
    film = torch.stack([wide[..., place : place + 24] for place in places], 1)
    state, errors, said_before = None, [], film[:, 0]
    came = said = TRUSTED
    for t in range(13):
        frame, before = film[:, t], film[:, max(0, t - 1)]
        change = said_before - before
        came = KEPT * (came - TRUSTED) + (change * (frame - before)).mean().item() + TRUSTED
        said = KEPT * (said - TRUSTED) + (change * change).mean().item() + TRUSTED
        made, state = trained(frame[:, None], state)
        whole = state[8]
        part = min(1.0, max(0.0, came / said))
        torch.testing.assert_close(made[:, 0], frame + part * (whole - frame), atol=1e-5, rtol=0)
        errors.append([(each - film[:, t + 1]).square().mean() for each in (made[:, 0], whole, frame)])
        said_before = whole
    shown, without, copying = torch.tensor(errors[3:]).mean(0)
    assert copying < 0.95 * without
    assert shown - copying < 0.5 * (without - copying)


def test_a_thousand_frames_stay_bounded_and_as_sharp(trained: Predictor) -> None:
    film = _panning(10, seed=5)
    last = generate(trained, film, 1000)[:, [20, -1]]
    assert last.isfinite().all()
    assert last.min() >= 0
    assert last.max() <= 1
    assert last[:, 1].std() > 0.5 * last[:, 0].std() > 0


def _sharpening(*shares: float) -> Predictor:
    """A net that moves each frame on and, where shares are negative, sharpens it."""
    model = build(MotionFilter(4), SHAPE, 0)
    assert isinstance(model, MotionFilterNet)
    with torch.no_grad():
        model.head.get_parameter("bias")[:] = torch.tensor([0, 1, 0, 0, *shares])
    return model


@torch.inference_mode()
def test_no_picture_is_sharpened_for_long() -> None:
    film = _panning(10)
    made = generate(_sharpening(-0.8, -0.4, 0), film, 60)
    *contrasts, true = (
        (frame[..., 1:] - frame[..., :-1]).abs().mean().item() for frame in (*made[0], film[0, 9])
    )
    assert contrasts[0] > 1.05 * true
    assert max(contrasts[19:]) < 1.03 * true


@pytest.mark.parametrize(("number", "part"), [(1, 1.0), (10, 1.0), (15, 0.5), (20, 0.0), (40, 0.0)])
@torch.inference_mode()
def test_negative_shares_fade_with_the_frames_that_it_made_itself(number: int, part: float) -> None:
    model, film = _sharpening(-0.8, -0.4, 0.2), _panning(40)
    _, state = model.run_on(film[:, :10], None, 9 + number)
    expected = torch.tensor([-0.8 * part, -0.4 * part, 0.2])
    torch.testing.assert_close(state.change.shares[0, :, 0, 0], expected)
    _, state = model(film[:, 31:32], state)  # a true frame
    torch.testing.assert_close(state.change.shares[0, :, 0, 0], torch.tensor([-0.8, -0.4, 0.2]))


def test_frames_that_are_too_small_for_a_flow_are_named() -> None:
    with pytest.raises(OptionError, match="at least 16 pixels a side, not 24x8"):
        MotionFilterNet(MotionFilter(), (3, 8, 24))


def test_the_relative_loss_counts_each_clip_and_step_alike() -> None:
    random = torch.Generator().manual_seed(0)
    clips = torch.rand(3, 9, 1, 4, 4, generator=random) * torch.tensor([1.0, 0.2, 1.0]).view(3, 1, 1, 1, 1)
    inputs, targets = clips[:, :-1], clips[:, 1:]
    own = own_frames(Training(closed_loop=3), 0.9, (3, 8), np.random.default_rng(0))
    copied = torch.cat([inputs[:, :5], inputs[:, 4:5].expand(-1, 3, -1, -1, -1)], 1)
    shares = []
    for clip in range(3):  # half of copying's error in one clip: a quarter of its square, of a third of all
        better = copied.clone()
        better[clip] = targets[clip] + (copied[clip] - targets[clip]) / 2
        share, unit = relative_loss(better, inputs, targets, own)
        torch.testing.assert_close(unit, (copied - targets).square().mean())
        shares.append(share)
    torch.testing.assert_close(torch.stack(shares), torch.full((3,), 0.75), rtol=0.02, atol=0)
