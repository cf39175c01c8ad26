"""The trials of a search: who takes which, how one is trained, and what is told of it.

Optuna proposes and remembers them (Akiba et al. 2019), and tries again what was not finished. A trial's
training is a run like any other, that ends before it is measured on the test clips.
"""

import json
import math
import signal
import warnings
from collections import Counter
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import optuna
import torch
from filelock import FileLock, Timeout
from optuna.exceptions import ExperimentalWarning
from optuna.storages import RetryHeartbeatStaleTrialCallback, fail_stale_trials
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from framegen.commands import training
from framegen.commands.training import Enough
from framegen.config.config import Config, to_dict
from framegen.config.experiments import configure
from framegen.config.training import Mode
from framegen.machine.errors import OptionError, UserError
from framegen.machine.files import json_text
from framegen.machine.interrupts import Interrupted
from framegen.machine.progress import say
from framegen.runs.checkpoint import CHECKPOINT, steps_taken
from framegen.runs.folder import CONFIG, read_config
from framegen.runs.metrics import Row, whole_epochs
from framegen.studies.pool import interruptible, stopped
from framegen.studies.search.results import DIVERGED, ENDED, RUN, Metric, line_of
from framegen.studies.search.space import Choice, Range, Space
from framegen.training.loop import Diverged, Epoch

JOURNAL, LOCKS, PLAN = "optuna.journal", ".locks", "search"
FIRST_TRY = "failed_trial"
"""Optuna's system attribute of a trial that is tried again: the number of the first try."""
POLL = 0.5
"""Seconds between two looks at what others do."""
HEARTBEAT = 60
"""Seconds between two signs of life in a database; a trial without one for twice as long is tried again."""
UNPRUNED_TRIALS = 5
"""Number of finished trials before one is pruned."""
UNPRUNED_PART = 4
"""One in this number of epochs is waited for before a trial is ended early."""


@dataclass(frozen=True)
class Plan:
    """A search: all that a process needs to take part."""

    config: Config
    """A trial's config, without the options that are searched."""
    space: Space
    metric: Metric
    folder: Path
    """A folder trial-NUMBER for each trial, and the journal where there is no other storage."""
    data_dir: Path
    storage: str | None
    """A database's URL."""
    trials: int
    """How many come to an end, in all processes together."""
    prune: bool
    sampler_seed: int
    mode: Mode
    """How W&B tracks the runs."""
    tags: tuple[str, ...]
    threads: int
    """CPU threads of a training."""
    show: bool

    def lock(self, name: str) -> FileLock:
        """A lock among all processes that share the folder; the system takes it from whoever dies."""
        return FileLock(self.folder / LOCKS / name)

    def run(self, trial: FrozenTrial | optuna.Trial) -> tuple[Path, Config]:
        """A trial's folder, and the config that its options make."""
        return self.folder / trial.user_attrs[RUN], configure(self.config, None, trial.params)

    def train(self, folder: Path, config: Config, **more: Any) -> training.Run:
        """Begin a run of the search, or go on with it."""
        more |= {"group": self.folder.name, "tags": self.tags, "show": False}
        return training.begin_or_go_on(folder, config, self.mode, self.data_dir, **more)


