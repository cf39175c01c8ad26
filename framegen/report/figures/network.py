"""The article's two drawings of a recurrent net, made from a model's own weights."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, FancyArrowPatch
from torch import Tensor

from framegen.report.figures.strips import Picture
from framegen.report.figures.style import BLUE, GREY, RED, new_figure

MAX_UNITS = 64

MAX_EDGES = 128
"""The most weights of a matrix that are drawn: the largest ones."""

COLUMN, LEVEL, TALL = 3.3, 3.1, 2.3
"""Inches of the temporal view: from step to step, from layer to layer, and the height of a layer."""
Point = tuple[float, float]


@dataclass(frozen=True)
class Layer:
    """Weights into a layer: from the layer before, (units, inputs), and from itself one step earlier, (units,
    units)."""

    forward: Tensor
    recurrent: Tensor | None
    signed: bool
    """False where a weight stands for several gates: then it is their root sum of squares."""


def _color(weight: float, signed: bool) -> str:
    return GREY if not signed else BLUE if weight > 0 else RED


def _spread(count: int, low: float, high: float) -> list[float]:
    return np.linspace(high, low, count).tolist() if count > 1 else [(low + high) / 2]


def _edges(
    axes: Axes,
    sources: list[Point],
    ends: list[Point],
    weights: Tensor,
    largest: float,
    signed: bool,
    curve: float = 0,
) -> None:
    """An arrow from each source to each other end: width by the size of its weight, colour by its sign."""
    radius = _radius(max(len(sources), len(ends)))
    weakest = weights.abs().flatten().sort(descending=True).values[:MAX_EDGES][-1].item()
    for j, end in enumerate(ends):
        for i, source in enumerate(sources):
            weight = weights[j, i].item()
            if abs(weight) < weakest or source == end:
                continue
            strength = abs(weight) / largest
            bend = curve * (0.35 + 0.65 / max(1.0, abs(end[1] - source[1]) / 0.3)) if curve else 0
            axes.add_patch(
                FancyArrowPatch(
                    source,
                    end,
                    connectionstyle=f"arc3,rad={bend}",
                    arrowstyle="-|>",
                    mutation_scale=4 + 5 * strength,
                    linewidth=0.3 + 3 * strength,
                    color=_color(weight, signed),
                    alpha=0.25 + 0.6 * strength,
                    shrinkA=radius * 72,
                    shrinkB=radius * 72,
                    zorder=1,
                )
            )


def _radius(count: int) -> float:
    """Radius of a unit in axes units, which are inches here."""
    return min(0.17, 1.5 / count)


def _units(axes: Axes, points: list[Point], color: str) -> None:
    for point in points:
        axes.add_patch(
            Circle(point, _radius(len(points)), facecolor="white", edgecolor=color, linewidth=1.8, zorder=3)
        )


def _frame(axes: Axes, picture: Picture, centre: Point, size: float, label: str, below: bool = True) -> None:
    x, y = centre
    axes.imshow(picture, extent=(x - size / 2, x + size / 2, y - size / 2, y + size / 2), zorder=2)
    axes.text(
        x,
        y - size / 2 - 0.12 if below else y + size / 2 + 0.12,
        label,
        ha="center",
        va="top" if below else "bottom",
        fontsize=10,
    )


def _canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure whose data units are inches."""
    figure = new_figure(width, height, constrained=False)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    return figure, axes


def _limits(axes: Axes, width: float, height: float) -> None:
    # After imshow, which sets limits of its own.
    axes.set_xlim(0, width)
    axes.set_ylim(0, height)
    axes.set_aspect("equal")


def _legend(axes: Axes, signed: bool, largest: float) -> None:
    colors = {"weight > 0": BLUE, "weight < 0": RED} | (
        {} if signed else {"root sum of squares over the gates": GREY}
    )
    handles = [Line2D([], [], color=color, linewidth=2.5, label=name) for name, color in colors.items()]
    handles.append(Line2D([], [], color="black", linewidth=3.3, label=f"widest line: {largest:.2f}"))
    axes.legend(handles=handles, loc="lower center", ncols=len(handles), frameon=False, fontsize=9)


