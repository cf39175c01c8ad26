"""Frames in a grid, each with an edge of its own, and a number below it where it has one."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from framegen.report.figures.strips import Picture
from framegen.report.figures.style import BLUE, GREY, new_figure

SIDE, GAP, NUMBER = 0.9, 0.1, 0.28
"""A frame's width, what lies between two, and room for a number below, in columns."""
INCHES = 0.62


class Cell(NamedTuple):
    """One frame of a grid."""

    picture: Picture | None = None
    """(H, W, 3) uint8; None: nothing is there."""
    color: str = GREY
    share: float | None = None
    """In [0, 1], stands below it, and makes its edge the stronger."""
    window: float = 0
    """The side of a window in its middle, over its own; 0: there is none."""


def cells(rows: Mapping[str, Sequence[Cell]], numbers: Sequence[int]) -> Figure:
    """Rows of frames, under their numbers.

    Args:
        rows: by name, a cell for each of the numbers.
    """
    heights = [SIDE + GAP + (NUMBER if _numbered(row) else 0) for row in rows.values()]
    figure = new_figure(INCHES * len(numbers) + 1.3, INCHES * sum(heights) + 0.45)
    axes = figure.add_subplot()
    axes.set_axis_off()
    top = 0.0
    for (name, row), height in zip(rows.items(), heights, strict=True):
        axes.text(-0.15, top + SIDE / 2, name, ha="right", va="center", fontsize=9)
        for column, cell in enumerate(row):
            _draw(axes, cell, column, top)
        top += height
    for column, number in enumerate(numbers):
        axes.text(column + SIDE / 2, -0.08, str(number), ha="center", va="bottom", fontsize=8)
    axes.set(xlim=(-0.04, len(numbers) - 0.06), ylim=(top - 0.04, -0.04), aspect="equal")
    figure.suptitle("frame", fontsize=9)
    return figure


def _numbered(row: Sequence[Cell]) -> bool:
    return any(cell.share is not None for cell in row)


def _draw(axes: Axes, cell: Cell, column: int, top: float) -> None:
    shown = np.full((1, 1, 3), 0xF2, np.uint8) if cell.picture is None else cell.picture
    axes.imshow(shown, extent=(column, column + SIDE, top + SIDE, top), interpolation="nearest")
    width = 1.2 if cell.share is None else 0.4 + 3 * cell.share
    edge = {"fill": False, "edgecolor": cell.color}
    axes.add_patch(Rectangle((column, top), SIDE, SIDE, linewidth=width, **edge))
    if cell.share is not None:
        said = f"{cell.share:.2f}".removeprefix("0")
        axes.text(column + SIDE / 2, top + SIDE + 0.04, said, ha="center", va="top", fontsize=7)
    if cell.window:
        corner = SIDE * (1 - cell.window) / 2
        place, side = (column + corner, top + corner), SIDE * cell.window
        axes.add_patch(Rectangle(place, side, side, fill=False, edgecolor=BLUE, linewidth=1.2))
