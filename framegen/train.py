"""Training: one loop for every task and model."""

import json
import math
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from framegen import checkpoint, pictures, runs
from framegen.checkpoint import CHECKPOINT, RESUME, Progress
from framegen.config import Config, Training, to_dict
from framegen.errors import OptionError, UserError
from framegen.evaluate import Results, evaluate, one_step_errors, optimal_predictor
from framegen.files import write_text
from framegen.interrupts import Interrupts
from framegen.metrics import skill
from framegen.models import build
from framegen.models.baselines import CopyLast
from framegen.models.predictor import Predictor, detach
from framegen.progress import TrainingBar
from framegen.tasks import data_file, load_data
from framegen.tasks.clips import Data
from framegen.tracking import Mode, Tracker, resolve_mode

SMALL_MODEL = 100_000
"""Parameters below which a second CPU thread costs more than it gives."""


def train(
    config: Config,
    name: str | None = None,
    track: Mode | None = None,
    runs_dir: Path = Path("runs"),
    data_dir: Path = Path("data"),
    show: bool = True,
) -> Path:
    """Train a model and leave everything about it in a run folder.

    Args:
        config: what to train; see `framegen.experiments.EXPERIMENTS`.
        name: the run folder's name; None takes the next free one, such as "video-3".
        track: whether W&B is "online", "offline" or "disabled"; None asks WANDB_MODE, else offline.
        runs_dir, data_dir: where runs and data sets are kept; made where missing.
        show: whether to show progress on stderr.

    Returns:
        The run folder: config.json, metrics.jsonl, checkpoint.safetensors, resume.safetensors, results.json,
        figures/ and, for video, generated.gif.

    Raises:
        UserError: an option that cannot work here, a name that is taken, a damaged data file, a loss that is not
            finite, or a disk that refuses. Interrupted: SIGINT or SIGTERM came; the run is saved.
    """
    choose_device(config.training.device)
    mode = resolve_mode(track)
    run_dir = runs.create(runs_dir, config.experiment, name)
    try:
        runs.write_config(run_dir, config, mode, data_dir)
    except BaseException:
        shutil.rmtree(run_dir)
        raise
    return _run(run_dir, mode, show)


def resume(run_dir: Path, track: Mode | None = None, show: bool = True) -> Path:
    """Take up a training where it was stopped, however it was; ends in the same weights as one never stopped.

    Raises UserError where the folder holds no run, or one whose files are damaged; see `train` for the rest.
    """
    return _run(run_dir, track or runs.read_config(run_dir).track, show)


