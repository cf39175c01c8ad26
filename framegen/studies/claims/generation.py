"""Claims of a net that runs on: generation, and sequences of any length, on true frames and on its own."""

import itertools
import math
import statistics
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from framegen.config.tasks import Orbit
from framegen.data import orbit
from framegen.data.clips import to_float
from framegen.evaluation.metrics import skill
from framegen.evaluation.references import expected_frames, optimal_predictor
from framegen.models.kernels.fused import compiled
from framegen.models.rollout import generate
from framegen.report.draw import draw_run
from framegen.report.figures import comparisons, style
from framegen.report.figures.comparisons import Line, Panel
from framegen.runs.run import Run, load
from framegen.studies.claims.rules import BETTER, better, doubt, graded, share
from framegen.studies.claims.runs import (
    Claim,
    Finding,
    Runs,
    excess_of,
    middle_half,
    over_optimum,
    spread_text,
)
from framegen.studies.probe.long_loops import decode, judge, light, shares

LENGTHS = (5, 50, 500, 5000)
"""True frames that the nets are run on."""
HORIZONS = (40, 100, 300, 1000)
"""Frames that they then generate by themselves, after the prompt of the evaluation."""
LONG_CLIPS, DRIFT_CLIPS = 10, 40
CAPTIONS = (
    f"True frames: the error at each, averaged over {LONG_CLIPS} videos and neighbouring frames.",
    f"Its own frames, in {DRIFT_CLIPS} videos: the error at each, and how far the generated light is from "
    "the true one. It grows in proportion to the time where a speed is slightly wrong.",
)
CLOSE = 2.0
"""Times the optimal forecast's error, below which a net is said to generate such video."""


def _generation(runs: Runs) -> Finding:
    results, folder = runs.results("video"), runs.folder / "video"
    draw_run(load(folder), results)
    loop = results.closed_loop
    assert loop is not None
    optimum = loop.predictors["optimum"]["mse"] or math.nan
    ratios = over_optimum(results)
    mean_frame = (loop.predictors["mean frame"]["mse"] or math.nan) / optimum
    within, ahead = (share(ratio < most for ratio in ratios) for most in (CLOSE, mean_frame))
    pictures = {
        folder / "generated.gif": f"Truth, what the net generated (seed {results.median_seed}, the median "
        "one on the validation clips), and the optimal forecast.",
        folder / "figures" / "filmstrip.png": "The same as a film strip.",
        folder / "figures" / "horizon.png": "Closed-loop error over the horizon, at each the median over the "
        "seeds, and of the other predictors.",
    }
    return Finding(
        f"The error of the frames is {middle_half(ratios)} times the optimal forecast's: the median over "
        f"{len(ratios)} seeds, and their middle half. With the noise subtracted it is "
        f"{excess_of(results):.1f} times the optimum's (median). {within.part:.0%} of the nets have less "
        f"than {CLOSE:g} times the error; always predicting the mean frame has {mean_frame:.1f} times "
        f"the error.{doubt(within)}",
        graded(within, ahead),
        list(pictures.items()),
        {
            "generation/error_over_optimum": statistics.median(ratios),
            "generation/excess": excess_of(results),
        },
        [f"framegen generate {folder} --num-frames 40 --out clip.gif"],
    )


GENERATION = Claim(
    "An RNN generates video",
    "After a prompt of ten frames the net is fed its own predictions. The best possible forecast knows how "
    "such videos are made and computes what can be known from the prompt. The claim holds where most nets "
    f"have less than {CLOSE:g} times its error, in part where most do better than the mean frame.",
    ["video"],
    _generation,
)


