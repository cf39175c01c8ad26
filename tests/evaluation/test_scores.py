import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from framegen.data import load_data
from framegen.data.clips import Clips, Data, to_float
from framegen.evaluation import metrics
from framegen.evaluation.references import baselines
from framegen.evaluation.scores import closed_loop_errors, evaluate, one_step_errors
from framegen.models.baselines import CopyLast
from framegen.models.rollout import generate
from framegen.runs import checkpoint

Runner = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def data(small_run: Path, places: tuple[Path, Path]) -> Data:
    return load_data(checkpoint.load(small_run).config.task, places[1])


def test_metrics_by_hand() -> None:
    assert metrics.psnr(0.01, (0.0, 1.0)) == pytest.approx(20)
    assert metrics.psnr(0.01, (-1.0, 1.0)) == pytest.approx(20 + 20 * math.log10(2))
    assert metrics.psnr(0.0, (0.0, 1.0)) == math.inf
    assert metrics.skill(0.3, 0.3, 0.1) == 0
    assert metrics.skill(0.1, 0.3, 0.1) == 1
    assert metrics.skill(0.2, 0.3, 0.1) == pytest.approx(0.5)
    assert math.isnan(metrics.skill(0.2, 0.1, 0.1))


def test_what_is_not_finite_is_the_worst_and_stops_nothing() -> None:
    assert metrics.psnr(math.inf, (0.0, 1.0)) == -math.inf
    assert math.isnan(metrics.psnr(math.nan, (0.0, 1.0)))
    assert metrics.median_index([math.nan, 0.3, math.nan, 0.1, 0.2]) == 1
    assert metrics.median_index([math.inf, 0.3, 0.1, 0.2]) == 3
    found = metrics.spread([0.1, 0.3, math.inf])
    assert (found["mean"], found["min"], found["max"]) == (math.inf, 0.1, math.inf)
    assert math.isnan(found["sd"])
    assert math.isnan(metrics.spread([math.nan, math.nan])["sd"])


def test_one_step_errors_are_means_over_everything_but_the_burn_in() -> None:
    inputs, targets = torch.rand(230, 6, 1, 2, 2), torch.rand(230, 6, 1, 2, 2)
    squared, absolute = one_step_errors(CopyLast(), Clips(inputs, targets, burn_in=2))
    error = (inputs - targets)[:, 2:]
    assert squared == pytest.approx(error.square().mean().item(), rel=1e-5)
    assert absolute == pytest.approx(error.abs().mean().item(), rel=1e-5)


def test_closed_loop_errors_stand_at_their_horizon() -> None:
    frames = torch.rand(130, 9, 1, 2, 2)
    squared, absolute = closed_loop_errors(CopyLast(), frames, 4)
    assert len(squared) == 5
    for h in range(5):
        error = frames[:, 3] - frames[:, 4 + h]
        assert squared[h] == pytest.approx(error.square().mean().item(), rel=1e-5)
        assert absolute[h] == pytest.approx(error.abs().mean().item(), rel=1e-5)


def test_results_are_calibrated_between_copying_and_the_optimum(small_run: Path, data: Data) -> None:
    saved = checkpoint.load(small_run)
    results = evaluate(saved.models, saved.config.task, data)
    for scores in (results["one_step"], results["closed_loop"]["predictors"]):
        assert scores["copy last"]["skill"] == 0
        assert scores["optimum"]["skill"] == 1
        assert scores["optimum"]["mse"] == min(row["mse"] for row in scores.values())
        for row in scores.values():
            assert row["psnr"] == pytest.approx(-10 * math.log10(row["mse"]))
    loop = results["closed_loop"]
    assert loop["context"] + loop["horizon"] == 24
    for row in loop["predictors"].values():
        assert [len(values) for values in row["per_horizon"].values()] == [loop["horizon"]] * 4
        assert row["mse"] == pytest.approx(sum(row["per_horizon"]["mse"]) / loop["horizon"])
    assert set(results["convention"]) == {"mse", "mae", "psnr", "skill"}


def test_what_is_measured_is_the_test_split(small_run: Path, data: Data) -> None:
    saved = checkpoint.load(small_run)
    results = evaluate(saved.models, saved.config.task, data)
    frames = to_float(data.test.inputs), to_float(data.test.targets)
    with torch.inference_mode():
        expected = (saved.model(frames[0])[0] - frames[1]).square().mean().item()
    assert results["one_step"]["model"]["mse"] == pytest.approx(expected, rel=1e-5)
    assert data.test_frames is not None
    prompt, truth = to_float(data.test_frames).split([10, 14], 1)
    closed = (generate(saved.model, prompt, 14) - truth).square().mean().item()
    assert results["closed_loop"]["predictors"]["model"]["mse"] == pytest.approx(closed, rel=1e-5)


def test_the_device_option_is_used(framegen: Runner, small_run: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one here")
    code, _, err = framegen("evaluate", small_run, "--device", "cuda")
    assert code == 2
    assert "--device cuda" in err


def test_evaluation_never_looks_at_what_it_does_not_score(small_run: Path, data: Data) -> None:
    """Baselines are fitted on training clips alone."""
    task = checkpoint.load(small_run).config.task
    other = Data(
        data.train,
        data.val,
        Clips(255 - data.test.inputs, data.test.targets),
        False,
        data.test_frames,
        data.context,
    )
    frames = to_float(data.test.inputs)
    for (name, ours), (_, theirs) in zip(
        baselines(task, data).items(), baselines(task, other).items(), strict=True
    ):
        assert torch.equal(ours(frames)[0], theirs(frames)[0]), name


def test_large_frames_go_without_the_linear_models(tmp_path: Path) -> None:
    from framegen.config.data import Orbit

    task = Orbit(size=24, num_clips=4, num_val_clips=1, num_test_clips=1, num_frames=5)
    names = list(baselines(task, load_data(task, tmp_path)))
    assert names == ["copy last", "mean frame", "linear, 1 frame", "linear, 2 frames", "optimum"]


def test_the_command_says_the_same_as_the_training(framegen: Runner, small_run: Path) -> None:
    before = json.loads((small_run / "results.json").read_text())
    code, out, _ = framegen("evaluate", small_run)
    assert code == 0
    for word in (
        "this model",
        "mse",
        "mae",
        "psnr",
        "skill",
        "Closed loop: 14 frames",
        "prompt of 10",
        metrics.CONVENTION["mse"][:40],
    ):
        assert word in out
    assert "optimum" in out
    after = json.loads((small_run / "results.json").read_text())
    assert after == before
