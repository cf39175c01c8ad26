"""Several processes train together: forked from this one, in the environment that torchrun would give
them."""

import multiprocessing
import os
import signal
import socket
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from framegen import __main__
from framegen.commands import training
from framegen.data.loading import load_data
from framegen.evaluation.results import finished, read_results
from framegen.machine.errors import OptionError, UserError
from framegen.models import build
from framegen.runs import checkpoint
from framegen.training import ranks
from framegen.training.choosing import choose_engine
from framegen.training.engine import TorchEngine
from framegen.training.ranks import Lost, Ranks
from tests import fakecuda
from tests.conftest import SMALL_CONFIG, rows_of

LENGTH = ["--num-clips", "20", "--num-val-clips", "2", "--num-test-clips", "2", "--num-frames", "12"]
LENGTH += ["--epochs", "2", "--media-every", "0", "--batch-size", "7"]
OPTIONS = ["--loss", "relative", "--sampling", "scheduled", "--input-noise", "0.1", "--ema", "0.9"]
OPTIONS += ["--accumulate", "2"]


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "draw_run", lambda *_: [])


def _process(rank: int, count: int, port: int, arguments: Sequence[str], said: Path) -> None:
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in place.items()}, MASTER_ADDR="127.0.0.1")
    sys.stdout = sys.stderr = said.open("w")
    sys.argv = ["framegen", *arguments]
    __main__.main()