def _largest(layers: list[Layer], head: Tensor) -> float:
    matrices = [head, *(m for layer in layers for m in (layer.forward, layer.recurrent) if m is not None)]
    return max(m.abs().max().item() for m in matrices)


def _omitted(layers: list[Layer]) -> str:
    dense = any(
        m.numel() > MAX_EDGES for layer in layers for m in (layer.forward, layer.recurrent) if m is not None
    )
    return f"; of each matrix the {MAX_EDGES} largest weights" if dense else ""


def _sizes(layers: list[Layer], head: Tensor) -> str:
    return "-".join(
        str(n) for n in [layers[0].forward.shape[1], *(len(layer.forward) for layer in layers), len(head)]
    )


def spatial_view(
    layers: list[Layer], head: Tensor, frame: Picture, prediction: Picture, next_frame: bool
) -> Figure:
    """The net in space: one frame goes in and one comes out at the same step; each hidden unit feeds all of
    its layer.

    Args:
        layers: the recurrent layers from the input on.
        head: (P, units) weights of the linear output.
        frame, prediction: (H, W, 3) uint8, an actual frame and what the model made of it.
        next_frame: whether the prediction is of the next frame.
    """
    height, gap = 6.2, 2.6
    width = 2 * 1.9 + gap * (len(layers) + 1) + 0.6
    figure, axes = _canvas(width, height)
    largest = _largest(layers, head)
    low, high = 1.3, height - 1.1
    x = 2.2
    points = [(x, y) for y in _spread(layers[0].forward.shape[1], low + 0.3, high - 0.3)]
    _units(axes, points, "black")
    axes.text(x, high + 0.35, "input $x_t$", ha="center", fontsize=11)
    for index, layer in enumerate(layers):
        x += gap
        units = [(x, y) for y in _spread(len(layer.forward), low, high)]
        _edges(axes, points, units, layer.forward, largest, layer.signed)
        if layer.recurrent is not None:
            _recurrence(axes, units, layer.recurrent, largest, layer.signed)
        _units(axes, units, BLUE)
        name = "hidden $h_t$" if len(layers) == 1 else f"hidden $h_t^{{({index + 1})}}$"
        axes.text(x, high + 0.35, name, ha="center", fontsize=11)
        points = units
    x += gap
    outputs = [(x, y) for y in _spread(len(head), low + 0.3, high - 0.3)]
    _edges(axes, points, outputs, head, largest, signed=True)
    _units(axes, outputs, "black")
    made, seen = (
        (r"\hat{x}_{t+1}", "predicted\nframe $t+1$")
        if next_frame
        else (r"\hat{y}_t", "prediction\nat frame $t$")
    )
    axes.text(x, high + 0.35, f"output ${made}$", ha="center", fontsize=11)
    middle = (low + high) / 2
    _frame(axes, frame, (1.0, middle), 1.3, "frame $t$")
    _frame(axes, prediction, (x + 1.2, middle), 1.3, seen)
    title = f"Spatial view of the {_sizes(layers, head)} net: one frame in, one frame out at each step"
    note = "no recurrence: this net has no memory"
    if any(layer.recurrent is not None for layer in layers):
        note = "units from the top: the pixels row by row; bent arrows and loops: "
        note += "what is handed on to the next step"
    _caption(axes, (width, height), title, note + _omitted(layers))
    _legend(axes, all(layer.signed for layer in layers), largest)
    _limits(axes, width, height)
    return figure


def _caption(axes: Axes, size: tuple[float, float], title: str, note: str) -> None:
    """The title above and a note below the drawing."""
    width, height = size
    axes.text(width / 2, height - 0.25, title, ha="center", va="top", fontsize=12, wrap=True)
    axes.text(width / 2, 0.72, note, ha="center", fontsize=9, color="#444444", wrap=True)


