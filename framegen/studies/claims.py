"""The article's claims, each as an experiment: which runs it needs, and what they found."""

import itertools
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from framegen.config.data import Orbit
from framegen.data import orbit
from framegen.data.clips import to_float
from framegen.evaluation.metrics import skill, spread
from framegen.evaluation.results import Results, read_results
from framegen.models.bayes import BayesFilter
from framegen.models.fused import compiled
from framegen.models.recurrent import RecurrentNet
from framegen.report.draw import draw_run
from framegen.report.figures import comparisons, style
from framegen.report.figures.comparisons import Line, Panel
from framegen.report.page import Claim
from framegen.runs import checkpoint
from framegen.runs.run import load
from framegen.studies import newton

HIDDEN_SIZES = (1, 2, 4, 8, 16, 32, 64)

LENGTHS = (5, 50, 500, 5000)


@dataclass(frozen=True)
class Runs:
    """The runs that claims are made from: their folder, and by name what comes after `framegen train`."""

    folder: Path
    arguments: dict[str, list[str]]

    def results(self, name: str) -> Results:
        return read_results(self.folder / name)

    def command(self, name: str) -> str:
        return " ".join(["framegen train", *self.arguments[name]])

    def picture(self, name: str) -> Path:
        return self.folder / f"{name}.png"


def planned(seeds: int) -> dict[str, list[str]]:
    """All runs that the claims need, by name: what comes after `framegen train`.

    Args:
        seeds: nets a run where the fused engine trains them; at least 2. PyTorch takes 100 times as long a net, so it
            trains fewer, the slowest of them with larger batches.
    """
    four, three, two = (f"--seeds {min(seeds, count)}" for count in (4, 3, 2))
    many = f"--seeds {seeds}"
    speeds = "--period 40 --speeds 1 2 3 4 5 6 7 8"
    lines = {
        "video": f"video {many}",
        "relu": f"video-relu {many}",
        "mlp": f"video-mlp {four}",
        "gru": f"video-gru --batch-size 20 {two}",
        "lstm": f"video-gru --cell lstm {three}",
        "speeds": f"video-speeds {many}",
        "speeds-mlp": f"video-mlp {speeds} {four}",
        "speeds-gru": f"video-speeds-gru --batch-size 20 {two}",
        "speeds-lstm": f"video-speeds-gru --cell lstm {three}",
        **{f"hidden-{size}": f"video --hidden-size {size} {many}" for size in HIDDEN_SIZES},
        "layers-1": f"video --batch-size 20 {many}",
        **{f"layers-{layers}": f"video --num-layers {layers} --batch-size 20 {two}" for layers in (2, 3)},
        "sine-lag": f"sine-lag {many}",
        "sine-next": f"sine-next {many}",
    }
    return {name: line.split() for name, line in lines.items()}


def _skills(results: Results, part: str = "one_step") -> list[float]:
    return [value for value in results.values(part, "skill") if value is not None]


def _spread(values: Sequence[float], digits: int = 3) -> str:
    found = spread(values)
    return f"{found.mean:.{digits}f} ± {found.sd:.{digits}f}"


def memory(runs: Runs) -> Claim:
    panels, found, values = {}, [], {}
    for task, prefix in (("one speed", ""), ("eight speeds", "speeds-")):
        names = {
            "4-5-4 RNN": prefix.rstrip("-") or "video",
            "LSTM, 32 units": f"{prefix}lstm",
            "GRU, 32 units": f"{prefix}gru",
        }
        results = {
            name: runs.results(run) for name, run in {"no memory: MLP": f"{prefix}mlp", **names}.items()
        }
        references = results["4-5-4 RNN"].one_step
        rows = {
            name: [references[name]["skill"] or 0.0]
            for name in references
            if name.startswith(("copy", "linear"))
        }
        rows |= {name: _skills(each) for name, each in results.items()}
        panels[f"Light with {task}"] = {**rows, "optimum": [1.0]}
        found.append(
            f"{task}, {_spread(rows['4-5-4 RNN'])} with memory and {_spread(rows['no memory: MLP'])} without"
        )
        values |= {f"memory/{prefix}{name}": statistics.fmean(row) for name, row in rows.items()}
    picture = style.save(
        comparisons.strip_plot(panels, "skill, one step ahead", lowest=-0.05), runs.picture("memory")
    )
    return Claim(
        1,
        "A recurrent net remembers",
        "Systems with memory need more than a feed-forward net, whose output depends on the current input alone. "
        "One noisy frame tells where the light is, not which way it goes: how much of the possible gain does each "
        "predictor reach?",
        "Skill of the 4-5-4 RNN and of the MLP: " + "; ".join(found) + "; the optimum is 1.",
        [picture],
        [
            "Skill one step ahead on the test clips. A linear map of k frames remembers exactly k. GRU: batches of 20, not 10."
        ],
        [runs.command(name) for name in NEEDS[1]],
        values,
    )


