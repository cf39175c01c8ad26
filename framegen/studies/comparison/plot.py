"""Runs side by side: over the horizon, where something comes back, and over an option."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from framegen.evaluation.metrics import numbers
from framegen.evaluation.references import COPY_LAST, OPTIMUM
from framegen.report.figures.comparisons import Line, Panel, line_plot, when_back
from framegen.studies.comparison.finished import Finished, number_that_differs

PARTS = {"one_step": "one step ahead", "closed_loop": "closed loop"}


def compared(runs: Mapping[str, Finished]) -> Figure:
    """Where runs differ in one option that is a number, what was measured over it. Where they are of one task
    that predicts the next frame, closed-loop errors over the horizon; and where something is hidden at times,
    what is known of it when it comes back.

    Args:
        runs: by name, of which one of the two is true; the references are drawn of the first.
    """
    panels = _over_option(runs)
    task = next(iter(runs.values())).config.task
    if task.next_frame and all(run.config.task == task for run in runs.values()):
        panels.append(_closed_loop(runs))
        known = {name: run.results.permanence for name, run in runs.items()}
        if hidden := {name: each for name, each in known.items() if each and each.memory}:
            panels.append(when_back(hidden))
    return line_plot(panels)


def _over_option(runs: Mapping[str, Finished]) -> list[Panel]:
    if (option := number_that_differs(runs)) is None:
        return []
    name, places = option
    by_place = [run for _, run in sorted(zip(places, runs.values(), strict=True), key=lambda pair: pair[0])]
    results, x = [run.results for run in by_place], sorted(places)
    metric = "skill" if all(each.has_skill for each in results) else "mse"
    lines: dict[str, Line] = {}
    for part, label in PARTS.items():
        if all(part in each.parts() for each in results):
            values = [numbers(each.values(part, metric)) for each in results]
            means = [sum(each) / len(each) for each in values]
            lines[label] = Line(x, [means], band=([*map(min, values)], [*map(max, values)]))
    title = "Test clips: mean and range over the seeds"
    label = metric if metric == "skill" else "mean squared error per pixel"
    wide = 0 < 10 * x[0] <= x[-1]
    return [Panel(title, name.replace("_", " "), label, lines, log_x=wide, log_y=metric == "mse")]


def _closed_loop(runs: Mapping[str, Finished]) -> Panel:
    first = next(iter(runs.values())).results.closed_loop
    assert first is not None
    horizons = range(1, len(first.per_horizon["model"]["mse"]) + 1)
    lines = {
        name: Line(horizons, [numbers(m.per_horizon["mse"]) for m in run.results.members if m.per_horizon])
        for name, run in runs.items()
    }
    for name in (OPTIMUM, COPY_LAST):
        if name in first.per_horizon:
            lines[name] = Line(horizons, [numbers(first.per_horizon[name]["mse"])], reference=True)
    several = any(len(run.results.members) > 1 for run in runs.values())
    spread = ": mean over the seeds; band: their lowest and highest" if several else ""
    title = f"Closed loop after a prompt of {first.context} frames{spread}"
    return Panel(
        title, "horizon: frames since the prompt ended", "mean squared error per pixel", lines, log_y=True
    )
