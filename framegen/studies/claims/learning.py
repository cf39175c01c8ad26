"""Claims of what a net learns: that memory pays, tanh and relu, width and depth."""

import math
import statistics
from collections.abc import Sequence

import torch

from framegen.data.clips import to_float
from framegen.evaluation.results import Results
from framegen.machine.progress import count_of
from framegen.models import build
from framegen.models.nets.recurrent import RecurrentNet
from framegen.models.predictor import Predictor
from framegen.report.figures import comparisons, style
from framegen.report.figures.comparisons import Line, Panel
from framegen.runs.run import Run, load
from framegen.studies.claims.rules import BETTER, better, compared, doubt, judge, share
from framegen.studies.claims.runs import (
    DEPTHS,
    HIDDEN_SIZES,
    OTHER_RATES,
    Claim,
    Finding,
    Runs,
    skills_of,
    spread_text,
)

ONE_STEP = "skill, one step ahead"
LEARNED = 0.5
"""Skill from which on a net is said to have learned."""


ELMAN, GRU, MLP, CNN = "4-5-4 RNN", "GRU, 32 units", "no memory: MLP", "no memory: CNN"
LIGHTS = {
    "one speed": {MLP: "mlp", ELMAN: "video", "LSTM, 32 units": "lstm", GRU: "gru"},
    "eight speeds": {MLP: "speeds-mlp", ELMAN: "speeds", "LSTM, 32 units": "speeds-lstm", GRU: "speeds-gru"},
    "one speed, 8x8 pixels": {MLP: "large-mlp", CNN: "large-cnn", GRU: "large-gru"},
}
"""The data of claim 1, and the runs of each kind of net."""


def _memory(runs: Runs) -> Finding:
    panels, found, values, pays = {}, [], {}, []
    for light, names in LIGHTS.items():
        results = {name: runs.results(run) for name, run in names.items()}
        references = results[MLP].one_step
        rows: dict[str, float | Sequence[float]] = {
            name: scores["skill"] or 0.0
            for name, scores in references.items()
            if name.startswith(("copy", "linear"))
        }
        of_seeds = {name: skills_of(each) for name, each in results.items()}
        panels[f"Light with {light}"] = {**rows, **of_seeds, "optimum": 1.0}
        kind = ELMAN if ELMAN in names else GRU
        without = {name: of_seeds[name] for name in (MLP, CNN) if name in names}
        said = " and ".join(f"{spread_text(each)} ({name})" for name, each in without.items())
        found.append(f"{light}, {spread_text(of_seeds[kind])} ({kind}) against {said}")
        pays.append(better(of_seeds[kind], [skill for each in without.values() for skill in each]))
        values |= {f"memory/{run}": statistics.fmean(of_seeds[name]) for name, run in names.items()}
    picture = style.save(comparisons.strip_plot(panels, ONE_STEP, lowest=-0.05), runs.picture("memory"))
    caption = "Skill one step ahead on the test clips. A linear map of k frames remembers exactly k."
    return Finding(
        "Skill with memory, against without: " + "; ".join(found) + "; the optimum is 1." + doubt(*pays),
        judge(pays),
        [(picture, caption)],
        values,
    )


MEMORY = Claim(
    "A recurrent net remembers",
    "Systems with memory need more than a feed-forward net, whose output depends on the current input alone. "
    "One noisy frame tells where the light is, not which way it goes. How much of the possible gain does "
    "each predictor reach? At 8x8 pixels a CNN without memory stands beside the MLP: it is the usual "
    f"feed-forward net for pictures. The claim holds if in more than {BETTER:.0%} of all pairs of nets the "
    "one with memory has more skill, with one speed, with eight, and at 8x8 pixels; in part with some of "
    "these. Each kind of net trains at one learning rate, which was not tuned for it.",
    list(dict.fromkeys(run for names in LIGHTS.values() for run in names.values())),
    _memory,
)


def _activation(runs: Runs) -> Finding:
    rates = {kind: _by_rate(runs, kind) for kind in ("video", "relu")}
    at = {kind: min(each, key=lambda rate: _validation_mse(each[rate][1])) for kind, each in rates.items()}
    (_, tanh_results), (name, relu_results) = (rates[kind][at[kind]] for kind in rates)
    tanh, relu = skills_of(tanh_results), skills_of(relu_results)
    trained, untrained = _dead_units(load(runs.folder / name))
    by_dead: dict[str, Sequence[float]] = {}
    for count in sorted(set(trained)):
        label = count_of(count, "dead unit")
        by_dead[label] = [value for value, dead in zip(relu, trained, strict=True) if dead == count]
    panels = {
        "One step ahead": {"tanh": tanh, "relu": relu},
        "The relu nets by their dead units, one step ahead": by_dead,
    }
    picture = style.save(comparisons.strip_plot(panels, ONE_STEP, lowest=-0.5), runs.picture("activation"))
    caption = "Every seed's skill. A relu unit that is negative for every input has no gradient"
    caption += " and never comes back."
    learned = [share(value >= LEARNED for value in values) for values in (tanh, relu)]
    tried = "; ".join(
        f"{word}, "
        f"{', '.join(f'{spread_text(skills_of(each[rate][1]))} at {rate:g}' for rate in sorted(each))}"
        for word, each in zip(("tanh", "relu"), rates.values(), strict=True)
    )
    with_dead, at_start = (sum(count > 0 for count in each) for each in (trained, untrained))
    groups = "; ".join(
        f"{label}, {f'mean of {len(each)} nets' if len(each) > 1 else 'one net'}: "
        f"{statistics.fmean(each):.3f}"
        for label, each in by_dead.items()
    )
    return Finding(
        f"Skill {spread_text(tanh)} with tanh and {spread_text(relu)} with relu, each at the learning rate "
        f"that is best on validation; {learned[0].part:.0%} of the tanh nets and {learned[1].part:.0%} of "
        f"the relu nets reach {LEARNED:g}. By rate: {tried}. A unit is dead that is 0 in every frame "
        f"of the test clips: {with_dead} of {len(relu)} relu nets have one or more ({at_start} before "
        f"training). By dead units: {groups}.{doubt(*learned)}",
        judge(learned),
        [(picture, caption)],
        {
            "activation/tanh": statistics.fmean(tanh),
            "activation/relu": statistics.fmean(relu),
            "activation/tanh_rate": at["video"],
            "activation/relu_rate": at["relu"],
            "activation/relu_dead_units": statistics.fmean(trained),
            "activation/relu_dead_units_at_start": statistics.fmean(untrained),
        },
    )


