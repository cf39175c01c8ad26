"""The fused engine against autograd and PyTorch's loop; and all that can go wrong around a compiler."""

import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from framegen.commands import evaluation, training
from framegen.commands.generation import generate as continue_prompt
from framegen.config.config import Config
from framegen.config.models import MLP, ConvRecurrent, Model, Recurrent
from framegen.config.training import Engine, Training
from framegen.data.clips import TensorClips
from framegen.data.loading import load_data
from framegen.machine.errors import OptionError
from framegen.models import build
from framegen.models.kernels import build as kernel
from framegen.models.kernels import fused
from framegen.models.kernels.build import FusedUnavailable, Shape, library, pointer
from framegen.models.kernels.fused import FusedPredictor, packed, unpacked
from framegen.models.nets.density import LinearDensity
from framegen.models.nets.recurrent import RecurrentNet
from framegen.models.parameters import flatten
from framegen.models.predictor import State, map_state
from framegen.models.rollout import generate
from framegen.training import schedule
from framegen.training.choosing import choose_engine
from framegen.training.engine import TorchEngine
from framegen.training.feeding import bits_loss
from framegen.training.fused_engine import FusedEngine
from tests.conftest import SMALL_CONFIG, needs_compiler, rows_of
from tests.forked import Forked
from tests.training.test_training import STREAM

FUSED = replace(SMALL_CONFIG, training=replace(SMALL_CONFIG.training, engine="fused"))


def _gradients(shape: Shape, batch: int, steps: int) -> tuple[Tensor, Tensor, float, float]:
    """Gradient and loss of the fused engine, and of autograd in float64, on random clips of which some are
    picked."""
    random = torch.Generator().manual_seed(batch * 1000 + steps)
    dtype = torch.float64 if shape.double else torch.float32

    def draw(*sizes: int) -> Tensor:
        return torch.rand(*sizes, dtype=dtype, generator=random)

    cell: Any = shape.cell
    net = build(Recurrent(cell, shape.hidden, shape.layers), (1, 1, shape.inputs), 0)
    assert isinstance(net, RecurrentNet)
    rnn = net.rnn.to(dtype)
    head = nn.Linear(shape.hidden, shape.outputs, dtype=dtype)
    parameters = [*rnn.parameters(), *head.parameters()]
    for parameter in parameters:
        parameter.data = (draw(*parameter.shape) - 0.5) / shape.hidden**0.5
    inputs, targets = draw(40, steps, shape.inputs), draw(40, steps, shape.outputs)
    index = torch.randperm(40, generator=random)[:batch]
    states = tuple(draw(shape.layers, batch, shape.hidden) for _ in range(1 + (cell == "lstm")))
    weights, carried = flatten(parameters), packed(states, shape, batch)
    gradient, loss = torch.empty_like(weights), torch.empty((), dtype=dtype)
    squares = torch.empty((), dtype=torch.float64)
    library(shape).gradient(
        *map(pointer, (inputs, targets, index)),
        batch,
        steps,
        *map(pointer, (weights, carried)),
        *map(pointer, (gradient, loss, squares)),
    )
    state = [each.double() for each in states]
    hidden, last = rnn.double()(inputs[index].double(), tuple(state) if len(state) > 1 else state[0])
    expected = nn.functional.mse_loss(head.double()(hidden), targets[index].double())
    torch.testing.assert_close(
        map_state(Tensor.double, unpacked(carried, shape)), map_state(Tensor.detach, last), atol=1e-6, rtol=0
    )
    torch.testing.assert_close(squares, gradient.double().square().sum())
    reference = flatten(torch.autograd.grad(expected, [*rnn.parameters(), *head.parameters()]))
    return gradient, reference, loss.item(), expected.item()


CELLS: list[Any] = ["tanh", "relu", "gru", "lstm", "mingru"]
DEEP = ["tanh", "gru", "lstm", "mingru"]
"""Of those that differ in one function, one."""

NETS = [
    *(Recurrent(cell, 5) for cell in CELLS),
    MLP(5),
    Recurrent("lstm", 5, 3),
]
DENSE = [Recurrent("tanh", 5, density=3), MLP(5, density=2), Recurrent("gru", 9, 2, density=1)]


