"""The claim that a net can say how sure it is, measured in bits against who knows all that can be known."""

import statistics

from framegen.evaluation.likelihood import INTERVALS
from framegen.evaluation.references import OPTIMUM
from framegen.evaluation.results import Results
from framegen.report.figures import calibration, comparisons, style
from framegen.studies.claims.rules import Share, doubt, judge, share
from framegen.studies.claims.runs import Claim, Finding, Runs, spread_text

NETS = {"4-5-4 RNN": "bits", "GRU, 32 units": "bits-gru"}
"""By what it is called, the run."""

LONGER = 0.05
"""The optimum's code may be that part shorter."""
OFF = 0.05
"""Largest distance of the share of true pixels within an interval from the interval's own."""


def _bits(runs: Runs) -> Finding:
    results = {name: runs.results(run) for name, run in NETS.items()}
    regrets = {name: _values(each, "regret") for name, each in results.items()}
    optimum = next(iter(results.values())).one_step[OPTIMUM]["bits"] or 0.0
    off = {name: statistics.median(_off(each)) for name, each in results.items()}
    good = {name: _good(each, optimum) for name, each in results.items()}
    strip = comparisons.strip_plot({"one step ahead": {**regrets, OPTIMUM: 0.0}}, "regret: bits a frame")
    shown = {name: each.calibration for name, each in results.items() if each.calibration is not None}
    pictures = [
        (
            style.save(strip, runs.picture("bits")),
            "Bits that a frame's code is longer than the optimum's: the price of what the net does not know.",
        ),
        (
            style.save(calibration.coverage(shown), runs.picture("calibration")),
            "How often a pixel lies within the central intervals of the median net, one step ahead and in "
            "futures that were drawn. Dashed: how often it should; below it the net is too sure.",
        ),
    ]
    found = "; ".join(
        f"{name}, {spread_text(values, 2)}, and its intervals are off by {off[name]:.3f} (median); that is "
        f"little for {good[name].part:.0%} of the nets"
        for name, values in regrets.items()
    )
    return Finding(
        f"The optimum needs {optimum:.2f} bits per frame. The nets' extra bits (mean ± standard "
        f"deviation over seeds): {found}.{doubt(*good.values())}",
        judge(list(good.values())),
        pictures,
        {f"bits/{NETS[name]}/regret": statistics.fmean(values) for name, values in regrets.items()},
        [f"framegen generate {runs.folder / NETS['4-5-4 RNN']} --sample --futures 3 --out futures.gif"],
    )


BITS = Claim(
    "A net can say how sure it is",
    "This one is ours, not the article's. A net that is trained on the squared error predicts the mean, and "
    "does not say how far it may be off. Here the nets predict how probable each next frame is, as a "
    "mixture of four Gaussians, and are trained by likelihood. A code for the frames needs the fewest bits "
    "with the true probabilities, which the optimum has; a net's extra bits are its regret. A net is as "
    "sure as it should be if the truth lies within its central 50 % and 90 % intervals as often as they "
    "say. Frames drawn from its density are futures with the world's own noise. A net says how sure it is if "
    f"its code is at most {LONGER:.0%} longer than the optimum's and no interval is off by more than "
    f"{OFF:g}; the claim holds if most nets of both kinds do, in part if those of one kind do.",
    list(NETS.values()),
    _bits,
)


def _values(results: Results, metric: str) -> list[float]:
    return [value for value in results.values("one_step", metric) if value is not None]


def _off(results: Results) -> list[float]:
    """How far the share of true pixels lies from what an interval says, at most, of each net."""
    each = [[abs(v - part) for v in _values(results, f"coverage_{name}")] for name, part in INTERVALS.items()]
    return [max(apart) for apart in zip(*each, strict=True)]


def _good(results: Results, optimum: float) -> Share:
    """The share of nets whose code is hardly longer than the optimum's, and whose intervals are right."""
    nets = zip(_values(results, "regret"), _off(results), strict=True)
    return share(regret <= LONGER * optimum and off <= OFF for regret, off in nets)
