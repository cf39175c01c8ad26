"""The claim that a net can be taught to run on where the light has one of eight speeds."""

import math
import statistics
from collections.abc import Mapping, Sequence

from framegen.config.tasks import Orbit
from framegen.evaluation.results import Results
from framegen.models.kernels import fused
from framegen.report.figures import comparisons, style
from framegen.report.figures.comparisons import Line, Panel
from framegen.runs.run import load
from framegen.studies.claims.generation import CLOSE
from framegen.studies.claims.rules import Share, Verdict, doubt, share
from framegen.studies.claims.runs import Claim, Finding, Runs, excess_of, over_optimum, skills_of
from framegen.studies.probe.long_loops import clips_for, judge, run_on, shares

TRIED = {
    "32 units, 1000 clips, true frames": "speeds-gru",
    "128 units, 20,000 clips, true frames": "speeds-wide",
    "the same, half of the steps closed-loop": "speeds-closed",
}
"""By what was done, the runs: what is usual, more of it, and the recipe."""


CAPTION = (
    "Error at each horizon over that of the optimal forecast, which is 1: the mean over the seeds, and from "
    "the lowest to the highest. A speed that is a little off costs more with every frame."
)
SAME_SKILL = 0.005
"""Loss of skill one step ahead that is let pass."""

LONG = 1000
"""Frames after which the light is judged."""


def _running_on(runs: Runs) -> Finding:
    results = {name: runs.results(run) for name, run in TRIED.items()}
    ratios = {name: over_optimum(each) for name, each in results.items()}
    skills = {name: skills_of(each) for name, each in results.items()}
    medians = {name: statistics.median(values) for name, values in ratios.items()}
    recipe = list(TRIED)[-1]
    within = share(ratio < CLOSE for ratio in ratios[recipe])
    lines = {name: Line(_horizons(each), _at_each_horizon(each)) for name, each in results.items()}
    horizons = lines[recipe].x
    lines["optimal forecast"] = Line(horizons, [[1.0] * len(horizons)], reference=True)
    panel = Panel(
        "GRUs that run on by themselves, the light with eight speeds",
        "horizon: frames since the prompt ended",
        "error over the optimal forecast's",
        lines,
        log_y=True,
    )
    picture = style.save(comparisons.line_plot([panel]), runs.picture("running-on"))
    found = "; ".join(
        f"{name}, {medians[name]:.2f} at {statistics.fmean(skills[name]):.3f}, with the noise subtracted "
        f"{excess_of(results[name]):.1f}"
        for name in TRIED
    )
    ended = {name: _ended(runs, run) for name, run in TRIED.items()}
    told = "; ".join(
        f"{name}, {', '.join(f'{part:.0%} {what}' for what, part in parts.items() if part)}"
        for name, parts in ended.items()
    )
    return Finding(
        "Closed-loop error over the optimal forecast's (median), at a skill one step ahead of (mean): "
        f"{found}. The light after {LONG} frames that the median net generated: "
        f"{told}.{doubt(within)}",
        _verdict(within, medians, skills),
        [(picture, CAPTION)],
        {f"running_on/{TRIED[name]}": value for name, value in medians.items()}
        | {f"running_on/{TRIED[name]}/excess": excess_of(each) for name, each in results.items()}
        | {f"running_on/{TRIED[name]}/in_step": parts["in step"] for name, parts in ended.items()},
        ["framegen train video-speeds-closed"],
    )


def _ended(runs: Runs, name: str) -> dict[str, float]:
    """The verdicts on the clips of the run's median net, as shares."""
    run = load(runs.folder / name)
    trained, context = run.config.task, run.data.context
    assert isinstance(trained, Orbit)
    task, prompts, truth = clips_for(trained, context, LONG)
    model = fused.compiled(run.model, run.config.training.engine)
    return shares(judge(task, run_on(model, task, prompts, truth)))


RUNNING_ON = Claim(
    "A net can be taught to run on",
    "This one is ours, not the article's. The light has one of eight speeds. A GRU that is trained one step "
    "ahead has no reason to learn that there are only eight, and may run on at a slightly wrong speed. "
    "The last net here is shown, in half of its training steps, ten true frames and then its own "
    "predictions, so that a wrong speed is penalised. It and the one before have a fifth of the whole "
    "training of `video-speeds-closed`. The claim holds if most nets of that "
    f"recipe are within {CLOSE:g} times the optimum's error and lose less than {SAME_SKILL:g} of the usual "
    "skill one step ahead, in part if their median is nearer to the optimum than those of the others.",
    list(TRIED.values()),
    _running_on,
)


def _verdict(within: Share, medians: Mapping[str, float], skills: Mapping[str, Sequence[float]]) -> Verdict:
    """By the share of the recipe's nets that are within CLOSE; see the claim's text."""
    *others, last = medians
    lost = statistics.fmean(skills[others[0]]) - statistics.fmean(skills[last])
    if within.above and lost < SAME_SKILL:
        return "holds"
    return "holds in part" if medians[last] < min(medians[each] for each in others) else "does not hold"


def _horizons(results: Results) -> list[float]:
    assert results.closed_loop is not None
    return [float(horizon) for horizon in range(1, results.closed_loop.horizon + 1)]


def _at_each_horizon(results: Results) -> list[list[float]]:
    """`over_optimum` at each horizon, a row a seed."""
    assert results.closed_loop is not None
    optimum = results.closed_loop.per_horizon["optimum"]["mse"]
    curves = [member.per_horizon["mse"] for member in results.members if member.per_horizon is not None]
    return [
        [(mse or math.nan) / (best or math.nan) for mse, best in zip(curve, optimum, strict=True)]
        for curve in curves
    ]
