"""Every claim of the article as an experiment: trains what is missing, two runs at a time, and writes a report."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager, suppress
from multiprocessing.synchronize import Event
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from framegen import fused, runs, train
from framegen.claims import CLAIMS, NEEDS, Runs, planned
from framegen.config import Config, Mode, Orbit, Recurrent
from framegen.errors import OptionError, UserError
from framegen.fused import FusedUnavailable
from framegen.interrupts import Interrupted, Interrupts
from framegen.models import build
from framegen.options import parse_train
from framegen.progress import say
from framegen.report import Claim, write_report
from framegen.results import finished
from framegen.runs import CONFIG
from framegen.tasks import load_data
from framegen.tracking import METRICS, Tracker, resolve_mode

FOLDER, REPORT = "reproduce", "report.html"
FEW_SEEDS = 2
_stopped: Event | None = None
"""In a worker process: set when it is to begin no more runs."""
CLAIM_COST = 1.0
"""Of a claim, beside `_cost` of a run."""


def reproduce(
    runs_dir: Path,
    data_dir: Path,
    numbers: Sequence[int] = (),
    seeds: int = 16,
    track: Mode | None = None,
    extra: Sequence[str] = (),
    show: bool = True,
) -> list[Claim]:
    """Run the claims of the article and write runs_dir/reproduce/report.html.

    Runs that are finished already are not made again; one that was stopped goes on where it was.

    Args:
        numbers: of the claims; none: all of them.
        seeds: nets a run where the fused engine trains them, at least 2.
        track: whether W&B is "online", "offline" or "disabled"; None asks WANDB_MODE, else offline.
        extra: options of `framegen train` for every run.

    Raises:
        UserError: an option that cannot work, a damaged run, a disk that refuses. Interrupted: SIGINT or SIGTERM came.
    """
    numbers = sorted(set(numbers)) or list(CLAIMS)
    if unknown := [number for number in numbers if number not in CLAIMS]:
        raise OptionError(f"--claims {unknown[0]}: the claims are numbered 1 to {len(CLAIMS)}")
    if seeds < 2:
        raise OptionError(f"--seeds {seeds}: a spread needs at least 2")
    folder, mode = runs_dir / FOLDER, resolve_mode(track)
    seeds = _affordable(seeds, show)
    arguments = {name: [*line, *extra] for name, line in planned(seeds).items()}
    needed = {name for number in numbers for name in NEEDS[number]}
    configs = {name: parse_train(line[0], line[1:])[1] for name, line in arguments.items() if name in needed}
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made: {error.strerror}") from error
    for name, config in configs.items():
        if (folder / name / CONFIG).exists() and runs.read_config(folder / name).config != config:
            raise UserError(f"{folder / name}: was made with other options; move it away, or choose another --runs-dir")
    lock = runs.lock(folder)
    tracker = Tracker(folder, mode, f"reproduce-{time.time_ns():x}", {"runs": arguments}, "reproduce", ["reproduce"])
    with lock, tracker, Interrupts() as interrupts, _bar(show) as bar:
        interrupts.advice = "; all is saved, and the same command goes on"
        total = sum(map(_cost, configs.values())) + CLAIM_COST * len(numbers)
        task = bar.add_task("training", total=total)
        _train_all(configs, folder, data_dir, bar, show)
        claims = []
        for number in numbers:
            bar.update(task, description=f"claim {number}")
            claims.append(CLAIMS[number](Runs(folder, arguments)))
            bar.advance(task, CLAIM_COST)
        write_report(folder / REPORT, claims)
        for claim in claims:
            names = (f"claim-{claim.number}/{number}-{path.stem}" for number, path in enumerate(claim.pictures, 1))
            tracker.log_media(0, dict(zip(names, claim.pictures, strict=True)))
            tracker.log_summary(claim.values)
        tracker.log_table(0, "claims", ["claim", "found"], [[claim.title, claim.found] for claim in claims])
    return claims


def _affordable(seeds: int, show: bool) -> int:
    """The seeds that are asked for, or a few where only PyTorch can train them."""
    try:
        fused.check(build(Recurrent(), (1, 2, 2), 0), torch.device("cpu"), "auto")
    except FusedUnavailable as reason:
        say(f"{FEW_SEEDS} seeds a result, since PyTorch must train them all ({reason})", show)
        return min(seeds, FEW_SEEDS)
    return seeds


def _bar(show: bool) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    return Progress(*columns, console=Console(stderr=True), expand=True, disable=not (show and sys.stderr.isatty()))


def _train_all(configs: dict[str, Config], folder: Path, data_dir: Path, bar: Progress, show: bool) -> None:
    """Train what is not finished, as many runs at a time as there are CPU threads, the longest first."""
    for task in {config.task: None for config in configs.values()}:
        load_data(task, data_dir)  # made here, once, where a damaged file is named at once
    waiting = [name for name in configs if not finished(folder / name)]
    waiting.sort(key=lambda name: -_cost(configs[name]))
    behind = sum(_cost(config) for name, config in configs.items() if name not in waiting)
    say(f"{folder}: {len(waiting)} of {len(configs)} runs are to be trained", show)
    with _workers(min(len(waiting), torch.get_num_threads())) as pool:
        futures = {pool.submit(_train_one, name, configs[name], folder, data_dir): name for name in waiting}
        pending: set[Future[None]] = set(futures)
        while pending:
            done, pending = wait(pending, timeout=0.5, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
                behind += _cost(configs[futures[future]])
                if not bar.live.is_started:
                    say(f"trained {futures[future]}, {len(pending)} left", show)
            going = sum(
                _cost(configs[futures[each]]) * _part_done(folder / futures[each], configs[futures[each]]) for each in pending
            )
            bar.update(bar.task_ids[0], completed=behind + going, description=f"training, {len(pending)} runs left")


@contextmanager
def _workers(count: int) -> Iterator[ProcessPoolExecutor]:
    """Processes for the runs. Whatever ends this early stops them too; each saves the run it was at and begins no other."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    with ProcessPoolExecutor(max(1, count), mp_context=context, initializer=_start_worker, initargs=(stop,)) as pool:
        try:
            yield pool
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            for child in multiprocessing.active_children():
                child.terminate()
            raise