def _by_rate(runs: Runs, kind: str) -> dict[float, tuple[str, Results]]:
    """By learning rate, the runs of a kind of net and what they found."""
    names = [kind, *(f"{kind}-{rate:g}" for rate in OTHER_RATES)]
    return {runs.planned[name].config.training.learning_rate: (name, runs.results(name)) for name in names}


def _validation_mse(results: Results) -> float:
    """Mean over the nets; infinite where one has none."""
    found = [member.validation_mse for member in results.members]
    return statistics.fmean(math.inf if value is None else value for value in found)


@torch.inference_mode()
def _dead_units(run: Run) -> tuple[list[int], list[int]]:
    """Hidden units of each net of a run that are 0 in every frame of the test clips: trained, and as they
    began."""
    assert run.data.test_frames is not None
    frames = to_float(run.data.test_frames[:, :-1])

    def dead(model: Predictor) -> int:
        assert isinstance(model, RecurrentNet)
        return int((model.hidden_states(frames) == 0).flatten(0, 1).all(0).sum())

    untrained = [build(run.config.model, run.data.frame_shape, seed) for seed in run.models]
    return [dead(model) for model in run.models.values()], [dead(model) for model in untrained]


ACTIVATION = Claim(
    "The non-linearity is usually tanh or relu",
    "Both were trained in the same way, from the same seeds, at each of three learning rates; of each the "
    "rate with the lowest error on the validation clips (mean over the seeds) is shown. The claim holds "
    f"where most nets of either kind reach a skill of {LEARNED:g}, in part where those of one kind do.",
    [f"{kind}{end}" for kind in ("video", "relu") for end in ("", *(f"-{rate:g}" for rate in OTHER_RATES))],
    _activation,
)


def _width_and_depth(runs: Runs) -> Finding:
    widths = {5: "video", **{size: f"hidden-{size}" for size in HIDDEN_SIZES}}
    by_width = {size: skills_of(runs.results(name)) for size, name in sorted(widths.items())}
    rows = by_width.values()
    band = (list(map(min, rows)), list(map(max, rows)))
    means = Line(list(by_width), [list(map(statistics.fmean, rows))], band=band)
    line = {"one layer: mean, and band from the worst to the best seed": means}
    panel = Panel("Skill over width", "hidden units", ONE_STEP, line, log_x=True)
    deep, labels = {}, {}
    for name, (layers, size) in DEPTHS.items():
        results = runs.results(name)
        assert results.training is not None
        labels[name] = f"{count_of(layers, 'layer')} of {size}: {results.training.parameters} parameters"
        deep[name] = skills_of(results)
    depth = {"Skill over depth": {labels[name]: values for name, values in deep.items()}}
    made = [
        style.save(comparisons.line_plot([panel]), runs.picture("width")),
        style.save(comparisons.strip_plot(depth, ONE_STEP), runs.picture("depth")),
    ]
    # If width and depth are free, nets of 5 units beat neither smaller nor larger ones.
    rivals = [deep["three-of-5"], *(values for size, values in by_width.items() if size < 5 or size == 64)]
    losses = [better(by_width[5], values) for values in rivals]
    two, three = deep["two-of-5"], deep["three-of-5"]
    return Finding(
        f"Skill from {spread_text(by_width[1])} with 1 unit over {spread_text(by_width[5])} with 5 to "
        f"{spread_text(by_width[64])} with 64. With two layers of 5 it is {spread_text(two)}, "
        f"{compared(two, deep['video'])} one layer of 5 ({spread_text(deep['video'])}) and "
        f"{compared(two, deep['hidden-8'])} one layer of 8 ({spread_text(deep['hidden-8'])}), which has "
        f"about as many parameters. Three layers reach {spread_text(three)}: {compared(three, two)} two, and "
        f"{compared(three, deep['one-of-10'])} one layer of 10 ({spread_text(deep['one-of-10'])})."
        f"{doubt(*losses)}",
        "holds in part" if any(each.above for each in losses) else "holds",
        [
            (made[0], "Skill over the number of hidden units; the article's net has 5."),
            (
                made[1],
                f"{len(two)} seeds each. The last two nets have about the parameters of the two above them. "
                f"Better are those that win more than {BETTER:.0%} of all pairs.",
            ),
        ],
        {f"width/{size}": statistics.fmean(values) for size, values in by_width.items()}
        | {f"depth/{name}": statistics.fmean(values) for name, values in deep.items()},
    )


WIDTH_AND_DEPTH = Claim(
    "Width and depth are free to choose",
    "Only the numbers of inputs and outputs are given by the data; the hidden layers are up to us. The claim "
    "holds in part where nets of fewer units, of 64 or of three layers do worse than the article's, in more "
    f"than {BETTER:.0%} of all pairs. All train at one learning rate, which was not tuned for each, but "
    "that beyond 64 units it falls.",
    list(dict.fromkeys([*(f"hidden-{size}" for size in HIDDEN_SIZES), *DEPTHS])),
    _width_and_depth,
)
