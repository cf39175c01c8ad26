"""Frames in a grid, each with an edge of its own, and a number below it where it has one."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from framegen.report.figures.style import BLUE, GREY, new_figure

Picture = np.ndarray[Any, np.dtype[np.uint8]]
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
    figure = new_figure(INCHES * len(numbers) + 1.3, INCHES * sum(_heights(rows)) + 0.45)
    draw_cells(figure.add_subplot(), rows, numbers)
    figure.suptitle("frame", fontsize=9)
    return figure


def draw_cells(axes: Axes, rows: Mapping[str, Sequence[Cell]], numbers: Sequence[int]) -> None:
    """The same on axes: one for all frames, since dozens of them would take seconds. A number has the colour
    of the first row's cell."""
    axes.set_axis_off()
    tall, top = SIDE * _aspect(rows), 0.0
    for (name, row), height in zip(rows.items(), _heights(rows), strict=True):
        axes.text(-0.15, top + tall / 2, name, ha="right", va="center", fontsize=9)
        for column, cell in enumerate(row):
            _draw(axes, cell, column, top, tall)
        top += height
    centred = {"ha": "center", "va": "bottom", "fontsize": 8}
    for column, (number, cell) in enumerate(zip(numbers, next(iter(rows.values())), strict=True)):
        axes.text(column + SIDE / 2, -0.08, str(number), color=cell.color, **centred)
    axes.set(xlim=(-0.02, len(numbers) - 0.08), ylim=(top - 0.08, -0.02), aspect="equal")


def _aspect(rows: Mapping[str, Sequence[Cell]]) -> float:
    """Height of the frames over their width."""
    shapes = (cell.picture.shape for row in rows.values() for cell in row if cell.picture is not None)
    height, width, _ = next(shapes)
    return height / width


def _heights(rows: Mapping[str, Sequence[Cell]]) -> list[float]:
    numbered = [any(cell.share is not None for cell in row) for row in rows.values()]
    return [SIDE * _aspect(rows) + GAP + NUMBER * each for each in numbered]


def _draw(axes: Axes, cell: Cell, column: int, top: float, tall: float) -> None:
    shown = np.full((1, 1, 3), 0xD9, np.uint8) if cell.picture is None else cell.picture
    axes.imshow(shown, extent=(column, column + SIDE, top + tall, top))
    width = 1.5 if cell.share is None else 0.4 + 3 * cell.share
    edge = {"fill": False, "edgecolor": cell.color}
    axes.add_patch(Rectangle((column, top), SIDE, tall, linewidth=width, **edge))
    if cell.share is not None:
        said = f"{cell.share:.2f}".removeprefix("0")
        axes.text(column + SIDE / 2, top + tall + 0.04, said, ha="center", va="top", fontsize=7)
    if cell.window:
        place = column + SIDE * (1 - cell.window) / 2, top + tall * (1 - cell.window) / 2
        sides = SIDE * cell.window, tall * cell.window
        axes.add_patch(Rectangle(place, *sides, fill=False, edgecolor=BLUE, linewidth=1.2))
