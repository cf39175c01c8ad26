"""framegen compare: runs side by side."""

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from framegen.commands.training import train
from framegen.config.config import Config
from framegen.config.models import MLP, Recurrent
from framegen.config.tasks import Sprites
from framegen.config.training import Training
from framegen.evaluation.permanence import FEWEST
from framegen.evaluation.results import CLIP_ERRORS, read_clip_errors, read_results, write_results
from framegen.machine.errors import OptionError
from framegen.runs.folder import read_config, write_config
from framegen.runs.run import load
from framegen.studies.comparison.compare import compare, table
from framegen.studies.comparison.finished import (
    best_of,
    difference,
    differences,
    number_that_differs,
    read_finished,
)
from framegen.studies.comparison.plot import compared
from framegen.studies.comparison.tables import _escaped  # pyright: ignore[reportPrivateUsage]
from tests.conftest import SMALL_CONFIG

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
    hidden = results["one"].results.permanence
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
        ([small_run, dense_run], "a.gif", "ends in .png or .csv or .json or .tex"),
        ([small_run, dense_run], tmp_path / "there.png", "there.png: "),
        ([small_run, other], tmp_path / "a.png", "small and other are of different tasks"),
    ):
        with pytest.raises(OptionError, match=reason):
            compare(runs, out)
    assert list(compare([small_run, other])) == ["small", "other"]
    assert not (tmp_path / "a.png").exists()


@pytest.fixture(scope="module")
def widths(places: tuple[Path, Path]) -> list[Path]:
    """Populations of two nets of 4, 8 and 16 units, in the order of a shell's `width-*`. Read only."""
    made = []
    for size in (16, 4, 8):
        config = replace(SMALL_CONFIG, model=Recurrent(hidden_size=size), seeds=(0, 1))
        run = train(config, f"width-{size}", "disabled", *places, show=False, draw=False)
        made.append(run.folder)
    return made


def test_a_table_has_a_row_for_each_run_and_seed(widths: list[Path]) -> None:
    rows = table(widths)
    assert table([load(folder) for folder in widths]) == rows, "a run may stand where it is named"
    assert [(row["run"], row["seed"]) for row in rows] == [
        (f"width-{size}", seed) for size in (16, 4, 8) for seed in (0, 1)
    ]
    for row, members in zip(rows[::2], (read_results(folder).members for folder in widths), strict=True):
        assert row["skill"] == members[0].one_step["skill"]
        assert row["closed_loop_mse"] == (members[0].closed_loop or {})["mse"]
        assert row["validation_mse"] == members[0].validation_mse
    assert [row["hidden_size"] for row in rows] == [16, 16, 4, 4, 8, 8]
    assert (rows[0]["task"], rows[0]["model"], rows[0]["batch_size"]) == ("Orbit", "Recurrent", 10)


def test_each_clips_error_is_kept_and_its_mean_is_the_mse(widths: list[Path], small_run: Path) -> None:
    for folder in (widths[0], small_run):
        results, errors = read_results(folder), read_clip_errors(folder)
        for part, predictors in results.parts().items():
            for name, scores in predictors.items():
                values = errors[part][results.median_seed if name == "model" else name]
                assert values.shape == (8,)  # clips
                assert values.mean().item() == pytest.approx(scores["mse"], rel=1e-6)
        assert [name for name in errors["one_step"] if isinstance(name, int)] == [
            m.seed for m in results.members
        ]
        assert (folder / CLIP_ERRORS).stat().st_size < 2000


def test_runs_differ_by_clips_and_by_seeds(widths: list[Path]) -> None:
    """The standard errors of paired differences, as a textbook has them."""
    runs = {folder.name: read_finished(folder) for folder in widths}
    best = best_of(runs)
    other = next(name for name in runs if name != best)
    errors = [
        torch.stack([runs[name].errors["one_step"][seed].double() for seed in (0, 1)]).numpy()  # pyright: ignore[reportOptionalSubscript]
        for name in (other, best)
    ]
    apart = errors[0] - errors[1]  # (seeds, clips)
    found = differences(runs, best)[other]["one_step"]
    assert found.mean == pytest.approx(apart.mean())
    assert found.over_clips == pytest.approx(apart.mean(0).std(ddof=1) / 8**0.5)
    assert found.over_seeds == pytest.approx(apart.mean(1).std(ddof=1) / 2**0.5)
    alone = difference({0: torch.tensor([1.0, 2.0])}, {1: torch.tensor([0.5, 0.5])})
    assert (alone.mean, alone.over_seeds) == (1.0, None)


def test_what_differs_is_a_column_in_the_order_of_its_numbers(
    framegen: Runner, widths: list[Path], small_run: Path
) -> None:
    code, out, _ = framegen("compare", *widths)
    assert code == 0
    rows = [line.strip("│ ").split() for line in out.splitlines()]
    named = [(row[0], row[2]) for row in rows if row and row[0].startswith("width-")]
    assert named[:3] == [("width-4", "4"), ("width-8", "8"), ("width-16", "16")]
    best = best_of({folder.name: read_finished(folder) for folder in widths})
    assert f"mse above that of {best} on the same test clips" in out
    assert len(named) == 5  # and the two that are above the best one
    assert "± seeds" in out
    _, out, _ = framegen("compare", small_run, widths[1])
    assert out.index("small") < out.index("width-4")  # as it was said
    assert "± seeds" not in out  # they have not the same ones


def test_a_comparison_is_written_as_its_ending_says(widths: list[Path], tmp_path: Path) -> None:
    for ending in ("csv", "json", "tex", "png"):
        compare(widths, tmp_path / f"all.{ending}")
    rows = table([widths[1], widths[2], widths[0]])
    with (tmp_path / "all.csv").open() as file:
        read = list(csv.DictReader(file))
    assert [float(row["skill"]) for row in read] == [row["skill"] for row in rows]
    content = json.loads((tmp_path / "all.json").read_text())
    assert content["rows"] == json.loads(json.dumps(rows))
    assert set(content["above_best"]) == {folder.name for folder in widths} - {content["best"]}
    text = (tmp_path / "all.tex").read_text()
    assert text.startswith("\\begin{tabular}{lrr")
    assert "hidden size & val mse" in text
    assert "$\\pm$" in text
    assert _escaped("a_b%") == r"a\_b\%"


def test_over_an_option_that_is_a_number_there_is_a_figure(widths: list[Path], tmp_path: Path) -> None:
    runs = {folder.name: read_finished(folder) for folder in widths}
    assert number_that_differs(runs) == ("hidden_size", [16, 4, 8])
    axes = compared(runs).axes
    assert [each.get_xlabel() for each in axes] == ["hidden size", "horizon: frames since the prompt ended"]
    one_step = axes[0].get_lines()[0]
    skills = [sum(row["skill"] for row in table([widths[k]])) / 2 for k in (1, 2, 0)]
    assert np.asarray(one_step.get_xdata()).tolist() == [4, 8, 16]
    assert np.asarray(one_step.get_ydata()).tolist() == pytest.approx(skills)


def test_over_the_number_of_clips_other_tasks_are_drawn_too(
    widths: list[Path], small_run: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(small_run, tmp_path / "fewer")
    described = read_config(other)
    task = replace(described.config.task, num_clips=20)
    write_config(other, replace(described.config, task=task), described.track, described.data_dir)
    compare([small_run, other], tmp_path / "a.png")
    assert (tmp_path / "a.png").exists()
    assert differences({"a": read_finished(small_run), "b": read_finished(other)}, "a") == {}
