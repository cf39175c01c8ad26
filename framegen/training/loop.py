"""Training: one loop for every task and model."""

import math
import time
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from framegen.data import sine
from framegen.data.clips import Data
from framegen.errors import OptionError, UserError
from framegen.evaluation.metrics import median_index, over_members, skill
from framegen.evaluation.scores import one_step_errors
from framegen.models import fused
from framegen.models.device import choose_device
from framegen.models.kernels.build import FusedUnavailable
from framegen.models.predictor import Predictor, State, device_of
from framegen.progress import TrainingBar, say
from framegen.report import draw
from framegen.runs import checkpoint
from framegen.runs.checkpoint import CHECKPOINT, RESUME, Place
from framegen.runs.folder import Run
from framegen.runs.tracking import Tracker
from framegen.training.engine import TorchEngine
from framegen.training.fused import FusedEngine
from framegen.training.interrupts import Interrupts
from framegen.training.schedule import epoch_order, learning_rate_at


def choose_engine(run: Run, show: bool) -> TorchEngine | FusedEngine:
    """The engine and the device that the config asks for; "auto" takes the fused one where it can train this model here.

    Raises OptionError where the fused engine is asked for and cannot be had.
    """
    training, models, clips = run.config.training, list(run.models.values()), run.data.train
    device = choose_device(training.device)
    if training.engine != "torch":
        try:
            fused.check(
                run.model, torch.device("cpu") if training.device == "auto" else device, training.engine
            )
            together = f", {len(models)} nets at once" * (len(models) > 1)
            say(f"engine: fused (compiled for this net and this processor{together})", show)
            return FusedEngine(models, clips, training, run.data.carry_state)
        except FusedUnavailable as reason:
            if training.engine == "fused":
                raise OptionError(f"--engine fused: {reason}; --engine torch trains every model") from reason
            say(f"engine: torch (the fused engine is not for this run: {reason})", show)
    return TorchEngine(
        [model.to(device) for model in models], clips.to(device), training, run.data.carry_state
    )


def fit(
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
                raise UserError(
                    f"{run.folder}: the {what} of seed {seed} is {value} at step {step + 1}; {last_good}; {way_out}"
                )

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
            order = torch.stack(
                [epoch_order(seed, epoch, len(data.train), data.carry_state) for seed in seeds]
            )  # (K, N)
            while begin < steps_per_epoch:
                end = min(begin + engine.chunk, steps_per_epoch)
                if data.carry_state:  # stop where the next window is to be shown
                    end = min(end, (begin // sine.WINDOWS_APART + 1) * sine.WINDOWS_APART)
                    if begin % sine.WINDOWS_APART == 0:
                        windows[begin] = _predict_window(engine.models[0], data, begin, engine.states[0])
                rates = [
                    learning_rate_at(training, step + k, training.epochs * steps_per_epoch)
                    for k in range(end - begin)
                ]
                started = time.perf_counter()
                losses, norms = engine.run(
                    order[:, begin * training.batch_size : end * training.batch_size], rates
                )
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
            clips_per_second = (
                len(seeds) * (len(data.train) - first * training.batch_size) / (seconds - before)
            )
            for model in engine.models:
                model.eval()
            mse = torch.tensor(
                [one_step_errors(each, data.val)[0] for each in engine.predictors], dtype=torch.float64
            )
            stop_unless_finite(mse, "validation mse")
            shown = seeds[median_index(mse.tolist())]
            val_skill = torch.tensor(
                [skill(value, references["copy last"], references["optimum"]) for value in mse.tolist()]
            )
            row = over_members("val/mse", mse) | over_members("val/skill", val_skill)
            row = {name: value.item() for name, value in row.items()}
            tracker.log(step, {"epoch": epoch + 1, **row, "train/clips_per_second": clips_per_second})
            save()
            if training.media_every and (epoch == 0 or (epoch + 1) % training.media_every == 0):
                tracker.log_media(step, draw.draw_epoch(run, epoch + 1, windows))
            bar.epoch(epoch + 1, total_loss / (steps_per_epoch - first), row["val/skill"])
            interrupts.check()
    return seconds


def _rows(values: dict[str, Tensor], learning_rates: Sequence[float]) -> list[dict[str, float]]:
    """Rows to log, one a step, from values (steps, K)."""
    columns = {
        key: column.tolist()
        for name, each in values.items()
        for key, column in over_members(name, each).items()
    }
    columns["train/learning_rate"] = list(learning_rates)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


@torch.inference_mode()
def _predict_window(model: Predictor, data: Data, window: int, state: State) -> Tensor:
    """What the model says of a window of a stream just before it is trained on it: (1, T, C, H, W)."""
    inputs, _ = data.train.batch(slice(window, window + 1))
    return model(inputs.to(device_of(model)), state)[0].cpu()
