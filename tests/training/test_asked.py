"""Frames that are not asked for: nothing is learned from them, and nothing measured of them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from framegen.config.config import Config
from framegen.config.models import Recurrent
from framegen.config.tasks import Sprites
from framegen.config.training import Training
from framegen.data.clips import TensorClips, to_float, unasked
from framegen.data.loading import load_data
from framegen.evaluation.clip_errors import closed_loop_errors, mean_square, one_step_errors
from framegen.evaluation.likelihood import one_step_bits, one_step_coverage
from framegen.evaluation.references import expected_frames, fit_references, irreducible
from framegen.machine.errors import OptionError
from framegen.models import build
from framegen.models.baselines import CopyLast
from framegen.models.parameters import flatten
from framegen.training.choosing import choose_engine
from framegen.training.engine import TorchEngine

RANDOM = torch.Generator().manual_seed(0)
FRAMES = torch.randint(256, (6, 9, 1, 12, 12), generator=RANDOM).to(torch.uint8)
ASKED = torch.rand(6, 9, generator=RANDOM) < 0.6
CLIPS = TensorClips(FRAMES[:, :-1], FRAMES[:, 1:], asked=ASKED[:, 1:])
OTHER = replace(
    CLIPS, targets=torch.where(ASKED[:, 1:, None, None, None], CLIPS.targets, 255 - CLIPS.targets)
)
ALL = replace(CLIPS, asked=None)
WORLD = Sprites(size=12, reach=1, num_frames=12, context=6, noise=0.1, away=4, num_clips=16, num_val_clips=2)


def _trained(clips: TensorClips, training: Training, density: int) -> Tensor:
    model = build(Recurrent(hidden_size=4, density=density), clips.frame_shape, 0)
    engine = TorchEngine([model], clips, replace(training, batch_size=3), False)
    losses, _ = engine.run(torch.arange(6)[None], [1e-2, 1e-2])
    assert losses.isfinite().all()
    return flatten(model.parameters()).detach()


@pytest.mark.parametrize(("options", "density"), [({}, 0), ({"loss": "relative"}, 0), ({}, 2)])
def test_nothing_is_learned_from_them(options: dict[str, Any], density: int) -> None:
    training = Training(**options)
    found, other, whole = (_trained(clips, training, density) for clips in (CLIPS, OTHER, ALL))
    assert torch.equal(found, other)
    assert not torch.allclose(found, whole)


def test_they_count_as_predicted_exactly() -> None:
    asked, model = ASKED[:, 1:], CopyLast()
    found, whole = (one_step_errors(model, clips, (0, 1)) for clips in (CLIPS, ALL))
    for metric in ("squared", "absolute", "mse_frame"):
        torch.testing.assert_close(found[metric], whole[metric] * asked)
    assert (found["ssim"][~asked] > 1 - 1e-6).all()
    assert mean_square(model, CLIPS) == pytest.approx(found["squared"].mean().item())
    loop, every = (closed_loop_errors(model, FRAMES, 3, (0, 1), which) for which in (ASKED, None))
    torch.testing.assert_close(loop["squared"], every["squared"] * ASKED[:, 3:])
    assert mean_square(model, CLIPS, 5) == pytest.approx(loop["squared"][:, 1:].mean().item())


def test_bits_and_coverage_are_those_of_the_others() -> None:
    model = build(Recurrent(hidden_size=4, density=2), CLIPS.frame_shape, 0).eval()
    with torch.inference_mode():
        logs = model.log_prob(*ALL.batch(slice(None))).double()
        inputs, targets = ALL.batch(slice(None))
        spread = model.density(inputs)[0]
        inside = ((spread.cdf(targets) > 0.25) & (spread.cdf(targets - 1 / 255) < 0.75)).double()
    found = one_step_bits(model, CLIPS)
    torch.testing.assert_close(found, -(logs * ASKED[:, 1:]).mean(1) / torch.tensor(2.0).log().double())
    share = one_step_coverage(model, CLIPS)[0]
    expected = (inside.mean((2, 3, 4)) * ASKED[:, 1:]).sum(0) / ASKED[:, 1:].sum(0)
    torch.testing.assert_close(share, expected, atol=0.02, rtol=0)


def test_references_are_fitted_on_the_others(tmp_path: Path) -> None:
    data = load_data(replace(WORLD, num_test_clips=2), tmp_path)
    _, targets = data.train.batch(slice(None))
    mean = fit_references(WORLD, data)["mean frame"](targets[:, :1])[0][0, 0]
    torch.testing.assert_close(mean, targets.double().nanmean((0, 1)).float())
    assert mean.min() > 0.2  # black frames are not among them
    linear = fit_references(WORLD, data)["linear, 1 frame"]
    assert mean_square(linear, data.train) < mean_square(CopyLast(), data.train)


def test_who_knows_the_scene_errs_in_the_others_alone(tmp_path: Path) -> None:
    task = replace(WORLD, num_test_clips=8)
    data, expected = load_data(task, tmp_path), expected_frames(task)
    assert data.test_frames is not None
    assert data.asked is not None
    assert expected is not None
    apart = unasked(to_float(data.test_frames), data.asked) - torch.stack(list(expected))
    found = irreducible(task, data)
    assert found is not None
    torch.testing.assert_close(found, apart[:, 6:].square().nan_to_num().mean((1, 2, 3, 4)))


def test_the_fused_engine_counts_every_frame_and_is_not_chosen(tmp_path: Path) -> None:
    task = replace(WORLD, num_test_clips=2)
    data, net = load_data(task, tmp_path), Recurrent(hidden_size=4)
    models = {0: build(net, data.frame_shape, 0)}
    config = Config(task, net, Training(batch_size=8, device="cpu"), "sprites")
    assert choose_engine(config, models, data, show=False).name == "torch"
    asked_for = replace(config, training=replace(config.training, engine="fused"))
    with pytest.raises(OptionError, match="some are not asked for"):
        choose_engine(asked_for, models, data, show=False)
