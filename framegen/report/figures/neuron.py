"""One neuron of a net at one step: what comes in, its sum, f, and where its state goes, in numbers."""

from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, Rectangle

from framegen.report.figures.pieces import DARK, EDGE, Point, canvas, limits, minus, units, write
from framegen.report.figures.style import BLACK, BLUE, GREY, MODEL
from framegen.report.figures.terms import DIGITS, Neuron, Term, at, listening
from framegen.report.figures.trace import Trace
from framegen.report.figures.weights import color_of

ROW, BOTTOM = 0.38, 2.15
"""Inches from line to line, and where the lowest line is."""

NAME, UNIT, PRODUCT, SUM, SQUASH, STATE, SHARE, OUTPUT = 0.5, 0.9, 3.7, 4.75, 5.95, 7.3, 8.15, 10.85
WIDTH = 11.4
"""Inches from the left: a term's name, unit and product; the unit's sum, f and state; its shares, and the
outputs."""
SIZE = 0.3
"""Inches of the radius of sum and state."""


TALL, WIDE = 1.0, 1.2
"""Inches of the box of f."""
APART = 0.66
"""Inches from output to output."""


def neuron(trace: Trace, step: int) -> Figure:
    """The hidden unit of the first layer that listens most, at a step (from 1): a line a term, the sum, f,
    the state, and where it goes."""
    found = at(trace, listening(trace), step)
    of_frame = f"$x_t$: sample {step}" if trace.what == "sample" else f"$x_t$: the pixels of frame {step}"
    before = f"$h_{{t-1}}$: the hidden units after step {step - 1}"
    top = BOTTOM + ROW * (2 + len(found.inputs) + bool(found.memory) + len(found.memory))
    middle, height = (top + BOTTOM) / 2 - 0.1, top + 0.95
    figure, axes = canvas(WIDTH, height)
    _write(axes, PRODUCT, top + 0.25, "weight \N{MULTIPLICATION SIGN} value = product", 10, DARK, ha="right")
    y = _terms(axes, trace, of_frame, "x", found.inputs, top, middle)
    if found.memory:
        y = _terms(axes, trace, before, "h", found.memory, y, middle)
        _back(
            axes, (y + ROW * (len(found.memory) - 0.05), y + 0.9 * ROW), len(trace.layers[0].forward), middle
        )
    _write(axes, NAME - 0.12, y, "bias $b$")
    _write(axes, PRODUCT, y, _said(found.bias), ha="right")
    _arrow(
        axes, (PRODUCT + 0.1, y), (SUM, middle), abs(found.bias) / trace.largest, color_of(found.bias, True)
    )
    _function(axes, trace, found, middle)
    _outputs(axes, trace, found, middle)
    _words(axes, trace, found, height)
    limits(axes, WIDTH, height)
    return figure


def _write(
    axes: Axes, x: float, y: float, text: str, size: float = 11.5, color: str = BLACK, **how: Any
) -> None:
    write(axes, x, y, text, size, color, **{"ha": "left", **how})


def _said(value: float) -> str:
    """With its sign, but for 0."""
    return minus(f"{value:+.{DIGITS}f}")


def _product(term: Term) -> str:
    return f"{_said(term.weight)} \N{MULTIPLICATION SIGN} {_said(term.value)} = {_said(term.product)}"


def _terms(
    axes: Axes, trace: Trace, heading: str, letter: str, terms: list[Term], y: float, middle: float
) -> float:
    """A heading at height `y`, a line each term, with its arrow to the sum; the height of the next line."""
    scale, edge = (trace.outside, BLACK) if letter == "x" else (trace.inside, BLUE)
    _write(axes, NAME - 0.12, y - 0.05, heading)
    for term in terms:
        y -= ROW
        strength, color = abs(term.weight) / trace.largest, color_of(term.weight, True)
        if term.number is None:
            strength, color = 0.3, GREY
            _write(axes, NAME - 0.12, y, "all others together")
        else:
            _write(axes, NAME, y, f"${letter}_{{{term.number}}}$", ha="center")
            units(axes, [(UNIT, y)], torch.tensor([term.value]), scale, 0.14, edge)
        text = _said(term.product) if term.number is None else _product(term)
        _write(axes, PRODUCT, y, text, ha="right")
        _arrow(axes, (PRODUCT + 0.1, y), (SUM, middle), strength, color)
    return y - ROW


def _back(axes: Axes, lines: tuple[float, float], count: int, middle: float) -> None:
    """The way of the state back to the hidden units, whose first and last line stand at these heights."""
    low, into = BOTTOM - 0.3, sum(lines) / 2
    for ways in (
        [(STATE, middle - SIZE), (STATE, low), (0.07, low), (0.07, into)],
        [(0.25, y) for y in lines],
    ):
        axes.plot(*zip(*ways, strict=True), color=BLUE, linewidth=2, solid_joinstyle="round")
    _arrow(axes, (0.07, into), (0.25, into), 0.6, BLUE, 0)
    told = f"the memory: at the next step this state is in $h_{{t-1}}$, and goes to all {count} hidden units"
    _write(axes, STATE - 0.12, low + 0.07, told, 11, BLUE, ha="right", va="bottom")


def _arrow(axes: Axes, start: Point, end: Point, strength: float, color: str, shrink: float = SIZE) -> None:
    """As wide as the arrow of a weight of that strength, a part of the largest."""
    strength = min(strength, 1.0)
    style = {"arrowstyle": "-|>", "mutation_scale": 6 + 6 * strength, "shrinkA": 0, "shrinkB": 72 * shrink}
    line = {"linewidth": 0.5 + 3 * strength, "color": color, "alpha": 0.4 + 0.5 * strength, "zorder": 1}
    axes.add_patch(FancyArrowPatch(start, end, **style, **line))


