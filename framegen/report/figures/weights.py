"""A net's weights, drawn: an arrow each, or where a layer is wide an image of them all."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_rgba
from matplotlib.patches import Circle, FancyArrowPatch
from torch import Tensor

from framegen.report.figures.pieces import FEW, Point, border, columns_of, write
from framegen.report.figures.style import BLUE, GREY, RED
from framegen.report.figures.trace import DIVERGING, SIZES, Layer, Trace

STUB = 0.27
"""Part of an arrow's way that is drawn where it leads into the dots, or out of them."""

IMAGE = 0.85
"""Inches of the longer side of a matrix."""


def color_of(weight: float, signed: bool) -> str:
    return GREY if not signed else BLUE if weight > 0 else RED


def into(
    axes: Axes,
    trace: Trace,
    layer: Layer,
    sources: list[Point],
    ends: list[Point],
    radii: tuple[float, float],
    name: str = "",
) -> None:
    """The weights into a layer from the one before; of a wide one, where it has a name, an image of them."""
    if max(len(sources), len(ends)) <= FEW:
        _edges(axes, trace, layer, layer.forward, sources, ends, radii)
        return
    start, end = _rim(sources, radii[0], ends), _rim(ends, radii[1], sources)
    _arrow(axes, start, end)
    if name:
        _image(axes, trace, layer, layer.forward, _middle([start, end]), name)


def within(axes: Axes, trace: Trace, layer: Layer, here: list[Point], radius: float, name: str) -> None:
    """Full recurrence within a layer: bent arrows between units, a loop from each to itself; of a wide layer
    an image below it."""
    assert layer.recurrent is not None
    if len(here) > FEW:
        x, low = _middle(here)[0], min(y for _, y in here) - radius - 0.05
        _arrow(axes, (x + 0.65, low), (x + 0.65, low - 0.75), head=False)
        _arrow(axes, (x + 0.65, low - 0.75), (x - 0.65, low - 0.75), head=False)
        _arrow(axes, (x - 0.65, low - 0.75), (x - 0.65, low))
        _image(axes, trace, layer, layer.recurrent, (x, low - 0.75), name)
        return
    _bent(axes, trace, layer, layer.recurrent, here, radius)
    for end, weight in zip(here, layer.recurrent.diagonal().tolist(), strict=True):
        strength = abs(weight) / trace.largest
        place = end[0] + 1.25 * radius, end[1] + 0.8 * radius
        loop = Circle(place, 0.65 * radius, fill=False, edgecolor=color_of(weight, layer.signed))
        loop.set(linewidth=0.3 + 3 * strength, alpha=0.25 + 0.6 * strength, zorder=2)
        axes.add_patch(loop)


def onward(
    axes: Axes, trace: Trace, layer: Layer, before: list[Point], here: list[Point], radius: float, gap: bool
) -> None:
    """What a step is handed by the one before; where there is a `gap` between them, both ends of the way."""
    assert layer.recurrent is not None
    if len(here) > FEW:
        (left, y), (right, _) = _rim(before, radius, here), _rim(here, radius, before)
        way = 0.3 * (right - left)
        _arrow(axes, (left, y), (left + way if gap else right, y), head=not gap)
        if gap:
            _arrow(axes, (right - way, y), (right, y))
        else:
            _image(axes, trace, layer, layer.recurrent, ((left + right) / 2 - 0.08, y), "U")
        return
    for part in ((0.0, STUB), (1 - STUB, 1.0)) if gap else ((0.0, 1.0),):
        _edges(axes, trace, layer, layer.recurrent, before, here, (radius, radius), part=part)


