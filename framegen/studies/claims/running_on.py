"""The claim that a net can be taught to run on where the light has one of eight speeds."""

import math
import statistics

from framegen.evaluation.results import Results
from framegen.report.figures import comparisons, style
from framegen.report.figures.comparisons import Line, Panel
from framegen.studies.claims.runs import Claim, Finding, Runs, Verdict, skills_of, spread_text

TRIED = {
    "as in claim 1: true frames, 1000 clips": "speeds-gru",
    "noise on what is shown": "speeds-noise",
    "20,000 clips": "speeds-fresh",
    "64 units, 20,000 clips": "speeds-wide",
    "that, and half of the steps closed-loop": "speeds-closed",
}
"""By what was done, the runs; the last is the recipe."""


def _running_on(runs: Runs) -> Finding:
    results = {name: runs.results(run) for name, run in TRIED.items()}
    ratios = {name: _ratios(each) for name, each in results.items()}
    skills = {name: skills_of(each) for name, each in results.items()}
    medians = {name: statistics.median(values) for name, values in ratios.items()}
    usual, *_, recipe = TRIED
    lines = {name: Line(_horizons(each), _over_optimum(each)) for name, each in results.items()}
    panel = Panel(
        "GRUs that run on by themselves, the light with eight speeds",
        "horizon: frames since the prompt ended",
        "error over the optimal forecast's",
        lines,
        log_y=True,
    )
    picture = style.save(comparisons.line_plot([panel]), runs.picture("running-on"))
    others = "; ".join(
        f"{name}, {medians[name]:.2f} at a skill of {statistics.fmean(skills[name]):.3f}"
        for name in TRIED
        if name not in (usual, recipe)
    )
    return Finding(
        f"Trained as in claim 1, the closed-loop error is {medians[usual]:.2f} times the optimal forecast's, "
        f"at a skill one step ahead of {spread_text(skills[usual])}. What was tried: {others}. With "
        f"closed-loop steps besides it is {medians[recipe]:.2f} ({min(ratios[recipe]):.2f} to "
        f"{max(ratios[recipe]):.2f}), at a skill of {spread_text(skills[recipe])}.",
        _verdict(medians, ratios[recipe]),
        [
            (
                picture,
                "Error at each horizon over that of the optimal forecast, which is 1: the mean over the "
                "seeds, and from the lowest to the highest. A speed that is a little off costs more with "
                "every frame.",
            )
        ],
        {f"running_on/{TRIED[name]}": value for name, value in medians.items()},
        ["framegen train video-speeds-closed"],
    )


RUNNING_ON = Claim(
    "A net can be taught to run on",
    "Where the light has one of eight speeds, a GRU whose predictions are nearly perfect one step ahead "
    "runs on at a speed that is a little off: it has no cause to learn that there are only eight. Half of "
    "the training steps here show it a prompt of ten frames and then its own predictions, so that a wrong "
    "speed costs something. These nets are trained for a short time; `video-speeds-closed` trains the last "
    "one to its end.",
    list(TRIED.values()),
    _running_on,
)


def _verdict(medians: dict[str, float], recipe: list[float]) -> Verdict:
    """Taught: within twice the optimum's error, whatever the seed. In part: better than all else that was
    tried."""
    if max(recipe) <= 2:
        return "holds"
    *others, last = medians.values()
    return "holds in part" if last < min(others) else "does not hold"


def _ratios(results: Results) -> list[float]:
    """Of each seed, the closed-loop error over the optimal forecast's."""
    assert results.closed_loop is not None
    optimum = results.closed_loop.predictors["optimum"]["mse"] or math.nan
    return [(mse or math.nan) / optimum for mse in results.values("closed_loop", "mse")]


def _horizons(results: Results) -> list[float]:
    assert results.closed_loop is not None
    return [float(horizon) for horizon in range(1, results.closed_loop.horizon + 1)]


def _over_optimum(results: Results) -> list[list[float]]:
    """`_ratios` at each horizon, a row a seed."""
    assert results.closed_loop is not None
    optimum = results.closed_loop.per_horizon["optimum"]["mse"]
    curves = [member.per_horizon["mse"] for member in results.members if member.per_horizon is not None]
    return [
        [(mse or math.nan) / (best or math.nan) for mse, best in zip(curve, optimum, strict=True)]
        for curve in curves
    ]
