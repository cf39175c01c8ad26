"""Claims of what a net learns: that memory pays, tanh and relu, width and depth."""

import statistics
from collections.abc import Sequence

import torch

from framegen.data.clips import to_float
from framegen.models import build
from framegen.models.predictor import Predictor
from framegen.models.recurrent import RecurrentNet
from framegen.report.figures import comparisons, style
from framegen.report.figures.comparisons import Line, Panel
from framegen.runs.run import Run, load
from framegen.studies.claims.runs import (
    DEPTHS,
    HIDDEN_SIZES,
    Claim,
    Finding,
    Runs,
    Verdict,
    above,
    compared,
    skills_of,
    spread_text,
)

ONE_STEP = "skill, one step ahead"


def _memory(runs: Runs) -> Finding:
    panels, found, values, pays = {}, [], {}, []
    for task, prefix in (("one speed", ""), ("eight speeds", "speeds-")):
        names = {
            "no memory: MLP": f"{prefix}mlp",
            "4-5-4 RNN": prefix.rstrip("-") or "video",
            "LSTM, 32 units": f"{prefix}lstm",
            "GRU, 32 units": f"{prefix}gru",
        }
        results = {name: runs.results(run) for name, run in names.items()}
        references = results["4-5-4 RNN"].one_step
        rows: dict[str, float | Sequence[float]] = {
            name: scores["skill"] or 0.0
            for name, scores in references.items()
            if name.startswith(("copy", "linear"))
        }
        of_seeds = {name: skills_of(each) for name, each in results.items()}
        panels[f"Light with {task}"] = {**rows, **of_seeds, "optimum": 1.0}
        with_memory, without = of_seeds["4-5-4 RNN"], of_seeds["no memory: MLP"]
        found.append(f"{task}, {spread_text(with_memory)} with memory and {spread_text(without)} without")
        pays.append(above(with_memory, without))
        values |= {f"memory/{prefix}{name}": statistics.fmean(row) for name, row in of_seeds.items()}
    picture = style.save(comparisons.strip_plot(panels, ONE_STEP, lowest=-0.05), runs.picture("memory"))
    caption = "Skill one step ahead on the test clips. A linear map of k frames remembers exactly k."
    return Finding(
        "Skill of the 4-5-4 RNN and of the MLP: " + "; ".join(found) + "; the optimum is 1.",
        "holds" if all(pays) else "holds in part" if any(pays) else "does not hold",
        [(picture, caption)],
        values,
    )


MEMORY = Claim(
    "A recurrent net remembers",
    "Systems with memory need more than a feed-forward net, whose output depends on the current input alone. "
    "One noisy frame tells where the light is, not which way it goes: how much of the possible gain does "
    "each predictor reach?",
    ["video", "mlp", "lstm", "gru", "speeds", "speeds-mlp", "speeds-lstm", "speeds-gru"],
    _memory,
)


def _activation(runs: Runs) -> Finding:
    tanh, relu = (skills_of(runs.results(name)) for name in ("video", "relu"))
    trained, untrained = _dead_units(load(runs.folder / "relu"))
    by_dead: dict[str, Sequence[float]] = {}
    for count in sorted(set(trained)):
        label = f"{count} dead unit{'s' * (count != 1)}"
        by_dead[label] = [value for value, dead in zip(relu, trained, strict=True) if dead == count]
    panels = {
        "One step ahead": {"tanh": tanh, "relu": relu},
        "The relu nets by their dead units, one step ahead": by_dead,
    }
    picture = style.save(comparisons.strip_plot(panels, ONE_STEP, lowest=-0.5), runs.picture("activation"))
    weak = [sum(value < 0.5 for value in values) for values in (tanh, relu)]
    verdict: Verdict = "holds" if not any(weak) else "holds in part" if min(weak) == 0 else "does not hold"
    with_dead, at_start = (sum(count > 0 for count in each) for each in (trained, untrained))
    groups = "; ".join(
        f"{label}, {f'mean of {len(each)} nets' if len(each) > 1 else 'one net'}: "
        f"{statistics.fmean(each):.3f}"
        for label, each in by_dead.items()
    )
    return Finding(
        f"Skill {spread_text(tanh)} with tanh and {spread_text(relu)} with relu; below 0.5 are {weak[0]} of "
        f"{len(tanh)} tanh nets and {weak[1]} of {len(relu)} relu nets. A unit is dead that is 0 in every "
        f"frame of the test clips: {with_dead} relu nets have one or more ({at_start} before training). By "
        f"dead units: {groups}.",
        verdict,
        [
            (
                picture,
                "Every seed's skill. A relu unit that is negative for every input has no gradient and never "
                "comes back.",
            )
        ],
        {
            "activation/tanh": statistics.fmean(tanh),
            "activation/relu": statistics.fmean(relu),
            "activation/relu_dead_units": statistics.fmean(trained),
            "activation/relu_dead_units_at_start": statistics.fmean(untrained),
        },
    )


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
    "Both were trained in the same way, from the same seeds.",
    ["video", "relu"],
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
        labels[name] = (
            f"{layers} layer{'s' * (layers > 1)} of {size}: {results.training.parameters} parameters"
        )
        deep[name] = skills_of(results)
    depth = {"Skill over depth": {labels[name]: values for name, values in deep.items()}}
    made = [
        style.save(comparisons.line_plot([panel]), runs.picture("width")),
        style.save(comparisons.strip_plot(depth, ONE_STEP), runs.picture("depth")),
    ]
    worse = above(by_width[5], by_width[64]) or above(deep["video"], deep["three-of-5"])
    poor = any(above(by_width[5], by_width[size]) for size in by_width if size < 5)
    two, three = deep["two-of-5"], deep["three-of-5"]
    return Finding(
        f"Skill from {spread_text(by_width[1])} with 1 unit over {spread_text(by_width[5])} with 5 to "
        f"{spread_text(by_width[64])} with 64. With two layers of 5 it is {spread_text(two)}, "
        f"{compared(two, deep['video'])} one layer of 5 ({spread_text(deep['video'])}) and "
        f"{compared(two, deep['hidden-8'])} one layer of 8 ({spread_text(deep['hidden-8'])}), which has "
        f"about as many parameters. Three layers reach {spread_text(three)}: {compared(three, two)} two, and "
        f"{compared(three, deep['one-of-10'])} one layer of 10 ({spread_text(deep['one-of-10'])}).",
        "holds in part" if poor or worse else "holds",
        [
            (made[0], "Skill over the number of hidden units; the article's net has 5."),
            (
                made[1],
                f"{len(two)} seeds each. The last two nets have about the parameters of the two above them. "
                "Better and worse are differences of more than two standard errors.",
            ),
        ],
        {f"width/{size}": statistics.fmean(values) for size, values in by_width.items()}
        | {f"depth/{name}": statistics.fmean(values) for name, values in deep.items()},
    )


WIDTH_AND_DEPTH = Claim(
    "Width and depth are free to choose",
    "Only the numbers of inputs and outputs are given by the data; the hidden layers are up to us.",
    list(dict.fromkeys([*(f"hidden-{size}" for size in HIDDEN_SIZES), *DEPTHS])),
    _width_and_depth,
)