def open_study(plan: Plan) -> optuna.Study:
    """The study of a plan, begun where there is none. Raises UserError where its storage cannot be had, or
    holds another search of that name, or a study that is none of framegen's."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warmup = -(-plan.config.training.epochs // UNPRUNED_PART)
    try:
        study = optuna.create_study(
            study_name=plan.folder.name,
            storage=_storage(plan),
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
    with plan.lock("taking"):
        if PLAN not in study.user_attrs and not study.get_trials(deepcopy=False):
            study.set_user_attr(PLAN, ours)
    if study.user_attrs.get(PLAN) != ours:
        raise OptionError(
            f"--name {plan.folder.name}: this search was begun with other options; choose another name"
        )
    return study


def _storage(plan: Plan) -> optuna.storages.BaseStorage:
    if plan.storage is not None:
        with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):
            again = RetryHeartbeatStaleTrialCallback()
            return optuna.storages.RDBStorage(
                plan.storage, heartbeat_interval=HEARTBEAT, heartbeat_stale_trial_callback=again
            )
    journal, held = plan.folder / JOURNAL, plan.lock(JOURNAL)
    with held, journal.open("ab+") as file:  # half a line, of a disk that was full, would spoil what comes
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
    # With Optuna's own lock the others would wait for half a minute where one was killed that held it.
    return optuna.storages.JournalStorage(JournalFileBackend(str(journal), cast(Any, held)))


def work(plan: Plan) -> None:
    """In a worker process: take trials and train them, until there are as many as are asked for; what a
    process that died has left is taken up."""
    torch.set_num_threads(plan.threads)
    study, taking = open_study(plan), plan.lock("taking")
    while not stopped():
        with taking:
            _try_again(study, plan)
            to_begin, under_way = left(study, plan)
            if to_begin:
                with interruptible():
                    objective = partial(_objective, study, plan, taking)
                    study.optimize(objective, n_trials=1, callbacks=[partial(_tell_user, plan)])
        if not to_begin:
            if not under_way:
                return
            stopped(POLL)  # others train the last ones; if one of them is killed, it is for us to go on


def left(study: optuna.Study, plan: Plan) -> tuple[int, int]:
    """How many trials are to be begun, and how many are under way."""
    states = Counter(each.state for each in study.get_trials(deepcopy=False))
    under_way = states[TrialState.RUNNING]
    new = plan.trials - sum(states[each] for each in ENDED) - under_way
    return max(states[TrialState.WAITING], new, 0), under_way


def _try_again(study: optuna.Study, plan: Plan) -> None:
    """Queue what a process had that died: by signs of life where a database keeps them, else by locks."""
    with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):
        fail_stale_trials(study)
    if plan.storage is None:
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            try:
                with plan.lock(trial.user_attrs.get(RUN, "unnamed")).acquire(timeout=0):
                    _queue(study, study.tell(trial.number, state=TrialState.FAIL))
            except Timeout:  # it is being trained
                pass


def _queue(study: optuna.Study, failed: FrozenTrial) -> None:
    """Queue a trial of the same options, which goes on with the run of one that failed."""
    with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):
        RetryHeartbeatStaleTrialCallback()(study, failed)


def _objective(study: optuna.Study, plan: Plan, taking: FileLock, trial: optuna.Trial) -> float:
    """A trial's value, for Optuna. Lets the next process take one once this one's options are drawn."""
    _propose(study, plan, trial)
    with plan.lock(trial.user_attrs[RUN]):
        taking.release()
        try:
            value = _train(trial, plan)
        except BaseException as error:
            if isinstance(error, Interrupted):  # Optuna fails a trial for an Exception alone
                study.tell(trial, state=TrialState.FAIL)
            _queue(study, study.get_trials(deepcopy=False)[trial.number])
            raise
    if value is None:
        raise optuna.TrialPruned
    return value


def _propose(study: optuna.Study, plan: Plan, trial: optuna.Trial) -> None:
    """Give a trial its run's name and its options, which are those of the first try. What is drawn depends on
    its number, on the seed, and on the trials before; not on which process draws."""
    trials = study.get_trials(deepcopy=False)
    first = trials[trial.number].system_attrs.get(FIRST_TRY, trial.number)
    number = sum(FIRST_TRY not in each.system_attrs for each in trials[:first])
    trial.set_user_attr(RUN, f"trial-{number}")
    trial.set_user_attr("seeds", plan.config.members)
    study.sampler = optuna.samplers.TPESampler(seed=plan.sampler_seed + number)
    for name, each in plan.space.items():
        match each:
            case Choice(values):
                trial.suggest_categorical(name, values)
            case Range(int(low), int(high)):
                trial.suggest_int(name, low, high, log=each.log)
            case Range(low, high):
                trial.suggest_float(name, low, high, log=each.log)


def _train(trial: optuna.Trial, plan: Plan) -> float | None:
    """Train a trial to its end, from where its run stands; returns what it is worth, None where it was ended
    early or diverged."""
    folder, config = plan.run(trial)
    config = replace(config, training=replace(config.training, media_every=0))  # it shows test clips
    if (folder / CONFIG).exists() and read_config(folder).config != config:
        raise UserError(f"{folder}: holds a run of other options than those of the trial; move it away")
    epochs, rows, over = config.training.epochs, whole_epochs(folder, len(config.members)), False

    def report(number: int) -> None:
        nonlocal over
        trial.report(_value(config, rows[:number], plan.metric), number)
        over = number == epochs or (plan.prune and trial.should_prune())

    def on_epoch(epoch: Epoch) -> None:
        if len(epoch.members) < len(config.members):
            raise Diverged(f"{folder}: {len(config.members) - len(epoch.members)} nets diverged")
        if epoch.number > len(rows):
            rows.append(dict(epoch.metrics))
            report(epoch.number)
        if over or stopped():
            raise Enough

    try:
        for number in range(1, len(rows) + 1):
            report(number)
        if not over:
            plan.train(folder, config, draw=False, on_epoch=on_epoch)
    except Diverged as error:
        trial.set_user_attr(DIVERGED, error.line)
        return None
    trial.set_user_attr("steps", steps_taken(folder / CHECKPOINT))
    if not over and stopped():
        raise Interrupted(signal.SIGTERM, "")
    if not over:
        raise UserError(f"{folder}: its metrics are not those of its training; move it away")
    return _value(config, rows, plan.metric) if len(rows) == epochs else None


def _value(config: Config, rows: list[Row], metric: Metric) -> float:
    """A trial's value after these epochs: the score of its kept weights on validation one step ahead, for
    a population the mean; with --keep best that of the best epoch. Raises Diverged where it is not finite."""
    kept = rows[-1]
    if config.training.keep == "best":
        criterion = "val/closed_loop_mse" if config.training.closed_loop else "val/mse"
        kept = min(rows, key=lambda row: row.get(criterion, math.inf))
    if not math.isfinite(value := kept.get(f"val/{metric}", math.nan)):
        raise Diverged(f"epoch {len(rows)}: the {metric} on validation is not finite")
    return value


def _tell_user(plan: Plan, study: optuna.Study, trial: FrozenTrial) -> None:
    """Say what came of a trial, and how far the search is."""
    done = len(study.get_trials(deepcopy=False, states=ENDED))
    say(f"{done} of {plan.trials}: {line_of(study, trial)}", plan.show)
