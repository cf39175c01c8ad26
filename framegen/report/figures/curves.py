"""Line charts: losses, error over horizon, series over time, hidden states."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator
from torch import Tensor

from framegen.machine.progress import count_of
from framegen.report.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    MODEL,
    OPTIMUM,
    ORANGE,
    PINK,
    PROMPT,
    SKY,
    TRUTH,
    WIDTH,
    finish,
    legend_below,
    log_axis,
    new_chart,
    new_figure,
    whole_numbers,
)

LINE_STYLES = {
    "model": {"color": MODEL, "linewidth": 2.2, "zorder": 5},
    "optimum": {"color": OPTIMUM, "linewidth": 2, "linestyle": (0, (4, 1)), "zorder": 4},
    "copy last": {"color": BLACK, "linestyle": ":"},
    "mean frame": {"color": GREY, "linestyle": "-."},
    "motion": {"color": BLACK, "linestyle": "--"},
}

KIND_COLORS = (BLUE, MODEL, GREEN, PINK, ORANGE, SKY)
OTHER_STYLES = [
    {"color": color, "linewidth": 1.2, "linestyle": style}
    for style in ("-", (0, (5, 1, 1, 1)))
    for color in (ORANGE, BLUE, PINK, SKY)
]


def _styles(names: Sequence[str]) -> dict[str, dict[str, object]]:
    others = iter(OTHER_STYLES)
    return {name: LINE_STYLES.get(name) or next(others) for name in names}


def _floor(curves: dict[str, Sequence[float]]) -> float | None:
    """Where the axis of errors ends: what is a hundred times below the model would only squeeze the rest
    together."""
    model = min((value for value in curves["model"] if value > 0), default=0)
    return model / 100 if min(map(min, curves.values())) < model / 100 else None


@dataclass(frozen=True)
class Curve:
    """Values over steps; of a population their mean, and the smallest and the largest at each step."""

    steps: Sequence[float]
    values: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None


def draw_curve(axes: Axes, curve: Curve, label: str, **style: Any) -> None:
    marker = "o" if len(curve.steps) == 1 else ""  # a line needs two points
    axes.plot(curve.steps, curve.values, **style, marker=marker, label=label)
    if curve.low is not None and curve.high is not None:
        axes.fill_between(curve.steps, curve.low, curve.high, color=style["color"], alpha=0.2, linewidth=0)


def loss_curves(
    train: Curve, validation: Curve, references: dict[str, float], members: int, stream: bool = False
) -> Figure:
    """Training loss and validation mse over optimizer steps, with reference errors as level lines.

    Args:
        references: mse of other predictors on the validation clips, by name.
        members: how many nets are shown; of more than one, means and bands from the lowest to the highest.
        stream: whether each epoch goes through one stream from its beginning, without a memory of it.
    """
    figure, axes = new_chart(4.6)
    what = "training loss, each step" + "\n(peaks: an epoch begins, h = 0)" * stream
    draw_curve(axes, train, what, color=BLUE, alpha=0.35 if members == 1 else 1, linewidth=0.8)
    draw_curve(axes, validation, "validation, each epoch", color=MODEL, linewidth=2)
    title = f"{members} seeds: mean, and band from the lowest to the highest" if members > 1 else ""
    floor = _floor({"model": validation.low or validation.values, "others": [*references.values()] or [1.0]})
    for name, style in _styles(list(references)).items():
        label = f"{name}, {references[name]:.2g}" + "\n(below the axis)" * (references[name] < (floor or 0))
        axes.axhline(references[name], **style, label=label)  # pyright: ignore[reportArgumentType]
    log_axis(axes, floor)
    finish(axes, "optimizer step", "mean squared error of one prediction", title, legend=2)
    return figure


def error_over_horizon(
    members: Sequence[Sequence[float]], references: dict[str, Sequence[float]], context: int
) -> Figure:
    """Closed-loop mse of each predictor, 1, 2, … frames after the prompt; of several members at each horizon
    median, lowest and highest."""
    figure, axes = new_chart(4.6)
    errors = np.array(members)
    low, high = (errors.min(0).tolist(), errors.max(0).tolist()) if len(errors) > 1 else (None, None)
    horizons = range(1, errors.shape[1] + 1)
    per_horizon: dict[str, Sequence[float]] = {"model": np.median(errors, 0).tolist(), **references}
    floor = _floor({**per_horizon, "model": low or per_horizon["model"]})
    for name, style in _styles(list(per_horizon)).items():
        label = name
        if name == "model":
            label = f"{len(errors)} seeds: median, range" if len(errors) > 1 else "this model"
        label += " (below the axis)" if max(per_horizon[name]) < (floor or 0) else ""
        ends = (low, high) if name == "model" else ()
        draw_curve(axes, Curve(horizons, per_horizon[name], *ends), label, **style)
    log_axis(axes, floor)
    whole_numbers(axes)
    title = f"Closed-loop error after a prompt of {context} frames"
    finish(axes, "horizon: frames since the prompt ended", "mean squared error per pixel", title, legend=2)
    return figure


def pictures_over_horizon(panels: Mapping[str, Mapping[str, Sequence[float]]], context: int) -> Figure:
    """Whether generated frames freeze or blur, 1, 2, … frames after the prompt. The truth is 1.

    Args:
        panels: by what is measured, by predictor, its values; what lies above 1.5 is not shown.
    """
    figure = new_figure(WIDTH, 2.4 * len(panels) + 1.4)
    rows = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
    for axes, (what, predictors) in zip(rows, panels.items(), strict=True):
        axes.axhline(1, color=TRUTH, linewidth=5, alpha=0.25, label="truth")
        for name, style in _styles(list(predictors)).items():
            horizons = range(1, len(predictors[name]) + 1)
            label = "this model" if name == "model" else name
            axes.plot(horizons, predictors[name], **style, label=label)  # pyright: ignore[reportArgumentType]
        axes.set_ylim(0, 1.5)
        whole_numbers(axes)
        finish(axes, "", what)
    rows[0].set_title(f"Frames generated after a prompt of {context}", fontsize=11)
    rows[-1].set_xlabel("horizon: frames since the prompt ended")
    legend_below(rows[-1], 2)
    return figure


def members(
    values: dict[str, dict[int, float]],
    references: dict[str, dict[str, float]],
    marked: dict[str, int],
    label: str,
) -> Figure:
    """A value of each member of a population.

    Args:
        values: by what is measured ("one step ahead", …), by seed, in the order in which they are drawn.
        references: by what is measured, the value of other predictors by name.
        marked: seeds to mark, by what they are: "best", "median", "worst".
        label: what the value is.
    """
    figure = new_figure(WIDTH, 4.4 * len(values))
    for axes, (what, of_seeds) in zip(
        figure.subplots(len(values), 1, squeeze=False)[:, 0], values.items(), strict=True
    ):
        order, row = list(of_seeds), np.array(list(of_seeds.values()))
        mean, deviation = np.nanmean(row), np.nanstd(row, ddof=1)
        low, high = np.clip((mean - deviation, mean + deviation), np.nanmin(row), np.nanmax(row))
        axes.axhspan(low, high, color=MODEL, alpha=0.15, linewidth=0)
        sd = f"mean {mean:.3f} ± {deviation:.3f}, standard deviation (band: within the seeds)"
        axes.axhline(mean, color=MODEL, linewidth=1.5, label=sd)
        axes.plot(range(1, len(order) + 1), row, "o", color=BLUE, markersize=4, label="a seed")
        for (name, seed), marker in zip(marked.items(), "^sv", strict=True):
            place = order.index(seed)
            text = f"{name} on validation: seed {seed}, {row[place]:.3f}"
            axes.plot(place + 1, row[place], marker, color=BLACK, markersize=7, label=text)
        for name, style in _styles(list(references[what])).items():
            level = references[what][name]
            axes.axhline(level, **style, label=f"{name}, {level:.3f}")  # pyright: ignore[reportArgumentType]
        finish(axes, "seeds, from the worst to the best on validation clips", label, what, legend=1)
        whole_numbers(axes)
    return figure


def value_over_time(rows: dict[str, Tensor], prompt_frames: int, first: int = 0) -> Figure:
    """One-pixel frames as lines: each row (T,); a dotted line where the prompt ends.

    Args:
        first: the number of the first frame that is shown; those before it are left out.
    """
    figure, axes = new_chart(3.8)
    styles = {
        "truth": {"color": TRUTH, "linewidth": 5, "alpha": 0.25},
        "generated": {"color": MODEL, "linewidth": 2},
        "optimum": {"color": OPTIMUM, "linewidth": 1.3, "linestyle": "--"},
    }
    for name, values in rows.items():
        style = styles.get(name, styles["generated"])  # futures are many
        axes.plot(range(first, first + len(values)), values, **style, label=name)
    axes.axvline(prompt_frames - 0.5, color=PROMPT, linestyle=":", label="prompt ends")
    finish(axes, "frame (sample)", "value", legend=2)
    return figure


def hidden_trajectories(hidden: Tensor, kinds: Mapping[str, Tensor], step: str = "frame") -> Figure:
    """Hidden states: one clip's units over time, and all clips in the plane of the two largest principal
    components.

    Args:
        hidden: (B, T, H).
        kinds: by name, which clips are of that kind, (B,) bool; each kind has a colour. {} draws all alike.
        step: a frame of clips, or a sample of windows one after another.
    """
    figure = new_figure(WIDTH, 9)
    above, below = figure.subplots(2, 1)
    units = hidden[0].T[:8]
    colors = [BLUE, ORANGE, GREEN, MODEL, GREY, PINK, SKY, BLACK]
    for index, (unit, color) in enumerate(zip(units, colors, strict=False)):
        above.plot(range(1, len(unit) + 1), unit, color=color, linewidth=1.4, label=f"unit {index + 1}")
    count = count_of(len(hidden), "clip") if step == "frame" else "Windows one after another"
    first = "One clip" if step == "frame" else count
    above.set_title(f"{first}: {len(units)} of {hidden.shape[2]} hidden units over time", fontsize=10)
    finish(above, step, "hidden state", legend=4)
    flat = hidden.flatten(0, 1)
    plane = torch.linalg.svd(flat - flat.mean(0), full_matrices=False)[2][:2]  # (2 or 1, H)
    points = (hidden - flat.mean(0)) @ plane.T  # (B, T, 2 or 1)
    for index, clip in enumerate(points):
        kind = next((number for number, which in enumerate(kinds.values()) if which[index]), 0)
        y = clip[:, 1] if clip.shape[1] > 1 else torch.zeros(len(clip))
        below.plot(clip[:, 0], y, color=KIND_COLORS[kind % len(KIND_COLORS)], linewidth=0.8, alpha=0.6)
        below.plot(clip[0, 0], y[0], marker="o", markersize=3, color=BLACK, linestyle="none")
    for name, color in zip(kinds, KIND_COLORS, strict=False):
        below.plot([], [], color=color, label=name)
    below.set_title(f"{count} (dots: first {step})", fontsize=10)
    below.set_aspect("equal", adjustable="datalim")
    components = "1st principal component of the hidden state", "2nd principal component"
    finish(below, *components, legend=2 if kinds else 0)
    return figure


def angles(axes: Axes, values: Mapping[str, Sequence[float]], prompt_frames: int, first: int) -> None:
    """By name, the angle of a light in each frame, degrees; `first` frames come before those given."""
    looks = zip(itertools.cycle((MODEL, BLUE, GREEN, PINK, SKY)), itertools.cycle("os^Dv"), strict=False)
    for (name, each), (color, marker) in zip(values.items(), looks, strict=False):
        frames = range(first + 1, first + 1 + len(each))
        axes.plot(frames, each, color=color, marker=marker, markersize=3, linewidth=1.2, label=name)
    axes.axvline(first + prompt_frames + 0.5, color=PROMPT, linestyle=":", linewidth=1.5)
    axes.yaxis.set_major_locator(MultipleLocator(360))
    whole_numbers(axes)
    finish(axes, "frame (dotted: the prompt ends)", "angle of the light,\ndegrees")
    axes.legend(frameon=False, fontsize=8, ncols=3)
