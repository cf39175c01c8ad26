import json
import math
import os
import resource
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

import imageio.v3 as iio
import pytest
import torch
from safetensors.torch import load_file

from framegen.commands import evaluation, training
from framegen.config.config import Config
from framegen.config.experiments import EXPERIMENTS
from framegen.config.models import MLP, Recurrent
from framegen.config.tasks import Sine
from framegen.config.training import Engine, Training
from framegen.data.clips import TensorClips
from framegen.evaluation.references import OBSERVERS
from framegen.machine import files
from framegen.machine.errors import OptionError, UserError
from framegen.machine.interrupts import Interrupted
from framegen.models import build
from framegen.report import draw
from framegen.runs import checkpoint
from framegen.runs.run import load
from framegen.training import schedule
from framegen.training.engine import TorchEngine
from tests.conftest import SMALL, SMALL_CONFIG, needs_compiler, rows_of, tensors
from tests.forked import STOPPED, Forked

STREAM = Config(
    Sine(num_windows=6, num_val_windows=2, num_test_windows=2),
    Recurrent("lstm", 4),
    Training(epochs=2, batch_size=1, device="cpu", engine="torch"),
    "sine-lag",
)


def _train(config: Config, folder: Path, name: str = "run") -> Path:
    return training.train(
        config, name, "disabled", folder / "runs", folder / "data", show=False, draw=False
    ).folder


def _same_weights(a: Path, b: Path) -> bool:
    ours, theirs = (next(iter(checkpoint.load(run).models.values())).state_dict() for run in (a, b))
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_run_folder_holds_everything(small_run: Path) -> None:
    config = json.loads((small_run / "config.json").read_text())
    assert config["training"]["seed"] == 0
    assert torch.__version__.startswith(config["versions"]["torch"])
    assert {"commit", "uncommitted_diff", "command", "machine"} <= set(config)
    results = json.loads((small_run / "results.json").read_text())
    assert list(results["one_step"]) == [
        "model",
        "copy last",
        "mean frame",
        "linear, 1 frame",
        "linear, 2 frames",
        "linear, 4 frames",
        *OBSERVERS,
        "optimum",
    ]
    assert results["training"]["parameters"] == 79
    made = {path.name for path in (small_run / "figures").iterdir()} | {
        path.name for path in small_run.iterdir()
    }
    assert {"loss.png", "horizon.png", "filmstrip.png", "hidden.png", "spatial.png", "temporal.png"} <= made
    assert {"checkpoint.safetensors", "resume.safetensors", "metrics.jsonl", "generated.gif"} <= made
    assert not list(small_run.rglob("*.tmp*"))


def test_every_step_and_epoch_is_logged(small_run: Path) -> None:
    rows = rows_of(small_run)
    steps = [row["step"] for row in rows if "train/loss" in row]
    assert steps == list(range(1, 9))
    assert [(row["step"], row["epoch"]) for row in rows if "val/mse" in row] == [(4, 1), (8, 2)]
    for row in rows:
        assert all(math.isfinite(value) for value in row.values())


def test_the_learning_rate_follows_its_schedule() -> None:
    assert schedule.learning_rate_at(Training(learning_rate=0.4), 0, 10) == 0.4
    assert schedule.learning_rate_at(Training(learning_rate=0.4), 5, 10) == pytest.approx(0.2)
    assert schedule.learning_rate_at(Training(learning_rate=0.4), 9, 10) < 0.02
    assert schedule.learning_rate_at(Training(learning_rate=0.4, schedule="constant"), 9, 10) == 0.4


@pytest.mark.parametrize("warm_up", [4, 0.4, 0.35])
def test_a_warm_up_rises_linearly_and_leaves_the_rest_to_the_schedule(warm_up: float) -> None:
    warm, cold = (Training(learning_rate=0.4, warm_up=each) for each in (warm_up, 0))
    rates = [schedule.learning_rate_at(warm, step, 10) for step in range(10)]
    assert rates[:4] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert rates[4:] == [schedule.learning_rate_at(cold, step, 6) for step in range(6)]
    with pytest.raises(OptionError, match="--warm-up 4: --schedule one-cycle begins with a rise"):
        Training(warm_up=4, schedule="one-cycle")


