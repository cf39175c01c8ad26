"""A small run, trained once, for all tests that need one."""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import pytest
import torch

from framegen import __main__
from framegen.commands import evaluation, training
from framegen.commands.training import train
from framegen.config.config import Config
from framegen.config.models import Recurrent
from framegen.config.tasks import Orbit
from framegen.config.training import Training
from framegen.data.clips import Clips, TensorClips
from framegen.models.kernels import build
from framegen.models.kernels.build import FusedUnavailable, compiler

mpl.use("Agg")
torch.set_num_threads(1)
os.environ["WANDB_MODE"] = "disabled"  # a test that tracks says so

try:
    compiler()
    COMPILER = True
except FusedUnavailable:
    COMPILER = False
needs_compiler = pytest.mark.skipif(not COMPILER, reason="no C++ compiler is here")

SMALL = Orbit(num_clips=40, num_val_clips=6, num_test_clips=8, num_frames=24)
SMALL_CONFIG = Config(
    SMALL,
    Recurrent(),
    Training(epochs=2, batch_size=10, media_every=0, device="cpu", engine="torch"),
    "video",
)


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of the runs and of the data that tests share and do not change."""
    root = tmp_path_factory.mktemp("shared")
    return root / "runs", root / "data"


@pytest.fixture(scope="session")
def small_run(places: tuple[Path, Path]) -> Path:
    """The finished run of SMALL_CONFIG. Read only."""
    return train(SMALL_CONFIG, "small", "disabled", *places, show=False).folder


@pytest.fixture(scope="session")
def dense_run(places: tuple[Path, Path]) -> Path:
    """A finished population of two nets with a density head, without pictures. Read only."""
    config = replace(SMALL_CONFIG, model=Recurrent(density=2), seeds=(0, 1))
    return train(config, "dense", "disabled", *places, show=False, draw=False).folder


@pytest.fixture
def quickly_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compile without optimising, where that is not what is tested."""
    quick = tuple("-O0" if flag == "-O3" else flag for flag in build.FLAGS)
    assert "-O0" in quick
    monkeypatch.setattr(build, "FLAGS", quick)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make no pictures of a run in the end, which take longer than a training, where nobody looks at them."""
    for module in (training, evaluation):
        monkeypatch.setattr(module, "draw_run", lambda run, *_, **__: [run.folder / "undrawn.png"])


@pytest.fixture
def framegen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in this process: exit code, stdout, stderr."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["framegen", *map(str, arguments)])
        try:
            __main__.main()
            code = 0
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
        out, err = capsys.readouterr()
        return code, out, err

    return run


def smallest(folder: Path) -> list[str | Path]:
    """Options of `framegen train` that make the smallest training there is, in a folder."""
    counts = ["--num-clips", "20", "--num-val-clips", "2", "--num-test-clips", "2", "--num-frames", "12"]
    length = ["--epochs", "1", "--media-every", "0"]
    return [*counts, *length, "--runs-dir", folder / "runs", "--data-dir", folder / "data"]


def tensors(clips: Clips) -> TensorClips:
    """The same clips, known to lie in tensors."""
    assert isinstance(clips, TensorClips)
    return clips


CLOCKS = ("train/clips_per_second", "train/waiting", "train/peak_memory")
"""Values of metrics.jsonl that no two runs share."""


def rows_of(run: Path) -> list[dict[str, float]]:
    """metrics.jsonl without the values that a clock or the machine decides."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name not in CLOCKS} for row in rows]


def sparse(path: Path) -> None:
    """A file that takes no room on disk and all of a machine's memory."""
    with path.open("wb") as file:
        file.truncate(20 * 2**30)


def replaced(make: Callable[[Path], object]) -> Callable[[Path], None]:
    """A damage that puts something else in a file's place."""

    def damage(path: Path) -> None:
        path.unlink()
        make(path)

    return damage
