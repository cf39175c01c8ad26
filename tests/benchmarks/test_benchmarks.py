"""The benchmark: that all contenders compute the same, and that its figures are what it says. No time is
asserted."""

import json
import os
import statistics
import sys
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import Tensor

from benchmarks import __main__, in_jax, measure, run
from benchmarks.contenders import (
    Loss,
    eager_training,
    fused_training,
    layers_loss,
    rollout,
    stacked_training,
    torch_training,
    whole_steps,
    written_out_loss,
)
from benchmarks.groups import QUICK, TRAINING, Sizes, clips, groups, groups_on_gpu, net, orders
from benchmarks.measure import Contender, Ready, prepare, turn
from benchmarks.run import bench
from benchmarks.table import print_tables
from framegen.config.models import Recurrent
from framegen.machine.errors import UserError
from framegen.models.kernels.fused import FusedPredictor
from tests.conftest import needs_compiler

CLIPS = clips(40, 20)
EPOCHS = 5


def _losses(call: Callable[[], Tensor]) -> Tensor:
    return torch.cat([call() for _ in range(EPOCHS)])


def _same(ours: Tensor, fused: Tensor) -> None:
    """The same losses but for what rounding grows to in so many steps; they have moved a thousand times as
    far."""
    torch.testing.assert_close(ours, fused, rtol=2e-5, atol=0)
    assert (fused[0] - fused[-1]).min() > 0.02 * fused[0].max()


@needs_compiler
@pytest.mark.parametrize("loss", [layers_loss, written_out_loss])
def test_the_tutorials_loop_trains_as_the_fused_engine(loss: Loss) -> None:
    in_order = torch.arange(len(CLIPS))[None]
    fused = _losses(fused_training([net()], CLIPS, TRAINING, in_order))
    _same(_losses(eager_training(net(), CLIPS, TRAINING, loss, shuffle=False)), fused[:, 0])


@needs_compiler
def test_a_step_in_one_function_trains_as_the_fused_engine() -> None:
    fused = _losses(fused_training([net()], CLIPS, TRAINING, torch.arange(len(CLIPS))[None]))
    _same(_losses(whole_steps(net(), CLIPS, TRAINING, lambda step: step, shuffle=False)), fused[:, 0])


NETS = [Recurrent(), Recurrent("gru", 4)]


@needs_compiler
@pytest.mark.parametrize("config", NETS)
def test_the_stacked_population_trains_as_the_fused_engine(config: Recurrent) -> None:
    ours, theirs = ([net(config, seed) for seed in range(3)] for _ in range(2))
    order = orders(3, len(CLIPS))
    fused = _losses(fused_training(theirs, CLIPS, TRAINING, order))
    assert fused.shape == (EPOCHS * 4, 3)
    _same(_losses(stacked_training(ours, CLIPS, TRAINING, order)), fused)


ALONE = [Recurrent(cell, 4, layers) for cell in ("tanh", "gru", "lstm", "mingru") for layers in (1, 2)]


@needs_compiler
@pytest.mark.parametrize(
    ("config", "members", "product"),
    [
        pytest.param(config, members, product, id=f"{config.cell}-{config.num_layers}-{members}-{name}")
        for members, configs in ((1, ALONE), (3, NETS))
        for config in configs
        for name, product in in_jax.ways(config.cell).items()
    ],
)
def test_jax_trains_as_the_fused_engine(config: Recurrent, members: int, product: in_jax.Product) -> None:
    pytest.importorskip("optax")
    ours, theirs = ([net(config, seed) for seed in range(members)] for _ in range(2))
    order = orders(members, len(CLIPS))
    fused = _losses(fused_training(theirs, CLIPS, TRAINING, order))
    _same(_losses(in_jax.training(ours, CLIPS, TRAINING, order, product)), fused)


@needs_compiler
def test_framegens_own_loop_in_pytorch_trains_as_the_fused_engine() -> None:
    order = orders(1, len(CLIPS))
    fused = _losses(fused_training([net()], CLIPS, TRAINING, order))
    _same(_losses(torch_training(net(), CLIPS, TRAINING, order, "cpu")), fused)


@needs_compiler
def test_on_a_gpu_its_rows_stand_beside_those_of_the_cpu(tmp_path: Path) -> None:
    gpu = "cuda" if torch.cuda.is_available() else "cpu"
    content = bench(tmp_path, groups_on_gpu(QUICK, gpu), 1, 0.0)
    ways = ["fused engine", "PyTorch, CPU", "PyTorch, GPU"]
    assert [(row["case"], row["contender"]) for row in content["groups"][0]["rows"]] == [
        *(("the article's net", way) for way in ways),
        *(("GRU, 4 units", way) for way in ways),
        *(("ConvGRU, 2 channels, 8x8", way) for way in ways[1:]),
    ]


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_where_no_gpu_is_one_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--device", "cuda", "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit, match="benchmarks: --device cuda: torch finds no such device here"):
        __main__.main()
    assert not (tmp_path / "out").exists()


def test_every_net_of_the_second_table_has_its_rows_of_jax() -> None:
    table = groups(replace(QUICK, compilers=True, nets=Sizes.nets))[1]
    rows = {case.label: [each.name for each in case.contenders[2:]] for case in table.cases}
    both = ["JAX, matrix products", "JAX, products as sums"]
    assert rows == {
        "GRU, 32 units": both,
        "LSTM, 32 units": both,
        "minGRU, 32 units": ["JAX"],
        "tanh, 2 layers of 5 units": both,
    }


