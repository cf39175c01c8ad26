"""Train, and take up a training that was stopped."""

import math
import os
import shutil
from dataclasses import replace
from pathlib import Path

from framegen.commands.evaluation import log_results, measure
from framegen.config.config import Config, to_dict
from framegen.config.training import Mode
from framegen.data import data_file, load_data
from framegen.errors import UserError
from framegen.evaluation.references import baselines
from framegen.evaluation.results import finished, write_results
from framegen.evaluation.scores import Results, validation
from framegen.models import build
from framegen.models.device import choose_device, threads_for
from framegen.models.predictor import num_parameters
from framegen.progress import say
from framegen.report.draw import draw_run
from framegen.runs import checkpoint
from framegen.runs.checkpoint import CHECKPOINT, RESUME, Place
from framegen.runs.folder import Run, create, lock, read_config, write_config
from framegen.runs.tracking import Tracker, resolve_mode
from framegen.training.fused import FusedEngine
from framegen.training.interrupts import Interrupts
from framegen.training.loop import choose_engine, fit


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
        config: what to train; see `framegen.config.experiments.EXPERIMENTS`.
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
    run_dir = create(runs_dir, config.experiment + label, name and name + label)
    try:
        write_config(run_dir, config, mode, data_dir)
    except BaseException:
        shutil.rmtree(run_dir)
        raise
    return _run(run_dir, mode, show, draw, created=True)


def resume(run_dir: Path, track: Mode | None = None, show: bool = True, draw: bool = True) -> Path:
    """Take up a training where it was stopped, however it was; ends in the same weights as one never stopped.

    Raises UserError where the folder holds no run, or one whose files are damaged; see `train` for the rest.
    """
    stored = read_config(run_dir).track
    if finished(run_dir):
        say(f"{run_dir}: is finished already; nothing was changed", show)
        return run_dir
    mode = resolve_mode(track) if track or "WANDB_MODE" in os.environ else stored
    if (run_dir / CHECKPOINT).exists() and not (run_dir / RESUME).exists():
        raise UserError(
            f"{run_dir / RESUME}: is missing, so the training cannot go on where it was; the checkpoint is untouched"
        )
    return _run(run_dir, mode, show, draw, created=False)


def _run(run_dir: Path, mode: Mode, show: bool, draw: bool, created: bool) -> Path:
    description = read_config(run_dir)
    config, data_dir = description.config, description.data_dir
    locked = lock(run_dir)
    for leftover in run_dir.glob(".*.tmp*"):  # half-written when the run was killed
        leftover.unlink(missing_ok=True)
    fresh = not (run_dir / RESUME).exists()
    with locked, Interrupts() as interrupts:
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
            tracker = Tracker(
                run_dir, mode, description.wandb_id, shown, config.experiment, tags, place.metrics_bytes
            )
        except BaseException:
            if created:
                shutil.rmtree(run_dir)
            raise
        interrupts.advice = f"; all is saved, go on with: uv run framegen train --resume {run_dir}"
        with tracker:
            say("computing the best possible prediction of the validation clips", show)
            references = validation(run)
            with threads_for(run.model):
                seconds = fit(run, engine, place, references, tracker, interrupts, show)
            say("measuring every predictor on the test clips, drawing pictures", show)
            results = {**measure(run), "validation": references, "training": {**facts, "seconds": seconds}}
            _finish(run, results, data_dir, tracker, draw)
    return run_dir


def _finish(run: Run, results: Results, data_dir: Path, tracker: Tracker, draw: bool) -> None:
    """Draw the trained model, if asked for, and leave pictures and results in the run folder and in W&B."""
    step = run.config.training.epochs * math.ceil(len(run.data.train) / run.config.training.batch_size)
    tracker.flush()
    run = replace(run, shown=results["median_seed"])
    checkpoint.save(run.folder / CHECKPOINT, run, step)
    made = draw_run(run, results) if draw else []
    tracker.log_media(step, {f"figures/{path.stem}": path for path in made})
    log_results(results, step, tracker)
    tracker.log_file(f"{run.folder.name}-checkpoint", "model", run.folder / CHECKPOINT)
    if (path := data_file(run.config.task, data_dir)) is not None:
        tracker.log_file(path.stem, "dataset", path)
    write_results(run, results)  # last, since a run that has them is finished
