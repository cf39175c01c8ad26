"""What a search found: how it went, which options mattered, and which values were good."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from framegen.report.figures.style import (
    BLACK,
    BLUE,
    GREY,
    MODEL,
    WIDTH,
    finish,
    legend_below,
    log_axis,
    new_figure,
    whole_numbers,
)
from framegen.studies.search.results import Metric, Trial

LABELS = {"skill": "validation skill", "mse": "validation mse"}
LOWEST = -0.05
"""Skill below which dots are drawn at the edge, with their value beside them: there a model is worse than
copying."""
GOOD = 4
"""Of so many trials one is among the good."""


def history(trials: Sequence[Trial], metric: Metric) -> Figure:
    """Each trial's value in the order in which they began, and the best so far."""
    figure = new_figure(WIDTH, 3.9)
    axes = figure.subplots()
    better = max if metric == "skill" else min
    shown = {trial.number: _edge(trial.value, metric) for trial in trials if trial.value is not None}
    groups = {"complete": ("o", BLUE, "trained to the end"), "pruned": ("x", GREY, "ended early")}
    for state, (marker, color, label) in groups.items():
        numbers = [each.number for each in trials if each.state == state and each.number in shown]
        axes.plot(numbers, [shown[n] for n in numbers], marker, color=color, markersize=6, label=label)
    complete = [trial.number for trial in trials if trial.state == "complete"]
    best = [better(shown[n] for n in complete[: k + 1]) for k in range(len(complete))]
    last = [trials[-1].number] if complete else []
    axes.step(
        [*complete, *last], [*best, *best[-1:]], where="post", color=MODEL, linewidth=2, label="best so far"
    )
    whole_numbers(axes)
    if metric == "mse":
        log_axis(axes)
    for trial in trials:
        if metric == "skill" and trial.value is not None and trial.value < LOWEST:
            axes.annotate(
                f"{trial.value:.2f}",
                (trial.number, LOWEST),
                (0, 6),
                textcoords="offset points",
                ha="center",
                fontsize=9,
            )
    finish(axes, "trial", LABELS[metric])
    legend_below(axes, columns=3)
    return figure


def importances(shares: Mapping[str, float]) -> Figure:
    """How much each option mattered.

    Args:
        shares: by option; together 1.
    """
    figure = new_figure(WIDTH, 1.2 + 0.42 * len(shares))
    axes = figure.subplots()
    ordered = sorted(shares.items(), key=lambda each: each[1])
    bars = axes.barh(
        [name.replace("_", "-") for name, _ in ordered], [100 * share for _, share in ordered], color=BLUE
    )
    axes.bar_label(bars, fmt="%.0f %%", padding=4)
    axes.set_xlim(0, 112)
    axes.tick_params(axis="y", labelsize=11)
    finish(axes, "share in what makes a trial one of the best, per cent", "")
    return figure


def parallel_coordinates(trials: Sequence[Trial], metric: Metric, logarithmic: Sequence[str]) -> Figure:
    """A line for each trial that came to its end, through the values of its options and what came of it.

    Args:
        trials: those, the best first.
        logarithmic: options whose scale is.
    """
    names = list(trials[0].options)
    figure = new_figure(max(WIDTH, 1.3 * (len(names) + 1)), 3.9)
    axes = figure.subplots()
    columns = {name: [trial.options[name] for trial in trials] for name in names}
    places = [_places(axes, x, columns[name], name in logarithmic) for x, name in enumerate(names)]
    values = [_edge(trial.value or 0.0, metric) for trial in trials]
    places.append(_places(axes, len(names), values, metric == "mse"))
    rows, x = np.array(places).T, range(len(names) + 1)  # (trials, axes)
    good = math.ceil(len(trials) / GOOD)
    for row in rows[:0:-1]:
        axes.plot(x, row, color=GREY, alpha=0.45, linewidth=1)
    for row in rows[good - 1 : 0 : -1]:
        axes.plot(x, row, color=BLUE, linewidth=1.8)
    axes.plot(x, rows[0], color=MODEL, linewidth=3)
    for color, width, label in ((MODEL, 3, "the best"), (BLUE, 1.8, "best quarter"), (GREY, 1, "the others")):
        axes.plot([], [], color=color, linewidth=width, label=label)
    axes.set_xticks(
        list(x), [name.replace("_", "-\n", 1) for name in names] + [LABELS[metric].replace(" ", "\n")]
    )
    axes.tick_params(axis="x", length=0, labelsize=11)
    axes.set_xlim(-0.35, len(names) + 0.35)
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    legend_below(axes, columns=3)
    return figure


def _edge(value: float, metric: Metric) -> float:
    return max(value, LOWEST) if metric == "skill" else value


def _places(axes: Axes, x: int, values: Sequence[bool | float | str], logarithmic: bool) -> list[float]:
    """Draw an upright axis at x; returns where on it, from 0 to 1, each value stands."""
    axes.plot([x, x], [0, 1], color=BLACK, linewidth=1)
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        scale = math.log if logarithmic else float
        low, high = (scale(float(end(values))) for end in (min, max))
        width = (high - low) or 1.0
        places = [(scale(float(value)) - low) / width for value in values]
        back = math.exp if logarithmic else float
        whole = all(isinstance(value, int) for value in values) and (low + high) % 2 != 0
        shown = (0,) if high == low else (0, 1) if whole else (0, 0.5, 1)
        marks = {place: f"{back(low + place * width):.3g}" for place in shown}
    else:
        kinds = sorted({str(value) for value in values})
        marks = {(k + 0.5) / len(kinds): kind for k, kind in enumerate(kinds)}
        at = {kind: place for place, kind in marks.items()}
        places = [at[str(value)] for value in values]
    for place, text in marks.items():
        box = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1}
        axes.text(x + 0.04, place, text, va="center", fontsize=10, bbox=box, zorder=5)
    return places
