"""Charts of how sure a model is: bits while it learns, and whether the truth lies where it says."""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from framegen.evaluation.results import Calibration, Curves
from framegen.report.figures.curves import Curve, draw_curve
from framegen.report.figures.style import (
    BLACK,
    BLUE,
    MODEL,
    OPTIMUM,
    WIDTH,
    finish,
    legend_below,
    new_chart,
    new_figure,
)

COLORS = {"50": BLUE, "90": MODEL}
LINES = ("-", (0, (1, 1.2)), (0, (5, 2)))
"""Line styles of several models."""


def coverage(models: Mapping[str, Calibration]) -> Figure:
    """The share of true pixels within the central intervals, over the frame in the clip and, of futures that
    were drawn, over the horizon; level lines where it should be.

    Args:
        models: by name, at most three; a single one may be called "".
    """
    parts = {
        "one step ahead": ("frame in the clip", 2, {name: each.one_step for name, each in models.items()}),
        "closed loop, sampled futures": (
            "horizon: frames since the prompt ended",
            1,
            {name: each.closed_loop for name, each in models.items() if each.closed_loop is not None},
        ),
    }
    shown = {title: part for title, part in parts.items() if part[2]}
    figure = new_figure(WIDTH, 2.9 * len(shown) + 0.5)
    rows = figure.subplots(len(shown), 1, squeeze=False)[:, 0]
    for axes, (title, (x_label, first, curves)) in zip(rows, shown.items(), strict=True):
        for (name, each), line in zip(curves.items(), LINES, strict=False):
            _intervals(axes, name, each, first, line)
        axes.set_ylim(0, 1.02)
        finish(axes, x_label, "share of true pixels", title)
    legend_below(rows[-1], 2)
    return figure


def _intervals(axes: Axes, name: str, curves: Curves, first: int, line: object) -> None:
    for interval, shares in curves.items():
        should = int(interval) / 100
        known = [(number, share) for number, share in enumerate(shares, first) if share is not None]
        label = f"{name}: within its {interval} %" if name else f"within its central {interval} %"
        style = {"color": COLORS[interval], "linestyle": line, "linewidth": 2.2}
        axes.plot(*zip(*known, strict=True), label=label, **style)  # pyright: ignore[reportArgumentType]
        axes.axhline(should, color=BLACK, linestyle="--", linewidth=1)
        beside = {"textcoords": "offset points", "va": "center", "fontsize": 9}
        axes.annotate(f"{interval} %", (1, should), (4, 0), ("axes fraction", "data"), **beside)


def bits_curves(train: Curve, validation: Curve, references: Mapping[str, float], values: int) -> Figure:
    """Bits a pixel over optimizer steps: of the training, and of the validation clips.

    Args:
        train: bits a value of a frame; validation: bits a frame.
        references: bits a frame of other predictors, as level lines.
        values: of a frame.
    """
    figure, axes = new_chart(4.6)
    draw_curve(axes, train, "training loss, each step", color=BLUE, alpha=0.6, linewidth=0.8)
    ends = (validation.values, validation.low, validation.high)
    scaled = [None if each is None else [value / values for value in each] for each in ends]
    shown = Curve(validation.steps, scaled[0] or (), *scaled[1:])
    draw_curve(axes, shown, "validation, each epoch", color=MODEL, linewidth=2)
    for name, bits in references.items():
        each = bits / values
        axes.axhline(each, color=OPTIMUM, linestyle=(0, (4, 1)), linewidth=2, label=f"{name}, {each:.3g}")
    lowest = min([*shown.values, *(bits / values for bits in references.values())])
    highest = max(shown.values)  # what a net says before it has learned anything is above it
    room = 0.15 * max(highest - lowest, 0.05)
    axes.set_ylim(lowest - room, highest + 3 * room)
    finish(axes, "optimizer step", "bits a pixel of one prediction", legend=2)
    return figure
