"""A search under way: its processes, how it goes, and what is left of it."""

import sys
from concurrent.futures import FIRST_EXCEPTION, Future, wait

import optuna
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from framegen.commands import training
from framegen.machine.errors import UserError
from framegen.machine.interrupts import Interrupts
from framegen.machine.progress import say
from framegen.report.draw import could_make
from framegen.report.figures import style
from framegen.runs.run import Run
from framegen.studies.pool import workers
from framegen.studies.search import plots
from framegen.studies.search.results import Trial, Trials, shown, write_trials
from framegen.studies.search.space import Range
from framegen.studies.search.trial import POLL, Plan, left, open_study, tried, work

FEWEST = 4
"""Trials that came to their end, below which nothing is said of what mattered."""


def run(plan: Plan, count: int, show: bool) -> tuple[Run, Trials]:
    """Train what is to be trained, so many trials at a time, and measure the best."""
    study = open_study(plan)
    with Interrupts() as interrupts:
        interrupts.advice = "; all is saved, and the same command goes on"
        _train_all(study, plan, count, show)
        return _conclude(study, plan, show)


def _train_all(study: optuna.Study, plan: Plan, count: int, show: bool) -> None:
    """Let processes train what is to be trained, and show how it goes."""
    trials = tried(study, plan)
    done = {trial.number for trial in trials.trials if trial.state != "under way"}
    say(f"{plan.folder}: {len(done)} of {plan.trials} trials are done", show)
    if not left(study, plan):
        return
    with workers(count) as pool, _bar(show) as bar:
        task = bar.add_task(_described(trials, plan), total=plan.trials, completed=len(done))
        pending: set[Future[None]] = {pool.submit(work, plan) for _ in range(count)}
        while pending:
            ended, pending = wait(pending, timeout=POLL, return_when=FIRST_EXCEPTION)
            for future in ended:
                future.result()
            trials = tried(study, plan)
            part = 0.0
            for trial in trials.trials:
                if trial.state == "under way":
                    part += trial.epochs / plan.config_of(trial.options).training.epochs
                elif trial.number not in done:
                    done.add(trial.number)
                    said = f"{len(done)} of {plan.trials}: {_line(trial, plan)}"
                    say(said, show and not bar.live.is_started)
            bar.update(task, completed=len(done) + part, description=_described(trials, plan))


def _bar(show: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=None), TimeRemainingColumn())
    hidden = not (show and sys.stderr.isatty())
    return Progress(
        *columns,
        TextColumn("left"),
        console=Console(stderr=True),
        expand=True,
        disable=hidden,
        speed_estimate_period=300,
    )


def _described(trials: Trials, plan: Plan) -> str:
    """How far it is, and the best so far."""
    done = sum(trial.state != "under way" for trial in trials.trials)
    best = f", best {trials.metric} {trials.ranking[0].value:.4g}" if trials.ranking else ""
    return f"{done} of {plan.trials} trials{best}"


def _line(trial: Trial, plan: Plan) -> str:
    """A trial in a line."""
    options = ", ".join(f"{name.replace('_', '-')} {shown(value)}" for name, value in trial.options.items())
    value = "" if trial.value is None else f", {plan.metric} {trial.value:.4g}"
    ends = {"pruned": f", ended after {trial.epochs} epochs", "diverged": ", diverged"}
    return f"trial {trial.number}: {options}{value}{ends.get(trial.state, '')}"


def _conclude(study: optuna.Study, plan: Plan, show: bool) -> tuple[Run, Trials]:
    """Measure the best, and leave what was found in the search's folder."""
    trials = tried(study, plan)
    if trials.best is None:
        raise UserError(
            f"{plan.folder}: no trial came to its end; other values may help, or --no-prune, or more --trials"
        )
    with plan.lock("measuring"):  # of processes that end together, one measures it
        say(f"measuring trial {trials.best}, the best on validation, on the test clips", show)
        best = _measured(trials.ranking[0], plan)
        write_trials(plan.folder, trials)
        _draw(study, plan, trials)
    return best, trials


def _measured(trial: Trial, plan: Plan) -> Run:
    """A trial's run, measured on the test clips; it is trained where another machine has it."""
    folder, config = plan.run_dir(trial.number), plan.config_of(trial.options)
    told = {"group": plan.folder.name, "tags": plan.tags}
    return training.begin_or_go_on(folder, config, plan.mode, plan.data_dir, show=False, **told)


def _draw(study: optuna.Study, plan: Plan, trials: Trials) -> None:
    """Make the figures of the search."""
    ranking, metric = trials.ranking, trials.metric
    logarithmic = [n for n, each in plan.space.items() if isinstance(each, Range) and each.log]
    figures = {"history": lambda: plots.history(trials.trials, metric)}
    if len(ranking) >= FEWEST:
        shares = optuna.importance.get_param_importances(
            study, evaluator=optuna.importance.PedAnovaImportanceEvaluator(target_quantile=1 / plots.GOOD)
        )
        figures["importances"] = lambda: plots.importances(shares)
        figures["parallel"] = lambda: plots.parallel_coordinates(ranking, metric, logarithmic)
    for name, figure in figures.items():
        path = plan.folder / "figures" / f"{name}.png"
        could_make(path, lambda f=figure, p=path: style.save(f(), p))