def activation(runs: Runs) -> Claim:
    results = {"tanh": runs.results("video"), "relu": runs.results("relu")}
    parts = {"one step ahead": "one_step", "closed loop": "closed_loop"}
    panels = {
        title: {name: _skills(each, part) for name, each in results.items()} for title, part in parts.items()
    }
    picture = style.save(comparisons.strip_plot(panels, "skill", lowest=-1.0), runs.picture("activation"))
    tanh, relu = panels["one step ahead"].values()
    weak = [sum(value < 0.5 for value in values) for values in (tanh, relu)]
    return Claim(
        2,
        "The non-linearity is usually tanh or relu",
        "Both were trained in the same way, from the same seeds.",
        f"Skill {_spread(tanh)} with tanh and {_spread(relu)} with relu; below 0.5 are {weak[0]} of {len(tanh)} tanh nets and "
        f"{weak[1]} of {len(relu)} relu nets.",
        [picture],
        [
            "Every seed's skill. A relu unit that is negative for every input has no gradient and never comes back."
        ],
        [runs.command(name) for name in NEEDS[2]],
        {"activation/tanh": statistics.fmean(tanh), "activation/relu": statistics.fmean(relu)},
    )


def width_and_depth(runs: Runs) -> Claim:
    widths = {5: "video", **{size: f"hidden-{size}" for size in HIDDEN_SIZES}}
    by_width = {size: _skills(runs.results(name)) for size, name in sorted(widths.items())}
    by_depth = {layers: _skills(runs.results(f"layers-{layers}")) for layers in (1, 2, 3)}
    rows = list(zip(*by_width.values(), strict=True))
    panel = Panel(
        "One layer: skill over its width",
        "hidden units",
        "skill, one step ahead",
        {"one layer, mean and worst to best seed": Line(list(by_width), rows)},
        log_x=True,
    )
    depth = {f"{layers} layer{'s' * (layers > 1)} of 5": values for layers, values in by_depth.items()}
    made = [
        style.save(comparisons.line_plot([panel]), runs.picture("width")),
        style.save(comparisons.strip_plot({"Depth": depth}, "skill, one step ahead"), runs.picture("depth")),
    ]
    ends = f"from {_spread(by_width[1])} with 1 unit over {_spread(by_width[5])} with 5 to {_spread(by_width[64])} with 64"
    return Claim(
        3,
        "Width and depth are free to choose",
        "Only the numbers of inputs and outputs are given by the data; the hidden layers are up to us.",
        f"Skill {ends}; {_spread(by_depth[1])} with one layer of 5, {_spread(by_depth[3])} with three (batches of 20 clips).",
        made,
        [
            "Skill over the number of hidden units; the article's net has 5.",
            "Layers of 5 units, trained with batches of 20 clips, half as many steps as with 10.",
        ],
        [runs.command(name) for name in NEEDS[3]],
        {f"width/{size}": statistics.fmean(values) for size, values in by_width.items()}
        | {f"depth/{layers}": statistics.fmean(values) for layers, values in by_depth.items()},
    )


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
        [folder / "generated.gif", folder / "figures" / "filmstrip.png", folder / "figures" / "horizon.png"],
        [
            f"Truth, what the net generated (seed {results.median_seed}, the median one), and the optimal forecast.",
            "The same as a film strip.",
            "Closed-loop error over the horizon, of all seeds and of the other predictors.",
        ],
        [runs.command("video"), f"framegen generate {folder} --frames 40 --out clip.gif"],
        {"generation/error_over_optimum": statistics.median(ratios)},
    )