def _together(folder: Path, *arguments: str, count: int = 2) -> tuple[list[int | None], list[str]]:
    """Exit code of each process of a command, and what it said."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    fork, said = multiprocessing.get_context("fork"), [folder / f"said-{rank}" for rank in range(count)]
    command = [*arguments, "--runs-dir", str(folder), "--track", "disabled"]
    processes = [
        fork.Process(target=_process, args=(rank, count, port, command, said[rank])) for rank in range(count)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other threads of the tests do nothing here
        for process in processes:
            process.start()
    for process in processes:
        process.join(60)
    return [process.exitcode for process in processes], [path.read_text() for path in said]


def _train(folder: Path, name: str, *options: str, count: int = 2) -> tuple[list[int | None], list[str]]:
    places = ["--name", name, "--data-dir", str(folder / "data")]
    return _together(folder, "train", "video", *places, *LENGTH, "--engine", "torch", *options, count=count)


def _alone(folder: Path, name: str, *options: str) -> None:
    """The same training in this process."""
    places = ["--name", name, "--runs-dir", str(folder), "--data-dir", str(folder / "data")]
    arguments = ["video", *places, *LENGTH, "--engine", "torch", *options]
    with suppress(SystemExit), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["framegen", "train", *arguments])
        __main__.main()


def _same(one: Path, other: Path) -> None:
    """Whether two runs have the same weights and metrics, within rounding."""
    ours, theirs = checkpoint.load(one).models, checkpoint.load(other).models
    assert ours.keys() == theirs.keys()
    for seed in ours:
        torch.testing.assert_close(
            dict(ours[seed].state_dict()), dict(theirs[seed].state_dict()), atol=2e-5, rtol=1e-4
        )
    for our, their in zip(rows_of(one), rows_of(other), strict=True):
        assert our == pytest.approx(their, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("options", [["--seeds", "2"], OPTIONS], ids=["population", "options"])
def test_several_processes_train_as_one_does(options: list[str], tmp_path: Path) -> None:
    _alone(tmp_path, "alone", *options)
    codes, said = _train(tmp_path, "three", *options, count=3)
    assert codes == [0, 0, 0], said
    assert "in each of 3 processes" in said[0]
    assert said[1:] == ["", ""]
    _same(tmp_path / "alone", tmp_path / "three")
    facts = read_results(tmp_path / "three").training
    assert facts is not None
    assert facts.processes == 3
    assert {path.name for path in tmp_path.iterdir()} == {
        "alone",
        "three",
        "data",
        "said-0",
        "said-1",
        "said-2",
    }


def _at_step(number: int, rank: int, what: signal.Signals, patch: pytest.MonkeyPatch) -> None:
    """Send one process a signal in the middle of a step: before gradients are added up."""
    add_up = TorchEngine._add_up

    def stopped(self: TorchEngine, *given: Any) -> Tensor:
        last = given[0] is self.models[-1]  # the others of a population have their gradients already
        if last and (self.steps, self.ranks.rank) == (number, rank):
            os.kill(os.getpid(), what)
        return add_up(self, *given)

    patch.setattr(TorchEngine, "_add_up", stopped)


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2)])
def test_another_number_of_processes_goes_on(
    before: int, after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _alone(tmp_path, "whole", *OPTIONS)
    with monkeypatch.context() as patch:
        _at_step(4, 0, signal.SIGTERM, patch)
        codes, said = _train(tmp_path, "run", *OPTIONS, count=before)
    assert codes == [128 + signal.SIGTERM, 0][:before], said
    assert len(rows_of(tmp_path / "run")) == 6  # five steps, an epoch
    codes, said = _together(tmp_path, "train", "--resume", "run", count=after)
    assert codes == [0] * after, said
    _same(tmp_path / "whole", tmp_path / "run")


@pytest.mark.parametrize("rank", [0, 1])
def test_where_one_is_killed_all_end_and_the_last_save_goes_on(
    rank: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    population = ["--seeds", "2"]
    _alone(tmp_path, "whole", *population)
    with monkeypatch.context() as patch:
        _at_step(4, rank, signal.SIGKILL, patch)
        codes, said = _train(tmp_path, "run", *population)
    assert codes[rank] == -signal.SIGKILL
    assert codes[1 - rank] == 1, said
    if rank == 1:
        (line,) = [line for line in said[0].splitlines() if line.startswith("framegen:")]
        assert "another process of this training has ended" in line
        assert (
            f"step 4 is saved, go on from there with: uv run framegen train --resume {tmp_path / 'run'}"
            in line
        )
    assert said[1] == ""
    assert not finished(tmp_path / "run")
    training.resume(tmp_path / "run", show=False, draw=False)
    _same(tmp_path / "whole", tmp_path / "run")


def test_an_error_of_another_process_is_said_and_ends_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_data(*_: object) -> None:
        raise UserError("data: is not on this machine")

    with monkeypatch.context() as patch:
        load = training.load_data
        patch.setattr(
            training, "load_data", lambda *given: no_data() if os.environ["RANK"] == "1" else load(*given)
        )
        codes, said = _train(tmp_path, "run")
    assert codes == [1, 1]
    assert "another process" in said[0]
    assert said[1] == "framegen: data: is not on this machine\n"


def test_all_processes_end_with_the_minutes_of_rank_0(tmp_path: Path) -> None:
    counts = LENGTH[:8]
    places = ["--data-dir", str(tmp_path / "data"), "--name", "run"]
    codes, said = _together(tmp_path, "train", "video", *counts, *places, "--minutes", "0.03")
    assert codes == [0, 0], said
    assert "--minutes 0.03: about" in said[0]
    assert said[1] == ""


def test_what_nobody_shares_is_refused(tmp_path: Path) -> None:
    codes, said = _together(tmp_path, "search", "video")
    assert codes == [2, 0]
    assert said == ["framegen: torchrun: search is done by one process; leave torchrun out\n", ""]


@pytest.mark.parametrize(
    ("said", "kind", "told"),
    [
        ("NCCL error: ncclInvalidUsage\nLast error:\nDuplicate GPU", UserError, r"nccl \(Duplicate GPU\)"),
        ("NCCL error: ncclRemoteError: a remote process exited", Lost, "has ended"),
        ("Connection closed by peer", Lost, "has ended"),
    ],
)
def test_what_nccl_finds_fault_with_is_no_lost_process(
    said: str, kind: type[UserError], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Tensor) -> None:
        raise RuntimeError(said)

    monkeypatch.setattr(torch.distributed, "all_reduce", fail)
    with pytest.raises(UserError, match=told) as raised:
        Ranks(0, 2).sum(torch.zeros(1))
    assert type(raised.value) is kind


def test_fewer_gpus_than_processes_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ranks, "current", lambda: Ranks(0, 2))
    data = load_data(SMALL_CONFIG.task, tmp_path)
    config = replace(SMALL_CONFIG, training=replace(SMALL_CONFIG.training, device="cuda"))
    with (
        fakecuda.fake_gpu(),
        pytest.raises(OptionError, match="2 processes and 1 GPU: --nproc-per-node 1 gives each its own"),
    ):
        choose_engine(config, {0: build(config.model, data.frame_shape, 0)}, data, False)


def test_a_program_in_which_nobody_leads_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="torchrun -m framegen train shares one training"):
        training.train("video", runs_dir=tmp_path, data_dir=tmp_path)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["sine-lag"], "torchrun: a stream is gone through in order"),
        (["video", "--batch-size", "1"], "--batch-size 1: 2 processes"),
        (["video", "--engine", "fused"], "--engine fused: it trains in one process only"),
        (["video", "--epochs", "0"], "--epochs 0"),
    ],
)
def test_what_cannot_be_split_is_named(arguments: list[str], named: str, tmp_path: Path) -> None:
    codes, said = _together(tmp_path, "train", *arguments, "--data-dir", str(tmp_path / "data"))
    assert codes == [2, 0]
    assert named in said[0]
    assert said[1] == ""