def _name(net: Model) -> str:
    name = f"{net.cell}-{net.num_layers}" if isinstance(net, Recurrent) else "mlp"
    return name + (f"-density{net.density}" if net.density else "")


SIZES = [(4, 5, 4, 1), (3, 18, 2, 3)]
"""Inputs, hidden units, outputs, layers."""


@needs_compiler
@pytest.mark.parametrize(
    ("cell", "size"),
    [*((cell, SIZES[0]) for cell in CELLS), *((cell, SIZES[1]) for cell in DEEP), ("tanh", (1, 80, 1, 1))],
)
def test_gradients_are_autograds(cell: str, size: tuple[int, int, int, int]) -> None:
    inputs, hidden, outputs, layers = size
    _assert_autograds(Shape(inputs, hidden, outputs, cell, layers), 1e-6)


@needs_compiler
@pytest.mark.usefixtures("quickly_compiled")
@pytest.mark.parametrize("cell", CELLS)
def test_in_double_precision_they_differ_in_nothing(cell: str) -> None:
    """The formulas alone: nobody trains in it."""
    _assert_autograds(Shape(3, 18, 2, cell, 3, double=True), 1e-12)


def _assert_autograds(shape: Shape, tolerance: float) -> None:
    for batch, steps in ((10, 49), (1, 2), (17, 12), (33, 5)):
        gradient, reference, loss, expected = _gradients(shape, batch, steps)
        assert loss == pytest.approx(expected, rel=tolerance)
        assert (gradient - reference).abs().max() <= tolerance * reference.abs().max()


@needs_compiler
@pytest.mark.parametrize("dense", [DENSE[0], DENSE[2]], ids=_name)
@pytest.mark.parametrize(("double", "tolerance"), [(False, 1e-6), (True, 1e-11)])
def test_the_gradient_of_the_bits_is_autograds(
    dense: Recurrent, double: bool, tolerance: float, request: pytest.FixtureRequest
) -> None:
    """Of frames near and far from what is predicted, and beyond the ends of what can be shown."""
    dtype, random = torch.float64 if double else torch.float32, torch.Generator().manual_seed(0)
    if double:  # which nobody trains in
        request.getfixturevalue("quickly_compiled")
    net = build(dense, (1, 2, 2), 0).to(dtype)
    assert isinstance(net, RecurrentNet)
    shape = replace(fused.shape_of(net), double=double)
    inputs, targets = torch.rand(2, 23, 9, 1, 2, 2, dtype=dtype, generator=random)
    targets[:, 3], targets[:, 4], targets[:, 5, 0, 0] = 0, 1, 0
    index = torch.arange(23)
    gradient = torch.empty_like(weights := flatten(net.parameters()))
    loss, squares = torch.empty((), dtype=dtype), torch.empty((), dtype=torch.float64)
    library(shape).gradient(
        *map(pointer, (inputs, targets, index)), 23, 9,
        *map(pointer, (weights, None, gradient, loss, squares)),
    )  # fmt: skip
    exact = net.double()
    hidden, _ = exact.rnn(inputs.double().flatten(2))
    assert isinstance(exact.spread, LinearDensity)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tensor, "float", Tensor.double)  # which the head goes through
        made = exact.spread(exact.head(hidden).view(inputs.shape), hidden)
    expected = bits_loss(made, targets.double())
    reference = flatten(torch.autograd.grad(expected, list(exact.parameters())))
    assert loss.item() == pytest.approx(expected.item(), rel=tolerance)
    assert (gradient - reference).abs().max() <= tolerance * reference.abs().max()


@needs_compiler
@pytest.mark.usefixtures("quickly_compiled")
@pytest.mark.parametrize("lanes", [4, 8, 16])  # SSE, AVX, AVX-512
def test_every_width_gives_the_same_gradient(lanes: int) -> None:
    gradient, reference, _, _ = _gradients(Shape(4, 5, 4, "gru", lanes=lanes), 17, 20)
    assert (gradient - reference).abs().max() <= 1e-6 * reference.abs().max()


