"""The sine's own drawings: its data, and how its prediction becomes better."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from torch import Tensor

from framegen.report.figures.strips import Picture
from framegen.report.figures.style import BLACK, BLUE, GREY, INPUT, WIDTH, finish, new_figure

WINDOWS_A_ROW = 3
LOOKS = {
    "input": {"color": INPUT, "linestyle": ":", "marker": "o", "markersize": 3, "linewidth": 1},
    "label": {"color": BLUE, "linewidth": 6, "alpha": 0.35},
    "prediction": {"color": BLACK, "linewidth": 1.8},
}
"""As in the article the input is red, and blue is what is to come out."""
TIME = "time in units of \N{GREEK SMALL LETTER PI}"
SIZE = 8.0, 5.0
"""Inches, as in the article, of the first window, and of a picture of the training: there 672 pixels wide."""
GIF_DPI = 84


def first_window(inputs: Tensor, labels: Tensor, next_sample: bool) -> Figure:
    """The first training window's input and label, (samples,) each, before anything is learned."""
    figure = new_figure(*SIZE)
    axes = figure.subplots()
    time = np.arange(len(inputs)) / len(inputs)
    points = {"linestyle": "-", "linewidth": 0.8, "markersize": 7}
    axes.plot(time, inputs, color=INPUT, marker="o", label="input: what the net is shown", **points)
    label = "label: the next sample" if next_sample else "label: what it is to answer"
    axes.plot(time, labels, color=BLUE, marker="s", label=label, **points)
    axes.set_title(f"The data: the first window, {len(inputs)} samples of a sine", fontsize=14)
    finish(axes, TIME, "value")
    axes.set_xlabel(TIME, fontsize=13)
    axes.set_ylabel("value", fontsize=13)
    axes.tick_params(labelsize=12)
    axes.legend(frameon=False, fontsize=13, loc="lower center")
    return figure


def sine_windows(inputs: Tensor, labels: Tensor, predictions: Tensor, shown: Sequence[int]) -> Figure:
    """Input, label and prediction of chosen training windows over time, in units of pi.

    Args:
        inputs, labels, predictions: (windows, samples), a panel each.
        shown: the numbers of the windows: window k spans [k pi, (k + 1) pi].
    """
    rows = -(-len(shown) // WINDOWS_A_ROW)
    figure = new_figure(WIDTH, 2.3 * rows + 0.5)
    grid = figure.subplots(rows, WINDOWS_A_ROW, sharey=True, squeeze=False).flatten()
    panels, samples = grid[: len(shown)], inputs.shape[1]
    for axes in grid[len(shown) :]:
        axes.set_axis_off()
    for row, (axes, window) in enumerate(zip(panels, shown, strict=True)):
        time = window + np.arange(samples) / samples
        for (name, look), values in zip(LOOKS.items(), (inputs, labels, predictions), strict=True):
            axes.plot(time, values[row], label=name, **look)
        axes.set_title(f"window {window + 1}", fontsize=10)
        finish(axes, "", "")
        axes.set_xticks([window, window + 1])
    figure.supylabel("value", fontsize=10)
    figure.supxlabel(TIME, fontsize=10)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
    return figure


def training_pictures(
    inputs: Tensor, labels: Tensor, predictions: Mapping[int, Tensor], epochs: int
) -> Iterator[Picture]:
    """An animation of the training: each window beside the one before it, the prediction that was made before
    it was trained on over the label, and below how the error becomes smaller.

    Args:
        inputs, labels: (windows, samples), all training windows.
        predictions: (samples,), by the step (from 0) at which it was made: the windows were gone through in
            order, once an epoch.
        epochs: of the training.

    Yields:
        (420, 672, 3) uint8.
    """
    count, samples = inputs.shape
    errors = {
        step: (made - labels[step % count]).square().mean().item() for step, made in predictions.items()
    }
    figure = Figure(SIZE, GIF_DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    panels = [figure.add_axes((left, 0.39, 0.42, 0.4)) for left in (0.085, 0.56)]
    below = figure.add_axes((0.085, 0.12, 0.895, 0.15))
    _furnish(panels, below, samples, count * epochs, list(errors.values()))
    lines = [
        [axes.plot([], [], label=name, animated=True, **look)[0] for name, look in LOOKS.items()]
        for axes in panels
    ]
    titles = [axes.set_title("", fontsize=13, animated=True) for axes in panels]
    heading = figure.text(0.5, 0.95, "", fontsize=15, ha="center", va="center", animated=True)
    curve = below.plot([], [], ".-", color=BLACK, markersize=5, linewidth=1, animated=True)[0]
    point = below.plot([], [], "o", color=BLACK, markersize=9, animated=True)[0]
    figure.legend(
        lines[0], LOOKS, loc="center", bbox_to_anchor=(0.52, 0.885), ncols=3, frameon=False, fontsize=12
    )
    canvas.draw()
    empty = canvas.copy_from_bbox(figure.bbox)
    done: list[int] = []
    for step in sorted(predictions):
        epoch, window = divmod(step, count)
        done.append(step)
        for side, each in enumerate(done[-2:]):
            place, look = each % count, (BLACK, "bold") if each == step else (GREY, "normal")
            for line, values in zip(
                lines[side], (inputs[place], labels[place], predictions[each]), strict=True
            ):
                line.set_data(range(1, samples + 1), values)
            titles[side].set(text=f"window {place + 1}", color=look[0], weight=look[1])
        of_all = f"epoch {epoch + 1} of {epochs}, window {window + 1} of {count}"
        heading.set_text(f"{of_all}: mean squared error {errors[step]:.1e}")
        curve.set_data([each + 1 for each in done], [errors[each] for each in done])
        point.set_data([step + 1], [errors[step]])
        canvas.restore_region(empty)
        for artist in (*lines[0], *lines[1], *titles, heading, curve, point):
            figure.draw_artist(artist)
        yield np.array(canvas.buffer_rgba())[..., :3]


def _furnish(panels: Sequence[Axes], below: Axes, samples: int, total: int, errors: Sequence[float]) -> None:
    """The axes of an animation: two of windows, and the error's."""
    for axes in panels:
        finish(axes, "sample", "value" if axes is panels[0] else "")
        axes.set(xlim=(0.5, samples + 0.5), ylim=(-1.35, 1.35))
        axes.set_xticks([1, *range(5, samples + 1, 5 * -(-samples // 30))])
    finish(below, "windows trained on so far", "error")
    below.set(xscale="log", yscale="log", xlim=(0.9, 1.1 * total), ylim=(min(errors) / 3, 3 * max(errors)))
    below.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