def _prompt() -> Tensor:
    return CLIPS.batch(slice(7))[0][:, :10]


@needs_compiler
def test_rollouts_are_alike() -> None:
    frames = rollout(net(), _prompt(), 12)()
    assert frames.shape == (7, 12, 1, 2, 2)
    first, _ = net()(_prompt())
    torch.testing.assert_close(frames[:, 0], first[:, -1])
    torch.testing.assert_close(rollout(FusedPredictor(net()), _prompt(), 12)(), frames, atol=1e-5, rtol=0)


@pytest.mark.parametrize("product", in_jax.PRODUCTS)
def test_jax_rolls_out_the_same_frames(product: str) -> None:
    pytest.importorskip("jax")
    made = in_jax.rollout(net(), _prompt(), 12, in_jax.PRODUCTS[product])()
    torch.testing.assert_close(made, rollout(net(), _prompt(), 12)(), atol=1e-5, rtol=0)


@needs_compiler
def test_a_whole_run_leaves_all_numbers_and_tables(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = dict(os.environ), torch.get_num_threads()
    content = bench(tmp_path / "new", groups(QUICK), 3, 0.0)
    assert (dict(os.environ), torch.get_num_threads()) == before
    assert not capfd.readouterr().out
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"bench.json", "bench.md"}
    assert json.loads((tmp_path / "new" / "bench.json").read_text()) == content
    found = [[(row["case"], row["contender"]) for row in group["rows"]] for group in content["groups"]]
    both = ["fused engine", "PyTorch"]
    assert found == [
        [("", name) for name in both],
        [("GRU, 4 units", name) for name in both],
        [(case, name) for case in ("1", "3") for name in ("fused engine", "PyTorch, stacked")],
        [("2", name) for name in ("fused engine", "PyTorch, stacked")],
        [(case, name) for case in ("1", "20") for name in both],
        [("5 units, 20 frames", name) for name in both],
    ]
    assert all(
        len(row["rounds"]) == 3 and min(row["rounds"]) > 0
        for group in content["groups"]
        for row in group["rows"]
    )
    markdown = (tmp_path / "new" / "bench.md").read_text()
    assert markdown.count("| fused engine |") == 8
    terminal = StringIO()
    print_tables(content, Console(file=terminal, width=80))
    for text in (markdown, terminal.getvalue()):
        assert content["machine"]["torch"] in text
        assert "…" not in text


@needs_compiler
def test_figures_are_medians_over_rounds_that_go_through_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rounds of a machine that gets slower: a time is a round's own, a ratio stays."""
    measured: list[int] = []

    def slower(ready: Ready, *_: float) -> tuple[float, float]:
        measured.append(id(ready))
        drift = (1, 5, 100)[(len(measured) - 1) // 16]
        return drift * (1.0 + (len(measured) - 1) % 2), 0.5

    monkeypatch.setattr(run, "turn", slower)
    content = bench(tmp_path, groups(QUICK), 3)
    assert len(set(measured)) == 16
    assert measured == measured[:16] * 3
    rows = [row for group in content["groups"] for row in group["rows"]]
    assert [row["microseconds"] for row in rows] == [5, 10] * 8
    assert [(row["smallest"], row["largest"]) for row in rows] == [(1, 100), (2, 200)] * 8
    assert [row["ratio"] for row in rows] == [1, 2] * 8
    assert [row["frames_per_ms"] for row in rows if "frames_per_ms" in row] == [200, 100, 4000, 2000]
    assert [row["rounds"] for row in rows if statistics.median(row["rounds"]) != row["microseconds"]] == []


@needs_compiler
def test_what_cannot_run_is_left_out_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("not on this Python\nand more")

    monkeypatch.setattr(torch, "compile", broken)
    monkeypatch.setitem(sys.modules, "jax", None)
    content = bench(tmp_path, groups(replace(QUICK, compilers=True)), 1, 0.0)
    assert {row["contender"] for row in content["groups"][0]["rows"]} == {"fused engine", "PyTorch"}
    notes = "\n".join(content["groups"][0]["notes"])
    assert (
        "torch.compile, own loop: left out. torch.compile fails here (RuntimeError: not on this Python)"
        in notes
    )
    assert "JAX, products as sums: left out. no JAX and Optax are here: `uv run --group" in notes
    assert notes in (tmp_path / "bench.md").read_text().replace("\n\n", "\n")


def test_the_faster_number_of_threads_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "turn", lambda ready, *_: ({1: 5.0, 2: 3.0, 3: 4.0}[ready.threads], 1.0))
    before, seen = torch.get_num_threads(), []

    def set_up() -> Callable[[], Tensor]:
        seen.append(torch.get_num_threads())
        return lambda: torch.zeros(1)

    assert prepare(Contender("", set_up, 1, (1, 2, 3)), 0.0).threads == 2
    assert seen == [1, 2, 3]
    torch.set_num_threads(before)


def test_times_of_nothing_finite_are_refused() -> None:
    with pytest.raises(UserError, match="no longer finite"):
        turn(Ready(lambda: torch.tensor([1.0, torch.nan]), 1, 0.0), 1, 0.0)


def test_without_a_compiler_there_is_nothing_to_measure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CXX", "")
    with pytest.raises(UserError, match=r"needs a C\+\+ compiler"):
        bench(tmp_path / "out", groups(QUICK))
    assert not (tmp_path / "out").exists()
