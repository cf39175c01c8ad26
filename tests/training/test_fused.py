"""The fused engine against autograd and PyTorch's loop; and all that can go wrong around a compiler."""

import json
import os
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from framegen.commands import training
from framegen.commands.generation import generate as continue_prompt
from framegen.config.config import Config
from framegen.config.models import MLP, Recurrent
from framegen.config.training import Engine, Training
from framegen.data.clips import TensorClips
from framegen.errors import OptionError
from framegen.models import build, fused
from framegen.models.fused import FusedPredictor
from framegen.models.kernels import build as kernel
from framegen.models.kernels.build import FusedUnavailable, Shape, library, pointer
from framegen.models.parameters import flatten
from framegen.models.recurrent import RecurrentNet
from framegen.models.rollout import generate
from framegen.training import schedule
from framegen.training.engine import TorchEngine
from framegen.training.fused import FusedEngine
from tests.conftest import SMALL_CONFIG, needs_compiler, rows_of, smallest
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

    rnn, head = (
        nn.RNN(shape.inputs, shape.hidden, nonlinearity=shape.cell, batch_first=True),
        nn.Linear(shape.hidden, shape.outputs),
    )
    parameters = [*rnn.parameters(), *head.parameters()]
    for parameter in parameters:
        parameter.data = (draw(*parameter.shape) - 0.5) / shape.hidden**0.5
    inputs, targets = draw(40, steps, shape.inputs), draw(40, steps, shape.outputs)
    index, state = torch.randperm(40, generator=random)[:batch], draw(batch, shape.hidden)
    weights = flatten(parameters)
    gradient, carried, loss = torch.empty_like(weights), state.clone(), torch.empty((), dtype=dtype)
    library(shape).gradient(
        *map(pointer, (inputs, targets, index)),
        batch,
        steps,
        *map(pointer, (weights, carried, gradient, loss)),
    )
    rnn, head = rnn.double(), head.double()
    hidden, last = rnn(inputs[index].double(), state[None].double())
    expected = nn.functional.mse_loss(head(hidden), targets[index].double())
    torch.testing.assert_close(carried.double(), last[0].detach(), atol=1e-6, rtol=0)
    return (
        gradient,
        flatten(torch.autograd.grad(expected, [*rnn.parameters(), *head.parameters()])),
        loss.item(),
        expected.item(),
    )


SIZES = [
    (4, 5, 4, 10, 49),
    (4, 5, 4, 1, 2),
    (3, 7, 2, 17, 12),
    (1, 1, 1, 33, 5),
    (4, 64, 4, 17, 9),
    (1, 32, 1, 1, 20),
]


@needs_compiler
@pytest.mark.parametrize("cell", ["tanh", "relu"])
@pytest.mark.parametrize(("inputs", "hidden", "outputs", "batch", "steps"), SIZES)
def test_gradients_are_autograds(
    inputs: int, hidden: int, outputs: int, batch: int, steps: int, cell: str
) -> None:
    for double, tolerance in ((False, 1e-6), (True, 1e-12)):
        gradient, reference, loss, expected = _gradients(
            Shape(inputs, hidden, outputs, cell, double), batch, steps
        )
        assert loss == pytest.approx(expected, rel=tolerance)
        assert (gradient - reference).abs().max() <= tolerance * reference.abs().max()


@needs_compiler
@pytest.mark.parametrize("lanes", [2, 4, 8, 16, 32])
def test_every_width_gives_the_same_gradient(lanes: int) -> None:
    gradient, reference, _, _ = _gradients(Shape(4, 5, 4, "tanh", lanes=lanes), 17, 20)
    assert (gradient - reference).abs().max() <= 1e-6 * reference.abs().max()


def _engines(config: Config, num_clips: int, carry_state: bool = False) -> tuple[TorchEngine, FusedEngine]:
    """Both engines with the same three models."""
    random = torch.Generator().manual_seed(0)
    clips = TensorClips(
        torch.rand(num_clips, 20, 1, 2, 2, generator=random),
        torch.rand(num_clips, 20, 1, 2, 2, generator=random),
    )
    ours, theirs = ([build(config.model, (1, 2, 2), seed) for seed in range(3)] for _ in range(2))
    return (
        TorchEngine(ours, clips, config.training, carry_state),
        FusedEngine(theirs, clips, config.training, carry_state),
    )


