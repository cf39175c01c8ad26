"""Figures of a probe: a net's knowledge, and its closed loop."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from framegen.evaluation.metrics import numbers
from framegen.machine.progress import count_of
from framegen.report.figures.style import (
    BLACK,
    BLUE,
    GREY,
    MODEL,
    OPTIMUM,
    ORANGE,
    PINK,
    SKY,
    TRUTH,
    WIDTH,
    finish,
    new_chart,
    new_figure,
)
from framegen.studies.probe.beliefs import JOINT
from framegen.studies.probe.linear import FRAMES
from framegen.studies.probe.long_loops import AWAY, VERDICTS
from framegen.studies.probe.results import Dynamics, LongLoop, Probe, ProbedMember
from framegen.studies.probe.tables import ranked

SHOWN_FRAMES = 24
DEGREES = (0, 5, 10, 45, 100, 360, 1000, 10_000)
"""Where the axis of phases has its numbers."""
LOWEST = -0.1
"""R^2 below this is drawn at the edge."""
VERDICT_COLORS = dict(zip(VERDICTS, (OPTIMUM, ORANGE, SKY, GREY), strict=True))


def belief(
    found: Probe,
    known: Mapping[str, Tensor],
    read: Mapping[str, Tensor],
    untrained: Mapping[str, Tensor],
) -> Figure:
    """A test clip as the optimal observer sees it and as it is read from the net; R^2 of all that is read,
    and over the frames.

    Args:
        known: what the observer knows of the test clips, (N, T, K) by name.
        read: the same, read from the states of the net that is shown.
        untrained: and from those of one that was never trained.
    """
    name = JOINT if JOINT in known else next(iter(known))
    heights = [3.6, 0.95 * len(found.meanings) + 1.6, 3.9]
    figure = new_figure(WIDTH, sum(heights))
    clip, bars, frames = figure.subplots(3, 1, gridspec_kw={"height_ratios": heights})
    _clip(clip, name, *(each[name][0, :SHOWN_FRAMES, 0] for each in (known, read, untrained)))
    _bars(bars, found)
    _over_frames(frames, found, name)
    return figure


def _clip(axes: Axes, name: str, known: Tensor, read: Tensor, untrained: Tensor) -> None:
    time = range(1, len(known) + 1)
    axes.plot(time, known, color=TRUTH, linewidth=6, alpha=0.25, label="what the optimal observer knows")
    axes.plot(time, untrained, color=BLUE, linestyle="--", linewidth=1.3, label="read from an untrained net")
    axes.plot(time, read, color=MODEL, marker="o", markersize=3.5, linewidth=1.6, label="read from this net")
    what = "E[direction \N{MIDDLE DOT} cos(angle)]" if name == JOINT else name
    finish(axes, "frames seen", what, f"One test clip: {_said(name)}", legend=1)


def _bars(axes: Axes, found: Probe) -> None:
    """For each name a row of dots of the trained nets, one of the untrained, and what the last frames say."""
    for row, name in enumerate(found.meanings):
        _dots(axes, row - 0.33, found.members, name, MODEL)
        _dots(axes, row - 0.13, found.untrained, name, BLUE)
        for place, (count, readout) in enumerate(zip(FRAMES, found.frames.values(), strict=True)):
            value, height = max(readout.r2[name] or 0, LOWEST), row + 0.08 + 0.15 * place
            axes.plot(value, height, "D", color=BLACK, markersize=3.5)
            axes.text(value + 0.02, height, str(count), va="center", fontsize=8)
    nets = count_of(len(found.members), "trained net")
    nets += " (bar: median)" if len(found.members) > 1 else ""
    for color, label in ((MODEL, nets), (BLUE, f"{len(found.untrained)} untrained")):
        axes.plot([], [], "o", color=color, markersize=5, label=label)
    axes.plot([], [], "D", color=BLACK, markersize=4, label="the last 1, 2, 4 frames, without a net")
    labels = [
        _said(name).replace(" \N{MULTIPLICATION SIGN} ", " \N{MULTIPLICATION SIGN}\n")
        for name in found.meanings
    ]
    axes.set_yticks(range(len(found.meanings)), labels)
    axes.set_ylim(len(found.meanings) - 0.4, -0.5)
    axes.set_xlim(LOWEST - 0.02, 1.03)
    title = "How much of it can be read by a linear map"
    finish(axes, "R\N{SUPERSCRIPT TWO} on the test clips (1: all of it)", "", title, legend=1)


def _dots(axes: Axes, row: float, members: Sequence[ProbedMember], name: str, color: str) -> None:
    values = np.maximum([member.readout.r2[name] or 0 for member in members], LOWEST)
    heights = row + (np.linspace(-0.07, 0.07, len(values)) if len(values) > 1 else np.zeros(1))
    axes.plot(values, heights, "o", color=color, markersize=3.5, alpha=0.6, markeredgewidth=0)
    axes.plot([np.median(values)], [row], "|", color=color, markersize=14, markeredgewidth=2.5)


def _over_frames(axes: Axes, found: Probe, name: str) -> None:
    groups = (("trained", found.members, MODEL, "-"), ("untrained", found.untrained, BLUE, "--"))
    for label, members, color, dashes in groups:
        rows = np.array([numbers(each.readout.over_frames[name]) for each in members])[:, :SHOWN_FRAMES]
        time = range(1, rows.shape[1] + 1)
        axes.plot(time, rows.T, dashes, color=color, linewidth=0.7, alpha=0.4)
        several = ": each a line, bold their median" if len(members) > 1 else ""
        axes.plot(time, np.median(rows, 0), dashes, color=color, linewidth=2.4, label=label + several)
    (few, last) = list(found.frames.items())[-1]
    values = numbers(last.over_frames[name])[:SHOWN_FRAMES]
    axes.plot(range(1, len(values) + 1), values, color=BLACK, linestyle=":", linewidth=2, label=few)
    axes.set_ylim(LOWEST, 1.03)
    title = f"{_said(name).capitalize()}, from frame to frame"
    finish(axes, "frames seen", "R\N{SUPERSCRIPT TWO} at that frame", title, legend=1)


def _said(name: str) -> str:
    return name.replace(" x ", " \N{MULTIPLICATION SIGN} ")


def knowing(
    nets: Mapping[str, tuple[Sequence[float], Sequence[float]]], levels: Mapping[str, float], label: str
) -> Figure:
    """Nets' knowledge over their skill.

    Args:
        nets: by kind, the skill of each net, and R^2.
        levels: R^2 that is reached without such a net, by what reaches it.
        label: what R^2 is of.
    """
    figure, axes = new_chart(5.2)
    for (name, (skills, known)), color, marker in zip(nets.items(), (MODEL, BLUE, PINK), "os^", strict=True):
        axes.plot(
            skills, known, marker, color=color, markersize=5, alpha=0.75, label=f"{name} ({len(known)})"
        )
    for (name, value), dashes in zip(levels.items(), (":", "--", "-."), strict=True):
        axes.axhline(
            value, color=BLACK, linewidth=1.2, linestyle=dashes, label=f"{name}, {round(value, 2) + 0.0:.2f}"
        )
    axes.set_ylim(-0.05, 1.03)
    finish(axes, "skill, one step ahead", label, "A net's knowledge, over its skill", legend=2)
    return figure


def dynamics(found: Dynamics, shown: int) -> Figure:
    """Long closed loops: phase and brightness of the light over the horizon, the verdicts on the
    clips, and the Lyapunov exponents.

    Args:
        shown: the seed of the net that is drawn bold.
    """
    speeds = len({round(abs(true), 6) for loop in found.members for true, _ in loop.velocities}) > 1
    heights = [3.5, 2.9, 2.3, *([3.5] if speeds else []), *([3.3] if found.attractors else [])]
    figure = new_figure(WIDTH, sum(heights))
    panels = iter(figure.subplots(len(heights), 1, gridspec_kw={"height_ratios": heights}))
    phase, bright, verdicts = next(panels), next(panels), next(panels)
    _over_horizon(phase, found, shown, lambda loop: loop.ahead)
    phase.axhline(AWAY, color=BLACK, linestyle=":", linewidth=1)
    phase.set_yscale("symlog", linthresh=10)
    marks = [value for value in DEGREES if value <= max(AWAY, phase.get_ylim()[1])]
    phase.set_yticks(marks, [f"{value:,}" for value in marks])
    phase.set_ylim(bottom=0)
    phase.minorticks_off()
    title = "How far the generated light is from the true one"
    finish(phase, "", "degrees (median);\nlinear up to 10, then by factors", title)
    _over_horizon(bright, found, shown, lambda loop: loop.amplitude)
    bright.set_ylim(0, 1.3)
    title = "How bright it still is (1: as the true one)"
    finish(bright, "frames since the prompt ended", "amplitude (median)", title, legend=2)
    _verdicts(verdicts, found)
    if speeds:
        _speeds(next(panels), found)
    if found.attractors:
        _exponents(next(panels), found)
    return figure


def _over_horizon(
    axes: Axes, found: Dynamics, shown: int, values: Callable[[LongLoop], Sequence[float]]
) -> None:
    for loop in found.members:
        if loop.seed != shown:
            axes.plot(found.horizons, values(loop), color=BLUE, linewidth=0.7, alpha=0.5)
    chosen = next(loop for loop in found.members if loop.seed == shown)
    named = ", the median net" if len(found.members) > 1 else ""
    axes.plot(found.horizons, values(chosen), color=MODEL, linewidth=2.4, label=f"seed {shown}{named}")
    if len(found.members) > 1:
        axes.plot([], [], color=BLUE, linewidth=0.9, label="the other nets")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")


def _verdicts(axes: Axes, found: Dynamics) -> None:
    """The shares of the clips, by net."""
    by_seed = {loop.seed: loop for loop in found.members}
    rows = {f"{rank}: seed {seed}": [by_seed[seed]] for rank, seed in ranked(found)}
    if len(found.members) > 1:
        rows[f"all {len(found.members)} nets"] = list(found.members)
    for row, loops in enumerate(rows.values()):
        left = 0.0
        for name in VERDICTS:
            share = sum(loop.verdicts[name] for loop in loops) / len(loops)
            axes.barh(row, share, left=left, color=VERDICT_COLORS[name], height=0.62)
            if share > 0.07:
                axes.text(left + share / 2, row, f"{share:.0%}", ha="center", va="center", fontsize=9)
            left += share
    for name in VERDICTS:
        axes.barh(0, 0, color=VERDICT_COLORS[name], label=name)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(0, 1)
    title = f"{found.clips} clips after {found.horizons[-1]} frames"
    finish(axes, "share of the clips", "", title, legend=4)
    axes.grid(visible=False)


def _looks(found: Dynamics) -> list[tuple[int, dict[str, Any]]]:
    """The probed nets' seeds, and how each is drawn."""
    looks = zip(ranked(found), (OPTIMUM, MODEL, PINK), "^os", strict=False)
    return [
        (seed, {"color": color, "marker": marker, "label": f"{rank}: seed {seed}"})
        for (rank, seed), color, marker in looks
    ]


def _speeds(axes: Axes, found: Dynamics) -> None:
    """By how much each clip's light is faster than the true one, over the true velocity."""
    by_seed = {loop.seed: loop for loop in found.members}
    for seed, look in _looks(found):
        if by_seed[seed].velocities:
            true, made = np.array(by_seed[seed].velocities).T
            axes.plot(true, made - true, linestyle="none", markersize=5, alpha=0.7, **look)
    axes.axhline(0, color=BLACK, linewidth=1)
    title = "The speed at which it runs on, less the true one"
    finish(axes, "true velocity, degrees a frame", "degrees a frame", title, legend=2)


def _exponents(axes: Axes, found: Dynamics) -> None:
    for (_, look), each in zip(_looks(found), found.attractors, strict=False):
        values = numbers(each.exponents)
        axes.plot(range(1, len(values) + 1), values, linewidth=1, **look)
    axes.axhline(0, color=BLACK, linewidth=1)
    axes.set_xticks(range(1, max(len(each.exponents) for each in found.attractors) + 1))
    finish(axes, "direction", "nats a frame", "Lyapunov exponents: 0 stays, below 0 is forgotten", legend=2)
