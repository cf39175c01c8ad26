"""The claim that a world goes on in a recurrent net where it cannot be seen."""

from framegen.evaluation.metrics import numbers
from framegen.evaluation.references import OPTIMUM
from framegen.evaluation.results import Permanence
from framegen.report.figures import style
from framegen.report.figures.permanence import error_when_back
from framegen.studies.claims.rules import Verdict
from framegen.studies.claims.runs import Claim, Finding, Runs

NETS = {"GRU, 128 units": "bar-gru", "minGRU, 2 layers": "bar-mingru"}
"""By name, the runs; what a unit of the first one keeps depends on what all others kept."""
WITHOUT, WITHOUT_RUN = "no memory: MLP", "bar-mlp"
KNOWN, SOME = 0.5, 0.1
"""Shares of the knowable from which on a world goes on, and does in part."""


def _permanence(runs: Runs) -> Finding:
    results = {name: runs.results(run) for name, run in {**NETS, WITHOUT: WITHOUT_RUN}.items()}
    found = {name: each.permanence for name, each in results.items() if each.permanence is not None}
    without = found[WITHOUT]
    known = {name: _known(found[name], without) for name in NETS}
    skills = {name: each.median.one_step["skill"] or 0.0 for name, each in results.items()}
    said = "; ".join(
        f"{name}, {part:.2f}, where its skill is {skills[name]:.2f}" for name, part in known.items()
    )
    picture = style.save(error_when_back(found), runs.picture("permanence"))
    return Finding(
        "Knowledge of the frame in which a shape comes back from behind the bar (0: no more than the "
        f"net without memory, of skill {skills[WITHOUT]:.2f}; 1: all that the optimum knows), by the median "
        f"of {len(results[next(iter(NETS))].members)} of each kind: {said}. Shapes "
        f"came back {sum(without.events)} times.",
        _verdict(known[next(iter(NETS))]),
        [
            (
                picture,
                "Squared error of the frame in which a shape comes back, by how long it was out of sight; "
                "bands are standard errors. The optimum does not know everything either, since a "
                "shape may turn while it is hidden.",
            )
        ],
        {f"permanence/{NETS[name]}": value for name, value in known.items()},
    )


PERMANENCE = Claim(
    "A world goes on where it is hidden",
    "This one is ours, not the article's. A shape moves behind a bar that hides it completely, and comes "
    "back after some frames. A net without memory cannot expect it. A recurrent net can, if its memory goes "
    "on moving while nothing is seen. When the shape comes back, how much of what can be known of that frame "
    f"does the net know? The claim holds if the first kind of net knows more than {KNOWN:.0%} of it, in part "
    f"from {SOME:.0%} on.",
    [*NETS.values(), WITHOUT_RUN],
    _permanence,
)


def _known(net: Permanence, without: Permanence) -> float:
    """The part of the possible gain over a net without memory, over all comings back together."""
    worst, own, best = (
        sum(a * b for a, b in zip(found.events, numbers(found.squared_error[name]), strict=True))
        for found, name in ((without, "model"), (net, "model"), (net, OPTIMUM))
    )
    return (worst - own) / (worst - best)


def _verdict(known: float) -> Verdict:
    if known > KNOWN:
        return "holds"
    return "holds in part" if known > SOME else "does not hold"