def _orders(epoch: int, num_clips: int, in_order: bool = False) -> Tensor:
    return torch.stack([schedule.epoch_order(seed, epoch, num_clips, in_order) for seed in range(3)])


@needs_compiler
@pytest.mark.parametrize("max_norm", [0.02, 1.0])
@pytest.mark.parametrize("carry_state", [False, True])
@pytest.mark.parametrize("cell", ["tanh", "relu"])
def test_100_steps_are_those_of_pytorch(cell, carry_state: bool, max_norm: float) -> None:
    clips, size = (50, 1) if carry_state else (45, 10)
    training = Training(batch_size=size, max_grad_norm=max_norm)
    engines = _engines(Config(SMALL_CONFIG.task, Recurrent(cell), training), clips, carry_state)
    steps = -(-clips // size)
    for epoch in range(100 // steps):
        rates = [schedule.learning_rate_at(training, epoch * steps + step, 100) for step in range(steps)]
        for engine in engines:
            engine.states = [None] * 3
        ours, theirs = (engine.run(_orders(epoch, clips, carry_state), rates) for engine in engines)
        assert ours[0].shape == (steps, 3)
        torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=2e-4)


@needs_compiler
def test_members_are_bit_equal_to_nets_trained_alone() -> None:
    _, together = _engines(SMALL_CONFIG, 45)
    order, rates = _orders(0, 45), [0.01, 0.02, 0.03, 0.04, 0.05]
    _, untouched = _engines(SMALL_CONFIG, 45)
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
def test_what_one_engine_saves_the_other_goes_on_with() -> None:
    ours, theirs = _engines(SMALL_CONFIG, 30)
    order, rates = _orders(0, 30), [0.01] * 3

    def go_on_alike() -> None:
        torch.testing.assert_close(ours.run(order, rates), theirs.run(order, rates))

    ours.run(order, rates)
    theirs.load_state_dict(ours.state_dict())
    go_on_alike()
    ours.run(order.flip(1), rates)
    ours.load_state_dict(theirs.state_dict())
    go_on_alike()


@needs_compiler
@pytest.mark.parametrize("cell", ["tanh", "relu"])
def test_predictions_are_the_models_in_one_piece_or_in_steps(cell) -> None:
    model = build(Recurrent(cell, 7), (1, 2, 2), 0)
    assert isinstance(model, RecurrentNet)
    frames = torch.rand(37, 9, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    compiled = FusedPredictor(model)
    with torch.inference_mode():
        expected, last = model(frames)
    predictions, state = compiled(frames)
    torch.testing.assert_close(predictions, expected, atol=2e-6, rtol=0)
    torch.testing.assert_close(state, last, atol=2e-6, rtol=0)
    first, state = compiled(frames[:, :4])
    second, _ = compiled(frames[:, 4:], state)
    assert torch.equal(torch.cat([first, second], 1), predictions)


@needs_compiler
def test_running_on_is_feeding_predictions_back() -> None:
    model = build(Recurrent("tanh", 7), (1, 2, 2), 0)
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
@pytest.mark.parametrize("config", [SMALL_CONFIG, STREAM], ids=["clips", "stream"])
def test_both_engines_leave_the_same_run(config: Config, tmp_path: Path) -> None:
    config = replace(config, model=Recurrent("tanh", 6))
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
        (MLP(), "plain RNNs only"),
        (Recurrent("gru"), "plain RNNs only"),
        (Recurrent("mingru"), "plain RNNs only"),
        (Recurrent(num_layers=2), "one recurrent layer"),
        (Recurrent(hidden_size=65), "64"),
        (Recurrent(density=1), "trains no --density"),
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
    continue_prompt(run, 5, tmp_path / "a.npy")
    config = replace(FUSED, training=replace(FUSED.training, device="cuda"))
    with pytest.raises(OptionError, match="it runs on the CPU only"):
        training.train(
            config, "cuda", "disabled", tmp_path / "runs", tmp_path / "data", show=False, draw=False
        )


@needs_compiler
def test_a_net_too_large_to_pay_is_taken_only_when_told() -> None:
    model = build(Recurrent(hidden_size=40), (1, 22, 22), 0)
    with pytest.raises(FusedUnavailable, match=r"slower for 40\d\d\d parameters"):
        fused.check(model, torch.device("cpu"), "auto")
    fused.check(model, torch.device("cpu"), "fused")
    assert fused.compiled(model, "auto") is fused.compiled(model, "torch") is model
    assert isinstance(fused.compiled(model, "fused"), FusedPredictor)


def _train_elsewhere(folder: Path, name: str = "run", **environment: str) -> Forked:
    """The smallest training in a process of its own, with a cache folder of its own."""
    program = "from framegen.commands import training; training.draw_run = lambda *_: [];"
    program += "from framegen.__main__ import main; main()"
    command = ["train", "--name", name, "--track", "disabled", *smallest(folder)]
    variables = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), **environment}
    return Forked(program, *command, environment=variables)