def _engines(config: Config, num_clips: int, carry_state: bool = False) -> tuple[TorchEngine, FusedEngine]:
    """Both engines with the same three models."""
    random = torch.Generator().manual_seed(0)
    clips = TensorClips(
        torch.rand(num_clips, 12, 1, 2, 2, generator=random),
        torch.rand(num_clips, 12, 1, 2, 2, generator=random),
    )
    ours, theirs = ([build(config.model, (1, 2, 2), seed) for seed in range(3)] for _ in range(2))
    return (
        TorchEngine(ours, clips, config.training, carry_state),
        FusedEngine(theirs, clips, config.training, carry_state),
    )


def _orders(epoch: int, num_clips: int, in_order: bool = False) -> Tensor:
    return torch.stack([schedule.epoch_order(seed, epoch, num_clips, in_order) for seed in range(3)])


@needs_compiler
@pytest.mark.parametrize("carry_state", [False, True])
@pytest.mark.parametrize("net", NETS + DENSE, ids=_name)
def test_steps_are_those_of_pytorch(net: Model, carry_state: bool) -> None:
    clips, size, count = (15, 1, 30) if carry_state else (45, 10, 30)
    training = Training(batch_size=size, max_grad_norm=0.05)
    engines = _engines(Config(SMALL_CONFIG.task, net, training), clips, carry_state)
    steps = -(-clips // size)
    for epoch in range(count // steps):
        rates = [schedule.learning_rate_at(training, epoch * steps + step, count) for step in range(steps)]
        for engine in engines:
            engine.states = [None] * 3
        ours, theirs = (engine.run(_orders(epoch, clips, carry_state), rates) for engine in engines)
        assert ours[0].shape == (steps, 3)
        torch.testing.assert_close(ours, theirs, atol=5e-5, rtol=1e-3)
    for one, other in zip(*(engine.states for engine in engines), strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-2)


@needs_compiler
@pytest.mark.parametrize("net", [NETS[0], NETS[2], NETS[-1], DENSE[0]], ids=_name)
def test_members_are_bit_equal_to_nets_trained_alone(net: Model) -> None:
    config = replace(SMALL_CONFIG, model=net)
    _, together = _engines(config, 45)
    order, rates = _orders(0, 45), [0.01, 0.02, 0.03, 0.04, 0.05]
    _, untouched = _engines(config, 45)
    losses, norms = together.run(order, rates)
    shape = (1, 2, 2)
    clips = TensorClips(untouched.inputs.unflatten(2, shape), untouched.targets.unflatten(2, shape))
    for k, model in enumerate(untouched.models):
        alone = FusedEngine([model], clips, SMALL_CONFIG.training, False)
        own = order[k : k + 1]
        first, second = (
            alone.run(own[:, :20], rates[:2]),
            alone.run(own[:, 20:], rates[2:]),
        )  # in however many calls
        assert torch.equal(torch.cat([first[0], second[0]])[:, 0], losses[:, k])
        assert torch.equal(torch.cat([first[1], second[1]])[:, 0], norms[:, k])
        assert all(
            torch.equal(a, b)
            for a, b in zip(model.parameters(), together.models[k].parameters(), strict=True)
        )


@needs_compiler
@pytest.mark.parametrize("carry_state", [False, True])
@pytest.mark.parametrize("net", [NETS[2], NETS[4], NETS[-1], DENSE[1]], ids=_name)
def test_what_one_engine_saves_the_other_goes_on_with(net: Model, carry_state: bool) -> None:
    clips, size = (9, 1) if carry_state else (30, 10)
    training = replace(SMALL_CONFIG.training, batch_size=size)
    config = replace(SMALL_CONFIG, model=net, training=training)
    ours, theirs = _engines(config, clips, carry_state)
    order, rates = _orders(0, clips), [0.01] * (clips // size)

    def go_on_alike() -> None:
        torch.testing.assert_close(ours.run(order, rates), theirs.run(order, rates))

    ours.run(order, rates)
    theirs.load_state_dict(ours.state_dict())
    go_on_alike()
    ours.run(order.flip(1), rates)
    ours.load_state_dict(theirs.state_dict())
    go_on_alike()


@needs_compiler
@pytest.mark.parametrize("net", NETS, ids=_name)
def test_predictions_are_the_models_in_one_piece_or_in_steps(net: Model) -> None:
    model = build(net, (1, 2, 2), 0)
    frames = torch.rand(37, 9, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    compiled = FusedPredictor(model)
    with torch.inference_mode():
        expected, last = model(frames)
    predictions, state = compiled(frames)
    torch.testing.assert_close(predictions, expected, atol=2e-6, rtol=0)
    torch.testing.assert_close(state, last, atol=2e-6, rtol=0)
    first, state = compiled(frames[:, :4])
    before = map_state(Tensor.clone, state)
    second, _ = compiled(frames[:, 4:], state)
    assert torch.equal(torch.cat([first, second], 1), predictions)
    torch.testing.assert_close(state, before, atol=0, rtol=0)  # what it was given is as it was


@needs_compiler
@pytest.mark.parametrize("net", NETS, ids=_name)
def test_running_on_is_feeding_predictions_back(net: Model) -> None:
    model = build(net, (1, 2, 2), 0)
    prompt = torch.rand(37, 6, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    compiled = FusedPredictor(model)
    with torch.inference_mode():
        expected, last = model.run_on(prompt, None, 40)
    made, state = compiled.run_on(prompt, None, 40)
    torch.testing.assert_close(made, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(state, last, atol=1e-5, rtol=0)
    long = FusedPredictor.frames_at_once + 200
    assert torch.equal(generate(compiled, prompt, long), compiled.run_on(prompt, None, 5 + long)[0][:, 5:])


def _run(config: Config, folder: Path, engine: Engine, name: str) -> Path:
    config = replace(config, training=replace(config.training, engine=engine))
    return training.train(
        config, name, "disabled", folder / "runs", folder / "data", show=False, draw=False
    ).folder


@needs_compiler
@pytest.mark.parametrize(
    ("config", "net"),
    [(STREAM, NETS[0]), (SMALL_CONFIG, NETS[-1]), (SMALL_CONFIG, DENSE[0])],
)
def test_both_engines_leave_the_same_run(config: Config, net: Model, tmp_path: Path) -> None:
    config = replace(config, model=net)
    ours, theirs = (_run(config, tmp_path, engine, engine) for engine in ("fused", "torch"))
    rows = list(zip(rows_of(ours), rows_of(theirs), strict=True))
    assert len(rows) > 8
    for one, other in rows:
        assert list(one) == list(other)
        assert list(one.values()) == pytest.approx(list(other.values()), rel=1e-3)
    assert {path.name for path in ours.rglob("*")} == {path.name for path in theirs.rglob("*")}
    again = _run(config, tmp_path, "fused", "again")
    assert rows_of(again) == rows_of(ours)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (ConvRecurrent("convgru", 4, 1), "fully connected nets only"),
        (Recurrent(num_layers=5), "up to 4 recurrent layers"),
        (Recurrent(hidden_size=129), "up to 128 hidden units"),
    ],
)
def test_what_it_cannot_train_goes_to_pytorch_and_is_said(
    model, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = replace(FUSED, model=model)
    with pytest.raises(OptionError, match=f"--engine fused: .*{reason}"):
        _run(config, tmp_path, "fused", "no")
    assert not (tmp_path / "runs" / "no").exists()
    config = replace(config, training=replace(config.training, engine="auto", epochs=1))
    training.train(config, "yes", "disabled", tmp_path / "runs", tmp_path / "data", draw=False)
    assert reason in capsys.readouterr().err


@needs_compiler
def test_it_trains_with_adam_without_decay_and_takes_a_warm_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, models = load_data(SMALL_CONFIG.task, tmp_path), {0: build(FUSED.model, (1, 2, 2), 0)}

    def chosen(**options: Any) -> object:
        config = replace(FUSED, training=replace(FUSED.training, **options))
        return choose_engine(config, models, data, show=True)

    assert isinstance(chosen(warm_up=2), FusedEngine)
    for options in ({"weight_decay": 0.1}, {"weight_decay": 0.1, "optimizer": "adamw"}):
        with pytest.raises(OptionError, match="--engine fused: it trains with Adam without weight decay"):
            chosen(**options)
        assert isinstance(chosen(**options, engine="auto"), TorchEngine)
        assert "(the fused engine trains with Adam without weight decay)" in capsys.readouterr().err


@needs_compiler
def test_where_there_is_a_gpu_a_small_net_stays_with_the_fused_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    config = replace(FUSED, training=replace(FUSED.training, device="auto", engine="auto", epochs=1))
    run = training.train(
        config, "auto", "disabled", tmp_path / "runs", tmp_path / "data", show=False, draw=False
    ).folder
    facts = json.loads((run / "results.json").read_text())["training"]
    assert (facts["engine"], facts["device"]) == ("fused", "cpu")
    measured = (run / "results.json").read_bytes()
    monkeypatch.setattr(evaluation, "draw_run", lambda *_: [])
    evaluation.evaluate(run)
    assert (run / "results.json").read_bytes() == measured
    continue_prompt(run, 5, tmp_path / "a.npy")
    config = replace(FUSED, training=replace(FUSED.training, device="cuda"))
    with pytest.raises(OptionError, match="it runs on the CPU only"):
        training.train(
            config, "cuda", "disabled", tmp_path / "runs", tmp_path / "data", show=False, draw=False
        )


class Doubled(RecurrentNet):
    """One of ours, changed."""

    def forward(self, frames: Tensor, state: State = None) -> tuple[Tensor, State]:
        predictions, state = super().forward(frames, state)
        return 2 * predictions, state


def test_a_changed_net_is_not_taken_for_ours() -> None:
    frozen = build(Recurrent(), (1, 2, 2), 0)
    frozen.get_submodule("head").requires_grad_(False)
    for model, reason in ((Doubled(Recurrent(), (1, 2, 2)), "framegen's own"), (frozen, "some are frozen")):
        with pytest.raises(FusedUnavailable, match=reason):
            fused.check(model, torch.device("cpu"), "fused")


@needs_compiler
@pytest.mark.usefixtures("quickly_compiled")
def test_a_net_too_large_to_pay_is_taken_only_when_told() -> None:
    model = build(Recurrent(hidden_size=128), (1, 32, 32), 0)
    with pytest.raises(FusedUnavailable, match=r"hardly faster for 2\d{5} parameters"):
        fused.check(model, torch.device("cpu"), "auto")
    fused.check(model, torch.device("cpu"), "fused")
    assert fused.compiled(model, "auto") is fused.compiled(model, "torch") is model
    assert isinstance(fused.compiled(model, "fused"), FusedPredictor)


COMPILING = """
from framegen.models.kernels import build
build.FLAGS = tuple(flag.replace("-O3", "-O0") for flag in build.FLAGS)
build.library(build.Shape(1, 2, 1, "tanh"))
"""


@needs_compiler
@pytest.mark.usefixtures("quickly_compiled")
def test_a_damaged_library_is_compiled_anew_and_two_may_compile_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for process in [Forked(COMPILING) for _ in range(2)]:
        process.succeeded()
    (compiled,) = (tmp_path / "framegen").iterdir()
    whole = compiled.read_bytes()
    compiled.write_bytes(whole[:1000])
    library.cache_clear()
    model, frames = build(Recurrent("tanh", 2), (1, 1, 1), 0), torch.ones(1, 1, 1, 1, 1)
    with torch.inference_mode():
        torch.testing.assert_close(
            FusedPredictor(model).run_on(frames, None, 3), model.run_on(frames, None, 3)
        )
    library.cache_clear()
    assert [path.name for path in (tmp_path / "framegen").iterdir()] == [compiled.name]
    assert len(compiled.read_bytes()) == len(whole)


@pytest.mark.parametrize("installed", [True, False])
def test_a_compiler_that_is_a_stub_is_asked_before_it_opens_a_window(
    installed: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = tmp_path / "xcode-select"
    asked.write_text(f"#!/bin/sh\nexit {int(not installed)}\n")
    asked.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/c++" if name == "c++" else None)
    monkeypatch.delenv("CXX", raising=False)
    if installed:
        assert kernel.compiler() == "/usr/bin/c++"
    else:
        with pytest.raises(FusedUnavailable, match="xcode-select --install"):
            kernel.compiler()


@needs_compiler
@pytest.mark.usefixtures("quickly_compiled")
def test_what_was_compiled_is_taken_for_the_same_source_anywhere_and_for_no_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    names = [kernel.SOURCE.name, *(each.name for each in kernel.SOURCE.parent.glob("*.hpp"))]
    folders = [tmp_path / name for name in ("same", "other-cell", "other-product")]
    for folder in folders:
        folder.mkdir()
        for name in names:
            (folder / name).write_bytes(kernel.SOURCE.with_name(name).read_bytes())
    for folder, name, found, put in (
        (folders[1], "cells.hpp", ": tanh(a[v])", ": -tanh(a[v])"),
        (folders[2], "vectors.hpp", "sum[m][v] +=", "sum[m][v] -="),
    ):
        text = (folder / name).read_text()
        assert found in text
        (folder / name).write_text(text.replace(found, put))
    model = build(Recurrent("tanh", 2), (1, 1, 1), 0)
    made = []
    for source in (kernel.SOURCE, *(folder / kernel.SOURCE.name for folder in folders)):
        monkeypatch.setattr(kernel, "SOURCE", source)
        library.cache_clear()
        made.append(FusedPredictor(model).run_on(torch.ones(1, 1, 1, 1, 1), None, 3)[0])
    library.cache_clear()
    assert len(list((tmp_path / "cache" / "framegen").iterdir())) == 3
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])
    assert not torch.equal(made[0], made[3])


@needs_compiler
@pytest.mark.usefixtures("quickly_compiled")
def test_a_cache_folder_that_cannot_be_written_is_done_without(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("a file")
    (tmp_path / "own").mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "own"))
    model = build(Recurrent("tanh", 2), (1, 1, 1), 0)
    library.cache_clear()
    with torch.inference_mode():
        expected, _ = model.run_on(torch.ones(1, 1, 1, 1, 1), None, 3)
    made, _ = FusedPredictor(model).run_on(torch.ones(1, 1, 1, 1, 1), None, 3)
    torch.testing.assert_close(made, expected)
    assert list((tmp_path / "own").iterdir()) == []


def test_without_a_compiler_pytorch_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CXX", "")
    library.cache_clear()
    config = replace(SMALL_CONFIG, training=replace(SMALL_CONFIG.training, engine="auto", epochs=1))
    training.train(config, "run", "disabled", tmp_path / "runs", tmp_path / "data", draw=False)
    err = capsys.readouterr().err
    assert "training with PyTorch on the CPU, 1 thread, float32 (the fused engine needs a C++ compiler" in err


@needs_compiler
def test_a_compiler_that_fails_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(kernel, "FLAGS", ("--no-such-flag",))
    with pytest.raises(FusedUnavailable, match="does not compile"):
        library(Shape(4, 3, 4, "tanh", lanes=2))
    assert list((tmp_path / "framegen").iterdir()) == []


def test_a_compiler_that_makes_no_library_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    idle = tmp_path / "idle"
    idle.write_text("#!/bin/sh\n")
    idle.chmod(0o755)
    monkeypatch.setenv("CXX", str(idle))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(FusedUnavailable, match="makes no library"):
        library(Shape(4, 3, 4, "tanh", lanes=2))
    assert list((tmp_path / "framegen").iterdir()) == []


def test_a_compiler_that_hangs_or_is_none_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    none = tmp_path / "none"
    none.write_bytes(b"\0")
    none.chmod(0o755)
    monkeypatch.setenv("CXX", str(none))
    with pytest.raises(FusedUnavailable, match="none: Exec format error"):
        library(Shape(1, 2, 3, "tanh"))

    def hang(command: list[str], **options: Any) -> None:
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(subprocess, "run", hang)
    with pytest.raises(FusedUnavailable, match="none does not end within 300 s"):
        library(Shape(1, 2, 3, "tanh"))
