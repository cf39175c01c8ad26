"""Films in which nothing moves, throughout or in the part where the best epoch is chosen."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import framegen
from framegen.evaluation.clip_errors import mean_square
from framegen.models import build
from framegen.report.draw import _members
from framegen.report.tables import print_results
from tests.data.films import Pictures, encode, scene

QUICK: dict[str, Any] = {
    **{"epochs": 2, "clips_per_epoch": 8, "num_frames": 8, "context": 4},
    **{"hidden_size": 2, "media_every": 0},
}
MOVING = scene(3, 90, (36, 48))
STILL = {
    "throughout": np.repeat(MOVING[:1], 60, 0),
    "in validation": np.concatenate([MOVING[:48], np.repeat(MOVING[48:49], 24, 0), MOVING[48:71]]),
}


@pytest.mark.parametrize("pictures", STILL.values(), ids=STILL)
def test_where_nothing_moves_errors_stand_in_place_of_ratios(
    pictures: Pictures, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = encode(tmp_path / "still.mp4", pictures, rate=12)
    places = {"runs_dir": tmp_path / "runs", "data_dir": tmp_path / "data", "track": "disabled"}
    run = framegen.train_on(film, None, 32, **places, **QUICK)
    assert run.validation["copy last"] < 1e-9
    for epoch in run.metrics().epochs:  # which refuses what is not finite
        assert all(map(math.isfinite, epoch.values()))
        assert {"val/mse", "val/closed_loop_mse"} <= epoch.keys()
        assert not any("over_copying" in name for name in epoch)
    facts = run.results.training
    assert facts is not None
    assert facts.kept is not None
    assert facts.kept.copying_mse < 1e-9
    assert facts.kept.mse <= min(epoch["val/closed_loop_mse"] for epoch in run.metrics().epochs)
    for path in run.folder.glob("*.json"):
        json.loads(path.read_text(), parse_constant=pytest.fail)  # Infinity, NaN
    with (console := Console()).capture() as captured:
        print_results(run.results, console)
    said = " ".join((captured.get() + capsys.readouterr().err).split())
    assert "was not drawn" not in said
    assert not {"inf", "nan", "-inf"} & set(said.split())
    assert "val mse closed loop" in said
    assert "needs a longer training" not in said
    assert "Nothing moves in what is to be predicted there: copying has no error." in said
    twice = tuple(replace(run.results.members[0], seed=seed) for seed in range(2))
    label = _members(replace(run.results, members=twice)).axes[0].get_ylabel()
    assert label == "mean squared error" + " over copy last's" * (pictures is not STILL["throughout"])


@pytest.mark.usefixtures("undrawn")
def test_where_something_moves_an_epochs_line_has_multiples_of_copyings_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = encode(tmp_path / "moving.mp4", MOVING[:60], rate=12)
    places = {"runs_dir": tmp_path / "runs", "data_dir": tmp_path / "data", "track": "disabled"}
    run = framegen.train_on(film, None, 32, **places, **QUICK)
    inputs, targets = run.data.val.batch(slice(None))
    steps = run.config.training.closed_loop
    given = max(1, inputs.shape[1] - steps)  # copying shows the last frame that is given
    copied = (inputs[:, given - 1 : given] - targets[:, given:]).double().square().mean().item()
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("epoch ")]
    untrained = build(run.config.model, run.data.frame_shape, run.config.training.seed).eval()
    lowest = mean_square(untrained, run.data.val, steps) / copied
    for line, epoch in zip(lines, run.metrics().epochs, strict=True):
        closed, ahead = epoch["val/closed_loop_over_copying"], epoch["val/over_copying"]
        assert closed == pytest.approx(epoch["val/closed_loop_mse"] / copied, rel=1e-5)
        assert ahead == pytest.approx(epoch["val/mse"] / run.validation["copy last"])
        lowest = min(lowest, closed)
        best = f" (best {lowest:.3f})" * (f"{lowest:.3f}" != f"{closed:.3f}")
        assert line.endswith(f"val closed loop {closed:.3f}{best}, 1 step {ahead:.3f} of copying's error")
