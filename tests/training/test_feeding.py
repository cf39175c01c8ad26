"""What a model is shown while it is trained, and the options that only PyTorch's steps know."""

import math
import os
import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from framegen.commands.training import resume, train
from framegen.config.models import ConvRecurrent
from framegen.config.training import Training
from framegen.data.clips import TensorClips
from framegen.machine.errors import OptionError
from framegen.machine.interrupts import Interrupted
from framegen.models import build
from framegen.models.nets.convolutional import ConvRecurrentNet
from framegen.models.parameters import flatten
from framegen.models.predictor import State
from framegen.runs import checkpoint
from framegen.runs.tracking import Tracker
from framegen.training import schedule
from framegen.training.engine import TorchEngine
from framegen.training.feeding import cut, own_frames, unroll
from tests.conftest import SMALL_CONFIG, rows_of


def _own(training: Training, part: float, shape: tuple[int, int] = (2000, 11)) -> list[float]:
    return own_frames(training, part, shape, np.random.default_rng(0)).double().mean(0).tolist()


def test_the_closed_loop_grows_to_its_length() -> None:
    lengths = [sum(_own(Training(closed_loop=4), part)) for part in (0.0, 0.25, 0.5, 0.99)]
    assert lengths == [0, 2, 4, 4]
    sooner = Training(closed_loop=4, closed_loop_grown=0.2)
    assert [sum(_own(sooner, part)) for part in (0.0, 0.1, 0.2, 0.99)] == [0, 2, 4, 4]
    assert _own(Training(closed_loop=4), 0.5) == [0] * 7 + [1] * 4
    assert _own(Training(closed_loop=99), 0.9) == [0] + [1] * 10  # something true it must be shown


def test_a_share_of_the_steps_is_closed_loop_and_the_others_are_on_true_frames() -> None:
    training = Training(closed_loop=4, closed_loop_share=0.25)
    random = np.random.default_rng(0)
    steps = [own_frames(training, 0.5, (3, 9), random) for _ in range(2000)]
    closed = [step for step in steps if step.any()]
    assert len(closed) == pytest.approx(500, abs=60)
    assert all(torch.equal(step.sum(0), torch.tensor([0] * 5 + [3] * 4)) for step in closed)


def test_sampling_takes_ever_more_or_ever_fewer_own_frames() -> None:
    assert _own(Training(), 0.9) == [0] * 11
    assert _own(Training(sampling="scheduled"), 0.3)[1:] == pytest.approx([0.3] * 10, abs=0.04)
    reverse = _own(Training(sampling="reverse"), 0.4)
    assert reverse[0] == 0
    assert reverse[1:] == pytest.approx([0.3] * 4 + [0.7] * 6, abs=0.04)


def test_unrolling_on_own_frames_is_the_closed_loop_and_on_true_ones_the_net() -> None:
    model, clips = build(SMALL_CONFIG.model, (1, 2, 2), 0), torch.rand(3, 8, 1, 2, 2)
    own = torch.zeros(3, 8, dtype=torch.bool)
    torch.testing.assert_close(unroll(model, model, clips, None, own)[0], model(clips)[0])
    own[:, 5:] = True
    torch.testing.assert_close(unroll(model, model, clips, None, own), model.run_on(clips[:, :5], None, 8))
    own[1] = False  # one clip on true frames, the others closed-loop
    made, _ = unroll(model, model, clips, None, own)
    torch.testing.assert_close(made[1], model(clips[1:2])[0][0])
    torch.testing.assert_close(made[2], model.run_on(clips[2:, :5], None, 8)[0][0])


def test_one_cycle_is_torchs() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], 0.1)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=40, cycle_momentum=False)
    training = Training(learning_rate=0.1, schedule="one-cycle")
    for step in range(40):
        assert schedule.learning_rate_at(training, step, 40) == pytest.approx(theirs.get_last_lr()[0])
        optimizer.step()
        if step < 39:
            theirs.step()


def _engine(**options: Any) -> TorchEngine:
    random = torch.Generator().manual_seed(0)
    inputs, targets = torch.rand(2, 12, 6, 1, 2, 2, generator=random)
    clips = TensorClips(inputs, targets)
    training = replace(SMALL_CONFIG.training, max_grad_norm=math.inf, **options)
    engine = TorchEngine([build(SMALL_CONFIG.model, (1, 2, 2), 0)], clips, training, False)
    engine.plan(3)
    return engine


def _weights(engine: TorchEngine, steps: int = 3) -> torch.Tensor:
    order = torch.arange(12).repeat(steps)[: 10 * steps].view(1, -1)
    engine.run(order, [0.05] * steps)
    return flatten(engine.kept[0].parameters())


@pytest.mark.parametrize(
    "change",
    [
        {"closed_loop": 4},
        {"closed_loop": 4, "closed_loop_share": 0.5},
        {"sampling": "scheduled"},
        {"sampling": "reverse"},
        {"input_noise": 0.1},
        {"precision": "bfloat16"},
        {"ema": 0.9},
    ],
    ids=str,
)
def test_each_option_acts_and_the_same_seed_gives_the_same_bits(change: dict[str, Any]) -> None:
    usual, once, again = _weights(_engine()), _weights(_engine(**change)), _weights(_engine(**change))
    assert torch.equal(once, again)
    assert not torch.equal(usual, once)
    assert once.isfinite().all()


