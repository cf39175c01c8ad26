"""The permanence curve: does a net expect hidden things to come back?"""

from collections.abc import Mapping

from matplotlib.figure import Figure

from framegen.evaluation.metrics import numbers
from framegen.evaluation.permanence import LONGEST
from framegen.evaluation.references import MEAN_FRAME, OPTIMUM
from framegen.evaluation.results import Permanence
from framegen.report.figures.comparisons import Line, Panel, line_plot


def error_when_back(nets: Mapping[str, Permanence]) -> Figure:
    """The error at the frame in which something comes back, over how long it was out of sight; bands are
    standard errors over the events.

    Args:
        nets: by name, what was measured of each on the same clips; the references are drawn of the first.
    """
    return line_plot([when_back(nets)])


def when_back(nets: Mapping[str, Permanence]) -> Panel:
    """The chart of it."""
    first = next(iter(nets.values()))
    shown = [(name, each, "model") for name, each in nets.items()]
    shown += [(name, first, name) for name in (OPTIMUM, MEAN_FRAME)]
    return Panel(
        "When it comes back into sight",
        f"frames out of sight ({LONGEST}: or more)" if LONGEST in first.frames else "frames out of sight",
        "squared error of that frame",
        {name: _line(found, predictor) for name, found, predictor in shown},
    )


def _line(found: Permanence, predictor: str) -> Line:
    errors, margins = (numbers(each[predictor]) for each in (found.squared_error, found.standard_error))
    low, high = (
        [error + sign * margin for error, margin in zip(errors, margins, strict=True)] for sign in (-1, 1)
    )
    return Line(found.frames, [errors], predictor != "model", (low, high))
