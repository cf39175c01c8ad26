"""Train, and take up a training that was stopped."""

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import torch

from framegen.commands.evaluation import log_data, log_run, measure
from framegen.config.config import Config, to_dict
from framegen.config.experiments import configure
from framegen.config.keywords import Keywords
from framegen.config.training import Mode
from framegen.data.clips import Data
from framegen.data.loading import determine, load_data
from framegen.evaluation import results
from framegen.evaluation.references import COPY_LAST, OPTIMUM
from framegen.evaluation.results import Session, write_clip_errors, write_results
from framegen.machine.device import choose_device, threads
from framegen.machine.errors import UserError
from framegen.machine.files import remove_leftovers
from framegen.machine.interrupts import SIGNALS, Interrupted, Interrupts
from framegen.machine.plugins import command
from framegen.machine.progress import TrainingBar, count_of, duration, say
from framegen.models import build
from framegen.models.baselines import CopyLast
from framegen.models.predictor import cpu_threads
from framegen.report.draw import draw_epoch, draw_run
from framegen.runs.checkpoint import CHECKPOINT, RESUME, Place, load_progress, steps_taken
from framegen.runs.folder import CONFIG, Named, create, data_of, find, lock, read_config, write_config
from framegen.runs.metrics import MetricsFiles
from framegen.runs.run import Run, load
from framegen.runs.tracking import Tracker, finishing
from framegen.runs.weights_and_biases import about_run, resolve_mode, tracker_of
from framegen.training import ranks
from framegen.training.budget import Clock, fit_to_minutes
from framegen.training.choosing import choose_engine
from framegen.training.loop import Diverged, Epoch, fit
from framegen.training.ranks import Lost, check_together
from framegen.training.schedule import steps_per_epoch, total_steps
from framegen.training.under_way import OngoingTraining

OnEpoch = Callable[[Epoch], object]


class Enough(Exception):
    """Raised by `on_epoch`: the training ends after this epoch, saved and not measured; see `resume`."""


def train(
    experiment: str | Config,
    name: str | None = None,
    track: Mode | Tracker | None = None,
    runs_dir: Path | str = "runs",
    data_dir: Path | str = "data",
    show: bool = True,
    draw: bool = True,
    *,
    seeds: int | Sequence[int] | None = None,
    on_epoch: OnEpoch | None = None,
    group: str | None = None,
    tags: Sequence[str] = (),
    clock: Clock = time.perf_counter,
    began: float | None = None,
    enough: bool = False,
    **options: Unpack[Keywords],
) -> Run:
    """Train a model, or one for each of several seeds, and leave everything about it in a run folder.

    Args:
        experiment: a name of `EXPERIMENTS`, or a config.
        name: the run folder's name; None takes the next free one, such as "video-3".
        track: how W&B tracks it, see `framegen train --help`; or a tracker of your own, in its place.
        runs_dir, data_dir: where runs and data sets are kept; made where missing.
        show, draw: whether to show progress on stderr, and to make the trained model's pictures.
        seeds: a population: a number of nets, of seeds 0, 1, …, or a net for each of these seeds.
        on_epoch: called after each epoch with its numbers and the models as they are then; `Enough`, raised
            there, ends the training.
        group, tags: W&B's. A resumed run keeps them.
        clock, began: seconds by which minutes are kept, and when on that clock the work began.
        enough: whether a first SIGINT ends the training alone: what is best by then is measured and kept.
        options: values for fields of the task, the model or the training, such as hidden_size=8.

    Returns:
        The run; runs/README.md says what its folder holds.

    Raises:
        UserError: an option, name or file that cannot be used, a loss that is not finite, a full disk.
        Interrupted: SIGINT, SIGTERM or SIGHUP came; the run is saved.
    """
    check_together()
    began = clock() if began is None else began
    config = configure(experiment, seeds, options)
    config = replace(config, task=determine(config.task, Path(data_dir)))
    choose_device(config.training.device)
    mode = resolve_mode(track) if track is None or isinstance(track, str) else track
    data, place = None, Place(config.members)
    if config.training.minutes is not None:
        data, task = load_data(config.task, Path(data_dir)), config.task
        config, place = fit_to_minutes(config, data, show, clock)
        if config.task != task:  # of a film there is time for fewer test clips
            data = load_data(config.task, Path(data_dir))
    run_dir = create(Path(runs_dir), config.experiment, name)
    with lock(run_dir), Interrupts(enough) as interrupts:
        try:
            group = group or os.environ.get("WANDB_RUN_GROUP")  # the run's own, whatever a resume finds there
            wandb = mode if isinstance(mode, str) else "disabled"
            write_config(run_dir, config, wandb, Path(data_dir), group, tuple(tags))
            training, run = begin(run_dir, mode, show, interrupts, clock, data, place)
        except BaseException:
            shutil.rmtree(run_dir)
            raise
        return _go_on(training, run, show, draw, on_epoch, began + place.spent)