@pytest.mark.parametrize(("optimizer", "theirs"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_weight_decay_is_that_of_torchs_optimizer(optimizer: str, theirs: Any) -> None:
    engine, net = _engine(weight_decay=0.1, optimizer=optimizer), build(SMALL_CONFIG.model, (1, 2, 2), 0)
    adam = theirs(net.parameters(), lr=0.05, weight_decay=0.1)
    for index in (torch.arange(10), torch.tensor([10, 11, *range(8)])):
        inputs, targets = engine.clips.batch(index)
        adam.zero_grad()
        torch.nn.functional.mse_loss(net(inputs)[0], targets).backward()
        adam.step()
    torch.testing.assert_close(_weights(engine, 2), flatten(net.parameters()))
    assert not torch.allclose(_weights(_engine(), 2), flatten(net.parameters()), atol=1e-3)


@pytest.mark.parametrize("loss", ["mse", "relative"])
def test_a_batch_in_parts_is_the_batch(loss: str) -> None:
    parts, whole = _engine(accumulate=3, loss=loss), _engine(loss=loss)
    order = torch.arange(10).view(1, -1)
    torch.testing.assert_close(parts.run(order, [0.05]), whole.run(order, [0.05]))
    torch.testing.assert_close(_weights(parts), _weights(whole), atol=1e-5, rtol=1e-4)


def test_a_batch_of_fewer_clips_than_parts_is_a_batch_too() -> None:
    few = torch.tensor([[3, 7]])
    torch.testing.assert_close(_engine(accumulate=5).run(few, [0.05]), _engine().run(few, [0.05]))


def _convolving(**options: Any) -> TorchEngine:
    inputs, targets = torch.rand(2, 12, 5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    net = build(ConvRecurrent("convgru", 6, num_layers=2, patch=2), (1, 8, 8), 0)
    return TorchEngine([net], TensorClips(inputs, targets), Training(**options), False)


def test_channels_lie_last_and_a_net_learns_the_same() -> None:
    engine = _convolving(channels_last=True)
    torch.testing.assert_close(_weights(engine), _weights(_convolving()), atol=1e-4, rtol=1e-3)
    kernels = [parameter for parameter in engine.models[0].parameters() if parameter.dim() == 4]
    assert all(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels)
    assert not all(kernel.is_contiguous() for kernel in kernels)


@pytest.mark.parametrize("options", [{"channels_last": True}, {"square": 16}])
def test_what_is_for_convolutions_is_refused_elsewhere(options: dict[str, Any], tmp_path: Path) -> None:
    name, value = next(iter(options.items()))
    said = f"--{name}" if value is True else f"--{name} {value}"
    with pytest.raises(OptionError, match=f"{said.replace('_', '-')}: is for nets that convolve; Recurrent"):
        train(SMALL_CONFIG, "x", "disabled", tmp_path, tmp_path, show=False, **options)


def test_with_channels_last_a_training_goes_on_bit_by_bit() -> None:
    begun, resumed, whole = (_convolving(channels_last=True) for _ in range(3))
    _weights(begun, 2)
    resumed.load_state_dict(begun.state_dict())
    _weights(whole, 2)
    assert torch.equal(_weights(resumed, 2), _weights(whole, 2))


def test_the_mean_of_the_weights_is_their_mean() -> None:
    engine, trained = _engine(ema=0.5), []
    for _ in range(4):
        _weights(engine, 1)
        trained.append(torch.nn.utils.parameters_to_vector(engine.models[0].parameters()).detach())
    expected = torch.nn.utils.parameters_to_vector(build(SMALL_CONFIG.model, (1, 2, 2), 0).parameters())
    for step, weights in enumerate(trained, start=1):
        keep = min(0.5, step / (9 + step))
        expected = keep * expected + (1 - keep) * weights
    kept = torch.nn.utils.parameters_to_vector(engine.kept[0].parameters())
    torch.testing.assert_close(kept, expected.detach())


def test_a_step_sees_a_square_at_random_of_frames_that_are_larger() -> None:
    frames = torch.arange(2 * 3 * 20 * 40).view(2, 3, 1, 20, 40)
    random = np.random.default_rng(0)
    places = set()
    for _ in range(60):
        inputs, targets = cut(frames, frames + 1, 18, random)
        top, left = divmod(int(inputs[0, 0, 0, 0, 0]), 40)
        assert torch.equal(inputs, frames[..., top : top + 18, left : left + 18])
        assert torch.equal(targets, inputs + 1)
        places.add((top, left))
    assert {top for top, _ in places} == {0, 1, 2}
    assert len({left for _, left in places}) > 15
    assert {left for _, left in places} <= set(range(23))
    assert torch.equal(cut(frames, frames, 64, random)[0], frames)


def test_a_training_on_squares_sees_no_whole_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: set[tuple[int, ...]] = set()
    predict = ConvRecurrentNet.predict

    def seen(net: ConvRecurrentNet, frames: torch.Tensor, state: State) -> Any:
        shapes.add(tuple(frames.shape[3:]))
        return predict(net, frames, state)

    monkeypatch.setattr(ConvRecurrentNet, "predict", seen)
    model, clips = build(ConvRecurrent(hidden_size=2), (1, 20, 24), 0), torch.rand(4, 3, 1, 20, 24)
    engine = TorchEngine([model], TensorClips(clips, clips), Training(square=16), False)
    engine.run(torch.arange(4)[None], [0.01])
    assert shapes == {(16, 16)}


def test_a_training_ends_where_no_epoch_is_better_for_long(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    worse = {"learning_rate": 50.0, "max_grad_norm": math.inf, "keep": "best", "patience": 2, "epochs": 9}
    config = replace(SMALL_CONFIG, training=replace(SMALL_CONFIG.training, **worse))
    run = train(config, None, "disabled", tmp_path, tmp_path / "data", draw=False)
    facts = run.results.training
    assert facts is not None
    assert facts.kept is not None
    assert facts.epochs == facts.kept.epoch + 2 < 9
    said = "none of 2 epochs in a row was better on validation: the training ends after"
    assert said in capsys.readouterr().err


def test_the_best_weights_are_kept_and_the_first_are_among_them(tmp_path: Path) -> None:
    def trained(**options: Any) -> tuple[list[float], dict[str, torch.Tensor]]:
        config = replace(SMALL_CONFIG, training=replace(SMALL_CONFIG.training, **options), seeds=(3, 5))
        run = train(config, None, "disabled", tmp_path, tmp_path / "data", show=False, draw=False)
        mse = [member.validation_mse or 0.0 for member in run.results.members]
        return mse, dict(run.model.state_dict())

    first = [build(SMALL_CONFIG.model, (1, 2, 2), seed).state_dict() for seed in (3, 5)]
    worse, kept = trained(keep="best", learning_rate=50.0, max_grad_norm=math.inf)
    assert any(all(torch.equal(kept[name], each[name]) for name in kept) for each in first)
    assert worse[0] < trained(learning_rate=50.0, max_grad_norm=math.inf)[0][0]
    (_, best), (_, last) = trained(keep="best"), trained()
    assert all(torch.equal(best[name], last[name]) for name in last)  # it became better with each epoch


def test_compiled_it_takes_the_same_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(torch, "compile", lambda model: lambda *given: (calls.append(1), model(*given))[1])
    assert torch.equal(_weights(_engine(compile=True)), _weights(_engine()))
    assert calls


def test_a_killed_training_with_every_option_goes_on_bit_by_bit(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "closed_loop": 6,
        "closed_loop_share": 0.7,
        "input_noise": 0.05,
        "ema": 0.9,
        "accumulate": 2,
        "clips_per_epoch": 20,
    }
    config = replace(SMALL_CONFIG, training=replace(SMALL_CONFIG.training, **options))
    whole = train(config, "whole", "disabled", tmp_path, tmp_path / "data", show=False, draw=False)
    assert [row["step"] for row in rows_of(whole.folder) if "val/mse" in row] == [2, 4]
    stopped = tmp_path / "stopped"

    class Stopping(Tracker):
        def log(self, step: int, values: Mapping[str, float]) -> None:
            if step == 3:
                os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted):
        train(config, "stopped", Stopping(), tmp_path, tmp_path / "data", show=False, draw=False)
    resume(stopped, "disabled", show=False, draw=False)
    ends = [checkpoint.load(folder).models[0].state_dict() for folder in (whole.folder, stopped)]
    assert all(torch.equal(value, ends[1][name]) for name, value in ends[0].items())


def test_what_only_pytorch_can_do_is_not_asked_of_the_fused_engine(tmp_path: Path) -> None:
    training = replace(SMALL_CONFIG.training, engine="fused", closed_loop=2)
    with pytest.raises(OptionError, match="--engine fused: it knows no --closed-loop"):
        train(replace(SMALL_CONFIG, training=training), "x", "disabled", tmp_path, tmp_path, show=False)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"closed_loop": -1}, "--closed-loop -1"),
        ({"closed_loop_share": 0.0}, "--closed-loop-share 0.0"),
        ({"closed_loop_grown": 0.0}, "--closed-loop-grown 0.0"),
        ({"closed_loop": 2, "sampling": "scheduled"}, "--sampling"),
        ({"input_noise": math.nan}, "--input-noise nan"),
        ({"accumulate": 11}, "--accumulate 11"),
        ({"ema": 1.0}, "--ema 1.0"),
        ({"clips_per_epoch": -1}, "--clips-per-epoch -1"),
    ],
)
def test_what_cannot_work_is_named(change: dict[str, Any], named: str) -> None:
    with pytest.raises(OptionError, match=named):
        replace(SMALL_CONFIG.training, **change)
