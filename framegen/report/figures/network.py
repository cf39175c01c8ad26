"""The article's two drawings of a net, in space and in time, from a model's own weights and values."""

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from framegen.report.figures import weights
from framegen.report.figures.pieces import (
    FEW,
    Point,
    canvas,
    caption,
    legend,
    limits,
    minus,
    places,
    radius_of,
    shown,
    units,
    write,
)
from framegen.report.figures.style import BLACK, BLUE, GREY
from framegen.report.figures.trace import Trace

MAX_UNITS = 64
OF = "\N{RIGHT SINGLE QUOTATION MARK}s"

GAP, TALL, BLOCK = 2.7, 3.5, 2.5
"""Inches in space: from layer to layer, and the heights of a layer and of a wide one."""
ROOM = 0.8
"""Inches more that input and output need where they are wide."""
COLUMN, LEVEL, HIGH = 2.75, 2.95, 2.1
"""Inches in time: from step to step, from layer to layer, and the height of a layer."""
ABOVE, ASIDE, LINE = 0.75, 0.9, 1.15
"""Inches in time: what the outputs are above the hidden layer (and the inputs below it), how far to the right
(and to the left), and how long their line is."""


def spatial_view(trace: Trace, step: int) -> Figure:
    """The net in space, its units filled with the values of a step (from 1): one frame goes in and one comes
    out; each hidden unit feeds all of its layer one step later."""
    room = ROOM if trace.inputs.shape[1] > FEW else 0
    gap, width = GAP + room, 4.4 + GAP * (len(trace.layers) + 1) + 4 * room
    height, y = 7.1, 3.95
    if wide := max(len(layer.forward) for layer in trace.layers) > FEW:
        y += 0.45  # there is an image below
    figure, axes = canvas(width, height)
    head = y + (BLOCK + 0.2 if wide else TALL) / 2 + 0.5
    x, count = 2.2 + room, trace.inputs.shape[1]
    below, radius = _column(count, (x, y), TALL - 0.6, 1.9)
    units(axes, below, trace.inputs[step - 1], trace.outside, radius, BLACK, _letters(count))
    write(axes, x, head, "input $x_t$", 12)
    for index, layer in enumerate(trace.layers):
        x, count = x + (GAP if index else gap), len(layer.forward)
        number = f"^{{({index + 1})}}" if len(trace.layers) > 1 else ""
        here, size = _column(count, (x, y), TALL)
        weights.into(axes, trace, layer, below, here, (radius, size), f"W{number}")
        memory = ""
        if layer.recurrent is not None:
            weights.within(axes, trace, layer, here, size, f"U{number}")
            memory = f"memory $h_{{t-1}}{number}$ \N{RIGHTWARDS ARROW} "
        write(axes, x, head, f"{memory}hidden $h_t{number}$", 12)
        units(axes, here, trace.hidden[index][step], trace.inside, size, BLUE, _letters(count))
        below, radius = here, size
    x, count = x + gap, len(trace.head.forward)
    here, size = _column(count, (x, y), TALL - 0.6, 1.9)
    weights.into(axes, trace, trace.head, below, here, (radius, size), "V")
    units(axes, here, trace.outputs[step - 1], trace.outside, size, BLACK, _letters(count))
    write(axes, x, head, "output $y_t$", 12)
    for place, coming_in in ((1.0, True), (width - 1.0, False)):
        under = y - shown(axes, trace, step, coming_in, (place, y), 1.3) / 2 - 0.12
        write(axes, place, under, _said(trace, step, coming_in, "\n"), 12, va="top")
    both = f"one {trace.what} in and one {trace.what} out"
    title = f"In space: the {trace.sizes} net, {both} at each step (here step {step})"
    notes = [_of_units(trace), _one_to_many(trace, True), _of_biases(trace)]
    caption(axes, (width, height), title, notes, 11.5)
    legend(axes, trace, width, 10.5)
    limits(axes, width, height)
    return figure


def _column(count: int, centre: Point, height: float, block: float = BLOCK) -> tuple[list[Point], float]:
    """Where a layer's units stand in space, and their radius; a wide one is a block of another height."""
    height = block if count > FEW else height
    return places(count, centre, 0, height), radius_of(count, height)


def temporal_view(trace: Trace) -> Figure:
    """The net unrolled in time: one feed-forward net a step; its hidden layer feeds every hidden unit of the
    next one. Drawn are the steps 1, 2, 3 and the last, with dots between."""
    steps, depth = len(trace.inputs), len(trace.layers)
    numbers = [1, 2, 3, steps] if steps > 4 else list(range(1, steps + 1))
    left = 0.9 if trace.recurrent else -0.8
    room = ROOM if trace.inputs.shape[1] > FEW else 0
    size = left + COLUMN * len(numbers) + 2.25, 7.0 + HIGH + LEVEL * (depth - 1) + 2 * room
    figure, axes = canvas(*size)
    middles = [3.3 + room + ABOVE + HIGH / 2 + LEVEL * level for level in range(depth)]
    before: list[list[Point]] = []
    if trace.recurrent:
        before = [
            places(len(layer.forward), (left, y), 0.5, HIGH)
            for layer, y in zip(trace.layers, middles, strict=True)
        ]
        for nothing, points, y in zip(trace.hidden, before, middles, strict=True):
            units(axes, points, nothing[0], trace.inside, radius_of(len(points), HIGH), GREY)
            write(axes, left, y + HIGH / 2 + 0.35, "$h_0 = 0$", 15)
    for index, number in enumerate(numbers):
        x = left + COLUMN * (index + 1)
        gap = index > 0 and number != numbers[index - 1] + 1
        if gap:
            for y in middles:
                write(axes, x - COLUMN / 2, y, r"$\cdots$", 28)
        before = _step(axes, trace, number, x, middles, before, gap)
    title = f"In time: {steps} feed-forward nets of {trace.sizes}, one for each frame"
    if trace.what == "sample":
        title = f"In time: {trace.sizes}, {steps} steps, one for each sample of a window"
    handing = "each hands its hidden state to the next" if trace.recurrent else "none knows of the others"
    note = f"From below: input, hidden and output units. The same weights at every step; {handing}."
    caption(axes, size, title, [note, _one_to_many(trace), _of_curves(trace)], 15)
    legend(axes, trace, size[0], 13)
    limits(axes, *size)
    return figure


