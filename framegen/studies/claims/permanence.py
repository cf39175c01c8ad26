"""The claim that a world goes on in a recurrent net where it cannot be seen."""

from collections.abc import Mapping, Sequence

from framegen.evaluation.references import MEAN_FRAME, OPTIMUM
from framegen.evaluation.results import Permanence
from framegen.report.figures import style
from framegen.report.figures.permanence import error_when_back
from framegen.studies.claims.runs import Claim, Finding, Runs, Verdict

NETS = {
    "ConvGRU": "bar-convgru",
    "MinConvGRU": "bar-minconvgru",
    "no memory: MLP": "bar-mlp",
}
"""By name, the runs; the first one's memory can move from place to place while nothing is seen."""


def _permanence(runs: Runs) -> Finding:
    results = {name: runs.results(run) for name, run in NETS.items()}
    found = {name: each.permanence for name, each in results.items()}
    curves = {name: each for name, each in found.items() if each is not None}
    assert len(curves) == len(NETS)
    known = {name: _known(each) for name, each in curves.items()}
    skills = {name: each.median.one_step["skill"] or 0.0 for name, each in results.items()}
    said = "; ".join(f"{name}, {known[name]:.2f}, where its skill is {skills[name]:.2f}" for name in NETS)
    picture = style.save(error_when_back(curves), runs.picture("permanence"))
    events = sum(next(iter(curves.values())).events)
    return Finding(
        "Of what can be known of the frame in which a shape comes back from behind the bar, a net knows "
        f"this part (0: no more than the mean frame, 1: all that the optimum knows): {said}. "
        f"{events} times a shape came back.",
        _verdict(list(known.values())),
        [
            (
                picture,
                "Squared error of the frame in which a shape comes back, by how long it was out of sight; "
                "bands are standard errors. The optimum rises too, since a shape may turn where nobody sees "
                "it.",
            )
        ],
        {f"permanence/{NETS[name]}": value for name, value in known.items()},
    )


PERMANENCE = Claim(
    "A world goes on where it is hidden",
    "This one is not the article's. A shape moves behind a bar that hides it whole, and comes back after "
    "some frames. A net without memory cannot expect it. A recurrent net can, if its memory goes on moving "
    "while nothing is seen. How much of what can be known does it know of the frame in which the shape comes "
    "back?",
    list(NETS.values()),
    _permanence,
)


def _known(found: Permanence) -> float:
    """The part of the possible gain over the mean frame, over all comings back together."""
    total: Mapping[str, float] = {
        name: sum(count * error for count, error in zip(found.events, errors, strict=True))
        for name, errors in found.squared_error.items()
    }
    return (total[MEAN_FRAME] - total["model"]) / (total[MEAN_FRAME] - total[OPTIMUM])


def _verdict(known: Sequence[float]) -> Verdict:
    """It goes on: the net whose memory moves knows more than half of what can be known. In part: more than
    the one without memory."""
    first, *_, without = known
    if first > 0.5:
        return "holds"
    return "holds in part" if first > without else "does not hold"
