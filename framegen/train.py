"""Training: one loop for every task and model."""

import json
import math
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import numpy as np
import torch
from torch import Tensor

from framegen import checkpoint, fused, pictures, runs
from framegen.checkpoint import CHECKPOINT, RESUME, Place
from framegen.config import Config, Training, to_dict
from framegen.engine import TorchEngine
from framegen.errors import OptionError, UserError
from framegen.evaluate import Results, baselines, evaluate, one_step_errors
from framegen.files import write_text
from framegen.fused import FusedEngine, FusedUnavailable
from framegen.interrupts import Interrupts
from framegen.metrics import CONVENTION, median_index, skill
from framegen.models import build
from framegen.models.predictor import Predictor, State, device_of
from framegen.progress import TrainingBar, say
from framegen.run import Run
from framegen.tasks import data_file, load_data
from framegen.tasks.clips import Data
from framegen.tracking import Mode, Tracker, resolve_mode

RESULTS = "results.json"
SMALL_MODEL = 100_000
"""Parameters below which a second CPU thread costs more than it gives."""


def train(
    config: Config,
    name: str | None = None,
    track: Mode | None = None,
    runs_dir: Path = Path("runs"),
    data_dir: Path = Path("data"),
    show: bool = True,
    label: str = "",
    draw: bool = True,
) -> Path:
    """Train a model, or one for each of `config.seeds`, and leave everything about it in a run folder.

    Args:
        config: what to train; see `framegen.experiments.EXPERIMENTS`.
        name: the run folder's name; None takes the next free one, such as "video-3".
        track: whether W&B is "online", "offline" or "disabled"; None asks WANDB_MODE, else offline.
        runs_dir, data_dir: where runs and data sets are kept; made where missing.
        show: whether to show progress on stderr.
        label: what the folder's name says beside that.
        draw: whether to make the pictures of the trained model.

    Returns:
        The run folder: config.json, metrics.jsonl, checkpoint.safetensors, resume.safetensors, results.json,
        figures/ and, where the target is the next frame, generated.gif.

    Raises:
        UserError: an option that cannot work here, a name that is taken, a damaged data file, a loss that is not
            finite, or a disk that refuses. Interrupted: SIGINT or SIGTERM came; the run is saved.
    """
    choose_device(config.training.device)
    mode = resolve_mode(track)
    run_dir = runs.create(runs_dir, config.experiment + label, name and name + label)
    try:
        runs.write_config(run_dir, config, mode, data_dir)
    except BaseException:
        shutil.rmtree(run_dir)
        raise
    return _run(run_dir, mode, show, draw, created=True)


def resume(run_dir: Path, track: Mode | None = None, show: bool = True, draw: bool = True) -> Path:
    """Take up a training where it was stopped, however it was; ends in the same weights as one never stopped.

    Raises UserError where the folder holds no run, or one whose files are damaged; see `train` for the rest.
    """
    stored = runs.read_config(run_dir).track
    if (run_dir / RESULTS).exists():
        say(f"{run_dir}: is finished already; nothing was changed", show)
        return run_dir
    mode = resolve_mode(track) if track or "WANDB_MODE" in os.environ else stored
    if (run_dir / CHECKPOINT).exists() and not (run_dir / RESUME).exists():
        raise UserError(f"{run_dir / RESUME}: is missing, so the training cannot go on where it was; the checkpoint is untouched")
    for leftover in run_dir.glob(".*.tmp*"):  # half-written when the run was killed
        leftover.unlink()
    return _run(run_dir, mode, show, draw, created=False)


