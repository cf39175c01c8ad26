"""What is measured of frames that are pictures, and in how much memory."""

import math
import weakref
from pathlib import Path

import pytest
import torch
from torch import Tensor

from framegen.config.tasks import Orbit
from framegen.data import clips as clips_module
from framegen.data.clips import Data, TensorClips, chunks, to_float
from framegen.data.loading import load_data
from framegen.evaluation.clip_errors import closed_loop_errors, mean_square, one_step_errors
from framegen.evaluation.image_quality import (
    PICTURES,
    measure_pictures,
    picture_scores,
    ssim,
    ssim_literature,
)
from framegen.evaluation.references import OBSERVERS, fit_references
from framegen.evaluation.results import Results
from framegen.evaluation.scores import evaluate
from framegen.models.baselines import CopyLast
from framegen.models.predictor import Predictor, State
from framegen.models.rollout import generate
from tests.conftest import tensors

UNIT = (0.0, 1.0)
TASK = Orbit(size=16, num_clips=6, num_val_clips=2, num_test_clips=3, num_frames=14)


@pytest.fixture(scope="session")
def data(places: tuple[Path, Path]) -> Data:
    return load_data(TASK, places[1])


@pytest.fixture(scope="module")
def results(data: Data) -> Results:
    return evaluate({0: CopyLast()}, TASK, data, fit_references(TASK, data))


def _scores(made: Tensor, true: Tensor, made_before: Tensor, true_before: Tensor) -> dict[str, float | None]:
    return picture_scores(measure_pictures((made, true), (made_before, true_before), UNIT))


def test_by_hand() -> None:
    before = torch.zeros(1, 1, 12, 12)
    true = torch.arange(12.0).expand(1, 1, 12, 12) / 20  # its gradient is 1/20 everywhere
    scores = _scores(true, true, before, before)
    assert scores == pytest.approx(dict.fromkeys(PICTURES, 1.0) | {"mse_frame": 0, "mae_frame": 0}, abs=1e-6)
    scores = _scores(true / 2 + 0.1, true, true / 2 + 0.1, before)
    assert scores["motion_ratio"] == 0  # frozen
    assert scores["sharpness_ratio"] == pytest.approx(0.5)  # blurred
    error = 0.1 - true / 2
    assert scores["mae_frame"] == pytest.approx(error.abs().sum().item())
    assert scores["mse_frame"] == pytest.approx(error.square().sum().item())


def test_a_share_of_nothing_is_no_number() -> None:
    still = torch.full((2, 3, 12, 12), 0.5)
    scores = _scores(still, still, still, still)
    assert scores["motion_ratio"] is None
    assert scores["sharpness_ratio"] is None
    assert scores["ssim"] == pytest.approx(1)
    broken = _scores(still * math.nan, still, still, still)
    assert set(broken.values()) == {None}