def _length(runs: Runs) -> Finding:
    run = load(runs.folder / "video")
    task = run.config.task
    assert isinstance(task, Orbit)
    nets, optimum, copied = _errors_over_time(run, task)
    means = {count: [each[:count].mean().item() for each in (*nets, copied, optimum)] for count in LENGTHS}
    skills = {
        count: [skill(own, copy, best) or 0.0 for own in each] for count, (*each, copy, best) in means.items()
    }
    drift = _drift(run, task)
    ratios = {count: drift.over_optimum(count, drift.optimum * 0) for count in HORIZONS}
    excess = {count: drift.over_optimum(count, drift.floor) for count in HORIZONS}
    over_time = comparisons.line_plot([_over_time(nets, optimum, task.num_frames)])
    pictures = [
        style.save(over_time, runs.picture("length")),
        style.save(comparisons.line_plot(_drift_panels(drift)), runs.picture("drift")),
    ]
    longest, last = max(skills), max(HORIZONS)
    trained_on = min(skills, key=lambda count: abs(count - task.num_frames))
    forgets = better(skills[trained_on], skills[longest])
    loses = statistics.median(ratios[last]) > 2 * statistics.median(ratios[min(HORIZONS)])
    became = ", ".join(f"{part:.0%} {what}" for what, part in shares(drift.verdicts).items() if part)
    true_frames = ", ".join(f"{spread_text(values)} on {count}" for count, values in skills.items())
    own_frames, beyond = (
        ", ".join(f"{middle_half(values)} over {count}" for count, values in each.items())
        for each in (ratios, excess)
    )
    return Finding(
        f"Fed true frames, the skill is {true_frames} frames. Fed its own, the error over the optimal "
        f"forecast's is {own_frames} frames (median over seeds, and their middle half), with the noise "
        f"subtracted {beyond}. The light after "
        f"{last} frames, over all nets and videos: {became}.{doubt(forgets)}",
        ("holds", "holds in part", "does not hold")[forgets.above + loses],
        list(zip(pictures, CAPTIONS, strict=True)),
        {f"length/{count}": statistics.fmean(values) for count, values in skills.items()}
        | {f"length/closed_loop_{count}": statistics.median(values) for count, values in ratios.items()},
        ["framegen reproduce --claims 5"],
    )


LENGTH = Claim(
    "Sequences of any length",
    "A feed-forward net's input has a fixed size; an RNN takes any number of frames. The nets were trained "
    f"on videos of 50 frames; here they run on up to {LENGTHS[-1]} true frames, and generate up to "
    f"{HORIZONS[-1]} of their own. The claim holds only in part if, in more than {BETTER:.0%} of all pairs, "
    f"skill is less on the most frames than on about as many as in training, or if over {HORIZONS[-1]} "
    "frames of their own the median of the error over the optimal forecast's is more than twice that over "
    f"{HORIZONS[0]}; if both are true it does not hold.",
    ["video"],
    _length,
)


@torch.inference_mode()
def _errors_over_time(run: Run, trained: Orbit) -> tuple[Tensor, Tensor, Tensor]:
    """Mean squared error one step ahead at each frame of long videos: of each net (K, T), of the optimum and
    of copying (T,)."""
    task = replace(trained, num_frames=LENGTHS[-1] + 1, num_test_clips=LONG_CLIPS)
    frames = to_float(orbit.sample(task, "test"))  # (N, T + 1, 1, 2, 2)
    inputs, targets = frames[:, :-1], frames[:, 1:]

    def errors(predictions: Tensor) -> Tensor:
        return (predictions - targets).double().square().mean((0, 2, 3, 4))

    models = [compiled(model, run.config.training.engine) for model in run.models.values()]
    best = optimal_predictor(task, run.data)
    assert best is not None
    return (
        torch.stack([errors(model(inputs)[0]) for model in models]),
        errors(best(inputs)[0]),
        errors(inputs),
    )


@dataclass(frozen=True)
class _Drift:
    """Results of long closed loops: squared errors at each horizon, and the phase."""

    nets: Tensor
    """(K, T)."""
    optimum: Tensor
    """(T,), of the optimal forecast."""
    floor: Tensor
    """(T,), of a forecast that knows the frames without noise."""
    mean_frame: Tensor
    """(T,), of a forecast that knows no phase: always the mean of all frames."""
    phase: Tensor
    """(K, T): how far the light of a net is from the true one, the median over the clips, in degrees; a turn
    that it is ahead counts as 360."""
    verdicts: list[str]
    """The light at the end, for each net in each video."""

    def over_optimum(self, count: int, floor: Tensor) -> list[float]:
        """Each net's error over the optimal forecast's, of that many frames, a floor (T,) subtracted."""
        nets, best = (errors[..., :count].mean(-1) for errors in (self.nets - floor, self.optimum - floor))
        return (nets / best).tolist()