def _recurrence(axes: Axes, units: list[Point], weights: Tensor, largest: float, signed: bool) -> None:
    """Full recurrence within a layer: bent arrows between units, a loop from each to itself."""
    _edges(axes, units, units, weights, largest, signed, curve=0.75)
    radius = _radius(len(units))
    for end, weight in zip(units, weights.diagonal().tolist(), strict=True):
        strength = abs(weight) / largest
        loop = Circle((end[0] + 1.35 * radius, end[1] + 0.9 * radius), 0.8 * radius, fill=False)
        loop.set(
            edgecolor=_color(weight, signed),
            linewidth=0.3 + 3 * strength,
            alpha=0.25 + 0.6 * strength,
            zorder=2,
        )
        axes.add_patch(loop)


def temporal_view(
    layers: list[Layer],
    head: Tensor,
    frames: list[Picture],
    predictions: list[Picture],
    numbers: list[int],
    next_frame: bool,
) -> Figure:
    """The net unrolled in time: one feed-forward net a frame; its hidden layer feeds every hidden unit of the
    next one.

    Args:
        layers, head: as for `spatial_view`.
        frames, predictions: (H, W, 3) uint8, the frames shown and what the model predicted after each.
        next_frame: as for `spatial_view`.
        numbers: their places in the clip, from 1; a gap between neighbours is drawn as dots.
    """
    width, height = COLUMN * len(numbers) + 0.6, 5.2 + LEVEL * len(layers)
    figure, axes = _canvas(width, height)
    largest = _largest(layers, head)
    bottom, top = 2.3, 3.05 + LEVEL * len(layers)
    before: list[list[Point]] = []
    for index, number in enumerate(numbers):
        x = 1.9 + COLUMN * index
        # Inputs stand below to the left and outputs above to the right, so that the way between the columns
        # is free.
        inputs = [(px, bottom) for px in _spread(layers[0].forward.shape[1], x - 0.25, x - 1.35)]
        outputs = [(px, top) for px in _spread(len(head), x + 1.35, x + 0.25)]
        if index > 0 and number != numbers[index - 1] + 1:
            for depth in range(len(layers)):
                middle = bottom + 0.75 + LEVEL * depth + TALL / 2
                axes.text(x - COLUMN / 2, middle, r"$\cdots$", ha="center", va="center", fontsize=24)
            before = []
        _frame(axes, frames[index], (x - 0.8, bottom - 0.75), 0.75, f"frame {number}")
        _units(axes, inputs, "black")
        before = _hidden_layers(axes, layers, inputs, before, x, largest)
        _edges(axes, before[-1], outputs, head, largest, signed=True)
        for units in before:
            _units(axes, units, BLUE)
        _units(axes, outputs, "black")
        label = f"predicted frame {number + 1}" if next_frame else f"prediction at {number}"
        _frame(axes, predictions[index], (x + 0.8, top + 0.75), 0.75, label, below=False)
    recurrent = any(layer.recurrent is not None for layer in layers)
    handing = "each handing its hidden layer to the next" if recurrent else "none knowing of the others"
    title = f"Temporal view: {numbers[-1]} feed-forward nets of {_sizes(layers, head)}, {handing}"
    note = "bottom: input units, middle: hidden units, top: output units; the same weights at every step"
    _caption(axes, (width, height), title, note + _omitted(layers))
    _legend(axes, all(layer.signed for layer in layers), largest)
    _limits(axes, width, height)
    return figure


def _hidden_layers(
    axes: Axes, layers: list[Layer], inputs: list[Point], before: list[list[Point]], x: float, largest: float
) -> list[list[Point]]:
    """The arrows into the hidden layers of one step, from below and from the step before; where their units
    stand.

    Args:
        inputs: where the units below stand.
        before: where the hidden units of the step before stand; empty where none is drawn beside this one.
    """
    hidden: list[list[Point]] = []
    below = inputs
    for depth, layer in enumerate(layers):
        low = inputs[0][1] + 0.75 + LEVEL * depth
        heights = _spread(len(layer.forward), low, low + TALL)
        # Slanted, so that no unit stands in the way of another's arrows from below or to above.
        units = [(x + 0.25 * (low + TALL / 2 - y), y) for y in heights]
        _edges(axes, below, units, layer.forward, largest, layer.signed)
        if before and layer.recurrent is not None:
            _edges(axes, before[depth], units, layer.recurrent, largest, layer.signed)
        hidden.append(units)
        below = units
    return hidden