@torch.inference_mode()
def length(runs: Runs) -> Claim:
    saved = checkpoint.load(runs.folder / "video")
    assert isinstance(saved.config.task, Orbit)
    task = replace(saved.config.task, num_frames=LENGTHS[-1] + 1, num_test_clips=10)
    frames = to_float(orbit.sample(task, "test"))  # (10, 5001, 1, 2, 2)
    inputs, targets = frames[:, :-1], frames[:, 1:]

    def errors(predictions: torch.Tensor) -> torch.Tensor:
        """Mean squared error at each frame, (T,)."""
        return (predictions - targets).double().square().mean((0, 2, 3, 4))

    nets = torch.stack(
        [errors(compiled(model, saved.config.training.engine)(inputs)[0]) for model in saved.models.values()]
    )
    optimum, copied = errors(BayesFilter(*orbit.phase_grid(task), task.deviation)(inputs)[0]), errors(inputs)
    edges = sorted({round(10 ** (k / 8)) - 1 for k in range(round(8 * 3.7) + 1)} | {LENGTHS[-1]})
    spans = [slice(a, b) for a, b in itertools.pairwise(edges)]
    middles = [(span.start + span.stop + 1) / 2 for span in spans]
    lines = {
        "4-5-4 RNN, mean and best to worst seed": Line(
            middles, [[row[span].mean().item() for span in spans] for row in nets]
        ),
        "optimum": Line(middles, [[optimum[span].mean().item() for span in spans]], reference=True),
    }
    trained = saved.config.task.num_frames
    panel = Panel(
        "Error at each frame of a long video",
        "frame",
        "mean squared error per pixel",
        lines,
        log_x=True,
        log_y=True,
        upright=(f"trained on {trained} frames", trained),
    )
    picture = style.save(comparisons.line_plot([panel]), runs.picture("length"))
    skills = {
        count: [
            skill(row[:count].mean().item(), copied[:count].mean().item(), optimum[:count].mean().item())
            or 0.0
            for row in nets
        ]
        for count in LENGTHS
    }
    return Claim(
        5,
        "Sequences of any length",
        f"A feed-forward net's input has a fixed size; an RNN takes what comes. Nets that were trained on {trained} frames "
        f"were run on up to {LENGTHS[-1]}.",
        "Skill "
        + ", ".join(f"{_spread(values)} on {count}" for count, values in skills.items())
        + " frames.",
        [picture],
        ["The error at each frame, averaged over ten long videos and over neighbouring frames."],
        [runs.command("video"), "framegen reproduce --claims 5"],
        {f"length/{count}": statistics.fmean(values) for count, values in skills.items()},
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
    panels = [
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
    picture = style.save(comparisons.line_plot(panels), runs.picture("parallel"))
    parallel, sequential = times["Newton, parallel scan"][10_000], times["PyTorch, one after another"][10_000]
    return Claim(
        6,
        "The steps of an RNN must be computed one after another",
        "The hidden state passes from step to step, so the article calls a computation in parallel impossible. Newton's "
        "method solves for all states at once, with a scan over time that is parallel (DEER, Lim et al. 2024).",
        f"On {len(clip)} frames {min(iterations)} to {max(iterations)} iterations ({_spread(iterations, 1)} over {len(models)} "
        f"seeds) give the same states, to {worst:.0e}. On this CPU it takes {parallel / sequential:.1f} times as long as "
        "one after another: possible, but no gain without many more processors.",
        [picture],
        ["Left: the time it takes, medians of five. Right: near chaos the iterations stop converging."],
        [runs.command("video"), "framegen reproduce --claims 6"],
        {"parallel/iterations": statistics.fmean(iterations), "parallel/largest_difference": worst},
    )


def sines(runs: Runs) -> Claim:
    found, values = [], {}
    for name, what in (("sine-lag", "one sample behind"), ("sine-next", "one sample ahead")):
        results = runs.results(name)
        over_seeds = results.spread["one_step"]["mse"]
        memoryless = results.one_step["linear, 1 frame"]["mse"]
        found.append(
            f"{what}: {over_seeds.mean:.1e} ± {over_seeds.sd:.0e} (without memory at best {memoryless:.1e})"
        )
        values[f"sine/{name}"] = over_seeds.mean or math.nan
    return Claim(
        7,
        "An RNN turns a sine into a lagged one",
        "The article's second example: samples of a sine go in, the same sine shifted by one sample is the target. From one "
        "sample alone a rising and a falling sine look alike. The state is carried from window to window.",
        "Mean squared error, target " + "; ".join(found) + ".",
        [sorted((runs.folder / name / "figures").glob("windows-epoch-*.png"))[-1] for name in NEEDS[7]],
        [
            f"{name}: every 15th window as it was trained on in the last epoch (first seed)."
            for name in NEEDS[7]
        ],
        [runs.command(name) for name in NEEDS[7]],
        values,
    )


def drawings(runs: Runs) -> Claim:
    results, folder = runs.results("video"), runs.folder / "video"
    drawn = [folder / "figures" / name for name in ("spatial.png", "temporal.png")]
    if not all(path.exists() for path in drawn):
        draw_run(load(folder), results)
    assert results.training is not None
    parameters = results.training.parameters
    return Claim(
        8,
        "The two views of the net",
        "In space, one frame goes in and one comes out at each step, through 5 fully recurrent units. Unrolled in time, the "
        "hidden layer of each step feeds its own output and all hidden units of the next step.",
        f"{parameters} parameters; skill {_spread(_skills(results))} over {len(results.members)} seeds. "
        f"Drawn are the trained weights of seed {results.median_seed}, the median one.",
        drawn,
        ["The spatial view.", "The temporal view."],
        [runs.command("video"), f"framegen draw {folder}"],
        {"drawings/parameters": parameters},
    )


CLAIMS: dict[int, Callable[[Runs], Claim]] = {
    1: memory,
    2: activation,
    3: width_and_depth,
    4: generation,
    5: length,
    6: parallel_in_time,
    7: sines,
    8: drawings,
}

NEEDS: dict[int, list[str]] = {
    1: ["video", "mlp", "lstm", "gru", "speeds", "speeds-mlp", "speeds-lstm", "speeds-gru"],
    2: ["video", "relu"],
    3: ["video", *(f"hidden-{size}" for size in HIDDEN_SIZES), "layers-1", "layers-2", "layers-3"],
    4: ["video"],
    5: ["video"],
    6: ["video"],
    7: ["sine-lag", "sine-next"],
    8: ["video"],
}
"""The runs that each claim is made from."""
