"""The trials of a search: where they are kept, which process takes which, and how one is trained.

Optuna proposes and remembers them (Akiba et al. 2019); a trial's training is a run like any other, that ends
before it is measured on the test clips.
"""

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import optuna
import torch
from filelock import FileLock, Timeout
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState

from framegen.commands import training
from framegen.commands.training import Enough
from framegen.config.config import Config, to_dict
from framegen.config.experiments import EXPERIMENTS, configure
from framegen.config.training import Mode
from framegen.machine.errors import OptionError, UserError
from framegen.machine.files import json_text
from framegen.runs.folder import CONFIG, read_config
from framegen.runs.metrics import Row, whole_epochs
from framegen.studies.pool import interruptible, stopped
from framegen.studies.search.results import Metric, State, Trial, Trials
from framegen.studies.search.space import Choice, Space, command
from framegen.studies.search.start import LOCKS
from framegen.training.loop import Diverged, Epoch

JOURNAL = "trials.journal"
TAKING = "taking"
"""The lock of who takes a trial, or begins the search."""
PLACE, PLAN, DIVERGED = "place", "plan", "diverged"
POLL = 0.5
"""Seconds between two looks at what others do."""
UNPRUNED_TRIALS = 5
"""So many come to their end before one is ended early."""
UNPRUNED_PART = 4
"""One in so many of the epochs is waited for before a trial is ended early."""


@dataclass(frozen=True)
class Plan:
    """A search: all that a process needs to take part."""

    config: Config
    """Of a trial, but for the options that are searched."""
    space: Space
    metric: Metric
    folder: Path
    """A folder trial-NUMBER for each trial, and the journal where there is no other storage."""
    data_dir: Path
    storage: str | None
    """A database's URL."""
    place: str
    """What tells our folder from those of machines that share nothing with us but a database."""
    trials: int
    """How many come to an end, in all processes together."""
    prune: bool
    sampler_seed: int
    mode: Mode
    """How W&B tracks the runs."""
    tags: tuple[str, ...]
    threads: int
    """CPU threads of a training."""

    def run_dir(self, number: int) -> Path:
        """The folder of a trial's run."""
        return self.folder / f"trial-{number}"

    def lock(self, name: str) -> FileLock:
        """A lock among all processes that share the folder; the system takes it from whoever dies."""
        return FileLock(self.folder / LOCKS / name)

    def config_of(self, options: dict[str, Any]) -> Config:
        """The config of the run that these options make."""
        return configure(self.config, None, options)


class _JournalLock(JournalFileOpenLock):
    """A lock on the journal that the system takes from whoever is killed; with Optuna's own the others would
    wait for half a minute. Half a line that such a one left is cut off."""

    def __init__(self, journal: Path, held: FileLock) -> None:
        super().__init__(str(journal))
        self._journal, self._held = journal, held

    def acquire(self) -> bool:
        self._held.acquire()
        with self._journal.open("rb+") as file:
            if end := file.seek(0, os.SEEK_END):
                file.seek(end - 1)
                if file.read(1) != b"\n":
                    file.seek(0)
                    file.truncate(file.read().rfind(b"\n") + 1)
        return True

    def release(self) -> None:
        self._held.release()