def test_each_epoch_sees_every_clip_once_in_an_order_of_its_own() -> None:
    first, second = (schedule.epoch_order(0, epoch, 25, in_order=False) for epoch in (0, 1))
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(25))
    assert first.tolist() != second.tolist()
    assert schedule.epoch_order(0, 3, 25, in_order=True).tolist() == list(range(25))
    assert schedule.epoch_order(1, 0, 25, in_order=False).tolist() != first.tolist()


def test_the_same_seed_gives_the_same_bits(small_run: Path, tmp_path: Path) -> None:
    again = _train(SMALL_CONFIG, tmp_path)
    assert _same_weights(small_run, again)
    assert rows_of(small_run) == rows_of(again)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"learning_rate": 0.02},
        {"batch_size": 8},
        {"epochs": 1},
        {"schedule": "constant"},
        {"max_grad_norm": 0.01},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_training_option_has_an_effect(
    change: dict[str, object], small_run: Path, tmp_path: Path
) -> None:
    other = _train(replace(SMALL_CONFIG, training=replace(SMALL_CONFIG.training, **change)), tmp_path)
    assert not _same_weights(small_run, other)


def _engine(config: Config, carry_state: bool = False, **training: object) -> TorchEngine:
    random = torch.Generator().manual_seed(0)
    clips = TensorClips(
        torch.rand(4, 6, 1, 2, 2, generator=random) * 9, torch.rand(4, 6, 1, 2, 2, generator=random)
    )
    return TorchEngine(
        [build(config.model, (1, 2, 2), 0)], clips, replace(config.training, **training), carry_state
    )


def _step(engine: TorchEngine, clips: list[int], learning_rate: float) -> tuple[float, float]:
    losses, norms = engine.run(torch.tensor([clips]), [learning_rate])
    return losses.item(), norms.item()


def test_clipping_holds_the_gradient_to_the_norm() -> None:
    def norms(max_norm: float) -> tuple[float, float]:
        engine = _engine(SMALL_CONFIG, max_grad_norm=max_norm)
        _, before = _step(engine, [0, 1], 0.01)
        gradients = [p.grad for p in engine.models[0].parameters() if p.grad is not None]
        return before, math.sqrt(sum(gradient.square().sum().item() for gradient in gradients))

    (before, free), (same, clipped) = norms(math.inf), norms(0.05)
    assert before == same == pytest.approx(free)
    assert clipped == pytest.approx(0.05, rel=1e-4)