def test_a_range_is_brought_to_that_of_ssim_and_what_lies_outside_is_clipped() -> None:
    made, true = torch.rand(2, 4, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    narrow = measure_pictures((made, true), (true, true), UNIT)
    wide = measure_pictures((made * 2 - 1, true * 2 - 1), (true * 2 - 1, true * 2 - 1), (-1.0, 1.0))
    for name, values in narrow.items():
        torch.testing.assert_close(
            wide[name], values * {"mse_frame": 4, "mae_frame": 2}.get(name, 1), atol=1e-5, rtol=1e-5
        )
    outside = measure_pictures((made + (made > 0.5) * 9, true), (true, true), UNIT)
    clipped = measure_pictures(((made + (made > 0.5) * 9).clamp(0, 1), true), (true, true), UNIT)
    assert torch.equal(outside["ssim"], clipped["ssim"])
    assert (outside["mse_frame"] > clipped["mse_frame"]).all()


def test_results_hold_them_for_every_predictor_and_horizon(results: Results, data: Data) -> None:
    assert set(PICTURES) < set(results.convention)
    assert list(results.one_step) == [
        *("model", "copy last", "mean frame", "linear, 1 frame", "linear, 2 frames", "linear, 4 frames"),
        *("motion", *OBSERVERS, "optimum"),
    ]
    for part in results.parts().values():
        for name, scores in part.items():
            assert set(scores) | {"excess", "excess_se"} == set(results.convention)
            assert scores["mse_frame"] == pytest.approx((scores["mse"] or 0) * 256)
            assert scores["mae_frame"] == pytest.approx((scores["mae"] or 0) * 256)
            assert (scores["motion_ratio"] == 0) == (name in ("model", "copy last"))
    loop = results.closed_loop
    assert loop is not None
    assert data.test_frames is not None
    prompt, truth = to_float(data.test_frames).split([loop.context, loop.horizon], 1)
    made = generate(fit_references(TASK, data)["optimum"], prompt, loop.horizon)
    curves = loop.per_horizon["optimum"]
    assert curves["ssim"] == pytest.approx(ssim(made, truth).mean(0).tolist(), abs=1e-6)
    assert curves["ssim_literature"] == pytest.approx(ssim_literature(made, truth).mean(0).tolist(), abs=1e-6)
    moved, truly = made.diff(dim=1).abs().mean((0, 2, 3, 4)), truth.diff(dim=1).abs().mean((0, 2, 3, 4))
    assert curves["motion_ratio"][1:] == pytest.approx((moved / truly).tolist(), rel=1e-4)


def test_one_step_ahead_they_are_of_the_scored_steps() -> None:
    inputs, targets = torch.rand(2, 5, 4, 1, 12, 12, generator=torch.Generator().manual_seed(1))
    found = one_step_errors(CopyLast(), TensorClips(inputs, targets, burn_in=1), UNIT)
    expected = ssim(inputs[:, 1:], targets[:, 1:])
    torch.testing.assert_close(found["ssim"], expected.double())
    assert "ssim" not in one_step_errors(CopyLast(), TensorClips(inputs, targets))


class Watched(Predictor):
    """Copies, and counts how many of its predictions are still held, and how many clips it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[weakref.ref[Tensor]] = []
        self.held = self.clips = 0

    def forward(self, frames: Tensor, state: State = None) -> tuple[Tensor, State]:
        self.held = max(self.held, sum(each() is not None for each in self.made))
        self.clips = max(self.clips, len(frames))
        predictions = frames.clone()
        self.made.append(weakref.ref(predictions))
        return predictions, None


def test_a_rollout_is_measured_frame_by_frame() -> None:
    model = Watched()
    closed_loop_errors(model, torch.rand(2, 40, 1, 12, 12), 4, UNIT)
    assert len(model.made) == 36
    assert model.held <= 3


def test_few_large_clips_are_looked_at_at_once(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    assert clips_module.chunk_size((50, 1, 2, 2)) == 100
    assert 1 < clips_module.chunk_size((20, 3, 64, 64)) < 20
    assert clips_module.chunk_size((20, 3, 2000, 2000)) == 1
    assert data.test_frames is not None
    clips = tensors(data.train)

    def measured() -> tuple[int, float, Tensor, Tensor]:
        model = Watched()
        one_step = one_step_errors(model, clips, UNIT)["ssim"]
        loop = closed_loop_errors(model, data.train.batch(slice(None))[0], 4)["squared"]
        return model.clips, mean_square(model, clips), one_step, loop

    whole = measured()
    monkeypatch.setattr(clips_module, "CHUNK_BYTES", 4 * 13 * 256 * 2)
    few = measured()
    assert (whole[0], few[0]) == (6, 2)
    assert few[1] == pytest.approx(whole[1])
    for ours, theirs in zip(few[2:], whole[2:], strict=True):
        torch.testing.assert_close(ours, theirs)
    assert torch.equal(torch.cat([inputs for inputs, _ in chunks(clips)]), clips.batch(slice(None))[0])
