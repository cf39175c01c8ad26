"""Any module of torch's is measured as a run is."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import framegen
from tests.conftest import SMALL, SMALL_CONFIG


class Copy(nn.Module):
    """Says in eval mode what it sees, and else nothing of use."""

    def forward(self, frames: Tensor) -> Tensor:
        return torch.rand_like(frames) if self.training else frames


class Mean(nn.Module):
    """The mean of the frames so far, which it carries with their number."""

    def forward(
        self, frames: Tensor, state: tuple[Tensor, int] | None = None
    ) -> tuple[Tensor, tuple[Tensor, int]]:
        total, count = (0.0, 0) if state is None else state
        totals = total + frames.cumsum(1)
        counts = torch.arange(count + 1, count + frames.shape[1] + 1)[:, None, None, None]
        return totals / counts, (totals[:, -1:], count + frames.shape[1])


class Short(nn.Module):
    def forward(self, frames: Tensor) -> Tensor:
        return frames[:, 1:]


def test_a_runs_net_is_measured_as_its_run(small_run: Path, places: tuple[Path, Path]) -> None:
    run = framegen.load(small_run)
    results = framegen.evaluate(run.model, run.config, data_dir=places[1])
    for part in ("one_step", "closed_loop"):
        found, expected = (each.values(part, "mse") for each in (results, run.results))
        assert found == pytest.approx(expected, rel=1e-6)
    assert results.one_step["optimum"] == run.results.one_step["optimum"]


def test_a_module_that_returns_a_tensor_has_no_state(places: tuple[Path, Path]) -> None:
    module = Copy()
    results = framegen.evaluate(module, SMALL, data_dir=places[1])
    assert results.one_step["model"] == results.one_step["copy last"]
    assert results.closed_loop is not None
    assert results.closed_loop.predictors["model"] == results.closed_loop.predictors["copy last"]
    assert module.training


def test_a_module_with_a_state_carries_it(places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(framegen.EXPERIMENTS, "video", replace(SMALL_CONFIG, experiment="video"))
    results = framegen.evaluate(Mean(), "video", data_dir=places[1])
    assert results.closed_loop is not None
    mse = results.closed_loop.predictors["model"]["mse"]
    data = framegen.load_data(SMALL, places[1])
    assert data.test_frames is not None
    frames = data.test_frames.float() / 255
    mean = frames[:, : data.context].mean(1, keepdim=True)  # and so it stays
    assert mse == pytest.approx((frames[:, data.context :] - mean).square().mean().item(), rel=1e-5)


def test_predictions_of_another_shape_are_told(places: tuple[Path, Path]) -> None:
    with pytest.raises(framegen.UserError, match=r"Short: returns \(6, 22, 1, 2, 2\) for frames of \(6, 23"):
        framegen.evaluate(Short(), SMALL, data_dir=places[1])