def _function(axes: Axes, trace: Trace, found: Neuron, middle: float) -> None:
    """The sum, f with the point on it, and the state."""
    circle = {"facecolor": "white", "edgecolor": BLACK, "linewidth": 1.6, "zorder": 3}
    axes.add_patch(Circle((SUM, middle), SIZE, **circle))
    _write(axes, SUM, middle - 0.02, r"$\Sigma$", 18, ha="center", zorder=4)
    _write(axes, SUM, middle - SIZE - 0.15, f"sum\n{_said(found.sum)}", ha="left", va="top", linespacing=1.3)
    left, right = SQUASH - WIDE / 2, SQUASH + WIDE / 2
    _arrow(axes, (SUM + SIZE, middle), (left, middle), 0.6, BLACK, 0)
    axes.add_patch(
        Rectangle((left, middle - TALL / 2), WIDE, TALL, facecolor="white", edgecolor=EDGE, zorder=2)
    )
    most = max(3.0, 1.2 * abs(found.sum))
    x = np.linspace(-most, most, 61)
    y = np.tanh(x) if trace.activation == "tanh" else np.maximum(0, x)
    across, up = 0.45 * WIDE / most, 0.4 * TALL / y.max()
    for xs, ys, color, width in (
        ([-most, most], [0, 0], "#BBBBBB", 0.8),
        ([0, 0], [-y.max(), y.max()], "#BBBBBB", 0.8),
        (x, y, BLACK, 1.8),
    ):
        axes.plot(SQUASH + across * np.array(xs), middle + up * np.array(ys), color=color, linewidth=width)
    point = SQUASH + across * found.sum, middle + up * found.state
    axes.plot(*point, "o", color=MODEL, markersize=8, zorder=4)
    _write(axes, SQUASH, middle - TALL / 2 - 0.2, f"$f$ = {trace.activation}", ha="center")
    _arrow(axes, (right, middle), (STATE, middle), 0.6, BLACK)
    units(axes, [(STATE, middle)], torch.tensor([found.state]), trace.inside, SIZE, BLUE)
    said = f"$h_t$ = {trace.activation}({_said(found.sum)})\n= {_said(found.state)}"
    _write(axes, STATE + 0.1, middle + TALL / 2 + 0.1, said, ha="right", va="bottom", linespacing=1.3)


def _outputs(axes: Axes, trace: Trace, found: Neuron, middle: float) -> None:
    """What the state gives to each output, and what that says with all else."""
    if not found.outputs:
        _write(axes, SHARE + 0.1, middle, "to every unit of\nthe second layer")
        _arrow(axes, (STATE + SIZE, middle), (SHARE, middle), 0.6, BLACK, 0)
        return
    top = middle + APART * (len(found.outputs) - 1) / 2
    said = {"sample": "sample", "frame": "frame\N{RIGHT SINGLE QUOTATION MARK}s pixels"}[trace.what]
    heading = f"$y_t$: the next {said}" if trace.next_frame else "$y_t$: what it answers"
    _write(axes, SHARE, top + 0.5, heading)
    for number, (term, others, total) in enumerate(
        zip(found.outputs, found.others, found.totals, strict=True)
    ):
        y = top - APART * number
        strength = abs(term.weight) / trace.largest
        _arrow(axes, (STATE, middle), (SHARE - 0.05, y), strength, color_of(term.weight, True), 0)
        _write(axes, SHARE, y + 0.11, _product(term))
        _write(axes, SHARE, y - 0.13, f"others, $c$: {_said(others)}; in all: {_said(total)}", 10, DARK)
        units(axes, [(OUTPUT, y)], torch.tensor([total]), trace.outside, 0.17, BLACK)
        _write(axes, OUTPUT + 0.25, y, f"$y_{{{term.number}}}$")
    if more := len(trace.head.forward) - len(found.outputs):
        _write(axes, SHARE, top - APART * len(found.outputs) + 0.1, f"and {more} more", color=DARK)


def _words(axes: Axes, trace: Trace, found: Neuron, height: float) -> None:
    """The title, the formula in the article's letters, and how to read the numbers."""
    count, depth = len(trace.layers[0].forward), len(trace.layers)
    first, last = ("^{(1)}", f"^{{({depth})}}") if depth > 1 else ("", "")
    clip = "the first window" if trace.what == "sample" else "a test clip"
    unit = f"hidden unit {found.unit} of {count}" + (" of the first layer" if first else "")
    title = f"One neuron of this {trace.sizes} net: {unit}, at step {found.step} of {clip}"
    _write(axes, WIDTH / 2, height - 0.25, title, 14.5, ha="center")
    memory = f" + U{first} h_{{t-1}}{first}" if found.memory else ""
    formula = (
        f"$h_t{first} = f(W{first} x_t{memory} + b{first})$        $y_t = g(h_t{last}) = V h_t{last} + c$"
    )
    _write(axes, WIDTH / 2, 1.3, formula, 19, ha="center")
    letters, listens = (
        ("$W$, $U$ and $b$", "recurrent weights") if found.memory else ("$W$ and $b$", "weights")
    )
    row = f"Its weights are row {found.unit} of {letters}, as they were trained."
    others = any(term.number is None for term in (*found.inputs, *found.memory))
    notes = (
        f"{row} Of all units it has the largest {listens} (sum of their sizes).\n"
        f"{'Written out are those with the largest products. ' * others}"
        "Numbers have three decimals, and each follows from those beside it: you can compute it along.\n"
        "An arrow is as wide as its weight is large, blue above 0 and orange below."
    )
    _write(axes, WIDTH / 2, 0.5, notes, 11, DARK, ha="center", linespacing=1.4)