def resume(
    run: Named,
    track: Mode | Tracker | None = None,
    show: bool = True,
    draw: bool = True,
    on_epoch: OnEpoch | None = None,
    clock: Clock = time.perf_counter,
    began: float | None = None,
    runs_dir: Path | str = "runs",
    enough: bool = False,
) -> Run:
    """Take up a training, by its folder or its name in `runs_dir`, where it was stopped, however it was; ends
    in the same weights as one never stopped. Of a finished run missing pictures are made. See `train`."""
    run_dir, began = find(run, runs_dir), clock() if began is None else began
    stored = read_config(run_dir).track
    mode = resolve_mode(track, stored) if track is None or isinstance(track, str) else track
    with lock(run_dir), Interrupts(enough) as interrupts:
        if results.finished(run_dir):
            done_run = load(run_dir)
            # It may have been killed as it drew.
            missing = draw_run(done_run, done_run.results, missing=True) if draw else []
            done = f"{count_of(len(missing), 'missing picture')} made" if missing else "nothing was changed"
            say(f"{run_dir}: is finished already; {done}", show)
            return done_run
        checkpoint, progress = run_dir / CHECKPOINT, run_dir / RESUME
        if checkpoint.exists() and not progress.exists() and steps_taken(checkpoint) > 0:
            lost = f"{progress}: is missing, so the training cannot go on where it was"
            raise UserError(f"{lost}; the checkpoint is untouched")
        if progress.exists():
            data_of(run_dir)
        remove_leftovers(run_dir)
        return _go_on(*begin(run_dir, mode, show, interrupts, clock), show, draw, on_epoch, began)


def begin_or_go_on(
    run_dir: Path, config: Config, track: Mode | None, data_dir: Path | str, **more: Any
) -> Run:
    """The run of that folder: begun, or taken up where it was stopped; `more` as for `train`."""
    if (run_dir / CONFIG).exists():
        again = {name: value for name, value in more.items() if name not in ("group", "tags")}
        return resume(run_dir, track, **again)
    return train(config, run_dir.name, track, run_dir.parent, data_dir, **more)


def begin(
    run_dir: Path,
    track: Mode | Tracker,
    show: bool,
    interrupts: Interrupts,
    clock: Clock,
    data: Data | None = None,
    place: Place | None = None,
) -> tuple[OngoingTraining, Run]:
    """All that stands before the first step, or where the training was stopped; `data` and `place` where they
    are known already. Of several processes rank 0 alone writes, and knows the optimum."""
    description = read_config(run_dir)
    config = description.config
    say(f"{run_dir}: making or reading the clips", show)
    data = data or load_data(config.task, description.data_dir)
    tensors, place = {}, place or Place(config.members)
    if (run_dir / RESUME).exists():
        tensors, place = load_progress(run_dir / RESUME, config, total_steps(config, data))
    models = {seed: build(config.model, data.frame_shape, seed) for seed in place.seeds}
    run = Run(run_dir, config, models, place.seeds[0])
    run.data = data
    if ranks.current().rank > 0:
        run.references = {COPY_LAST: CopyLast()}
    if OPTIMUM in run.references:
        say("computing the best possible prediction of the validation clips", show)
        say(config.task.reservation, show)
    references = run.validation
    engine = choose_engine(config, models, data, show)
    place = place.by(Session(place.step, engine.device.type, engine.name, ranks.current().count))
    tracker = tracker_of(track, about_run(description))
    tracker.begin(run_dir, {**to_dict(config), **engine.facts, **description.made_with})
    metrics = MetricsFiles(run_dir, place.lengths)
    log_data(data, tracker)
    losses = torch.zeros(len(models), dtype=torch.float64)
    told = metrics, tracker, interrupts
    training = OngoingTraining(
        run_dir, config, data, references, engine, *told, place, losses, saved_step=place.step, clock=clock
    )
    if tensors:
        training.restore(tensors)
    interrupts.advice = f"; all is saved, go on with: {command('train', '--resume', run_dir)}"
    return training, run


