"""The claim that a world goes on in a recurrent net where it cannot be seen."""

import statistics

from framegen.evaluation.metrics import numbers
from framegen.evaluation.references import OBSERVERS, ONE_FRAME
from framegen.report.figures import style
from framegen.report.figures.comparisons import memory_when_back
from framegen.studies.claims.rules import doubt, graded, share
from framegen.studies.claims.runs import Claim, Finding, Runs, skills_of, spread_text

NETS = {"memory that moves": "hidden-moving", "GRU, 128 units": "hidden-gru"}
"""By name, the runs."""
CAPTION = (
    "Memory skill in the frame in which a shape comes back, by how long it was out of sight; bands are "
    "standard errors. Who sees the last frames alone knows nothing of what was hidden for longer."
)
KNOWN, SOME = 0.5, 0.1
"""Memory skills from which on a world goes on, and does in part."""


def _permanence(runs: Runs) -> Finding:
    results = {name: runs.results(run) for name, run in NETS.items()}
    first, *_ = results.values()
    known = {name: numbers(each.values("one_step", "memory")) for name, each in results.items()}
    said = "; ".join(
        f"{name}, {spread_text(known[name], 2)}, where its skill is {spread_text(skills_of(each), 2)}"
        for name, each in results.items()
    )
    observers = ", ".join(
        f"{first.one_step[name]['memory'] or 0:.2f} of {seen}"
        for name, seen in OBSERVERS.items()
        if name != ONE_FRAME
    )
    found = {name: each.permanence for name, each in results.items() if each.permanence is not None}
    picture = style.save(memory_when_back(found), runs.picture("permanence"))
    back = sum(found[next(iter(NETS))].events)
    goes_on, in_part = (share(value > least for value in known[next(iter(NETS))]) for least in (KNOWN, SOME))
    return Finding(
        f"Memory skill (mean ± sd over {len(first.members)} seeds): {said}. Whoever sees nothing but the "
        f"last frames has at best {observers} frames. Shapes came back {back} times.{doubt(goes_on)}",
        graded(goes_on, in_part),
        [(picture, CAPTION)],
        {f"permanence/{NETS[name]}": statistics.fmean(values) for name, values in known.items()},
    )


PERMANENCE = Claim(
    "A world goes on where it is hidden",
    "This one is ours, not the article's. A shape moves behind a bar that hides it completely, and comes "
    "back after 2, 3 or 5 frames, as its speed was. Whoever sees one frame cannot expect it. A recurrent net "
    "can, if its memory goes on moving while nothing is seen: the first kind moves it for each velocity, the "
    "second has to learn that. Memory skill is how much of what can be known of the frame of its "
    "return the net knows: 0 is the exact observer of one frame, 1 the optimum, which does not know "
    "everything either, since a shape may turn while it is hidden. The claim holds if most nets of the first "
    f"kind have more than {KNOWN:g}, in part if most have more than {SOME:g}.",
    [*NETS.values()],
    _permanence,
)