def _step(
    axes: Axes,
    trace: Trace,
    step: int,
    x: float,
    middles: list[float],
    before: list[list[Point]],
    gap: bool,
) -> list[list[Point]]:
    """One net of the drawing in time, and the arrows into it; where its hidden units stand.

    Args:
        middles: heights of the hidden layers.
        before: where the hidden units of the step before stand, [] without memory; with a `gap`, dots stand
            between.
    """
    # Inputs stand below to the left, outputs above to the right: the way between the steps is free.
    below, radius = _end(axes, trace, step, True, (x - ASIDE, middles[0] - HIGH / 2 - ABOVE))
    above, last = _end(axes, trace, step, False, (x + ASIDE, middles[-1] + HIGH / 2 + ABOVE))
    hidden: list[list[Point]] = []
    for depth, (layer, y) in enumerate(zip(trace.layers, middles, strict=True)):
        count = len(layer.forward)
        here, size = places(count, (x, y), 0.5, HIGH), radius_of(count, HIGH)
        weights.into(axes, trace, layer, below, here, (radius, size))
        if before and layer.recurrent is not None:
            weights.onward(axes, trace, layer, before[depth], here, size, gap)
        units(axes, here, trace.hidden[depth][step], trace.inside, size, BLUE)
        hidden.append(here)
        below, radius = here, size
    weights.into(axes, trace, trace.head, below, above, (radius, last))
    return hidden


def _end(axes: Axes, trace: Trace, step: int, coming_in: bool, centre: Point) -> tuple[list[Point], float]:
    """The units of the input, or of the output, of a step in time, and what they show; where they stand, and
    their radius."""
    values = (trace.inputs if coming_in else trace.outputs)[step - 1]
    x, y = centre
    side = -1 if coming_in else 1
    few = len(values) <= FEW
    points = places(len(values), (x, y + (0 if few else 0.3 * side)), LINE, 0 if few else 0.8)
    radius = 0.42 * LINE / max(4, len(values)) if few else 0.05
    units(axes, points, values, trace.outside, radius, BLACK)
    outermost = max(point[1] * side for point in points) * side
    place = x, outermost + 0.72 * side
    tall = shown(axes, trace, step, coming_in, place, 0.85)
    said, away = _said(trace, step, coming_in, ", "), side * (tall / 2 + 0.1)
    write(axes, x, place[1] + away, said, 14, va="top" if coming_in else "bottom")
    return points, radius


def _letters(count: int) -> float:
    """Size of the numbers in a layer's units; 0 where there is no room."""
    return 8.5 if count <= 8 else 0


def _said(trace: Trace, step: int, coming_in: bool, between: str) -> str:
    """Which frame or sample it is."""
    if coming_in:
        return f"$x_{{{step}}}${between}{trace.what} {step}"
    what = (
        f"predicted{between[-1]}{trace.what} {step + 1}" if trace.next_frame else f"for {trace.what} {step}"
    )
    return f"$y_{{{step}}}${between}{what}"


def _of_units(trace: Trace) -> str:
    """What the units of input and output are."""
    if trace.what == "frame":
        numbers = any(_letters(values.shape[1]) for values in (trace.inputs, *trace.hidden))
        return "Inputs and outputs: the pixels, row by row." + " Numbers: the units' values." * numbers
    return _of_curves(trace)


def _of_curves(trace: Trace) -> str:
    """How to read the curves on which samples stand."""
    if trace.what == "frame":
        return ""
    curves = f"Red: the input{OF} curve, blue: the label{OF}"
    return f"{curves}; the points: this step{OF} sample, and what the net makes of it."


def _one_to_many(trace: Trace, in_space: bool = False) -> str:
    """How much of the memory's way is drawn."""
    handed = [layer.recurrent for layer in trace.layers if layer.recurrent is not None]
    if not handed:
        return "No arrow leads from step to step: this net has no memory."
    if all(torch.equal(weights, weights.diag().diag()) for weights in handed):
        return "Each hidden unit hands its state to itself alone."
    count = f"{handed[0].numel()} weights" + (" of each layer" if len(handed) > 1 else "")
    bent = " (bent arrows, loops)" if in_space and len(handed[0]) <= FEW else ""
    simple = f"The article{OF} figure simplifies one-to-many to one-to-one"
    return f"{simple}; here all {count} from $h_{{t-1}}$ to $h_t$ are drawn{bent}."


def _of_biases(trace: Trace) -> str:
    """Their range; they are not drawn."""
    biases = [each.bias for each in (*trace.layers, trace.head)]
    if any(bias is None for bias in biases):
        return "Not drawn: the biases, which each gate and each output adds."
    lows, highs = (
        [minus(f"{value:.2f}") for value in values]
        for values in zip(*(bias.aminmax() for bias in biases if bias is not None), strict=True)
    )
    ends = [low if low == high else f"{low} to {high}" for low, high in zip(lows, highs, strict=True)]
    return (
        f"Not drawn: the biases that each unit adds, {', '.join(ends[:-1])} (hidden) and {ends[-1]} (output)."
    )
