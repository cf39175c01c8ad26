"""Everything that computes on a GPU gives what the CPU gives: walked on a GPU that is none, which sees where
devices are mixed, and where there is a real one on that too (`pytest -m cuda`)."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import framegen
from framegen.commands.continuing import continue_film
from framegen.commands.evaluation import measure
from framegen.commands.training import Enough, resume
from framegen.config.config import Config
from framegen.config.models import MLP, ConvRecurrent, Model, Recurrent
from framegen.config.tasks import Orbit
from framegen.config.training import Training
from framegen.data.loading import load_data
from framegen.models import build
from framegen.runs.run import Run, load
from framegen.training.engine import TorchEngine
from framegen.training.loop import Epoch
from tests import fakecuda
from tests.conftest import rows_of, tensors
from tests.data.films import encode, scene

REAL = torch.cuda.is_available()
SMALL = Orbit(num_clips=12, num_val_clips=2, num_test_clips=2, num_frames=8)
SHORT = Training(epochs=2, batch_size=6, media_every=0, engine="torch")
FED: dict[str, Any] = {"loss": "relative", "input_noise": 0.1, "ema": 0.9, "accumulate": 2, "keep": "best"}


@pytest.fixture(
    params=[
        "fake",
        pytest.param("real", marks=[pytest.mark.cuda, pytest.mark.skipif(not REAL, reason="no GPU is here")]),
    ]
)
def near(request: pytest.FixtureRequest) -> Iterator[float]:
    """With a GPU at hand, how near its numbers must come to the CPU's: TF32 has 10 bits."""
    fake = request.param == "fake"
    with fakecuda.fake_gpu() if fake else nullcontext():
        yield 1e-3 if fake else 0.1


def _train(config: Config, places: Path, device: Any, **more: Any) -> Run:
    config = replace(config, training=replace(config.training, device=device))
    return framegen.train(config, device, "disabled", places, places / "data", False, draw=False, **more)


def _same(ours: Path, theirs: Path, near: float) -> None:
    for our, their in zip(rows_of(ours), rows_of(theirs), strict=True):
        assert our == pytest.approx(their, rel=near, abs=near)


@pytest.mark.parametrize(
    ("model", "options", "seeds"),
    [
        (Recurrent("gru", 3), {"closed_loop": 3, **FED}, (0, 1)),
        (Recurrent("lstm", 3, 2), {"sampling": "scheduled"}, ()),
        (Recurrent("mingru", 3, density=2), {}, ()),
        (MLP(3), {}, ()),
    ],
    ids=["population", "sampling", "density", "memoryless"],
)
def test_training_evaluating_and_generating(
    model: Model, options: dict[str, Any], seeds: tuple[int, ...], near: float, tmp_path: Path
) -> None:
    config = Config(SMALL, model, replace(SHORT, **options), "video", seeds)
    runs = [_train(config, tmp_path, device) for device in ("cpu", "cuda")]
    _same(runs[0].folder, runs[1].folder, near)
    measured = [measure(load(runs[0].folder, device))[0].one_step["model"] for device in ("cpu", "cuda")]
    assert measured[0] == pytest.approx(measured[1], rel=near, abs=near)
    sample: dict[str, Any] = {"sample": True, "futures": 2} if model.density else {}
    for device in ("cpu", "cuda"):
        out = tmp_path / f"{device}.npy"
        framegen.generate(runs[0].folder, 3, out, device=device, **sample)
    made = [np.load(tmp_path / f"{device}.npy") for device in ("cpu", "cuda")]
    np.testing.assert_allclose(made[0], made[1], atol=near)


def test_convolving_with_pictures_and_going_on_after_a_stop(near: float, tmp_path: Path) -> None:
    def stop(epoch: Epoch) -> None:
        raise Enough

    model = ConvRecurrent("convgru", 2, 1, 3, 2, "motion")
    config = Config(replace(SMALL, size=8), model, replace(SHORT, media_every=1), "video")
    whole = _train(config, tmp_path, "cpu")
    stopped = _train(config, tmp_path, "cuda", on_epoch=stop)
    resume(stopped.folder, show=False, draw=False)
    _same(whole.folder, stopped.folder, near)


def test_a_film_and_its_continuation(near: float, tmp_path: Path) -> None:
    film = encode(tmp_path / "film.mp4", np.concatenate([scene(seed, 14, (16, 16)) for seed in range(4)]))
    made = []
    for device in ("cpu", "cuda"):
        run = framegen.train_on(
            film, None, 16, runs_dir=tmp_path / device, data_dir=tmp_path / "data", track="disabled",
            show=False, device=device, epochs=1, clips_per_epoch=4, num_frames=6, context=3, hidden_size=2,
            batch_size=4,
        )  # fmt: skip
        made.append(continue_film(run, film, seconds=0.2).cpu())
    torch.testing.assert_close(*made, rtol=0, atol=near)


def test_where_a_gpu_trains_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    resets: list[object] = []
    config = Config(SMALL, Recurrent(), SHORT, "video")
    with fakecuda.fake_gpu():
        monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", resets.append)
        run = framegen.train(
            config, "run", "disabled", tmp_path, tmp_path / "data", draw=False, device="cuda", minutes=0.01
        )
        assert torch.get_float32_matmul_precision() == "high"
    said = capsys.readouterr().err
    assert "3.0 GB of the GPU's memory" in said
    assert "on the GPU that is none, float32, TF32 where matrices are multiplied" in said
    assert len(resets) == 2  # the steps that were timed hold memory too
    facts = run.results.training
    assert facts is not None
    assert (facts.device, facts.tf32, facts.peak_memory) == ("cuda", True, 3 * 10**9)


@pytest.mark.parametrize("model", [Recurrent("gru", 3), Recurrent(density=2)], ids=["mse", "density"])
def test_the_cpu_waits_once_a_step(model: Model, tmp_path: Path) -> None:
    options: dict[str, Any] = {"input_noise": 0.1, "ema": 0.9, "accumulate": 2}
    training = replace(SHORT, sampling="scheduled", loss="mse" if model.density else "relative", **options)
    data = load_data(SMALL, tmp_path)
    order = torch.arange(12).expand(2, -1)
    with fakecuda.fake_gpu():
        nets = [build(model, data.frame_shape, seed).to(fakecuda.CUDA) for seed in (0, 1)]
        clips = tensors(data.train).to(fakecuda.CUDA)
        engine = TorchEngine(nets, clips, training, False, (0, 1))
        fakecuda.waits.clear()
        engine.run(order, [0.01, 0.01])
    assert len(fakecuda.waits) == 2, fakecuda.waits