def test_one_step_is_adam_written_out() -> None:
    """Kingma and Ba, "Adam", 2015, algorithm 1, on the gradient that autograd gives."""
    engine, reference = _engine(SMALL_CONFIG, max_grad_norm=math.inf), build(SMALL_CONFIG.model, (1, 2, 2), 0)
    m = v = 0
    for number in (1, 2, 3):
        index = torch.tensor([number % 4, 0])
        inputs, targets = engine.clips.batch(index)
        loss = (reference(inputs)[0] - targets).square().mean()
        gradient = torch.cat(
            [g.flatten() for g in torch.autograd.grad(loss, list(reference.parameters()))]
        ).double()
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        step = 0.02 * (m / (1 - 0.9**number)) / ((v / (1 - 0.999**number)).sqrt() + 1e-8)
        weights = torch.cat([p.detach().flatten() for p in reference.parameters()]) - step.float()
        torch.nn.utils.vector_to_parameters(weights, reference.parameters())
        assert _step(engine, index.tolist(), 0.02)[0] == pytest.approx(loss.item(), rel=1e-5)
        for ours, theirs in zip(engine.models[0].parameters(), reference.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


def test_a_step_that_is_not_finite_leaves_the_weights_alone() -> None:
    engine = _engine(SMALL_CONFIG)
    before = {name: value.clone() for name, value in engine.models[0].state_dict().items()}
    tensors(engine.clips).inputs[2] = math.nan  # a target of NaN is one that is not asked for
    loss, _ = _step(engine, [1, 2], 0.01)
    assert math.isnan(loss)
    assert all(torch.equal(value, before[name]) for name, value in engine.models[0].state_dict().items())


@pytest.mark.parametrize("carry_state", [True, False])
def test_the_state_is_carried_on_only_in_a_stream(carry_state: bool) -> None:
    engine = _engine(STREAM, carry_state)
    state = None
    for number in range(3):
        inputs, _ = engine.clips.batch(torch.tensor([number]))
        with torch.no_grad():
            expected, state = engine.models[0](inputs, state if carry_state else None)
        loss = (expected - tensors(engine.clips).targets[number : number + 1]).square().mean().item()
        assert _step(engine, [number], 0.05)[0] == pytest.approx(loss, rel=1e-5)


def test_media_are_made_at_the_epochs_asked_for(tmp_path: Path) -> None:
    run = _train(
        replace(SMALL_CONFIG, training=replace(SMALL_CONFIG.training, epochs=5, media_every=2)), tmp_path
    )
    made = {path.name for path in (run / "media").iterdir()}
    assert made == {f"epoch-00{epoch}.{kind}" for epoch in (1, 2, 4) for kind in ("gif", "png")}


def test_a_stream_shows_its_windows_as_they_are_trained_on(tmp_path: Path) -> None:
    """Each third one, of the first epoch and of the last."""
    run = _train(replace(STREAM, training=replace(STREAM.training, epochs=3, media_every=2)), tmp_path)
    assert {path.name for path in (run / "figures").glob("windows*")} == {
        "windows-epoch-001.png",
        "windows-epoch-002.png",
    }
    progress = load_file(run / "resume.safetensors")
    shown = [
        int(name.removeprefix(checkpoint.SHOWN)) for name in progress if name.startswith(checkpoint.SHOWN)
    ]
    assert sorted(shown) == [0, 3, 12, 15]
    draw.animate_training(run / "training.gif", load(run), 3)
    assert len(list(iio.imiter(run / "training.gif", plugin="pillow"))) == 4
    assert (run / "training.gif").stat().st_size < 400_000 * 4 / 30


@pytest.mark.parametrize("name", ["sine-lag", "sine-next"])
def test_the_sines_are_learned_and_need_memory(name: str, tmp_path: Path) -> None:
    config = EXPERIMENTS[name]
    run = _train(replace(config, training=replace(config.training, media_every=0, device="cpu")), tmp_path)
    one_step = json.loads((run / "results.json").read_text())["one_step"]
    assert one_step["model"]["mse"] <= 1e-3
    assert one_step["linear, 1 frame"]["mse"] > 1e-2


def test_names_are_fresh_and_never_overwritten(tmp_path: Path) -> None:
    config = replace(SMALL_CONFIG, model=MLP(), training=replace(SMALL_CONFIG.training, epochs=1))
    first, second = (
        training.train(config, None, "disabled", tmp_path / "runs", tmp_path / "data", False, draw=False)
        for _ in range(2)
    )
    assert (first.folder.name, second.folder.name) == ("video-1", "video-2")
    with pytest.raises(OptionError, match="exists already"):
        _train(config, tmp_path, "video-1")
    with pytest.raises(OptionError, match="--name"):
        _train(config, tmp_path, "../x")


def test_a_missing_device_is_named_before_anything_is_made(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one here")
    with pytest.raises(OptionError, match="--device cuda"):
        _train(replace(SMALL_CONFIG, training=replace(SMALL_CONFIG.training, device="cuda")), tmp_path)
    assert not (tmp_path / "runs").exists()


def test_a_failed_start_leaves_no_run_behind(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    from framegen.data.kept import data_file

    path = data_file(SMALL, tmp_path / "data")
    path.write_bytes(b"garbage")
    with pytest.raises(UserError, match="truncated or not a safetensors file"):
        _train(SMALL_CONFIG, tmp_path)
    assert list((tmp_path / "runs").iterdir()) == []
    assert path.read_bytes() == b"garbage"


@pytest.mark.parametrize("engine", ["torch", pytest.param("fused", marks=needs_compiler)])
def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_way_back(
    engine: Engine, tmp_path: Path
) -> None:
    wild = Training(epochs=3, batch_size=10, learning_rate=1e20, media_every=0, engine=engine)
    with pytest.raises(
        UserError, match=r"(nan|inf) at step \d+.*last good checkpoint.*step \d+.*--learning-rate"
    ) as stopped:
        _train(Config(SMALL, Recurrent("relu"), wild, "video"), tmp_path)
    assert stopped.value.exit_code == 1
    model = checkpoint.load(tmp_path / "runs" / "run").models[0]
    assert all(value.isfinite().all() for value in model.state_dict().values())


def _stopped(config: Config, folder: Path, stop: str, moment: str, count: int) -> CompletedProcess[str]:
    command = [stop, moment, str(count), "train", config.experiment, "--name", "run", "--track", "disabled"]
    command += ["--runs-dir", str(folder / "runs"), "--data-dir", str(folder / "data")]
    for part in (config.task, config.model, config.training):
        default = {
            **vars(EXPERIMENTS[config.experiment].task),
            **vars(EXPERIMENTS[config.experiment].model),
            **vars(Training()),
        }
        for name, value in vars(part).items():
            if default[name] != value or name in ("epochs", "batch_size", "media_every", "engine"):
                command += [f"--{name.replace('_', '-')}", str(value)]
    return Forked(STOPPED, *command).ended()


@pytest.mark.parametrize(
    ("config", "moment", "count"),
    [
        (SMALL_CONFIG, "step", 3),  # in the first epoch
        (SMALL_CONFIG, "write", 7),  # the checkpoint after the first epoch
        (SMALL_CONFIG, "write", 8),  # what resuming needs, after the first epoch
        (STREAM, "step", 10),  # within the second epoch of a stream whose state is carried
    ],
    ids=["step", "checkpoint", "resume file", "stream"],
)
def test_killed_and_resumed_equals_never_killed(
    config: Config, moment: str, count: int, small_run: Path, tmp_path: Path
) -> None:
    reference = small_run if config is SMALL_CONFIG else _train(config, tmp_path, "reference")
    process = _stopped(config, tmp_path, "SIGKILL", moment, count)
    assert process.returncode == -signal.SIGKILL, process.stderr
    run = tmp_path / "runs" / "run"
    assert not (run / "results.json").exists()
    if (run / "checkpoint.safetensors").exists():
        checkpoint.load(run)  # whole, whatever was being written
    training.resume(run, show=False, draw=False)
    assert _same_weights(run, reference)
    assert rows_of(run) == rows_of(reference)
    ours, theirs = (json.loads((folder / "results.json").read_text()) for folder in (run, reference))
    assert ours["one_step"] == theirs["one_step"]


@pytest.mark.parametrize(
    ("stop", "config", "step"),
    [("SIGINT", SMALL_CONFIG, 6), ("SIGTERM", STREAM, 3), ("SIGHUP", SMALL_CONFIG, 5)],
)
def test_a_signal_saves_and_the_run_goes_on_from_that_step(
    stop: str, config: Config, step: int, small_run: Path, tmp_path: Path
) -> None:
    reference = small_run if config is SMALL_CONFIG else _train(config, tmp_path, "reference")
    process = _stopped(config, tmp_path, stop, "step", step)
    assert process.returncode == 128 + signal.Signals[stop], process.stderr
    assert "--resume" in process.stderr
    assert "Traceback" not in process.stderr
    run = tmp_path / "runs" / "run"
    assert len(rows_of(run)) == step
    training.resume(run, show=False, draw=False)
    assert _same_weights(run, reference)
    assert rows_of(run) == rows_of(reference)


def test_resuming_before_the_first_save_begins_anew(small_run: Path, tmp_path: Path) -> None:
    from framegen.runs.folder import create, write_config

    run = create(tmp_path / "runs", "video", "run")
    write_config(run, SMALL_CONFIG, "disabled", tmp_path / "data")
    training.resume(run, show=False, draw=False)
    assert _same_weights(run, small_run)


def test_resuming_a_finished_run_changes_nothing(tmp_path: Path) -> None:
    run = _train(SMALL_CONFIG, tmp_path)
    before = (run / "checkpoint.safetensors").read_bytes(), (run / "metrics.jsonl").read_bytes()
    training.resume(run, show=False, draw=False)
    assert before == ((run / "checkpoint.safetensors").read_bytes(), (run / "metrics.jsonl").read_bytes())


def test_a_run_that_is_evaluated_on_the_way_still_goes_on(small_run: Path, tmp_path: Path) -> None:
    process = _stopped(SMALL_CONFIG, tmp_path, "SIGKILL", "step", 6)
    assert process.returncode == -signal.SIGKILL, process.stderr
    run = tmp_path / "runs" / "run"
    evaluation.evaluate(run, device="cpu")
    assert (run / "results.json").exists()
    training.resume(run, show=False, draw=False)
    assert _same_weights(run, small_run)


def test_a_damaged_resume_file_is_named_and_left_alone(tmp_path: Path) -> None:
    run = _train(SMALL_CONFIG, tmp_path)
    (run / "results.json").unlink()
    path = run / "resume.safetensors"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(UserError, match=f"{path}.*truncated"):
        training.resume(run, show=False, draw=False)
    assert (run / "checkpoint.safetensors").exists()


def test_a_disk_that_refuses_leaves_the_last_checkpoint_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saves = 0

    def save(*arguments: object) -> None:
        nonlocal saves
        saves += 1
        if saves == 2:  # from here on, this process cannot make files longer than this
            resource.setrlimit(resource.RLIMIT_FSIZE, (600, limits[1]))
        checkpoint_save(*arguments)  # pyright: ignore[reportArgumentType]

    checkpoint_save = checkpoint.save
    monkeypatch.setattr(checkpoint, "save", save)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(UserError, match=r"checkpoint.safetensors: cannot be written"):
            _train(SMALL_CONFIG, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    run = tmp_path / "runs" / "run"
    checkpoint.load(run)
    assert not list(run.glob(".*tmp*"))
    monkeypatch.undo()
    training.resume(run, show=False, draw=False)
    assert (run / "results.json").exists()


def test_replacing_is_all_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    files.write_text(path, "old")

    def half() -> None:
        with files.replacing(path) as temporary:
            temporary.write_text("ne")
            raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match=r"file.txt: cannot be written: No space left"):
        half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_small_models_train_on_one_thread_and_the_caller_gets_its_threads_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[int] = set()
    run = TorchEngine.run

    def watched(
        self: TorchEngine, order: torch.Tensor, rates: Sequence[float]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        seen.add(torch.get_num_threads())
        return run(self, order, rates)

    monkeypatch.setattr(TorchEngine, "run", watched)
    torch.set_num_threads(2)
    try:
        _train(SMALL_CONFIG, tmp_path)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert seen == {1}


def test_a_run_without_its_resume_file_is_refused_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _train(SMALL_CONFIG, tmp_path)
    (run / "results.json").unlink()
    (run / "resume.safetensors").unlink()
    before = (run / "checkpoint.safetensors").read_bytes()
    built: list[object] = []
    monkeypatch.setattr(checkpoint, "build", lambda *given: built.append(given))
    with pytest.raises(UserError, match=r"resume.safetensors: is missing"):
        training.resume(run, show=False, draw=False)
    assert built == []  # a step is read, no model is made
    assert (run / "checkpoint.safetensors").read_bytes() == before


def test_metrics_that_were_cut_short_are_refused(tmp_path: Path) -> None:
    run = _train(SMALL_CONFIG, tmp_path)
    (run / "results.json").unlink()
    (run / "metrics.jsonl").write_bytes(b"{}\n")
    with pytest.raises(UserError, match=r"metrics.jsonl: is shorter"):
        training.resume(run, show=False, draw=False)
    assert (run / "metrics.jsonl").read_bytes() == b"{}\n"


def test_a_run_is_trained_by_one_process_at_a_time(tmp_path: Path) -> None:
    import fcntl

    run = _train(SMALL_CONFIG, tmp_path)
    (run / "results.json").unlink()
    with (run / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another process"):
            training.resume(run, show=False, draw=False)
    training.resume(run, show=False, draw=False)
    assert (run / "results.json").exists()


def test_a_signal_where_nothing_can_be_raised_is_told_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Last:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)

    def draw_run(*_: object) -> list[Path]:
        Last()
        return []

    thrown: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", thrown.append)
    monkeypatch.setattr(training, "draw_run", draw_run)
    with pytest.raises(Interrupted, match="stopped by SIGINT; all is saved"):
        training.train(SMALL_CONFIG, "run", "disabled", tmp_path, tmp_path, show=False)
    assert thrown == []
    assert (tmp_path / "run" / "results.json").exists()
    assert sys.unraisablehook == thrown.append