def _start_worker(stop: Event) -> None:
    global _stopped
    _stopped = stop
    torch.set_num_threads(1)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # a terminal sends it to all: the parent decides
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


def _train_one(name: str, config: Config, folder: Path, data_dir: Path) -> None:
    if _stopped is None or _stopped.is_set():
        return
    try:
        if (folder / name / CONFIG).exists():
            train.resume(folder / name, "disabled", show=False, draw=False)
        else:
            with suppress(FileNotFoundError):
                (folder / name).rmdir()  # empty, where a run was killed as it began
            train.train(config, name, "disabled", folder, data_dir, show=False, draw=False)
    except Interrupted:  # whoever stopped the workers knows
        parent = multiprocessing.parent_process()
        if parent is not None and not parent.is_alive():
            os._exit(1)
    except OSError as error:
        raise UserError(f"{folder / name}: {error.strerror}; move it away") from error


def _part_done(run_dir: Path, config: Config) -> float:
    """Which part of its epochs a run has behind it, from the end of its metrics."""
    with suppress(OSError):
        with (run_dir / METRICS).open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - 1000))
            tail = file.read().decode(errors="replace")
        _, found, after = tail.rpartition('"epoch": ')
        if found:
            return int(after.split(",")[0]) / config.training.epochs
    return 0.0


def _cost(config: Config) -> float:
    """About how long a run takes, in seconds on one core of no particular machine: for the order and the bar alone."""
    clips = config.task.num_clips if isinstance(config.task, Orbit) else config.task.num_windows
    steps = config.training.epochs * clips / config.training.batch_size
    model = config.model
    if isinstance(model, Recurrent) and model.cell in ("tanh", "relu") and model.num_layers == 1:
        return 1 + len(config.members) * steps * (8 + model.hidden_size**2 / 12) * 1e-6
    milliseconds = {"gru": 5.4, "lstm": 1.3}.get(model.cell, 1.7 * model.num_layers) if isinstance(model, Recurrent) else 0.6
    return 1 + len(config.members) * steps * milliseconds * 1e-3
