"""What the drawings of a net are put together from: units, frames, samples, legends; all in inches."""

import re
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Rectangle
from torch import Tensor

from framegen.report.figures.style import BLACK, BLUE, GREY, INPUT, RED, new_figure
from framegen.report.figures.trace import GREYS, Scale, Trace

FEW = 12
"""Units of a layer up to which each weight is an arrow; a wider layer is a block, its weights an image."""

EDGE = "#555555"
"""Of frames and images: white ones are to be seen on white."""
DARK = "#444444"
"""Of what is said beside."""

Point = tuple[float, float]


def write(axes: Axes, x: float, y: float, text: str, size: float, color: str = BLACK, **how: Any) -> None:
    """A text, around its middle unless told otherwise."""
    axes.text(x, y, text, **{"fontsize": size, "color": color, "ha": "center", "va": "center", **how})


def minus(number: str) -> str:
    """A number, as it is written, with a real minus sign; 0 has no sign."""
    return re.sub(r"^[+-](0\.?0*)$", r"\1", number).replace("-", "\N{MINUS SIGN}")


def places(count: int, centre: Point, width: float, height: float) -> list[Point]:
    """Where units stand, from the top left: a line over `width` and `height`; a wide layer's a block."""
    x, y = centre
    if count <= FEW:
        across, down = np.linspace(-width / 2, width / 2, count), np.linspace(height / 2, -height / 2, count)
        return (
            [(x + a, y + d) for a, d in zip(across.tolist(), down.tolist(), strict=True)]
            if count > 1
            else [centre]
        )
    columns = columns_of(count)
    rows = -(-count // columns)
    step = max(width, height) / (max(rows, columns) - 1)
    return [
        (x + step * (n % columns - (columns - 1) / 2), y + step * ((rows - 1) / 2 - n // columns))
        for n in range(count)
    ]


def columns_of(count: int) -> int:
    """Columns of a wide layer's block: of eight rows."""
    return -(-count // 8)


def radius_of(count: int, length: float) -> float:
    """Inches of a unit's radius in a layer of that length."""
    return min(0.24, 0.42 * length / count) if count <= FEW else min(0.13, 0.42 * length / 7)


def units(
    axes: Axes,
    points: list[Point],
    values: Tensor,
    scale: Scale,
    radius: float,
    edge: str,
    letters: float = 0,
) -> None:
    """Units filled with their values; `letters` is the size of the numbers in them, 0 writes none."""
    for point, value in zip(points, values.tolist(), strict=True):
        fill = scale.color(value)
        axes.add_patch(
            Circle(point, radius, facecolor=fill, edgecolor=edge, linewidth=min(1.6, 12 * radius), zorder=3)
        )
        if letters:
            bright = 0.3 * fill[0] + 0.59 * fill[1] + 0.11 * fill[2] > 0.5
            write(axes, *point, minus(f"{value:.2f}"), letters, BLACK if bright else "white", zorder=4)


def border(axes: Axes, centre: Point, width: float, height: float) -> None:
    corner = centre[0] - width / 2, centre[1] - height / 2
    axes.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=EDGE, linewidth=0.8, zorder=3))


def shown(axes: Axes, trace: Trace, step: int, coming_in: bool, centre: Point, size: float) -> float:
    """The frame or the sample that comes in or goes out at a step (from 1), `size` wide or high.

    Returns:
        Its height.
    """
    values = (trace.inputs if coming_in else trace.outputs)[step - 1]
    if trace.what == "sample":
        curve = (trace.inputs if coming_in else trace.labels)[:, 0]
        colors = (INPUT, INPUT) if coming_in else (BLUE, BLACK)
        _sample(axes, curve, step - 1, values.item(), centre, size, colors)
        return 0.6 * size
    channels, *sides = trace.frame_shape
    low, high = trace.value_range
    tall, wide = (size * side / max(sides) for side in sides)
    pixels = values.view(channels, *sides).permute(1, 2, 0).clamp(low, high)
    picture = pixels[..., 0] if channels == 1 else (pixels - low) / (high - low)
    extent = centre[0] - wide / 2, centre[0] + wide / 2, centre[1] - tall / 2, centre[1] + tall / 2
    levels = {"cmap": GREYS, "vmin": low, "vmax": high, "interpolation": "nearest", "aspect": "auto"}
    axes.imshow(picture.numpy(), extent=extent, zorder=2, **levels)
    border(axes, centre, wide, tall)
    return tall


def _sample(
    axes: Axes, curve: Tensor, at: int, value: float, centre: Point, size: float, colors: tuple[str, str]
) -> None:
    """A sample as a point on its curve, (T,), with a line at 0."""
    x = centre[0] + size * (np.linspace(0.08, 0.92, len(curve)) - 0.5)
    low, high = (end(0.0, value, end(curve.tolist())) for end in (min, max))
    zero, *heights, mark = (
        centre[1] + 0.48 * size * ((each - low) / (high - low) - 0.5)
        for each in (0.0, *curve.tolist(), value)
    )
    axes.plot([x[0], x[-1]], [zero] * 2, color="#BBBBBB", linewidth=0.8, zorder=2)
    axes.plot(x, heights, ".-", color=colors[0], markersize=4, linewidth=0.8, alpha=0.6, zorder=2)
    axes.plot([x[at]], [mark], "o", color=colors[1], markersize=8, zorder=4)
    border(axes, centre, size, 0.6 * size)


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure whose data units are inches."""
    figure = new_figure(width, height, constrained=False)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    return figure, axes


def limits(axes: Axes, width: float, height: float) -> None:
    # After imshow, which sets limits of its own.
    axes.set_xlim(0, width)
    axes.set_ylim(0, height)
    axes.set_aspect("equal")


def caption(axes: Axes, size: tuple[float, float], title: str, notes: list[str], letters: float) -> None:
    """The title above, and notes below the drawing, a line each."""
    width, height = size
    write(axes, width / 2, height - 0.2, title, 1.15 * letters, va="top")
    said = "\n".join(note for note in notes if note)
    write(axes, width / 2, 0.85, said, 0.9 * letters, DARK, va="bottom")


def legend(axes: Axes, trace: Trace, width: float, letters: float) -> None:
    """Along the bottom, what the colours of weights and of units say."""
    arrows = [max(matrix.shape) <= FEW for matrix in trace.matrices]
    names = {"weight > 0": BLUE, "weight < 0": RED} if trace.signed else {"weight": GREY}
    handles = [Line2D([], [], color=color, linewidth=2.5, label=name) for name, color in names.items()]
    handles.append(Line2D([], [], color=BLACK, linewidth=3.3, label=f"widest: {trace.largest:.2f}"))
    place = {"loc": "lower left", "bbox_to_anchor": (0.1, 0.03), "bbox_transform": axes.transData}
    if any(arrows):
        axes.legend(handles=handles, ncols=3, frameon=False, fontsize=letters, columnspacing=1, **place)
    step = 0.19 * letters
    scales = [trace.inside, trace.outside] + ([] if all(arrows) else [trace.of_weights])
    for number, scale in enumerate(scales):
        left, room = width - step * (number + 1) + 0.3, step - 1.1
        bar = np.linspace(0, 1, 64)[None]
        axes.imshow(bar, cmap=scale.colors, extent=(left, left + room, 0.18, 0.32), zorder=2, aspect="auto")
        border(axes, (left + room / 2, 0.25), room, 0.14)
        for x, side, end in ((left - 0.05, "right", scale.low), (left + room + 0.05, "left", scale.high)):
            write(axes, x, 0.25, minus(f"{end:.2g}"), letters, ha=side)
        write(axes, left + room / 2, 0.37, scale.label, letters, va="bottom")