def _go_on(
    training: OngoingTraining, run: Run, show: bool, draw: bool, on_epoch: OnEpoch | None, began: float
) -> Run:
    """Train to the end, measure, and leave results and pictures in the run folder and in W&B."""
    config, clock, tracker = training.config, training.clock, training.tracker
    per_epoch, every = steps_per_epoch(config, training.data), config.training.media_every
    times = {"reading": clock() - began}
    shown = TrainingBar(training.total_steps, per_epoch, training.place.step, show)
    with finishing(tracker), training.metrics:
        with threads(cpu_threads(run.model)), shown as bar:
            try:
                for epoch in fit(training, bar):
                    _check_there(run.folder)
                    run.models, run.shown = epoch.models, epoch.shown
                    if every and (epoch.number == 1 or epoch.number % every == 0):
                        tracker.media(epoch.step, draw_epoch(run, epoch.number, epoch.windows))
                    if on_epoch is not None:
                        on_epoch(epoch)
            except Enough:
                training.save(run.shown)
                training.interrupts.check()
                return run
        say("measuring every predictor on the test clips", show)
        facts, started = training.facts(), clock()
        training.finish()
        run.models = dict(zip(training.place.seeds, training.engine.kept, strict=True))
        measured, errors = measure(run)
        run.shown = measured.median_seed
        _check_there(run.folder)
        measured = replace(measured, training=replace(facts, kept=training.kept(run.shown)))
        training.save(run.shown)
        times["measuring"], started = clock() - started, clock()
        kept = write_clip_errors(run.folder, errors)
        write_results(run.folder, measured)  # before what can fail: a run that has them is finished
        say("drawing pictures", show and draw)
        made = draw_run(run, measured) if draw else []
        times["drawing"] = clock() - started
        on_top = ", ".join(f"{what} {duration(seconds)}" for what, seconds in times.items())
        took = f"training took {duration(training.place.spent)}; on top of it {on_top}"
        say(took, show and config.training.minutes is not None)
        log_run(run, measured, kept, made, tracker, training.place.step)
    return run


def _check_there(run_dir: Path) -> None:
    """Raises UserError where a run's folder was taken from under it."""
    if not (run_dir / CONFIG).exists():
        raise UserError(f"{run_dir / CONFIG}: was removed during the training; train again")


def together(lead: Callable[[], None]) -> None:
    """Do something in rank 0 that trains, in several processes, which torchrun starts: each computes the
    gradient of its share of every batch, and all take the same step. The others take up each run that rank 0
    trains from its folder, as `resume` would, go through the same loop, and end when it does."""
    here = ranks.start()
    try:
        if here.rank == 0:
            lead()
            return
        for number in SIGNALS:  # a terminal and torchrun send them to all: rank 0 decides when to stop
            signal.signal(number, signal.SIG_IGN)
        with suppress(Lost):
            while True:
                _take_part(ranks.take_up())
    finally:
        ranks.part()


def _take_part(run_dir: Path) -> None:
    """Train a run of rank 0's with it, in silence."""
    try:
        training, run = begin(run_dir, "disabled", False, Interrupts(), time.perf_counter)
        bar = TrainingBar(training.total_steps, 1, 0, show=False)
        with threads(cpu_threads(run.model)), suppress(Diverged, Interrupted):  # rank 0 says so
            for _ in fit(training, bar):
                pass
    except Lost:  # rank 0 has said why, or torchrun will
        sys.exit(1)
