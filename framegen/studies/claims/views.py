"""Claims of the article's second example and of its drawings."""

import math
from collections.abc import Iterable
from pathlib import Path

from framegen.evaluation.metrics import numbers
from framegen.report.draw import draw_run
from framegen.runs.run import load
from framegen.studies.claims.rules import doubt, judge, share
from framegen.studies.claims.runs import Claim, Finding, Runs, skills_of, spread_text

SINE_RUNS = {"sine-lag": "one sample behind", "sine-next": "one sample ahead"}


def _draw(runs: Runs, name: str, wanted: Iterable[Path]) -> None:
    """Draw a run, unless the pictures are there: runs of a pool are trained without."""
    if not all(path.exists() for path in wanted):
        draw_run(load(runs.folder / name), runs.results(name), missing=True)


def _sines(runs: Runs) -> Finding:
    found, values, learned, pictures = [], {}, [], []
    for name, what in SINE_RUNS.items():
        results = runs.results(name)
        over_seeds = results.spread["one_step"]["mse"]
        memoryless = results.one_step["linear, 1 frame"]["mse"]
        found.append(
            f"{what}: {over_seeds.mean:.1e} ± {over_seeds.sd:.0e} (without memory at best {memoryless:.1e})"
        )
        learned.append(
            share(mse < (memoryless or 0) / 10 for mse in numbers(results.values("one_step", "mse")))
        )
        values[f"sine/{name}"] = over_seeds.mean or math.nan
        figures = runs.folder / name / "figures"
        shown = sorted(figures.glob("windows-epoch-*.png"))[-1]
        _draw(runs, name, [figures / "data.png", figures / "training.gif"])
        pictures += [
            (figures / "data.png", f"{name}: input and label of the first window."),
            (figures / "training.gif", f"{name}: prediction over label as training goes on (first seed)."),
            (shown, f"{name}: every 15th window as it was trained on in the last epoch (first seed)."),
        ]
    return Finding(
        "Mean squared error, target " + "; ".join(found) + "." + doubt(*learned),
        judge(learned),
        pictures,
        values,
    )


SINES = Claim(
    "An RNN turns a sine into a lagged one",
    "The article's second example: samples of a sine go in, the same sine shifted by one sample is the "
    "target. From one sample alone a rising and a falling sine look alike. The state is carried from window "
    "to window. It holds where most nets have less than a tenth of the error without memory, in part where "
    "that is so of one target alone.",
    list(SINE_RUNS),
    _sines,
)


VIEWS = {
    "neuron": "One neuron, in numbers that can be computed along.",
    "spatial": "The spatial view.",
    "temporal": "The temporal view.",
    "data": "Some of the clips on which it was trained.",
}


def _drawings(runs: Runs) -> Finding:
    results, folder = runs.results("video"), runs.folder / "video"
    drawn = {folder / "figures" / f"{name}.png": caption for name, caption in VIEWS.items()}
    _draw(runs, "video", drawn)
    assert results.training is not None
    parameters = results.training.parameters
    return Finding(
        f"{parameters} parameters; skill {spread_text(skills_of(results))} over {len(results.members)} "
        f"seeds. Drawn are the trained weights of seed {results.median_seed}, the median one on the "
        "validation clips.",
        "holds" if all(path.exists() for path in drawn) else "does not hold",
        list(drawn.items()),
        {"drawings/parameters": parameters},
        [f"framegen draw {folder}"],
    )


DRAWINGS = Claim(
    "The neuron, and the two views of the net",
    "A neuron takes x_t and the last memory h_{t-1} through f to h_t, which is kept, and goes through g to "
    "the output. In space, one frame goes in and one comes out at each step, through 5 fully recurrent "
    "units. Unrolled in time, the hidden layer of each step feeds its own output and all hidden units of the "
    "next step.",
    ["video"],
    _drawings,
)
