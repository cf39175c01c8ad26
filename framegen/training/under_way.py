"""A training under way, and how it is kept on disk."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from framegen.config.config import Config
from framegen.data.clips import Data
from framegen.evaluation.clip_errors import mean_square
from framegen.evaluation.references import COPY_LAST
from framegen.evaluation.results import Kept, TrainingFacts
from framegen.machine.device import peak_memory
from framegen.machine.errors import OptionError, UserError
from framegen.machine.interrupts import Interrupted, Interrupts
from framegen.machine.plugins import command
from framegen.machine.progress import count_of, say
from framegen.models.baselines import CopyLast
from framegen.models.parameters import load_weights, stack
from framegen.runs import checkpoint
from framegen.runs.checkpoint import CHECKPOINT, RESUME, SHOWN, About, Place
from framegen.runs.metrics import METRICS, MetricsFiles, Row, finite
from framegen.runs.tracking import Tracker
from framegen.training.base import Engine, part_of
from framegen.training.ranks import Lost, agree, current
from framegen.training.schedule import clips_per_epoch, steps_per_epoch, total_steps

CHOSEN_BY = ("mse", "epoch", "lowest")
"""Numbers stored beside the best weights; see `OngoingTraining.best`."""


@dataclass
class OngoingTraining:
    """A training under way: what does not change, and where it stands."""

    folder: Path
    config: Config
    data: Data
    references: Mapping[str, float]
    """Validation mse of copy last and, where it is known, of the optimum."""
    engine: Engine
    metrics: MetricsFiles
    tracker: Tracker
    interrupts: Interrupts
    place: Place
    losses: Tensor
    """(K,) float64: sum over this epoch's steps so far."""
    windows: dict[int, Tensor] = field(default_factory=dict)
    """As in `Epoch`, so far."""
    best: dict[str, Tensor] = field(default_factory=dict)
    """Each member's best weights on validation, (K, …) by name; their "mse" and "epoch", and
    the "lowest" mse of all epochs, (K,)."""
    saved_step: int = 0
    clock: Callable[[], float] = time.perf_counter
    """Seconds, by which --minutes are kept."""
    counted: float = 0.0
    """Up to when on the clock the time is in `place.spent`."""

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the whole training; with --minutes as foreseen now."""
        return self.place.planned or total_steps(self.config, self.data)

    def count_time(self) -> None:
        """Add to the time that is spent what has passed since it was counted last."""
        now = self.clock()
        self.move(spent=agree(self.place.spent + now - self.counted))
        self.counted = now

    @contextmanager
    def held(self) -> Iterator[None]:
        """Signals wait for `stop_if_told`. Where another process ends, rank 0 tells what is saved."""
        try:
            with self.interrupts.held():
                yield
        except Lost as lost:
            if current().rank > 0:
                raise
            saved = f"step {self.saved_step} is saved, go on from there with"
            way_out = command("train", "--resume", self.folder)
            raise UserError(f"{self.folder}: {lost}; {saved}: {way_out}") from lost

    def stop_if_told(self, save: bool) -> None:
        """Raise `Interrupted` where a signal has come, saved first where that is to be done; or end the
        training here, where it says that it is enough."""
        self.end_if_enough()
        if number := int(agree(self.interrupts.received or 0)):
            if save:
                self.save()
            raise Interrupted(number, self.interrupts.advice)

    def end_if_enough(self) -> None:
        """Where a signal says that it is enough, the step taken last is the whole training's last."""
        if agree(self.interrupts.is_enough()):
            self.end("told to stop", current().rank == 0)

    def end_if_stalled(self, epoch: int, show: bool) -> None:
        """The same where no member has become better on validation for long."""
        patience = self.config.training.patience
        if self.best and 0 < patience <= epoch - int(self.best["epoch"].max()):
            self.end(f"none of {count_of(patience, 'epoch')} in a row was better on validation", show)

    def end(self, why: str, show: bool) -> None:
        """End the training here, and say why, unless it was at its end."""
        if self.place.step < self.total_steps:
            self.move(planned=self.place.step)
            ends = f"the training ends after {count_of(self.place.step, 'step')}"
            say(f"{why}: {ends}; the best weights so far are measured and kept", show)

    def move(self, **changes: object) -> None:
        """Change where it stands."""
        self.place = replace(self.place, **changes)

    def log(self, step: int, values: Mapping[str, float]) -> Row:
        """Write and track a row of values of an optimizer step; one that is not finite is left out."""
        row = self.metrics.add(METRICS, {"step": step, **values})
        self.tracker.log(step, finite(values))
        return row

    def log_beside(self, row: Row, step: int, values: Mapping[str, float]) -> None:
        """Add values to a row that was just logged. Raises OptionError where it has one of that name."""
        if taken := [name for name in values if name in row]:
            raise OptionError(f"epoch.log: {taken[0]} is a name of the epoch's own; choose another")
        added = finite({name: float(value) for name, value in values.items()})
        row |= added
        self.tracker.log(step, added)

    def save(self, shown: int | None = None) -> None:
        """Write what going on needs, then the checkpoint, which shows the first model where nothing is known
        yet; of several processes rank 0 alone does."""
        if current().rank > 0:
            self.metrics.forget()
            return
        self.move(lengths=self.metrics.flush())
        state = self.engine.state_dict()
        progress = {"epoch.loss": self.losses, **{f"{SHOWN}{n}": w for n, w in self.windows.items()}}
        progress |= {f"best.{name}": value for name, value in self.best.items()}
        checkpoint.save_progress(self.folder / RESUME, state | progress, self.config, self.place)
        step, seeds = self.place.step, self.place.seeds
        about = About(self.data.frame_shape, step, seeds[0] if shown is None else shown, seeds)
        checkpoint.save(self.folder / CHECKPOINT, self._weights(), self.config, about)
        self.saved_step = step

    def _weights(self) -> dict[str, Tensor]:
        """The weights for the checkpoint: the best ones with --keep best, else the present ones."""
        if self.config.training.keep == "best" and self.best:
            return {name: value for name, value in self.best.items() if name not in CHOSEN_BY}
        return stack(self.engine.kept)

    def look(self, mse: Tensor, epoch: int) -> None:
        """Keep the weights of members whose validation mse, (K,), is the lowest; epoch 0 is untrained."""
        if self.config.training.keep == "last":
            return
        highest = torch.finfo(mse.dtype).max
        mse = mse.nan_to_num(highest)  # an untrained net may run out of all numbers
        now = {"mse": mse, "epoch": torch.full(mse.shape, epoch)}
        now |= {name: value.clone() for name, value in stack(self.engine.kept).items()}
        better = mse < self.best["mse"] if self.best else torch.ones(len(mse), dtype=torch.bool)
        for name, value in now.items():
            chosen = better.view(-1, *[1] * (value.dim() - 1)).to(value.device)
            kept = self.best.get(name, value).to(value.device)  # where it was read from a file, the CPU
            now[name] = torch.where(chosen, value, kept)
        lowest = self.best.get("lowest", torch.full_like(mse, highest))
        self.best = {**now, "lowest": lowest.minimum(mse) if epoch else lowest}

    def kept(self, seed: int) -> Kept | None:
        """Which weights a member ends with; None where they are the last."""
        if not self.best:
            return None
        mse, epoch, lowest = (self.best[name][self.place.seeds.index(seed)].item() for name in CHOSEN_BY)
        return Kept(int(epoch), mse, lowest, list(self.copying.values())[-1])

    @cached_property
    def copying(self) -> Mapping[str, float]:
        """Copying's mse on the validation clips, by the metric that is the model's."""
        steps = self.config.training.closed_loop
        loop = {"val/closed_loop_mse": mean_square(CopyLast(), self.data.val, steps)} if steps else {}
        return {"val/mse": self.references[COPY_LAST], **loop}

    def pace(self, before: Place, first: int) -> dict[str, float]:
        """How fast the steps went since a place of the epoch that began at a step."""
        seconds, waited = self.place.seconds - before.seconds, self.place.waited - before.waited
        batch, whole = self.config.training.batch_size, clips_per_epoch(self.config, self.data)
        peak = peak_memory(self.engine.device)
        clips = min(whole, (self.place.step - first) * batch) - (before.step - first) * batch
        return {
            "train/clips_per_second": len(self.place.seeds) * clips / seconds,
            "train/waiting": waited / seconds,
            **({} if peak is None else {"train/peak_memory": peak}),
        }

    def facts(self) -> TrainingFacts:
        """The entries of results.json about a training that has ended."""
        config, place = self.config, self.place
        epochs, rest = divmod(place.step, steps_per_epoch(config, self.data))
        clips = epochs * clips_per_epoch(config, self.data) + rest * config.training.batch_size
        return TrainingFacts(
            **self.engine.facts,
            seconds=place.seconds,
            dropped=place.dropped,
            clips_per_second=clips * len(place.seeds) / place.seconds,
            waiting=place.waited / place.seconds,
            peak_memory=peak_memory(self.engine.device),
            processes=current().count,
            earlier=list(place.sessions[:-1]),
            options=config.training.changed,
            epochs=epochs + (rest > 0),
        )

    def finish(self) -> None:
        """The engine's models take the weights that are kept."""
        load_weights(self.engine.kept, self._weights())
        for model in self.engine.kept:
            model.eval()

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go back to where these tensors were saved. Raises UserError where they do not fit."""
        try:
            self.engine.load_state_dict(tensors)
            self.losses = tensors["epoch.loss"]
            self.best = part_of(tensors, "best.")
            self.windows = {int(n): window for n, window in part_of(tensors, SHOWN).items()}
        except (ValueError, KeyError) as error:
            raise UserError(f"{self.folder / RESUME}: is damaged: {error}") from error
