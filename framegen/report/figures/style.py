"""One look for all figures: colour-blind-safe (Okabe and Ito), on opaque white, so they read on any page."""

import io
import math
from pathlib import Path
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogFormatterSciNotation, LogLocator, MaxNLocator, NullFormatter
from matplotlib.transforms import ScaledTranslation

from framegen.machine.files import write_bytes

BLUE, ORANGE, GREEN, RED, GREY, BLACK = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#7F7F7F", "#000000"

PINK, SKY = "#CC79A7", "#56B4E9"

INPUT = "#C1002B"
"""A sine that goes in: red, as in the article, and not the orange of what is below 0."""

PROMPT, MODEL, OPTIMUM, TRUTH = BLUE, RED, GREEN, BLACK

DPI = 150

WIDTH = 5.2
"""Inches of a chart: panels stand below each other, and on a telephone letters stay large enough."""


def new_figure(width: float, height: float, constrained: bool = True) -> Figure:
    """An empty figure, in inches. No pyplot: nothing global is touched, and no window is ever asked for."""
    return Figure(figsize=(width, height), layout="constrained" if constrained else None, facecolor="white")


def new_chart(height: float) -> tuple[Figure, Axes]:
    """A figure of WIDTH with a single chart, and that."""
    figure = new_figure(WIDTH, height)
    return figure, figure.subplots()


def finish(axes: Axes, x_label: str, y_label: str, title: str = "", legend: int = 0) -> None:
    """The style of all charts: labels, a title, a faint grid, no frame at the top and at the right; below it
    a legend of so many columns, of 0 none."""
    if title:
        axes.set_title(title, fontsize=11)
    if legend:
        legend_below(axes, legend)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def legend_below(axes: Axes, columns: int = 1) -> None:
    """The legend under the axis' label, where it hides nothing."""
    below = axes.transAxes + ScaledTranslation(0, -0.42, axes.figure.dpi_scale_trans)  # inches
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, 0), "bbox_transform": below}
    axes.legend(frameon=False, fontsize=9, ncols=columns, **place)


def whole_numbers(axes: Axes) -> None:
    """Let only whole numbers stand along the bottom."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def log_axis(axes: Axes, bottom: float | None = None, along: Literal["x", "y"] = "y") -> None:
    """Make an axis logarithmic, once its values are drawn: numbers at 1, 2 and 5 where it is short."""
    axes.set(**{f"{along}scale": "log"})
    axes.set_ylim(bottom=bottom)
    axis = axes.yaxis if along == "y" else axes.xaxis
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 500 * low else (1,), numticks=20))
    powers = LogFormatterSciNotation(minor_thresholds=(math.inf, math.inf))
    axis.set_major_formatter(powers if low < 1e-4 else FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def save(figure: Figure, path: Path, exclusive: bool = False) -> Path:
    """Write a PNG, whole or not at all; of its folder no more than the last is made where it is missing."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=DPI, format="png")
    path.parent.mkdir(exist_ok=True)
    write_bytes(path, buffer.getvalue(), exclusive)
    return path