def _edges(
    axes: Axes,
    trace: Trace,
    layer: Layer,
    weights: Tensor,
    sources: list[Point],
    ends: list[Point],
    radii: tuple[float, float],
    part: tuple[float, float] = (0, 1),
) -> None:
    """A straight arrow from each source to each end: width by the size of its weight, colour by its sign.

    Args:
        radii: of the units at both ends.
        part: of the way, what is drawn; what ends early has no head.
    """
    start = np.array([sources] * len(ends)).reshape(-1, 2)  # (ends * sources, 2)
    end = np.repeat(np.array(ends), len(sources), 0)
    strength = weights.abs().flatten().numpy()[:, None] / trace.largest
    length = np.linalg.norm(end - start, axis=1, keepdims=True)
    along = (end - start) / length
    first = start + along * (radii[0] if part[0] == 0 else part[0] * length)
    last = start + along * (length - radii[1] if part[1] == 1 else part[1] * length)
    colors = [
        to_rgba(color_of(weight, layer.signed), 0.25 + 0.6 * share)
        for weight, (share,) in zip(weights.flatten().tolist(), strength.tolist(), strict=True)
    ]
    head = (0.03 + 0.08 * strength) * along * (part[1] == 1)  # inches
    side = np.stack([-head[:, 1], head[:, 0]], 1) / 2
    lines = np.stack([first, last - head], 1)
    axes.add_collection(
        LineCollection(lines.tolist(), linewidths=0.3 + 3 * strength[:, 0], colors=colors, zorder=1)
    )
    if part[1] == 1:
        heads = np.stack([last, last - 1.2 * head + side, last - 1.2 * head - side], 1)
        axes.add_collection(PolyCollection(heads.tolist(), facecolors=colors, linewidths=0, zorder=1))


def _bent(axes: Axes, trace: Trace, layer: Layer, weights: Tensor, units: list[Point], radius: float) -> None:
    """A bent arrow from each unit to each other."""
    for end, row in zip(units, weights.tolist(), strict=True):
        for source, weight in zip(units, row, strict=True):
            if source == end:
                continue
            strength = abs(weight) / trace.largest
            bend = 0.75 * (0.35 + 0.65 / max(1.0, abs(end[1] - source[1]) / 0.3))
            size, shrink = 4 + 5 * strength, 72 * radius  # points
            style = {"arrowstyle": "-|>", "mutation_scale": size, "shrinkA": shrink, "shrinkB": shrink}
            line = {"linewidth": 0.3 + 3 * strength, "color": color_of(weight, layer.signed), "zorder": 1}
            arrow = FancyArrowPatch(source, end, connectionstyle=f"arc3,rad={bend}", **style, **line)
            arrow.set_alpha(0.25 + 0.6 * strength)
            axes.add_patch(arrow)


def _arrow(axes: Axes, start: Point, end: Point, head: bool = True) -> None:
    """A thick arrow that stands for all the weights of a matrix."""
    plain = {"mutation_scale": 16, "linewidth": 2.2, "color": GREY, "shrinkA": 0, "shrinkB": 0, "zorder": 1}
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>" if head else "-", **plain))


def _image(axes: Axes, trace: Trace, layer: Layer, weights: Tensor, centre: Point, name: str) -> None:
    """A matrix, a pixel a weight; a single row or column is bent to its units' block."""
    values = weights.numpy()
    if 1 in values.shape and values.size > FEW:
        columns = columns_of(values.size)
        filled = np.full((-(-values.size // columns), columns), np.nan, np.float32)
        filled.flat[: values.size] = values.flat
        values = filled
    tall, wide = (IMAGE * side / max(values.shape) for side in values.shape)
    (x, y), largest = centre, trace.largest
    colors, low = (DIVERGING, -largest) if layer.signed else (SIZES, 0)
    extent = x - wide / 2, x + wide / 2, y - tall / 2, y + tall / 2
    levels = {"vmin": low, "vmax": largest, "interpolation": "nearest", "aspect": "auto"}
    axes.imshow(values, colors, extent=extent, zorder=2, **levels)
    border(axes, centre, wide, tall)
    size = "\N{MULTIPLICATION SIGN}".join(map(str, weights.shape))
    write(axes, x, y + tall / 2 + 0.06, f"${name}$, {size}", 11, va="bottom")


def _middle(points: list[Point]) -> Point:
    xs, ys = zip(*points, strict=True)
    return (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2


def _rim(points: list[Point], radius: float, others: list[Point]) -> Point:
    """Where the line from the middle of some units to that of others leaves the box around the first."""
    (x, y), (to_x, to_y) = _middle(points), _middle(others)
    halves = [max(each) - min(each) for each in zip(*points, strict=True)]
    ways = to_x - x, to_y - y
    share = min((half / 2 + radius + 0.08) / abs(way) for half, way in zip(halves, ways, strict=True) if way)
    return x + share * ways[0], y + share * ways[1]
