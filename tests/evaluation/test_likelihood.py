"""Bits, regret and calibration: by hand, and of nets that are as sure as they should be, or are not."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import Tensor

from framegen.commands import evaluation
from framegen.commands.training import train
from framegen.config.config import Config
from framegen.config.models import Model, Recurrent
from framegen.config.tasks import Orbit
from framegen.config.training import Training
from framegen.data.clips import TensorClips
from framegen.evaluation.likelihood import closed_loop_coverage, one_step_bits, one_step_coverage
from framegen.evaluation.results import read_results
from framegen.machine.errors import OptionError
from framegen.models import build, module
from framegen.models.mixture import Mixture
from framegen.models.nets.density import LinearDensity, Net
from framegen.models.predictor import State
from framegen.models.rollout import rollout
from framegen.report.tables import print_all_metrics, print_results
from framegen.runs.run import load
from framegen.runs.tracking import Untracked
from framegen.training.feeding import bits_loss, unroll
from tests.conftest import SMALL_CONFIG, rows_of

Runner = Callable[..., tuple[int, str, str]]


class Walk(Net):
    """Says that each frame is the one before, and says how far it may go: it is right where frames go so."""

    def __init__(self, deviation: float, step: float = 0.0) -> None:
        super().__init__()
        self.deviation, self.step, self.spread = deviation, step, None

    @property
    def has_density(self) -> bool:
        return True

    def predict(self, frames: Tensor, state: State) -> tuple[Mixture, State]:
        means = torch.stack([frames + self.step, frames - self.step], 2)
        weights = torch.full((*frames.shape[:2], 2, 1, 1, 1), math.log(0.5))
        return Mixture(means, torch.full_like(means, self.deviation), weights), state


def _walks(deviation: float, step: float, clips: int = 300) -> Tensor:
    """Frames of two pixels drawn from it, (clips, 9, 1, 1, 2): many a pixel lies at 0 or 1."""
    random, net = torch.Generator().manual_seed(0), Walk(deviation, step)
    frames = torch.randint(0, 256, (clips, 1, 1, 1, 2), generator=random) / 255
    for _ in range(8):
        mixture, _ = net.density(frames[:, -1:])
        frames = torch.cat([frames, mixture.sample(random)], 1)
    return frames


@pytest.mark.parametrize("deviation", [0.2, 0.004])
def test_who_is_as_sure_as_it_should_be_is_right_as_often_as_it_says(deviation: float) -> None:
    frames = _walks(deviation, 0.1)
    clips = TensorClips(frames[:, :-1], frames[:, 1:])
    right = one_step_coverage(Walk(deviation, 0.1), clips)
    assert right.shape == (2, 8)
    torch.testing.assert_close(right.mean(1), torch.tensor([0.5, 0.9]).double(), atol=0.02, rtol=0)
    torch.testing.assert_close(right, torch.tensor([[0.5], [0.9]]).double().expand(2, 8), atol=0.09, rtol=0)
    over, under = (one_step_coverage(Walk(deviation * factor, 0.1), clips).mean(1) for factor in (0.3, 3.0))
    assert (over < right.mean(1) - 0.05)[1]
    assert (under > right.mean(1))[1]
    best = one_step_bits(Walk(deviation, 0.1), clips).mean()
    assert all(one_step_bits(Walk(deviation * f, 0.1), clips).mean() > best for f in (0.7, 1.4))


def test_futures_that_are_drawn_hold_the_truth_as_often_as_they_should() -> None:
    frames = _walks(0.1, 0.05, 32)
    right = closed_loop_coverage(Walk(0.1, 0.05), frames, 3)
    assert right.shape == (2, 6)
    torch.testing.assert_close(right.mean(1), torch.tensor([0.5, 0.9]).double(), atol=0.12, rtol=0)
    sure = closed_loop_coverage(Walk(0.02, 0.0), frames, 3)
    assert (sure.mean(1) < right.mean(1) - 0.2).all()


def test_bits_and_regret_by_hand(dense_run: Path) -> None:
    run, results = load(dense_run), read_results(dense_run)
    inputs, targets = run.data.test.batch(slice(None))
    optimum = -run.references["optimum"].log_prob(inputs, targets).double().mean(1) / math.log(2)
    assert results.one_step["optimum"]["bits"] == pytest.approx(optimum.mean().item())
    for member in results.members:
        with torch.inference_mode():
            mixture, _ = run.models[member.seed].density(inputs)
        bits = -mixture.log_prob(targets).double().mean(1) / math.log(2)  # (N,)
        regret, root = bits - optimum, math.sqrt(len(bits))
        expected = {
            "bits": bits.mean().item(),
            "bits_se": bits.std().item() / root,
            "regret": regret.mean().item(),
            "regret_se": regret.std().item() / root,
        }
        assert {name: member.one_step[name] for name in expected} == pytest.approx(expected, rel=1e-5)
        assert regret.mean() > 2 * regret.std() / root
    over_seeds = results.spread["one_step"]["regret"]
    assert over_seeds.mean == pytest.approx(
        sum(r["regret"] or 0 for r in (m.one_step for m in results.members)) / 2
    )


def test_who_says_no_more_than_a_mean_has_no_bits(dense_run: Path, small_run: Path) -> None:
    dense, plain = read_results(dense_run), read_results(small_run)
    assert {name for name, scores in dense.one_step.items() if "bits" in scores} == {"model", "optimum"}
    assert "regret" not in dense.one_step["optimum"]
    assert dense.closed_loop is not None
    assert not any("bits" in scores for scores in dense.closed_loop.predictors.values())
    assert "bits" not in plain.convention
    assert plain.calibration is None
    assert not any("bits" in scores for scores in plain.one_step.values())


def test_calibration_is_the_median_nets(dense_run: Path) -> None:
    run, results = load(dense_run), read_results(dense_run)
    calibration, data = results.calibration, run.data
    assert calibration is not None
    assert calibration.closed_loop is not None
    model = run.models[results.median_seed]
    covered = one_step_coverage(model, data.test)
    assert calibration.one_step == {
        "50": pytest.approx(covered[0].tolist()),
        "90": pytest.approx(covered[1].tolist()),
    }
    assert results.median.one_step["coverage_90"] == pytest.approx(covered[1].mean().item())
    assert data.test_frames is not None
    drawn = closed_loop_coverage(model, data.test_frames, data.context)
    assert calibration.closed_loop["50"] == pytest.approx(drawn[0].tolist())  # drawn anew: the same
    assert len(calibration.closed_loop["50"]) == 14


def test_tables_show_them(dense_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = read_results(dense_run)
    print_results(results, Console(width=80))
    shown = capsys.readouterr().out
    rows = shown[shown.index("Bits to code a frame") :].splitlines()
    (line,) = [row for row in rows if "2 seeds: mean" in row]
    spread = results.spread["one_step"]
    cells = [
        f"{spread[name].mean:.{digits}f}" for name, digits in (("bits", 2), ("regret", 2), ("coverage_90", 3))
    ]
    assert all(cell in line for cell in cells)
    assert "copy last" not in "".join(rows[: rows.index(line) + 7])
    print_all_metrics(results, Console(width=200))
    assert "coverage_90: share of pixels" in capsys.readouterr().out


def test_tracking_takes_them(dense_run: Path) -> None:
    results = read_results(dense_run)
    evaluation.log_results(results, 8, Untracked())
    assert {"bits", "regret", "coverage_50"} <= set(results.metrics("one_step"))
    assert not {"bits", "regret", "coverage_50"} & set(results.metrics("closed_loop"))


def test_a_training_by_likelihood_codes_shorter_each_epoch(dense_run: Path) -> None:
    epochs = [row for row in rows_of(dense_run) if "val/mse" in row]
    assert epochs[1]["val/bits"] < epochs[0]["val/bits"]
    run = load(dense_run)
    bits = [one_step_bits(model, run.data.val).mean().item() for model in run.models.values()]
    assert epochs[1]["val/bits"] == pytest.approx(sum(bits) / 2, rel=1e-6)
    losses = [row["train/loss"] for row in rows_of(dense_run) if "train/loss" in row]
    assert all(4 < loss < 12 for loss in losses)  # of a pixel


def test_the_loss_is_the_bits_of_a_pixel_and_closed_loop_the_mean_is_shown() -> None:
    model, clips = build(Recurrent("gru", 4, density=3), (1, 2, 2), 0), torch.rand(3, 8, 1, 2, 2)
    own = torch.zeros(3, 8, dtype=torch.bool)
    made, _ = unroll(model, model.density, clips, None, own)
    expected = -model.log_prob(clips, clips).mean() / math.log(2) / 4
    torch.testing.assert_close(bits_loss(made, clips), expected)
    own[:, 5:] = True
    made, _ = unroll(model, model.density, clips, None, own)
    torch.testing.assert_close(made.mean, model.run_on(clips[:, :5], None, 8)[0])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model": Recurrent(density=-1)}, "--density -1: must lie between 0 and 64"),
        ({"training": Training(loss="relative")}, "--loss relative: cannot be combined with --density 2"),
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, object], reason: str) -> None:
    with pytest.raises(OptionError, match=reason):
        replace(Config(Orbit(), Recurrent(density=2)), **change)  # pyright: ignore[reportArgumentType]


def test_values_that_are_no_levels_are_refused(framegen: Runner) -> None:
    code, _, err = framegen("train", "sine-next", "--density", "2")
    assert code == 2
    assert err.strip().splitlines()[-1].count("--density 2: is for pixels in [0, 1]") == 1


@dataclass(frozen=True)
class Own(Model):
    """A model of one's own."""


