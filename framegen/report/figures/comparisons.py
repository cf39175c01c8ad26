"""Results side by side: a dot for each seed, and lines with their spread."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from framegen.report.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    MODEL,
    OPTIMUM,
    ORANGE,
    PINK,
    SKY,
    finish,
    new_figure,
)

MAX_TICKS = 10

COLORS = (MODEL, BLUE, GREEN, ORANGE, PINK, SKY)


def strip_plot(
    panels: Mapping[str, Mapping[str, Sequence[float]]], x_label: str, lowest: float = -np.inf
) -> Figure:
    """A row for each predictor, with a dot for each seed; a bar for mean ± standard deviation where there are
    several.

    Args:
        panels: by title, by predictor, its values; a single value is a predictor that has no seed.
        lowest: what lies below is drawn at the edge, with its value beside it.
    """
    rows = max(map(len, panels.values()))
    figure = new_figure(5.2 * len(panels), 0.42 * rows + 1.3)
    for axes, (title, predictors) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
    ):
        for row, values in enumerate(predictors.values()):
            shown = np.maximum(np.array(values), lowest)
            if len(values) == 1:
                axes.plot(shown, [row], "D", color=BLACK, markersize=6)
                continue
            mean, deviation = np.mean(values), np.std(values, ddof=1)
            axes.plot(
                [mean - deviation, mean + deviation],
                [row, row],
                color=MODEL,
                linewidth=7,
                alpha=0.3,
                solid_capstyle="butt",
            )
            axes.plot(
                shown, row + np.linspace(-0.18, 0.18, len(values)), "o", color=BLUE, markersize=3.5, alpha=0.8
            )
            axes.plot([mean], [row], "|", color=MODEL, markersize=16, markeredgewidth=2.5)
            if min(values) < lowest:
                axes.annotate(
                    f"down to {min(values):.2f}",
                    (lowest, row),
                    xytext=(8, 8),
                    textcoords="offset points",
                    fontsize=7,
                )
        counts = [
            f"{name} ({len(values)} seeds)" if len(values) > 1 else name
            for name, values in predictors.items()
        ]
        axes.set_yticks(range(len(predictors)), counts)
        axes.set_ylim(len(predictors) - 0.5, -0.5)
        if lowest > -np.inf:
            axes.set_xlim(left=lowest - 0.04)
        axes.set_title(title, fontsize=11)
        finish(axes, x_label, "")
    figure.supxlabel(
        "dots: seeds; bars: mean ± standard deviation; diamonds: predictors without a seed", fontsize=8
    )
    return figure


@dataclass(frozen=True)
class Line:
    """Values over x, one row a seed (or a single row); drawn as their mean, and a band from the lowest to the
    highest."""

    x: Sequence[float]
    rows: Sequence[Sequence[float]]
    reference: bool = False
    """Drawn dashed: what the others are compared with."""


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
    """Charts side by side."""
    figure = new_figure(5.6 * len(panels), 4.3)
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        colors = iter(COLORS)
        for name, line in panel.lines.items():
            rows = np.array(line.rows)
            color = OPTIMUM if line.reference else next(colors)
            style = (
                {"linestyle": (0, (4, 1))}
                if line.reference
                else {"marker": "o" if len(line.x) < 30 else None}
            )
            axes.plot(line.x, rows.mean(0), color=color, linewidth=1.8, markersize=4, label=name, **style)  # pyright: ignore[reportArgumentType]
            if len(rows) > 1:
                axes.fill_between(line.x, rows.min(0), rows.max(0), color=color, alpha=0.18, linewidth=0)
        if panel.upright is not None:
            axes.axvline(panel.upright[1], color=BLACK, linestyle=":", linewidth=1, label=panel.upright[0])
        if panel.log_x:
            axes.set_xscale("log")
            if len(places := sorted({x for line in panel.lines.values() for x in line.x})) <= MAX_TICKS:
                axes.set_xticks(places, [f"{place:g}" for place in places])
                axes.minorticks_off()
        if panel.log_y:
            axes.set_yscale("log")
        axes.set_title(panel.title, fontsize=11)
        finish(axes, panel.x_label, panel.y_label)
        axes.legend(frameon=False, fontsize=8)
    return figure
