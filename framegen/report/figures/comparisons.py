"""Results side by side: a dot for each seed, lines with their spread; and the permanence curve: does a net
expect hidden things to come back?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from framegen.evaluation.metrics import numbers
from framegen.evaluation.permanence import LONGEST
from framegen.evaluation.references import OBSERVERS, ONE_FRAME
from framegen.evaluation.references import OPTIMUM as BEST
from framegen.evaluation.results import Permanence
from framegen.machine.progress import count_of
from framegen.report.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    MODEL,
    OPTIMUM,
    ORANGE,
    PINK,
    SKY,
    WIDTH,
    finish,
    log_axis,
    new_figure,
    whole_numbers,
)

MAX_TICKS = 10

COLORS = (MODEL, BLUE, GREEN, ORANGE, PINK, SKY)


def strip_plot(
    panels: Mapping[str, Mapping[str, float | Sequence[float]]], x_label: str, lowest: float = -np.inf
) -> Figure:
    """A row for each predictor, with a dot for each seed; a bar for mean ± standard deviation where there are
    several.

    Args:
        panels: by title, by predictor, its values; a number alone is a predictor that has no seed.
        lowest: what lies below is drawn at the edge, with its value beside it.
    """
    heights = [len(predictors) + 2.2 for predictors in panels.values()]
    figure = new_figure(WIDTH, 0.34 * sum(heights) + 0.5)
    rows_of_axes = figure.subplots(len(panels), 1, squeeze=False, gridspec_kw={"height_ratios": heights})
    for axes, (title, predictors) in zip(rows_of_axes[:, 0], panels.items(), strict=True):
        counts = []
        for row, (name, values) in enumerate(predictors.items()):
            if isinstance(values, int | float):
                axes.plot(max(values, lowest), row, "D", color=BLACK, markersize=6)
                counts.append(name)
            else:
                _strip(axes, row, values, lowest)
                counts.append(f"{name} ({count_of(len(values), 'seed')})")
        axes.set_yticks(range(len(predictors)), counts)
        axes.set_ylim(len(predictors) - 0.5, -0.5)
        if lowest > -np.inf:
            axes.set_xlim(lowest - 0.04, 1.04)
        axes.set_title(title, fontsize=11, loc="right")
        finish(axes, x_label, "")
    figure.supxlabel("dots: seeds; bars: mean ± standard deviation; diamonds: without a seed", fontsize=9)
    return figure


def _strip(axes: Axes, row: int, values: Sequence[float], lowest: float) -> None:
    """The dots of one row, and their mean and deviation."""
    shown = np.maximum(np.array(values), lowest)
    offsets = np.linspace(-0.18, 0.18, len(values)) if len(values) > 1 else [0]
    if len(values) > 1:
        mean, deviation = float(np.mean(values)), float(np.std(values, ddof=1))
        ends = np.maximum([mean - deviation, mean + deviation], lowest)
        axes.plot(ends, [row, row], color=MODEL, linewidth=7, alpha=0.3, solid_capstyle="butt")
        axes.plot([max(mean, lowest)], [row], "|", color=MODEL, markersize=16, markeredgewidth=2.5)
    axes.plot(shown, row + np.array(offsets), "o", color=BLUE, markersize=3.5, alpha=0.8)
    if min(values) < lowest:
        below = sum(value < lowest for value in values)
        text = f"{below} below, down to {min(values):.2f}"
        axes.annotate(text, (lowest, row), xytext=(8, 8), textcoords="offset points", fontsize=9)


@dataclass(frozen=True)
class Line:
    """Values over x, one row a seed (or a single row); drawn as their mean, and a band from the lowest to the
    highest."""

    x: Sequence[float]
    rows: Sequence[Sequence[float]]
    reference: bool = False
    """Drawn dashed: what the others are compared with."""
    band: tuple[Sequence[float], Sequence[float]] | None = None
    """A band in place of the one from the lowest to the highest row."""
    apart: bool = False
    """Every row is drawn as a thin line of its own, without mean and band."""


@dataclass(frozen=True)
class Panel:
    """One chart of a `line_plot`."""

    title: str
    x_label: str
    y_label: str
    lines: Mapping[str, Line]
    log_x: bool = False
    log_y: bool = False
    upright: tuple[str, float] | None = None
    """A dotted line: its label, and where it stands."""


def line_plot(panels: Sequence[Panel]) -> Figure:
    """Charts below each other."""
    figure = new_figure(WIDTH, 3.9 * len(panels))
    for axes, panel in zip(figure.subplots(len(panels), 1, squeeze=False)[:, 0], panels, strict=True):
        references = iter([OPTIMUM, GREY, BLACK, PINK])
        beside = any(line.reference for line in panel.lines.values())
        colors = (color for color in COLORS if not (beside and color == OPTIMUM))
        for name, line in panel.lines.items():
            _line(axes, name, line, next(references) if line.reference else next(colors))
        if panel.upright is not None:
            axes.axvline(panel.upright[1], color=BLACK, linestyle=":", linewidth=1, label=panel.upright[0])
        if panel.log_x:
            axes.set_xscale("log")
        elif all(isinstance(x, int) for line in panel.lines.values() for x in line.x):
            whole_numbers(axes)
        if len(places := sorted({x for line in panel.lines.values() for x in line.x})) <= MAX_TICKS:
            axes.set_xticks(places, [f"{place:g}" for place in places])
            axes.minorticks_off()
        if panel.log_y:
            log_axis(axes)
        finish(axes, panel.x_label, panel.y_label, panel.title, legend=1)
    return figure


def _line(axes: Axes, name: str, line: Line, color: str) -> None:
    rows = np.array(line.rows)
    if line.apart:
        axes.plot(line.x, rows.T, color=color, linewidth=0.7, alpha=0.6)
        axes.plot([], [], color=color, linewidth=0.7, label=name)
        return
    dashed = {"linestyle": (0, (4, 1))}
    style = dashed if line.reference else {"marker": "o" if len(line.x) < 30 else None}
    axes.plot(line.x, rows.mean(0), color=color, linewidth=1.8, markersize=4, label=name, **style)  # pyright: ignore[reportArgumentType]
    band = line.band or ((rows.min(0), rows.max(0)) if len(rows) > 1 else None)
    if band is not None:
        axes.fill_between(line.x, *band, color=color, alpha=0.18, linewidth=0)


def memory_when_back(nets: Mapping[str, Permanence]) -> Figure:
    """The memory skill in the frame in which something comes back, over how long it was out of sight; bands
    are standard errors, over the seeds or of one net over the clips.

    Args:
        nets: by name, what was measured of each on the same clips; the observers are drawn of the first.
    """
    return line_plot([when_back(nets)])


def when_back(nets: Mapping[str, Permanence]) -> Panel:
    """The chart of it."""
    first = next(iter(nets.values()))
    lines = {name: _of_net(each) for name, each in nets.items()}
    for name in (BEST, *reversed(OBSERVERS)):
        if name != ONE_FRAME:
            lines[name] = _banded(first, [numbers(first.memory[name])], numbers(first.memory_se[name]), True)
    return Panel(
        "Back in sight: 0 has seen one frame, 1 knows all",
        f"frames out of sight ({LONGEST}: or more)" if LONGEST in first.frames else "frames out of sight",
        "memory skill",
        lines,
    )


def _of_net(found: Permanence) -> Line:
    rows = [numbers(each) for each in found.members]
    if len(rows) == 1:
        return _banded(found, rows, numbers(found.memory_se["model"]))
    return _banded(found, rows, (np.std(rows, 0, ddof=1) / len(rows) ** 0.5).tolist())


def _banded(
    found: Permanence, rows: list[list[float]], margins: list[float], reference: bool = False
) -> Line:
    means, wide = np.mean(rows, 0), np.array(margins)
    return Line(found.frames, rows, reference, ((means - wide).tolist(), (means + wide).tolist()))
