import json
import math
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from framegen.data.clips import Data, TensorClips, to_float
from framegen.data.loading import load_data
from framegen.evaluation import metrics
from framegen.evaluation.clip_errors import closed_loop_errors, mean_square, one_step_errors
from framegen.evaluation.references import OBSERVERS, fit_references
from framegen.evaluation.results import Permanence, TrainingFacts, read_results, write_results
from framegen.evaluation.scores import evaluate
from framegen.machine.files import to_json
from framegen.models import build
from framegen.models.baselines import CopyLast
from framegen.models.rollout import generate
from framegen.runs import checkpoint
from framegen.runs.folder import lock
from framegen.runs.run import Run, load
from tests.conftest import SMALL, smallest, tensors

Runner = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def data(small_run: Path, places: tuple[Path, Path]) -> Data:
    return load_data(checkpoint.load(small_run).config.task, places[1])


def test_metrics_by_hand() -> None:
    assert metrics.psnr(0.01, (0.0, 1.0)) == pytest.approx(20)
    assert metrics.psnr(0.01, (-1.0, 1.0)) == pytest.approx(20 + 20 * math.log10(2))
    assert metrics.psnr(0.0, (0.0, 1.0)) is None
    assert metrics.skill(0.3, 0.3, 0.1) == 0
    assert metrics.skill(0.1, 0.3, 0.1) == 1
    assert metrics.skill(0.2, 0.3, 0.1) == pytest.approx(0.5)
    assert metrics.skill(0.2, 0.1, 0.1) is None


@pytest.mark.parametrize("nothing", [0.0, 1e-300, metrics.AT_REST, math.nan, None])
def test_there_is_no_ratio_to_what_has_no_error(nothing: float | None) -> None:
    assert metrics.ratio(0.3, 0.1) == pytest.approx(3)
    assert metrics.ratio(0.3, nothing) is None
    assert metrics.ratio(None, 0.1) is None
    assert metrics.ratio(math.inf, 0.1) is None
    if nothing is not None:
        assert metrics.skill(0.1, nothing, 0.0) is None
        gain = torch.full((4,), nothing, dtype=torch.float64)
        assert metrics.ratio_standard_error(torch.rand(4), gain) is None


def test_what_is_not_finite_is_the_worst_and_stops_nothing() -> None:
    assert metrics.psnr(math.inf, (0.0, 1.0)) is None
    assert metrics.psnr(math.nan, (0.0, 1.0)) is None
    assert metrics.median_index([None, 0.3, math.nan, 0.1, 0.2]) == 1
    assert metrics.median_index([math.inf, 0.3, 0.1, 0.2]) == 3
    assert metrics.spread([0.1, 0.3, None]) == metrics.spread([0.1, 0.3])
    assert metrics.spread([None, 0.3]).sd is None


def test_the_standard_error_of_skill_is_that_of_drawing_other_clips() -> None:
    """Against the bootstrap: new sets of clips, drawn from these with replacement, each with its skill."""
    random = torch.Generator().manual_seed(0)
    optimal = torch.rand(400, generator=random, dtype=torch.float64) + 0.5
    model, copying = optimal * 1.3 + 0.1 * torch.rand(400, generator=random), optimal * 4
    drawn = torch.randint(400, (4000, 400), generator=random)
    errors, copied, best = (each[drawn].mean(1) for each in (model, copying, optimal))
    bootstrap = ((copied - errors) / (copied - best)).std().item()
    assert metrics.ratio_standard_error(copying - model, copying - optimal) == pytest.approx(
        bootstrap, rel=0.05
    )
    assert metrics.standard_error(model) == pytest.approx(errors.std().item(), rel=0.05)


def test_one_step_errors_are_those_of_every_frame_but_the_burn_in() -> None:
    inputs, targets = torch.rand(230, 6, 1, 2, 2), torch.rand(230, 6, 1, 2, 2)
    clips = TensorClips(inputs, targets, burn_in=2)
    found = one_step_errors(CopyLast(), clips)
    error = (inputs - targets)[:, 2:].double()
    torch.testing.assert_close(found["squared"], error.square().mean((2, 3, 4)))
    torch.testing.assert_close(found["absolute"], error.abs().mean((2, 3, 4)))
    assert mean_square(CopyLast(), clips) == pytest.approx(error.square().mean().item())


