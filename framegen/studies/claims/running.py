"""Claims of a net that runs: generation, any length, all steps at once."""

import itertools
import math
import statistics
from dataclasses import replace

import torch
from torch import Tensor

from framegen.config.data import Orbit
from framegen.data import orbit
from framegen.data.clips import to_float
from framegen.evaluation.metrics import skill
from framegen.models.bayes import BayesFilter
from framegen.models.fused import compiled
from framegen.models.recurrent import RecurrentNet
from framegen.report.draw import draw_run
from framegen.report.figures import comparisons, style
from framegen.report.figures.comparisons import Line, Panel
from framegen.report.page import Claim
from framegen.runs import checkpoint
from framegen.runs.checkpoint import Checkpoint
from framegen.runs.run import load
from framegen.studies import newton
from framegen.studies.claims.runs import Runs, above, spread_text

LENGTHS = (5, 50, 500, 5000)


def generation(runs: Runs) -> Claim:
    results, folder = runs.results("video"), runs.folder / "video"
    draw_run(load(folder), results)
    loop = results.closed_loop
    assert loop is not None
    optimum = loop.predictors["optimum"]["mse"] or math.nan
    ratios = [(mse or math.nan) / optimum for mse in results.values("closed_loop", "mse")]
    return Claim(
        4,
        "An RNN generates video",
        f"After a prompt of {loop.context} frames the net is fed its own predictions, {loop.horizon} frames on. The "
        "best possible forecast knows how such videos are made and computes what can be known from the prompt.",
        f"Its error is {statistics.median(ratios):.2f} times the optimal forecast's: the median over {len(ratios)} seeds, "
        f"which reach from {min(ratios):.2f} to {max(ratios):.2f}.",
        "holds" if max(ratios) < 2 else "holds in part" if statistics.median(ratios) < 2 else "does not hold",
        [folder / "generated.gif", folder / "figures" / "filmstrip.png", folder / "figures" / "horizon.png"],
        [
            f"Truth, what the net generated (seed {results.median_seed}, the median one), and the optimal forecast.",
            "The same as a film strip.",
            "Closed-loop error over the horizon, of all seeds and of the other predictors.",
        ],
        [runs.command("video"), f"framegen generate {folder} --frames 40 --out clip.gif"],
        {"generation/error_over_optimum": statistics.median(ratios)},
    )


def length(runs: Runs) -> Claim:
    saved = checkpoint.load(runs.folder / "video")
    assert isinstance(saved.config.task, Orbit)
    trained = saved.config.task.num_frames
    nets, optimum, copied = _errors_over_time(saved, saved.config.task)
    made = style.save(comparisons.line_plot([_over_time(nets, optimum, trained)]), runs.picture("length"))
    skills = {
        count: [
            skill(row[:count].mean().item(), copied[:count].mean().item(), optimum[:count].mean().item())
            or 0.0
            for row in nets
        ]
        for count in LENGTHS
    }
    *_, longest = skills
    trained_on = min(skills, key=lambda count: abs(count - trained))
    return Claim(
        5,
        "Sequences of any length",
        f"A feed-forward net's input has a fixed size; an RNN takes what comes. Nets that were trained on {trained} "
        f"frames were run on up to {LENGTHS[-1]} true ones.",
        "Skill "
        + ", ".join(f"{spread_text(values)} on {count}" for count, values in skills.items())
        + " frames.",
        "holds" if not above(skills[trained_on], skills[longest]) else "holds in part",
        [made],
        ["The error at each frame, averaged over ten long videos and over neighbouring frames."],
        [runs.command("video"), "framegen reproduce --claims 5"],
        {f"length/{count}": statistics.fmean(values) for count, values in skills.items()},
    )


@torch.inference_mode()
def _errors_over_time(saved: Checkpoint, trained: Orbit) -> tuple[Tensor, Tensor, Tensor]:
    """Mean squared error one step ahead at each frame of long videos: of each net (K, T), of the optimum and
    of copying (T,)."""
    task = replace(trained, num_frames=LENGTHS[-1] + 1, num_test_clips=10)
    frames = to_float(orbit.sample(task, "test"))  # (10, T + 1, 1, 2, 2)
    inputs, targets = frames[:, :-1], frames[:, 1:]

    def errors(predictions: Tensor) -> Tensor:
        return (predictions - targets).double().square().mean((0, 2, 3, 4))

    models = [compiled(model, saved.config.training.engine) for model in saved.models.values()]
    best = BayesFilter(*orbit.phase_grid(task), task.deviation)
    return (
        torch.stack([errors(model(inputs)[0]) for model in models]),
        errors(best(inputs)[0]),
        errors(inputs),
    )


def _over_time(nets: Tensor, optimum: Tensor, trained: int) -> Panel:
    """The errors at each frame, averaged over neighbouring ones."""
    edges = sorted({round(10 ** (k / 8)) - 1 for k in range(round(8 * 3.7) + 1)} | {LENGTHS[-1]})
    spans = [slice(a, b) for a, b in itertools.pairwise(edges)]
    middles = [(span.start + span.stop + 1) / 2 for span in spans]
    rows = [[row[span].mean().item() for span in spans] for row in nets]
    lines = {
        "4-5-4 RNN, mean and best to worst seed": Line(middles, rows),
        "optimum": Line(middles, [[optimum[span].mean().item() for span in spans]], reference=True),
    }
    return Panel(
        "Error at each frame of a long video",
        "frame",
        "mean squared error per pixel",
        lines,
        log_x=True,
        log_y=True,
        upright=(f"trained on {trained} frames", trained),
    )


def parallel_in_time(runs: Runs) -> Claim:
    saved = checkpoint.load(runs.folder / "video")
    assert isinstance(saved.config.task, Orbit)
    models = [model for model in saved.models.values() if isinstance(model, RecurrentNet)]
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
    needed = newton.iterations_by_gain(
        gains, torch.rand(500, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    )
    picture = style.save(
        comparisons.line_plot(_newton_panels(times, gains, needed)), runs.picture("parallel")
    )
    longest = {name: by_length[len(clip)] for name, by_length in times.items()}
    parallel = longest.pop("Newton, parallel scan")
    slower = ", ".join(f"{parallel / each:.3g} times that of {name}" for name, each in longest.items())
    same = worst < 1e-4
    return Claim(
        6,
        "Whether the steps of an RNN must be computed one after another",
        "The hidden state passes from step to step, so the article calls a computation in parallel impossible. Newton's "
        "method solves for all states at once, with a scan over time that is parallel (DEER, Lim et al. 2024).",
        f"On {len(clip)} frames {min(iterations)} to {max(iterations)} iterations ({spread_text(iterations, 1)} over "
        f"{len(models)} seeds) give the same states, to {worst:.0e}: they need not be. On this CPU that takes "
        f"{parallel:.3g} ms, {slower}: it would pay with many more processors alone.",
        # That the states can be had in parallel refutes the claim; that this is slower leaves a part of it.
        "holds" if not same else "holds in part" if parallel > min(longest.values()) else "does not hold",
        [picture],
        ["Left: the time it takes, medians of five. Right: near chaos the iterations stop converging."],
        [runs.command("video"), "framegen reproduce --claims 6"],
        {"parallel/iterations": statistics.fmean(iterations), "parallel/largest_difference": worst},
    )


def _newton_panels(
    times: dict[str, dict[int, float]], gains: list[float], needed: list[list[int]]
) -> list[Panel]:
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
            f"Newton iterations, {newton.MAX_ITERATIONS}: not converged",
            {"five random nets": Line(gains, needed)},
        ),
    ]
