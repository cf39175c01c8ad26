"""Figures of a search: its history, the importance of options, and the best values.

Drawn here and not by Optuna: its history leaves out what was ended early, labels of its other figures are cut
off or hide each other, and it draws through pyplot.
"""

from pathlib import Path

import numpy as np
import optuna
from matplotlib.figure import Figure
from optuna.trial import TrialState

from framegen.report.draw import could_make
from framegen.report.figures import style
from framegen.studies.search.results import ENDED, Metric, metric_of, option, ranking
from framegen.studies.search.space import Range, Space

LOWEST = -0.05
"""Skill below which dots are drawn at the edge: there a model is worse than copying."""
GOOD = 4
"""One in this number of trials is among the good."""
FEWEST, MANY = 4, 30
"""Trials that came to their end: below the first nothing is said of what mattered, below the second a word of
caution."""


def draw(study: optuna.Study, space: Space, folder: Path) -> None:
    """Make the figures of a search."""
    figures = {"history": lambda: history(study)}
    if len(ranking(study)) >= FEWEST:
        figures |= {"importances": lambda: importances(study), "options": lambda: options(study, space)}
    for name, figure in figures.items():
        path = folder / f"{name}.png"
        could_make(path, lambda f=figure, p=path: style.save(f(), p))


def history(study: optuna.Study) -> Figure:
    """Each trial's value in the order in which they began, and the best so far."""
    metric, trials = metric_of(study), study.get_trials(deepcopy=False, states=ENDED)
    figure, axes = style.new_chart(3.9)
    values = {each.number: _edge(each.value, metric) for each in trials if each.value is not None}
    complete = [each.number for each in trials if each.state == TrialState.COMPLETE]
    early = [number for number in values if number not in complete]
    axes.plot(complete, [values[n] for n in complete], "o", color=style.BLUE, label="trained to the end")
    axes.plot(early, [values[n] for n in early], "x", color=style.GREY, label="ended early")
    best = (np.maximum if metric == "skill" else np.minimum).accumulate([values[n] for n in complete])
    ends = [*complete, trials[-1].number], [*best, best[-1]]
    axes.step(*ends, where="post", color=style.MODEL, linewidth=2, label="best so far")
    style.whole_numbers(axes)
    if metric == "mse":
        style.log_axis(axes)
    style.finish(axes, "trial", f"validation {metric}", legend=3)
    return figure


def importances(study: optuna.Study) -> Figure:
    """How much each option mattered, by PED-ANOVA (Watanabe et al. 2023)."""
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=1 / GOOD)
    shares = optuna.importance.get_param_importances(study, evaluator=evaluator)  # the largest first
    figure, axes = style.new_chart(1.5 + 0.42 * len(shares))
    bars = axes.barh([*map(option, shares)], [100 * share for share in shares.values()], color=style.BLUE)
    axes.bar_label(bars, fmt="%.0f %%", padding=4)
    axes.invert_yaxis()
    axes.set_xlim(0, 112)
    trials = len(ranking(study))
    caution = ": too few to rely on it" if trials < MANY else ""
    title = f"From {trials} finished trials{caution}"
    style.finish(axes, "share in what makes a trial one of the best, per cent", "", title)
    return figure


def options(study: optuna.Study, space: Space) -> Figure:
    """Results by each option's value, in the trials that were finished."""
    metric, ranked = metric_of(study), ranking(study)
    figure = style.new_figure(style.WIDTH, 2.2 * len(space))
    for name, axes in zip(space, figure.subplots(len(space), squeeze=False).flat, strict=True):
        is_range = isinstance(tried := space[name], Range)
        values = [each.params[name] if is_range else str(each.params[name]) for each in ranked]
        reached = [_edge(each.values[0], metric) for each in ranked]
        axes.plot(values, reached, "o", color=style.BLUE, label="other trials")
        axes.plot(values[:1], reached[:1], "o", color=style.MODEL, markersize=9, label="the best")
        if is_range and tried.log:
            style.log_axis(axes, along="x")
        if metric == "mse":
            style.log_axis(axes)
        style.finish(axes, option(name), f"validation {metric}")
    style.legend_below(figure.axes[-1], columns=2)
    return figure


def _edge(value: float, metric: Metric) -> float:
    return max(value, LOWEST) if metric == "skill" else value