def test_closed_loop_errors_stand_at_their_horizon() -> None:
    frames = torch.rand(130, 9, 1, 2, 2)
    found = closed_loop_errors(CopyLast(), frames, 4)
    assert found["squared"].shape == (130, 5)
    for h in range(5):
        error = frames[:, 3] - frames[:, 4 + h]
        assert found["squared"][:, h].mean().item() == pytest.approx(error.square().mean().item(), rel=1e-5)
        assert found["absolute"][:, h].mean().item() == pytest.approx(error.abs().mean().item(), rel=1e-5)


@pytest.fixture(scope="module")
def run(small_run: Path) -> Run:
    return load(small_run)


def test_results_are_calibrated_between_copying_and_the_optimum(run: Run) -> None:
    results = evaluate(run.models, run.config.task, run.data, run.references)
    for scores in results.parts().values():
        assert scores["copy last"]["skill"] == 0
        assert scores["optimum"]["skill"] == 1
        assert scores["copy last"]["skill_se"] == pytest.approx(0, abs=1e-12)
        # Of a few clips who has seen many frames may foresee a little more.
        others = [row["mse"] or math.inf for name, row in scores.items() if name not in OBSERVERS]
        assert scores["optimum"]["mse"] == min(others)
        for row in scores.values():
            known = {"mse", "mse_se", "mae", "psnr", "skill", "skill_se"}
            assert set(row) - {"excess", "excess_se"} == known
            assert set(results.convention) == known | {"excess", "excess_se"}
            assert row["psnr"] == pytest.approx(-10 * math.log10(row["mse"] or math.nan))
    loop = results.closed_loop
    assert loop is not None
    assert loop.context + loop.horizon == 24
    for name, curves in loop.per_horizon.items():
        assert [len(values) for values in curves.values()] == [loop.horizon] * 4
        assert loop.predictors[name]["mse"] == pytest.approx(
            sum(v or 0 for v in curves["mse"]) / loop.horizon
        )


def test_what_is_measured_is_the_test_split(run: Run) -> None:
    results = evaluate(run.models, run.config.task, run.data, run.references)
    inputs, targets = run.data.test.batch(slice(None))
    with torch.inference_mode():
        expected = (run.model(inputs)[0] - targets).square().mean().item()
    assert results.one_step["model"]["mse"] == pytest.approx(expected, rel=1e-5)
    assert run.data.test_frames is not None
    prompt, truth = to_float(run.data.test_frames).split([10, 14], 1)
    closed = (generate(run.model, prompt, 14) - truth).square().mean().item()
    assert results.closed_loop is not None
    assert results.closed_loop.predictors["model"]["mse"] == pytest.approx(closed, rel=1e-5)


def test_members_are_ranked_by_validation_and_reported_on_test(run: Run) -> None:
    """Two seeds whose order differs: on one half of the clips one is better, on the other half the other."""
    first, second = load(run.folder).model, build(run.config.model, (1, 2, 2), 5)
    results = evaluate({3: second, 0: first}, run.config.task, run.data, run.references)
    best = {seed: mean_square(model, run.data.val) for seed, model in ((3, second), (0, first))}
    assert [member.seed for member in results.by_validation] == sorted(best, key=lambda seed: best[seed])
    # Where validation and test are exchanged, what chooses and what is reported are too.
    data = replace(run.data, val=run.data.test, test=run.data.val, test_frames=None)
    exchanged = evaluate({3: second, 0: first}, run.config.task, data, run.references)
    for ours, theirs in zip(results.members, exchanged.members, strict=True):
        assert ours.validation_mse == pytest.approx(theirs.one_step["mse"])
        assert ours.one_step["mse"] == pytest.approx(theirs.validation_mse)


def test_without_an_optimum_there_is_no_skill_anywhere(run: Run) -> None:
    references = {name: each for name, each in run.references.items() if name != "optimum"}
    results = evaluate(run.models, run.config.task, run.data, references)
    assert not results.has_skill
    assert b"skill" not in to_json(results)
    assert set(results.validation) == {"copy last"}


def test_results_survive_strict_json(run: Run, tmp_path: Path) -> None:
    results = run.results
    broken = replace(results, one_step={**results.one_step, "model": {"mse": math.inf, "skill": math.nan}})
    text = to_json(broken).decode()
    json.loads(text, parse_constant=pytest.fail)  # what JSON.parse of a browser takes
    assert json.loads(text)["one_step"]["model"] == {"mse": None, "skill": None}
    write_results(tmp_path, results)
    assert read_results(tmp_path) == results