def choose_device(name: str) -> torch.device:
    """The device by its name; "auto" is a GPU where there is one. Raises OptionError where it is not at hand."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(each for each, there in available.items() if there)
    if not available[name]:
        raise OptionError(f"--device {name}: torch finds no such device here; --device auto takes what there is")
    return torch.device(name)


def _run(run_dir: Path, mode: Mode, show: bool) -> Path:
    description = runs.read_config(run_dir)
    config, data_dir = description.config, description.data_dir
    device = choose_device(config.training.device)
    fresh = not (run_dir / RESUME).exists()
    with Interrupts() as interrupts:
        try:
            data = load_data(config.task, data_dir)
            model = build(config.model, data.frame_shape, config.training.seed).to(device)
            optimizer = torch.optim.Adam(model.parameters(), lr=config.training.learning_rate, fused=True)
            progress = Progress() if fresh else checkpoint.load_progress(run_dir / RESUME, model, optimizer)
            parameters = sum(parameter.numel() for parameter in model.parameters())
            shown = {**to_dict(config), "parameters": parameters, "device": str(device)}
            tags = [type(config.task).__name__.lower(), type(config.model).__name__.lower()]
            tracker = Tracker(run_dir, mode, description.wandb_id, shown, config.experiment, tags, progress.metrics_bytes)
        except BaseException:
            if fresh:
                shutil.rmtree(run_dir)
            raise
        interrupts.advice = f"; all is saved, go on with: framegen train --resume {run_dir}"
        with tracker, _threads_for(model):
            seconds = _fit(run_dir, config, data, model, optimizer, progress, tracker, interrupts, show)
            _finish(run_dir, config, data, data_dir, model, tracker, {"parameters": parameters, "seconds": seconds})
    return run_dir


def _fit(
    run_dir: Path,
    config: Config,
    data: Data,
    model: Predictor,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    tracker: Tracker,
    interrupts: Interrupts,
    show: bool,
) -> float:
    """The loop. Saves after each epoch and when a signal comes; returns the seconds that it took."""
    training = config.training
    device = next(model.parameters()).device
    clips = data.train.to(device)
    val_references = validation_references(config, data)
    steps_per_epoch = math.ceil(len(clips) / training.batch_size)
    total_steps = training.epochs * steps_per_epoch
    step, state, saved_step = progress.step, progress.state, progress.step
    began = time.perf_counter()

    def save() -> None:
        nonlocal saved_step
        checkpoint.save(run_dir / CHECKPOINT, model, config, data.frame_shape, step)
        checkpoint.save_progress(run_dir / RESUME, model, optimizer, Progress(step, state, tracker.flush()))
        saved_step = step

    def stop_unless_finite(value: float, what: str) -> None:
        if not math.isfinite(value):
            raise UserError(
                f"{run_dir}: the {what} is {value} at step {step}; the last good checkpoint is {run_dir / CHECKPOINT}, "
                f"step {saved_step}; a smaller --learning-rate than {training.learning_rate:g} may help"
            )

    if step == 0:
        save()
    with TrainingBar(training.epochs, steps_per_epoch, step, show) as bar, interrupts.held():
        for epoch in range(step // steps_per_epoch, training.epochs):
            model.train()
            losses: list[float] = []
            made: dict[int, Tensor] = {}
            epoch_began = time.perf_counter()
            first = step % steps_per_epoch
            if first == 0:
                state = None
            for index in epoch_order(training, epoch, len(clips), data.carry_state)[first:]:
                learning_rate = learning_rate_at(training, step, total_steps)
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate
                inputs, targets = clips.batch(index.to(device))  # (B, T, C, H, W)
                predictions, state = model(inputs, state)
                state = detach(state) if data.carry_state else None
                loss = nn.functional.mse_loss(predictions, targets)
                optimizer.zero_grad()
                loss.backward()
                norm = nn.utils.clip_grad_norm_(model.parameters(), training.max_grad_norm)
                losses.append(loss.item())
                stop_unless_finite(losses[-1], "training loss")
                optimizer.step()
                step += 1
                tracker.log(step, {"train/loss": losses[-1], "train/grad_norm": norm.item(), "train/learning_rate": learning_rate})
                bar.step()
                if data.carry_state:
                    made[int(index)] = predictions.detach().cpu()
                if interrupts.received is not None and step % steps_per_epoch:
                    save()
                    interrupts.check()
            seconds = time.perf_counter() - epoch_began
            model.eval()
            mse, _ = one_step_errors(model, data.val, device)
            stop_unless_finite(mse, "validation mse")
            val_skill = skill(mse, val_references["copy last"], val_references["optimum"])
            done = {"epoch": epoch + 1, "val/mse": mse, "val/skill": val_skill}
            tracker.log(step, {**done, "train/clips_per_second": len(losses) * training.batch_size / seconds})
            if training.media_every and (epoch == 0 or (epoch + 1) % training.media_every == 0):
                _log_media(run_dir, config, data, model, tracker, step, epoch + 1, made)
            save()
            bar.epoch(epoch + 1, sum(losses) / len(losses), val_skill)
            interrupts.check()
    return time.perf_counter() - began


def epoch_order(training: Training, epoch: int, num_clips: int, in_order: bool) -> tuple[Tensor, ...]:
    """The batches of one epoch as indices of clips, (B,) each: a function of seed and epoch alone."""
    order = np.arange(num_clips) if in_order else np.random.default_rng([training.seed, epoch]).permutation(num_clips)
    return torch.from_numpy(order).split(training.batch_size)


def learning_rate_at(training: Training, step: int, total_steps: int) -> float:
    """The learning rate of step 0 … total_steps - 1 (Loshchilov and Hutter, "SGDR", 2017, eq. 5, one period)."""
    match training.schedule:
        case "constant":
            return training.learning_rate
        case "cosine":
            return training.learning_rate * 0.5 * (1 + math.cos(math.pi * step / total_steps))


def validation_references(config: Config, data: Data) -> dict[str, float]:
    """One-step mse of copying and of the optimum on the validation clips."""
    references = {"copy last": CopyLast(), "optimum": optimal_predictor(config.task)}
    return {name: one_step_errors(model, data.val)[0] for name, model in references.items()}


def _log_media(
    run_dir: Path, config: Config, data: Data, model: Predictor, tracker: Tracker, step: int, epoch: int, made: dict[int, Tensor]
) -> None:
    """A video and a film strip of the model as it is now; for a sine the windows as they were trained on."""
    folder, device = run_dir / "media", next(model.parameters()).device
    media: dict[str, Path] = {}
    if data.test_frames is not None:
        media = {"media/video": folder / f"epoch-{epoch:03}.gif", "media/filmstrip": folder / f"epoch-{epoch:03}.png"}
        pictures.write_continuations(list(media.values()), model, config, data, device)
    if data.carry_state:
        media["media/windows"] = pictures.draw_windows(run_dir / "figures" / f"windows-epoch-{epoch:03}.png", data, made)
    tracker.log_media(step, media)


def _finish(
    run_dir: Path, config: Config, data: Data, data_dir: Path, model: Predictor, tracker: Tracker, facts: dict[str, float]
) -> Results:
    """Measure the trained model on the test clips, draw it, and leave both in the run folder and in W&B."""
    device = next(model.parameters()).device
    step = config.training.epochs * math.ceil(len(data.train) / config.training.batch_size)
    results = evaluate(model, config.task, data, device)
    results = {**results, "validation": validation_references(config, data), "training": facts}
    write_text(run_dir / "results.json", json.dumps(results, indent=2))
    tracker.flush()
    figures = pictures.draw_run(run_dir, model.cpu(), config, data, results)
    media = {f"figures/{path.stem}": path for path in figures}
    if data.test_frames is not None:
        media["generated"] = run_dir / "generated.gif"
        pictures.write_continuations([media["generated"]], model, config, data, torch.device("cpu"))
    tracker.log_media(step, media)
    one_step = results["one_step"]
    tracker.log_table(
        step, "test/one_step", ["predictor", *one_step["model"]], [[name, *row.values()] for name, row in one_step.items()]
    )
    summary = {f"test/{name}": value for name, value in one_step["model"].items()}
    if results["closed_loop"] is not None:
        summary |= {
            f"test/closed_loop_{k}": v for k, v in results["closed_loop"]["predictors"]["model"].items() if k != "mse_per_horizon"
        }
    tracker.log_summary(summary)
    tracker.log_file(f"{run_dir.name}-checkpoint", "model", run_dir / CHECKPOINT)
    if (path := data_file(config.task, data_dir)) is not None:
        tracker.log_file(path.stem, "dataset", path)
    return results


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