def open_study(plan: Plan) -> optuna.Study:
    """The study of a plan, begun where there is none. Raises UserError where its storage cannot be had, or
    holds another search of that name."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warmup = -(-plan.config.training.epochs // UNPRUNED_PART)
    try:
        if plan.storage is None:
            journal = plan.folder / JOURNAL
            backend = JournalFileBackend(str(journal), _JournalLock(journal, plan.lock(JOURNAL)))
            storage: optuna.storages.BaseStorage = optuna.storages.JournalStorage(backend)
        else:
            storage = optuna.storages.RDBStorage(plan.storage)
        study = optuna.create_study(
            study_name=plan.folder.name,
            storage=storage,
            direction="maximize" if plan.metric == "skill" else "minimize",
            pruner=optuna.pruners.MedianPruner(UNPRUNED_TRIALS, n_warmup_steps=warmup),
            load_if_exists=True,
        )
    except OSError:
        raise
    except Exception as error:  # whatever a database or a damaged journal raises
        scheme = plan.storage and plan.storage.partition("://")[0]  # there may be a password behind
        place = f"--storage {scheme}" if scheme else plan.folder / JOURNAL
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"{place}: no trials can be kept there: {reason}") from error
    searched = {name: asdict(each) for name, each in plan.space.items()}
    ours = json.loads(json_text({"config": to_dict(plan.config), "space": searched}))
    with plan.lock(TAKING):
        if PLAN not in study.user_attrs:
            study.set_user_attr(PLAN, ours)
    if study.user_attrs[PLAN] != ours:
        raise OptionError(
            f"--name {plan.folder.name}: this search was begun with other options; choose another name"
        )
    return study


def work(plan: Plan) -> None:
    """In a worker process: take trials and train them, until there are as many as are asked for; what a
    process that died has left is taken up."""
    torch.set_num_threads(plan.threads)
    study = open_study(plan)
    while not stopped() and left(study, plan):
        with _taken(study, plan) as trial:
            if trial is not None:
                with interruptible():
                    _train(study, trial, plan)
                continue
        stopped(POLL)  # others train the last ones; if one of them is killed, it is for us to go on


def left(study: optuna.Study, plan: Plan) -> bool:
    """Whether there is something to train, or will be if a process is killed that trains in our folder."""
    trials = study.get_trials(deepcopy=False)
    here = sum(not each.state.is_finished() and _is_here(each, plan) for each in trials)
    return here > 0 or len(trials) < plan.trials


@contextmanager
def _taken(study: optuna.Study, plan: Plan) -> Iterator[optuna.Trial | None]:
    """A trial for this process alone: one whose process is dead, or a new one; None where there is none.

    Whoever trains a trial has its lock.
    """
    held = None
    with plan.lock(TAKING):
        trials = study.get_trials(deepcopy=False)
        trial = None
        for each in trials:
            if not each.state.is_finished() and _is_here(each, plan) and (held := _held(each.number, plan)):
                trial = optuna.Trial(study, each._trial_id)
                break
        else:
            if len(trials) < plan.trials:
                trial = study.ask()
                held = _held(trial.number, plan)
        if trial is not None:
            _propose(study, trial, plan)
    try:
        yield trial
    finally:
        if held is not None:
            held.release()


def _held(number: int, plan: Plan) -> FileLock | None:
    """The lock of a trial, or None where another process has it."""
    lock = plan.lock(plan.run_dir(number).name)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    return lock


def _is_here(trial: FrozenTrial, plan: Plan) -> bool:
    """Whether a trial is trained in our folder."""
    return trial.user_attrs.get(PLACE, plan.place) == plan.place


def _propose(study: optuna.Study, trial: optuna.Trial, plan: Plan) -> None:
    """Give a trial those of its options that it has not yet. What is drawn depends on its number, on the
    seed, and on the trials before; not on which process draws."""
    trial.set_user_attr(PLACE, plan.place)
    study.sampler = optuna.samplers.TPESampler(seed=plan.sampler_seed + trial.number)
    for name, each in plan.space.items():
        if isinstance(each, Choice):
            trial.suggest_categorical(name, each.values)
        elif isinstance(each.low, int) and isinstance(each.high, int):
            trial.suggest_int(name, each.low, each.high, log=each.log)
        else:
            trial.suggest_float(name, each.low, each.high, log=each.log)


def _train(study: optuna.Study, trial: optuna.Trial, plan: Plan) -> None:
    """Train a trial to its end, from where it stands, and tell what came of it."""
    folder = plan.run_dir(trial.number)
    config = plan.config_of(trial.params)
    config = replace(config, training=replace(config.training, media_every=0))  # it shows test clips
    told = dict(study.get_trials(deepcopy=False)[trial.number].intermediate_values)
    if (folder / CONFIG).exists() and read_config(folder).config != config:
        raise UserError(f"{folder}: holds a run of other options than those of the trial; move it away")
    rows = whole_epochs(folder, len(config.members))

    def ended() -> State | None:
        if config.training.epochs in told:
            return "complete"
        return "pruned" if plan.prune and told and trial.should_prune() else None

    def tell(number: int) -> None:
        if number not in told:
            told[number] = _value(config, rows[:number], plan.metric)
            trial.report(told[number], number)

    def on_epoch(epoch: Epoch) -> None:
        rows[epoch.number - 1 :] = [dict(epoch.metrics)]
        if len(epoch.members) < len(config.members):
            raise Diverged(f"{folder}: {len(config.members) - len(epoch.members)} nets diverged")
        tell(epoch.number)
        if ended() or stopped():
            raise Enough

    try:
        for number in range(1, len(rows) + 1):  # what the study has lost
            tell(number)
        if (state := ended()) is None:
            _run(config, folder, plan, on_epoch)
            if (state := ended()) is None and not stopped():
                raise UserError(f"{folder}: its metrics are not those of its training; move it away")
    except Diverged as error:
        trial.set_user_attr(DIVERGED, error.line)
        state = "diverged"
    if state == "complete":
        study.tell(trial, told[config.training.epochs])
    elif state is not None:  # Optuna's sampler learns from what was pruned, and not from what failed
        study.tell(trial, state=TrialState.PRUNED)


def _value(config: Config, rows: list[Row], metric: Metric) -> float:
    """What a trial is worth after these epochs: what its kept weights reach on validation one step ahead, of
    a population the mean; with --keep best that of the best epoch. Raises Diverged where it is not finite."""
    kept = rows[-1]
    if config.training.keep == "best":
        criterion = "val/closed_loop_mse" if config.training.closed_loop else "val/mse"
        kept = min(rows, key=lambda row: row.get(criterion, math.inf))
    if not math.isfinite(value := kept.get(f"val/{metric}", math.nan)):
        raise Diverged(f"epoch {len(rows)}: the {metric} on validation is not finite")
    return value


def _run(config: Config, folder: Path, plan: Plan, on_epoch: training.OnEpoch) -> None:
    told: dict[str, Any] = {"group": plan.folder.name, "tags": plan.tags, "on_epoch": on_epoch}
    training.begin_or_go_on(folder, config, plan.mode, plan.data_dir, show=False, draw=False, **told)


def tried(study: optuna.Study, plan: Plan) -> Trials:
    """All trials as they stand."""
    trials: list[Trial] = []
    for each in study.get_trials(deepcopy=False):
        states: dict[TrialState, State] = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned"}
        state, known = states.get(each.state, "under way"), each.intermediate_values
        epochs = max(known, default=0)
        state = "diverged" if DIVERGED in each.user_attrs else state
        trials.append(Trial(each.number, each.params, state, known.get(epochs), epochs))
    found = Trials(plan.config.experiment, plan.metric, None, None, tuple(trials))
    if not found.ranking:
        return found
    best, config = found.ranking[0].number, plan.config_of(found.ranking[0].options)
    known = config.experiment in EXPERIMENTS
    return replace(found, best=best, command=command(config) if known else None)