@needs_compiler
def test_a_damaged_library_is_compiled_anew_and_two_may_compile_at_once(tmp_path: Path) -> None:
    both = [_train_elsewhere(tmp_path, name) for name in ("one", "two")]
    assert all("training with the fused engine on the CPU" in process.succeeded().stderr for process in both)
    (compiled,) = (tmp_path / "cache" / "framegen").iterdir()
    whole = compiled.read_bytes()
    compiled.write_bytes(whole[:1000])
    assert (
        "training with the fused engine on the CPU" in _train_elsewhere(tmp_path, "three").succeeded().stderr
    )
    assert len(compiled.read_bytes()) == len(whole)


@needs_compiler
def test_what_was_compiled_is_taken_for_the_same_source_anywhere_and_for_no_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    same, changed = tmp_path / "same.cpp", tmp_path / "fused.cpp"
    same.write_bytes(kernel.SOURCE.read_bytes())
    changed.write_text(kernel.SOURCE.read_text().replace("x[i] = y[i]", "x[i] = -y[i]"))
    model = build(Recurrent("tanh", 2), (1, 1, 1), 0)
    made = []
    for source in (kernel.SOURCE, same, changed):
        monkeypatch.setattr(kernel, "SOURCE", source)
        library.cache_clear()
        made.append(FusedPredictor(model).run_on(torch.ones(1, 1, 1, 1, 1), None, 3)[0])
    library.cache_clear()
    assert len(list((tmp_path / "cache" / "framegen").iterdir())) == 2
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


@needs_compiler
def test_a_cache_folder_that_cannot_be_written_is_done_without(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("a file")
    (tmp_path / "own").mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "own"))
    model = build(Recurrent("tanh", 2), (1, 1, 1), 0)
    expected = FusedPredictor(model).run_on(torch.ones(1, 1, 1, 1, 1), None, 3)[0]
    library.cache_clear()
    assert torch.equal(FusedPredictor(model).run_on(torch.ones(1, 1, 1, 1, 1), None, 3)[0], expected)
    assert list((tmp_path / "own").iterdir()) == []


def test_without_a_compiler_pytorch_trains(tmp_path: Path) -> None:
    err = _train_elsewhere(tmp_path, PATH=str(tmp_path), CXX="").succeeded().stderr
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
    with pytest.raises(FusedUnavailable, match="what was compiled cannot be loaded"):
        library(Shape(4, 3, 4, "tanh", lanes=2))
    assert list((tmp_path / "framegen").iterdir()) == []


@needs_compiler
def test_the_run_says_which_engine_it_had(tmp_path: Path) -> None:
    run = _run(FUSED, tmp_path, "fused", "run")
    assert json.loads((run / "results.json").read_text())["training"]["engine"] == "fused"


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
