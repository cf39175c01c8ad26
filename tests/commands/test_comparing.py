"""framegen compare: runs side by side."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from framegen.commands.comparing import compare
from framegen.commands.training import train
from framegen.config.config import Config
from framegen.config.models import MLP
from framegen.config.tasks import Sprites
from framegen.config.training import Training
from framegen.evaluation.permanence import FEWEST
from framegen.evaluation.results import read_results, write_results
from framegen.machine.errors import OptionError
from framegen.runs.folder import read_config, write_config

Runner = Callable[..., tuple[int, str, str]]


def test_runs_stand_side_by_side(framegen: Runner, small_run: Path, dense_run: Path) -> None:
    code, out, _ = framegen("compare", small_run.name, dense_run, "--runs-dir", small_run.parent)
    assert code == 0
    for run in (small_run, dense_run):
        skill = read_results(run).values("one_step", "skill")
        assert f"{sum(value or 0.0 for value in skill) / len(skill):.3f}" in out
        assert run.name in out


def test_what_is_hidden_at_times_has_a_chart_of_its_own(tmp_path: Path) -> None:
    world = Sprites(size=12, bar=8, reach=1, num_frames=12, num_clips=4, num_val_clips=2, num_test_clips=99)
    config = Config(world, MLP(), Training(epochs=1, batch_size=4, media_every=0), "hidden")
    one = train(config, "one", "disabled", tmp_path, tmp_path, show=False, draw=False).folder
    other = shutil.copytree(one, tmp_path / "other")
    results = compare([one, other], tmp_path / "both.png")
    hidden = results["one"].permanence
    assert hidden is not None
    assert min(hidden.events) >= FEWEST
    with Image.open(tmp_path / "both.png") as picture:
        tall = picture.height
    for folder in (one, other):
        shown = read_results(folder)
        write_results(folder, replace(shown, permanence=None))
    compare([one, other], tmp_path / "both.png", force=True)
    with Image.open(tmp_path / "both.png") as picture:
        assert picture.height < 0.6 * tall


def test_what_cannot_be_compared_is_named(small_run: Path, dense_run: Path, tmp_path: Path) -> None:
    other = shutil.copytree(small_run, tmp_path / "other")
    described = read_config(other)
    task = replace(described.config.task, data_seed=5)
    write_config(other, replace(described.config, task=task), described.track, described.data_dir)
    (tmp_path / "there.png").touch()
    for runs, out, reason in (
        ([small_run], None, "two runs or more"),
        ([small_run, small_run], None, "one name"),
        ([small_run, dense_run], "a.gif", "ends in .png"),
        ([small_run, dense_run], tmp_path / "there.png", "there.png: "),
        ([small_run, other], tmp_path / "a.png", "small and other are of different tasks"),
    ):
        with pytest.raises(OptionError, match=reason):
            compare(runs, out)
    assert list(compare([small_run, other])) == ["small", "other"]
    assert not (tmp_path / "a.png").exists()
