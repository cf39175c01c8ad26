"""The claim that the steps of a recurrent net follow one another."""

import statistics
from dataclasses import replace

import torch

from framegen.config.data import Orbit
from framegen.data import orbit
from framegen.data.clips import to_float
from framegen.models.recurrent import RecurrentNet
from framegen.report.figures import comparisons, style
from framegen.report.figures.comparisons import Line, Panel
from framegen.runs import checkpoint
from framegen.studies import newton
from framegen.studies.claims.runs import Claim, Finding, Runs, spread_text

NEWTON_SEEDS = 16
"""Nets whose states are computed both ways."""


def _parallel(runs: Runs) -> Finding:
    saved = checkpoint.load(runs.folder / "video")
    assert isinstance(saved.config.task, Orbit)
    models = [model for model in saved.models.values() if isinstance(model, RecurrentNet)][:NEWTON_SEEDS]
    clip = to_float(orbit.sample(replace(saved.config.task, num_frames=10_000, num_test_clips=1), "test"))[0]
    solutions = [newton.hidden_states(model, clip) for model in models]
    with torch.inference_mode():
        worst = max(
            (s.hidden - m.hidden_states(clip[None])[0]).abs().max().item()
            for s, m in zip(solutions, models, strict=True)
        )
    iterations = [len(solution.changes) for solution in solutions]
    times = newton.measure(models[0], clip, saved.config.training.engine)
    gains = [0.1 * k for k in range(4, 17)]
    random = torch.rand(500, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    needed = newton.iterations_by_gain(gains, random)
    picture = style.save(comparisons.line_plot(_panels(times, gains, needed)), runs.picture("parallel"))
    longest = {name: by_length[len(clip)] for name, by_length in times.items()}
    parallel = longest.pop("Newton, parallel scan")
    slower = ", ".join(f"{parallel / each:.3g} times that of {name}" for name, each in longest.items())
    same = worst < 1e-4
    return Finding(
        f"On {len(clip)} frames {min(iterations)} to {max(iterations)} iterations "
        f"({spread_text(iterations, 1)} over {len(models)} seeds) give the same states, to {worst:.0e}: they "
        f"need not be. On this CPU that takes {parallel:.3g} ms, {slower}: it would pay with many more "
        "processors alone.",
        # That the states can be had in parallel refutes the claim; that this is slower leaves a part of it.
        "holds" if not same else "holds in part" if parallel > min(longest.values()) else "does not hold",
        [
            (
                picture,
                "Above: the time it takes, medians of five. Below: near chaos the iterations stop "
                "converging.",
            )
        ],
        {"parallel/iterations": statistics.fmean(iterations), "parallel/largest_difference": worst},
        ["framegen reproduce --claims 6"],
    )


PARALLEL = Claim(
    "Whether the steps of an RNN must be computed one after another",
    "The hidden state passes from step to step, so the article calls a computation in parallel impossible. "
    "Newton's method solves for all states at once, with a scan over time that is parallel (DEER, Lim et al. "
    "2024).",
    ["video"],
    _parallel,
)


def _panels(times: dict[str, dict[int, float]], gains: list[float], needed: list[list[int]]) -> list[Panel]:
    """The time that each way takes over the length, and the iterations over the gain of random nets."""
    return [
        Panel(
            "Time for all hidden states of a 4-5-4 net",
            "frames in a sequence",
            "milliseconds",
            {name: Line(list(by_length), [list(by_length.values())]) for name, by_length in times.items()},
            log_x=True,
            log_y=True,
        ),
        Panel(
            "Where it fails: random nets of 16 units, 500 frames",
            "gain of the recurrent weights (chaos above 1 without input)",
            f"iterations, {newton.MAX_ITERATIONS}: not converged",
            {"five random nets: mean, lowest to highest": Line(gains, needed)},
        ),
    ]
