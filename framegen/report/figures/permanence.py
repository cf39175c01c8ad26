"""The permanence curve: does a net expect hidden things to come back?"""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from framegen.evaluation.metrics import numbers
from framegen.evaluation.permanence import LONGEST
from framegen.evaluation.references import OBSERVERS, ONE_FRAME, OPTIMUM
from framegen.evaluation.results import Permanence
from framegen.report.figures.comparisons import Line, Panel, line_plot


def memory_when_back(nets: Mapping[str, Permanence]) -> Figure:
    """The memory skill in the frame in which something comes back, over how long it was out of sight; bands
    are standard errors, over the seeds or of one net over the clips.

    Args:
        nets: by name, what was measured of each on the same clips; the observers are drawn of the first.
    """
    return line_plot([when_back(nets)])


def when_back(nets: Mapping[str, Permanence]) -> Panel:
    """The chart of it."""
    first = next(iter(nets.values()))
    lines = {name: _of_net(each) for name, each in nets.items()}
    for name in (OPTIMUM, *reversed(OBSERVERS)):
        if name != ONE_FRAME:
            lines[name] = _line(first, [numbers(first.memory[name])], numbers(first.memory_se[name]), True)
    return Panel(
        "Back in sight: 0 has seen one frame, 1 knows all",
        f"frames out of sight ({LONGEST}: or more)" if LONGEST in first.frames else "frames out of sight",
        "memory skill",
        lines,
    )


def _of_net(found: Permanence) -> Line:
    rows = [numbers(each) for each in found.members]
    if len(rows) == 1:
        return _line(found, rows, numbers(found.memory_se["model"]))
    return _line(found, rows, (np.std(rows, 0, ddof=1) / len(rows) ** 0.5).tolist())


def _line(found: Permanence, rows: list[list[float]], margins: list[float], reference: bool = False) -> Line:
    means, wide = np.mean(rows, 0), np.array(margins)
    return Line(found.frames, rows, reference, ((means - wide).tolist(), (means + wide).tolist()))