def choose_device(name: str) -> torch.device:
    """The device by its name; "auto" is CUDA where there is one. Raises OptionError where it is not at hand."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = "cuda" if available["cuda"] else "cpu"
    if not available[name]:
        raise OptionError(f"--device {name}: torch finds no such device here; --device auto takes what there is")
    return torch.device(name)


def choose_engine(run: Run, device: torch.device, show: bool) -> TorchEngine | FusedEngine:
    """The engine that the config asks for, "auto" being the fused one where it can train this model here.

    Raises OptionError where the fused engine is asked for and cannot be had.
    """
    training, models, clips = run.config.training, list(run.models.values()), run.data.train
    if training.engine != "torch":
        try:
            fused.check(run.model, device)
            say("engine: fused (compiled for this net and this processor)", show)
            return FusedEngine(models, clips, training, run.data.carry_state)
        except FusedUnavailable as reason:
            if training.engine == "fused":
                raise OptionError(f"--engine fused: {reason}; --engine torch trains every model") from reason
            say(f"engine: torch (the fused engine is not for this run: {reason})", show)
    return TorchEngine(models, clips.to(device), training, run.data.carry_state)


def _run(run_dir: Path, mode: Mode, show: bool, draw: bool, created: bool) -> Path:
    description = runs.read_config(run_dir)
    config, data_dir = description.config, description.data_dir
    device = choose_device(config.training.device)
    lock = _lock(run_dir)
    fresh = not (run_dir / RESUME).exists()
    with lock, Interrupts() as interrupts:
        try:
            say(f"{run_dir}: making or reading the clips, starting W&B ({mode})", show)
            data = load_data(config.task, data_dir)
            models = {seed: build(config.model, data.frame_shape, seed).to(device) for seed in config.members}
            run = Run(run_dir, config, data, models, baselines(config.task, data), config.members[0])
            engine = choose_engine(run, device, show)
            place = Place() if fresh else checkpoint.load_progress(run_dir / RESUME, engine)
            facts = {
                "parameters": sum(parameter.numel() for parameter in run.model.parameters()),
                "device": str(device),
                "engine": "fused" if isinstance(engine, FusedEngine) else "torch",
            }
            tags = [type(config.task).__name__.lower(), type(config.model).__name__.lower()]
            shown = {**to_dict(config), **facts}
            tracker = Tracker(run_dir, mode, description.wandb_id, shown, config.experiment, tags, place.metrics_bytes)
        except BaseException:
            if created:
                shutil.rmtree(run_dir)
            raise
        interrupts.advice = f"; all is saved, go on with: uv run framegen train --resume {run_dir}"
        with tracker:
            say("computing the best possible prediction of the validation clips", show)
            references = validation(run)
            with _threads_for(run.model):
                seconds = _fit(run, engine, place, references, tracker, interrupts, show)
            say("measuring every predictor on the test clips, drawing pictures", show)
            results = {**measure(run), "validation": references, "training": {**facts, "seconds": seconds}}
            _finish(run, results, data_dir, tracker, draw)
    return run_dir


def _lock(run_dir: Path) -> TextIO:
    """Keeps a second process from training the same run, as long as the file is open."""
    file = (run_dir / ".lock").open("w")
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            raise UserError(f"{run_dir}: is being trained by another process") from error
    return file


def _fit(
    run: Run,
    engine: TorchEngine | FusedEngine,
    place: Place,
    references: dict[str, float],
    tracker: Tracker,
    interrupts: Interrupts,
    show: bool,
) -> float:
    """The loop, from `place` on. Saves after each epoch and when a signal comes; returns the seconds that all steps took."""
    training, data, seeds = run.config.training, run.data, run.config.members
    step, seconds = place.step, place.seconds
    steps_per_epoch = math.ceil(len(data.train) / training.batch_size)
    saved_step, shown = step, seeds[0]

    def save() -> None:
        nonlocal saved_step
        checkpoint.save(run.folder / CHECKPOINT, run, step, shown)
        checkpoint.save_progress(run.folder / RESUME, engine, Place(step, tracker.flush(), seconds))
        saved_step = step

    def stop_unless_finite(values: Tensor, what: str) -> None:
        for seed, value in zip(seeds, values.tolist(), strict=True):
            if not math.isfinite(value):
                last_good = f"the last good checkpoint, step {saved_step}, is {run.folder / CHECKPOINT}"
                way_out = f"a smaller --learning-rate than {training.learning_rate:g} may help"
                raise UserError(f"{run.folder}: the {what} of seed {seed} is {value} at step {step + 1}; {last_good}; {way_out}")

    if step == 0:
        save()
    with TrainingBar(training.epochs, steps_per_epoch, step, show) as bar, interrupts.held():
        for epoch in range(step // steps_per_epoch, training.epochs):
            for model in engine.models:
                model.train()
            begin, first, before, total_loss = step % steps_per_epoch, step % steps_per_epoch, seconds, 0.0
            windows: dict[int, Tensor] = {}
            if begin == 0:
                engine.states = [None] * len(seeds)
            order = torch.stack([epoch_order(seed, epoch, len(data.train), data.carry_state) for seed in seeds])  # (K, N)
            while begin < steps_per_epoch:
                end = min(begin + engine.chunk, steps_per_epoch)
                if data.carry_state:  # stop where the next window is to be shown
                    end = min(end, (begin // pictures.WINDOWS_APART + 1) * pictures.WINDOWS_APART)
                    if begin % pictures.WINDOWS_APART == 0:
                        windows[begin] = _predict_window(engine.models[0], data, begin, engine.states[0])
                rates = [learning_rate_at(training, step + k, training.epochs * steps_per_epoch) for k in range(end - begin)]
                started = time.perf_counter()
                losses, norms = engine.run(order[:, begin * training.batch_size : end * training.batch_size], rates)
                seconds += time.perf_counter() - started
                good = int((losses.isfinite() & norms.isfinite()).all(1).long().cumprod(0).sum())
                for row in _rows({"train/loss": losses, "train/grad_norm": norms}, rates)[:good]:
                    step += 1
                    total_loss += row["train/loss"]
                    tracker.log(step, row)
                if good < len(rates):
                    stop_unless_finite(losses[good], "training loss")
                    stop_unless_finite(norms[good], "gradient's norm")
                bar.step(end - begin)
                begin = end
                if interrupts.received is not None and begin < steps_per_epoch:
                    save()
                    interrupts.check()
            clips_per_second = len(seeds) * (len(data.train) - first * training.batch_size) / (seconds - before)
            for model in engine.models:
                model.eval()
            mse = torch.tensor([one_step_errors(predictor, data.val)[0] for predictor in engine.predictors])
            stop_unless_finite(mse, "validation mse")
            shown = seeds[median_index(mse.tolist())]
            val_skill = torch.tensor([skill(value, references["copy last"], references["optimum"]) for value in mse.tolist()])
            row = {**_summary("val/mse", mse), **_summary("val/skill", val_skill)}
            tracker.log(step, {"epoch": epoch + 1, **row, "train/clips_per_second": clips_per_second})
            save()
            if training.media_every and (epoch == 0 or (epoch + 1) % training.media_every == 0):
                tracker.log_media(step, pictures.draw_epoch(run, epoch + 1, windows))
            bar.epoch(epoch + 1, total_loss / (steps_per_epoch - first), row["val/skill"])
            interrupts.check()
    return seconds


def _summary(name: str, values: Tensor) -> dict[str, float]:
    """A value of one net, or the mean over a population beside its standard deviation, smallest and largest."""
    return {key: column.item() for key, column in _columns(name, values.double()).items()}


def _rows(values: dict[str, Tensor], learning_rates: Sequence[float]) -> list[dict[str, float]]:
    """Rows to log, one a step, from values (steps, K)."""
    columns = {key: column.tolist() for name, each in values.items() for key, column in _columns(name, each).items()}
    columns["train/learning_rate"] = list(learning_rates)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=False)]


def _columns(name: str, values: Tensor) -> dict[str, Tensor]:
    """What is logged of values (..., K) over the members of a population."""
    if values.shape[-1] == 1:
        return {name: values[..., 0]}
    low, high = values.aminmax(dim=-1)
    return {name: values.mean(-1), f"{name}_sd": values.std(-1), f"{name}_min": low, f"{name}_max": high}


@torch.inference_mode()
def _predict_window(model: Predictor, data: Data, window: int, state: State) -> Tensor:
    """What the model says of a window of a stream just before it is trained on it: (1, T, C, H, W)."""
    inputs, _ = data.train.batch(slice(window, window + 1))
    return model(inputs.to(device_of(model)), state)[0].cpu()


def epoch_order(seed: int, epoch: int, num_clips: int, in_order: bool) -> Tensor:
    """The clips of one epoch in the order in which a net sees them, (num_clips,): a function of seed and epoch alone."""
    return torch.from_numpy(np.arange(num_clips) if in_order else np.random.default_rng([seed, epoch]).permutation(num_clips))


def learning_rate_at(training: Training, step: int, total_steps: int) -> float:
    """The learning rate of step 0 … total_steps - 1 (Loshchilov and Hutter, "SGDR", 2017, eq. 5, one period)."""
    match training.schedule:
        case "constant":
            return training.learning_rate
        case "cosine":
            return training.learning_rate * 0.5 * (1 + math.cos(math.pi * step / total_steps))


def _finish(run: Run, results: Results, data_dir: Path, tracker: Tracker, draw: bool) -> None:
    """Draw the trained model, if asked for, and leave pictures and results in the run folder and in W&B."""
    step = run.config.training.epochs * math.ceil(len(run.data.train) / run.config.training.batch_size)
    tracker.flush()
    run = replace(run, shown=results["median_seed"])
    checkpoint.save(run.folder / CHECKPOINT, run, step, run.shown)
    made = pictures.draw_run(run, results) if draw else []
    tracker.log_media(step, {f"figures/{path.stem}": path for path in made})
    one_step, loop = results["one_step"], results["closed_loop"]
    tracker.log_table(step, "test/one_step", ["predictor", *CONVENTION], [[n, *s.values()] for n, s in one_step.items()])
    parts = {"test/": "one_step"} | ({"test/closed_loop_": "closed_loop"} if loop else {})
    members = {f"{prefix}{m}": [each[part][m] for each in results["members"]] for prefix, part in parts.items() for m in CONVENTION}
    if run.config.seeds:
        rows = [list(row) for row in zip(run.config.seeds, *members.values(), strict=True)]
        tracker.log_table(step, "test/members", ["seed", *(name.removeprefix("test/") for name in members)], rows)
    tracker.log_summary({k: v for name, values in members.items() for k, v in _summary(name, torch.tensor(values)).items()})
    tracker.log_file(f"{run.folder.name}-checkpoint", "model", run.folder / CHECKPOINT)
    if (path := data_file(run.config.task, data_dir)) is not None:
        tracker.log_file(path.stem, "dataset", path)
    write_results(run, results)  # last, since a run that has them is finished


def measure(run: Run) -> Results:
    """Evaluate a run's models and its references on the test clips."""
    models = {seed: fused.compiled(model, run.config.training.engine) for seed, model in run.models.items()}
    return evaluate(models, run.config.task, run.data, run.references)


def write_results(run: Run, results: Results) -> None:
    """Write results.json."""
    write_text(run.folder / RESULTS, json.dumps(results, indent=2))


def validation(run: Run) -> dict[str, float]:
    """One-step mse of copying and of the optimum on the validation clips."""
    return {name: one_step_errors(run.references[name], run.data.val)[0] for name in ("copy last", "optimum")}


@contextmanager
def _threads_for(model: Predictor) -> Iterator[None]:
    """One CPU thread while a small model trains: handing work to a second takes longer than the work."""
    before = torch.get_num_threads()
    if sum(parameter.numel() for parameter in model.parameters()) < SMALL_MODEL:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