def test_what_is_no_number_can_be_written_and_read_again(run: Run, dense_run: Path, tmp_path: Path) -> None:
    """Whatever was measured, however it went: a file that was just written is never damaged."""

    def broken(value: Any) -> Any:
        match value:
            case float():
                return math.nan
            case dict():
                return {key: broken(each) for key, each in value.items()}
            case list() | tuple():
                return type(value)(map(broken, value))
            case _ if is_dataclass(value) and not isinstance(value, type | TrainingFacts):
                return replace(
                    value, **{each.name: broken(getattr(value, each.name)) for each in fields(value)}
                )
            case _:
                return value

    hidden = Permanence([1], [12], {"model": [0.1]}, {"model": [0.1]})
    measured = replace(broken(replace(load(dense_run).results, permanence=hidden)), validation={})
    assert measured.calibration is not None
    write_results(tmp_path, measured)
    assert read_results(tmp_path).one_step["model"]["bits"] is None
    lost = evaluate(
        run.models, run.config.task, run.data, run.references, {"copy last": 0.1, "optimum": math.nan}
    )
    assert lost.validation == {"copy last": 0.1}


@pytest.mark.usefixtures("undrawn")
def test_a_world_of_next_to_no_noise_is_trained_and_measured(framegen: Runner, tmp_path: Path) -> None:
    small = ["--num-clips", "20", "--num-test-clips", "40", "--clips-per-epoch", "0", "--hidden-size", "4"]
    where = ["--epochs", "1", "--name", "still", "--runs-dir", tmp_path, "--data-dir", tmp_path]
    code, _, err = framegen("train", "sprites-small", "--noise", "1e-6", "--media-every", "0", *small, *where)
    assert code == 0, err
    assert "damaged" not in err
    results = read_results(tmp_path / "still")
    optimum, copying = (results.one_step[name]["mse"] or math.nan for name in ("optimum", "copy last"))
    assert 0 < optimum < copying
    assert results.one_step["model"]["skill"] is not None


@pytest.mark.usefixtures("undrawn")
def test_what_a_worlds_numbers_are_to_be_read_with_is_said_again(framegen: Runner, tmp_path: Path) -> None:
    world = ["--noise", "0.001", "--size", "4", "--reach", "1", "--name", "still"]
    code, _, err = framegen(
        "train", "drift-convgru", *world, "--patch", "1", "--clips-per-epoch", "0", *smallest(tmp_path)
    )
    assert code == 0, err
    said = "--noise 0.001: is less than a level"
    assert [line[: len(said)] for line in err.splitlines()].count(said) == 1
    code, out, err = framegen("evaluate", tmp_path / "runs" / "still")
    assert code == 0, err
    assert [line[: len(said)] for line in out.splitlines()].count(said) == 1


def test_the_device_option_is_used(framegen: Runner, small_run: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one here")
    code, _, err = framegen("evaluate", small_run, "--device", "cuda")
    assert code == 2
    assert "--device cuda" in err


def test_evaluation_never_looks_at_what_it_does_not_score(small_run: Path, data: Data) -> None:
    """Baselines are fitted on training clips alone."""
    task = checkpoint.load(small_run).config.task
    test = tensors(data.test)
    other = replace(data, test=TensorClips(255 - test.inputs, test.targets))
    frames = to_float(test.inputs)
    for (name, ours), (_, theirs) in zip(
        fit_references(task, data).items(), fit_references(task, other).items(), strict=True
    ):
        assert torch.equal(ours(frames)[0], theirs(frames)[0]), name


def test_large_frames_go_without_the_linear_models(tmp_path: Path) -> None:
    from framegen.config.tasks import Orbit

    task = Orbit(size=24, num_clips=4, num_val_clips=1, num_test_clips=1, num_frames=5)
    names = list(fit_references(task, load_data(task, tmp_path)))
    fitted = ["copy last", "mean frame", "linear, 1 frame", "linear, 2 frames", "motion"]
    assert names == [*fitted, *OBSERVERS, "optimum"]


def test_clips_that_share_frames_have_no_standard_error(tmp_path: Path) -> None:
    data = load_data(SMALL, tmp_path)
    references = fit_references(SMALL, data)
    apart, shared = (
        evaluate({0: CopyLast()}, SMALL, replace(data, overlapping=each), references)
        for each in (False, True)
    )
    for usual, other in zip(apart.parts().values(), shared.parts().values(), strict=True):
        for name, scores in usual.items():
            assert all(scores[metric] is not None for metric in ("mse_se", "skill_se")) or name == "copy last"
            assert other[name] == {m: None if m.endswith("_se") else v for m, v in scores.items()}


def test_what_another_process_works_on_is_not_measured(framegen: Runner, small_run: Path) -> None:
    with lock(small_run):
        code, _, err = framegen("evaluate", small_run)
    assert code == 1
    assert "another process trains or measures this run; wait until it has ended" in err


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
