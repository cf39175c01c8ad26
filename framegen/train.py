"""Training: one loop for every task and model."""

import math
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from framegen import checkpoint, fused, pictures, runs
from framegen.checkpoint import CHECKPOINT, RESUME, Place
from framegen.config import Config, Training, to_dict
from framegen.engine import TorchEngine, choose_device, threads_for
from framegen.errors import OptionError, UserError
from framegen.evaluate import Results, baselines, one_step_errors
from framegen.fused import FusedEngine, FusedUnavailable
from framegen.interrupts import Interrupts
from framegen.metrics import median_index, skill
from framegen.models import build
from framegen.models.predictor import Predictor, State, device_of, num_parameters
from framegen.progress import TrainingBar, say
from framegen.results import finished, log_results, measure, over_members, validation, write_results
from framegen.run import Run
from framegen.tasks import data_file, load_data
from framegen.tasks.clips import Data
from framegen.tracking import Mode, Tracker, resolve_mode


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
    if finished(run_dir):
        say(f"{run_dir}: is finished already; nothing was changed", show)
        return run_dir
    mode = resolve_mode(track) if track or "WANDB_MODE" in os.environ else stored
    if (run_dir / CHECKPOINT).exists() and not (run_dir / RESUME).exists():
        raise UserError(f"{run_dir / RESUME}: is missing, so the training cannot go on where it was; the checkpoint is untouched")
    return _run(run_dir, mode, show, draw, created=False)


def choose_engine(run: Run, show: bool) -> TorchEngine | FusedEngine:
    """The engine and the device that the config asks for; "auto" takes the fused one where it can train this model here.

    Raises OptionError where the fused engine is asked for and cannot be had.
    """
    training, models, clips = run.config.training, list(run.models.values()), run.data.train
    device = choose_device(training.device)
    if training.engine != "torch":
        try:
            fused.check(run.model, torch.device("cpu") if training.device == "auto" else device, training.engine)
            together = f", {len(models)} nets at once" * (len(models) > 1)
            say(f"engine: fused (compiled for this net and this processor{together})", show)
            return FusedEngine(models, clips, training, run.data.carry_state)
        except FusedUnavailable as reason:
            if training.engine == "fused":
                raise OptionError(f"--engine fused: {reason}; --engine torch trains every model") from reason
            say(f"engine: torch (the fused engine is not for this run: {reason})", show)
    return TorchEngine([model.to(device) for model in models], clips.to(device), training, run.data.carry_state)


def _run(run_dir: Path, mode: Mode, show: bool, draw: bool, created: bool) -> Path:
    description = runs.read_config(run_dir)
    config, data_dir = description.config, description.data_dir
    lock = runs.lock(run_dir)
    for leftover in run_dir.glob(".*.tmp*"):  # half-written when the run was killed
        leftover.unlink(missing_ok=True)
    fresh = not (run_dir / RESUME).exists()
    with lock, Interrupts() as interrupts:
        try:
            say(f"{run_dir}: making or reading the clips, starting W&B ({mode})", show)
            data = load_data(config.task, data_dir)
            models = {seed: build(config.model, data.frame_shape, seed) for seed in config.members}
            run = Run(run_dir, config, data, models, baselines(config.task, data), config.members[0])
            engine = choose_engine(run, show)
            place = Place() if fresh else checkpoint.load_progress(run_dir / RESUME, engine)
            facts = {
                "parameters": num_parameters(run.model),
                "device": str(engine.device),
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
            with threads_for(run.model):
                seconds = _fit(run, engine, place, references, tracker, interrupts, show)
            say("measuring every predictor on the test clips, drawing pictures", show)
            results = {**measure(run), "validation": references, "training": {**facts, "seconds": seconds}}
            _finish(run, results, data_dir, tracker, draw)
    return run_dir


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
        checkpoint.save(run.folder / CHECKPOINT, replace(run, shown=shown), step)
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
                finite = (losses.isfinite() & norms.isfinite()).all(1).tolist()  # (steps,)
                for k, row in enumerate(_rows({"train/loss": losses, "train/grad_norm": norms}, rates)):
                    if not finite[k]:
                        stop_unless_finite(losses[k], "training loss")
                        stop_unless_finite(norms[k], "gradient's norm")
                    step += 1
                    total_loss += row["train/loss"]
                    tracker.log(step, row)
                bar.step(end - begin)
                begin = end
                if interrupts.received is not None and begin < steps_per_epoch:
                    save()
                    interrupts.check()
            clips_per_second = len(seeds) * (len(data.train) - first * training.batch_size) / (seconds - before)
            for model in engine.models:
                model.eval()
            mse = torch.tensor([one_step_errors(each, data.val)[0] for each in engine.predictors], dtype=torch.float64)
            stop_unless_finite(mse, "validation mse")
            shown = seeds[median_index(mse.tolist())]
            val_skill = torch.tensor([skill(value, references["copy last"], references["optimum"]) for value in mse.tolist()])
            row = over_members("val/mse", mse) | over_members("val/skill", val_skill)
            row = {name: value.item() for name, value in row.items()}
            tracker.log(step, {"epoch": epoch + 1, **row, "train/clips_per_second": clips_per_second})
            save()
            if training.media_every and (epoch == 0 or (epoch + 1) % training.media_every == 0):
                tracker.log_media(step, pictures.draw_epoch(run, epoch + 1, windows))
            bar.epoch(epoch + 1, total_loss / (steps_per_epoch - first), row["val/skill"])
            interrupts.check()
    return seconds


def _rows(values: dict[str, Tensor], learning_rates: Sequence[float]) -> list[dict[str, float]]:
    """Rows to log, one a step, from values (steps, K)."""
    columns = {key: column.tolist() for name, each in values.items() for key, column in over_members(name, each).items()}
    columns["train/learning_rate"] = list(learning_rates)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


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
    checkpoint.save(run.folder / CHECKPOINT, run, step)
    made = pictures.draw_run(run, results) if draw else []
    tracker.log_media(step, {f"figures/{path.stem}": path for path in made})
    log_results(results, step, tracker)
    tracker.log_file(f"{run.folder.name}-checkpoint", "model", run.folder / CHECKPOINT)
    if (path := data_file(run.config.task, data_dir)) is not None:
        tracker.log_file(path.stem, "dataset", path)
    write_results(run, results)  # last, since a run that has them is finished