def _drift(run: Run, trained: Orbit) -> _Drift:
    context = run.data.context
    task = replace(trained, num_frames=context + HORIZONS[-1], num_test_clips=DRIFT_CLIPS)
    frames = to_float(orbit.sample(task, "test"))
    prompt, truth = frames[:, :context], frames[:, context:]

    def errors(predictions: Tensor) -> Tensor:
        return (predictions - truth).double().square().mean((0, 2, 3, 4))

    nets = [compiled(model, run.config.training.engine) for model in run.models.values()]
    made = [generate(net, prompt, HORIZONS[-1]) for net in nets]
    best = optimal_predictor(trained, run.data)
    assert best is not None
    truth_phase = orbit.phases(task, "test")[:, context:]
    lights = [light(*decode(task, each), truth_phase) for each in made]
    return _Drift(
        torch.stack([errors(each) for each in made]),
        errors(generate(best, prompt, HORIZONS[-1])),
        errors(torch.stack([*(expected_frames(task) or truth)])[:, -HORIZONS[-1] :]),
        errors(truth.mean((0, 1)).expand_as(truth)),
        torch.stack([each.ahead.abs().median(0).values for each in lights]),
        [what for each in lights for what in judge(task, each)],
    )


def _over_time(nets: Tensor, optimum: Tensor, trained: int) -> Panel:
    """The errors at each frame, averaged over neighbouring ones."""
    spans, middles = _spans(LENGTHS[-1])
    rows = [[row[span].mean().item() for span in spans] for row in nets]
    lines = {
        "4-5-4 RNN: mean, and band from best to worst seed": Line(middles, rows),
        "optimum": Line(middles, [[optimum[span].mean().item() for span in spans]], reference=True),
    }
    return Panel(
        "True frames: error one step ahead",
        "frame",
        "mean squared error per pixel",
        lines,
        log_x=True,
        log_y=True,
        upright=(f"trained on {trained} frames", trained),
    )


def _drift_panels(drift: _Drift) -> list[Panel]:
    """Error and phase of the closed loop over the horizon."""
    spans, middles = _spans(HORIZONS[-1])

    def line(row: Tensor, reference: bool = True) -> Line:
        return Line(middles, [[row[span].mean().item() for span in spans]], reference)

    quartiles = np.quantile(drift.nets.numpy(), [0.25, 0.5, 0.75], axis=0)
    low, median, high = (line(torch.from_numpy(row), False).rows[0] for row in quartiles)
    phases = [[row[span].mean().item() for span in spans] for row in drift.phase]
    return [
        Panel(
            "Its own frames: error",
            "horizon: frames since the prompt ended",
            "mean squared error per pixel",
            {
                "4-5-4 RNN: median, and the seeds' middle half": Line(middles, [median], band=(low, high)),
                "optimum": line(drift.optimum),
                "mean frame": line(drift.mean_frame),
            },
            log_x=True,
            log_y=True,
        ),
        Panel(
            "Its own frames: how far the light is from the true one",
            "horizon: frames since the prompt ended",
            "degrees, median over the videos",
            {"each line a net": Line(middles, phases, apart=True)},
            log_x=True,
            log_y=True,
        ),
    ]


def _spans(length: int) -> tuple[list[slice], list[float]]:
    """Neighbouring frames, as many as look alike on a logarithmic axis, and their middles."""
    edges = sorted({round(10 ** (k / 8)) - 1 for k in range(int(8 * math.log10(length)) + 1)} | {length})
    spans = [slice(a, b) for a, b in itertools.pairwise(edges)]
    return spans, [(span.start + span.stop + 1) / 2 for span in spans]
