"""The claim that a net which only predicts frames comes to know what can be known."""

import math
import statistics
from collections.abc import Sequence

import numpy as np

from framegen.evaluation.metrics import numbers
from framegen.report.figures import style
from framegen.runs.run import load
from framegen.studies.claims.rules import BETTER, Share, Verdict, better, doubt, share
from framegen.studies.claims.runs import Claim, Finding, Runs, skills_of
from framegen.studies.probe import plots
from framegen.studies.probe.beliefs import ENTROPY, JOINT
from framegen.studies.probe.linear import EARLY
from framegen.studies.probe.results import Probe
from framegen.studies.probe.run import probe

NETS = {"4-5-4 RNN": "video", "GRU, 32 units": "gru", "LSTM, 32 units": "lstm"}
"""By kind, the runs whose nets are read."""

KNOWS = 0.9
"""R^2 from which on a net is said to know."""


def _belief(runs: Runs) -> Finding:
    found = {kind: probe(runs.folder / run, 0, "disabled", show=False) for kind, run in NETS.items()}
    context = load(runs.folder / NETS["4-5-4 RNN"]).data.context
    known = {kind: [m.readout.after(context, JOINT) for m in each.members] for kind, each in found.items()}
    small = found["4-5-4 RNN"]
    untrained = [each.readout.after(context, JOINT) for each in small.untrained]
    frames = {name: readout.after(context, JOINT) for name, readout in small.frames.items()}
    skills = {kind: skills_of(runs.results(run)) for kind, run in NETS.items()}
    first, *_, last = frames
    levels = {
        f"the {last}": frames[last],
        "an untrained net (median)": statistics.median(untrained),
        f"the {first}": frames[first],
    }
    label = f"R\N{SUPERSCRIPT TWO} of direction \N{MULTIPLICATION SIGN} position, after {context} frames"
    figure = plots.knowing({kind: (skills[kind], known[kind]) for kind in NETS}, levels, label)
    picture = style.save(figure, runs.picture("belief"))
    ours = known["4-5-4 RNN"]
    gained = better(ours, untrained)
    knowing = [share(value >= KNOWS for value in values) for values in known.values()]
    others = ", ".join(
        f"{statistics.median(known[kind]):.3f} for the {kind.split(',')[0]}" for kind in list(NETS)[1:]
    )
    return Finding(
        f"After {context} frames R^2 is {statistics.median(ours):.3f} for the 4-5-4 RNN (median; "
        f"{min(ours):.3f} to {max(ours):.3f} over {len(ours)} seeds), {others}; "
        f"{statistics.median(untrained):.3f} before training. From frames alone it is {frames[first]:.2f} of "
        f"the last one and {frames[last]:.3f} of the last four. Over the 4-5-4 nets, R^2 and skill have a "
        "rank correlation of "
        f"{_rank_correlation(ours, skills['4-5-4 RNN']):.2f}. {_unsure(small)}{doubt(gained, *knowing)}",
        _verdict(gained, knowing),
        [
            (picture, "Each net: how much of the observer's knowledge its state holds, over its skill."),
            (
                runs.folder / NETS["4-5-4 RNN"] / "figures" / "belief.png",
                "One test clip as the optimal observer sees it, and as it is read from the five units of the "
                "median net; how much of what is known can be read; and after how many frames.",
            ),
        ],
        {f"belief/{NETS[kind]}": statistics.median(values) for kind, values in known.items()}
        | {"belief/entropy": _median([each.readout.early[ENTROPY] for each in small.members])}
        | {"belief/untrained": statistics.median(untrained), "belief/last_four_frames": frames[last]},
        [f"framegen probe {runs.folder / NETS['4-5-4 RNN']}"],
    )


BELIEF = Claim(
    "A net that only predicts comes to know",
    "This one is ours, not the article's. The optimal observer knows how such videos are made, and computes "
    "after each frame how probable each direction and position of the light is. The nets were trained on "
    "nothing but the next frame. Can the observer's knowledge be read from their states, by a linear map "
    "that is fitted on the training clips? The target is the direction (1 or -1) times (cos, sin) of the "
    "light's angle, as expected by the observer: one frame says nothing about it. The claim holds "
    f"where most nets of each kind have an R\N{SUPERSCRIPT TWO} of {KNOWS:g} or more, in part where the "
    f"4-5-4 nets are above untrained ones in more than {BETTER:.0%} of all pairs. All kinds train at the "
    "learning rates of their experiments; none was tuned.",
    list(NETS.values()),
    _belief,
)


def _unsure(found: Probe) -> str:
    """What is read at a clip's beginning, in a sentence."""
    (name, frames) = list(found.frames.items())[-1]
    said = "; ".join(
        f"of {what} {_median([each.readout.early[of] for each in found.members]):.3f} (untrained "
        f"{_median([each.readout.early[of] for each in found.untrained]):.3f}, from the {name} "
        f"{frames.early[of] or 0:.3f})"
        for what, of in (
            ("direction and position", JOINT),
            ("how sure the observer is, the entropy,", ENTROPY),
        )
    )
    return f"By then the observer is all but certain. In frames 1 to {EARLY}, where it is not, R^2 is {said}."


def _median(values: Sequence[float | None]) -> float:
    return statistics.median(numbers(values))


def _verdict(gained: Share, knowing: Sequence[Share]) -> Verdict:
    """By the 4-5-4 nets over untrained ones, and by kind those that know; see the claim's text."""
    if not gained.above:
        return "does not hold"
    return "holds" if all(each.above for each in knowing) else "holds in part"


def _rank_correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Spearman's, of values without ties; NaN for fewer than two."""
    if len(one) < 2:
        return math.nan
    ranks = np.array([np.argsort(np.argsort(values)) for values in (one, other)])
    return np.asarray(np.corrcoef(ranks))[0, 1].item()