class OwnNet(Net):
    """By CONTRIBUTING.md: a linear map of the frame, and a head."""

    def __init__(self, config: Own, frame_shape: tuple[int, int, int]) -> None:
        super().__init__()
        pixels = math.prod(frame_shape)
        self.map = torch.nn.Linear(pixels, pixels)
        self.spread = LinearDensity(config.density, pixels, frame_shape) if config.density else None

    def predict(self, frames: Tensor, state: State) -> tuple[Tensor | Mixture, State]:
        seen = frames.flatten(2)
        return self.say(self.map(seen).view_as(frames), seen), None


def test_a_net_of_ones_own_has_bits_and_where_no_optimum_is_known_no_regret(tmp_path: Path) -> None:
    from tests.own_world import Bounce

    module.register(Own, OwnNet)
    config = Config(Bounce(), Own(density=2), replace(SMALL_CONFIG.training, batch_size=4), "bounce")
    run = train(config, "run", "disabled", tmp_path, tmp_path, show=False, draw=False)
    assert (run.results.one_step["model"]["bits"] or 0) > 0
    assert "regret" not in run.results.convention
    drawn = [*rollout(run.model, torch.rand(2, 3, 1, 5, 5), 4, torch.Generator())]
    assert [each.shape for each in drawn] == [(2, 1, 5, 5)] * 4
