"""Runs on the same clips, side by side."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from framegen.evaluation.metrics import numbers
from framegen.evaluation.references import COPY_LAST, OPTIMUM
from framegen.evaluation.results import Results
from framegen.report.figures.comparisons import Line, Panel, line_plot
from framegen.report.figures.permanence import when_back


def compared(results: Mapping[str, Results]) -> Figure:
    """Closed-loop errors over the horizon; and where something is hidden at times, errors when it comes back.

    Args:
        results: by the run's name, of one task that predicts the next frame; the references are drawn of the
            first.
    """
    panels = [_closed_loop(results)]
    hidden = {name: each.permanence for name, each in results.items() if each.permanence is not None}
    return line_plot([*panels, when_back(hidden)] if hidden else panels)


def _closed_loop(results: Mapping[str, Results]) -> Panel:
    first = next(iter(results.values())).closed_loop
    assert first is not None
    horizons = range(1, len(first.per_horizon["model"]["mse"]) + 1)
    lines = {
        name: Line(horizons, [numbers(m.per_horizon["mse"]) for m in each.members if m.per_horizon])
        for name, each in results.items()
    }
    for name in (OPTIMUM, COPY_LAST):
        if name in first.per_horizon:
            lines[name] = Line(horizons, [numbers(first.per_horizon[name]["mse"])], reference=True)
    title = f"Closed loop after a prompt of {first.context} frames"
    return Panel(
        title, "horizon: frames since the prompt ended", "mean squared error per pixel", lines, log_y=True
    )
