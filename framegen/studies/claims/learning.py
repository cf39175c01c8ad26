"""Claims of what a net learns: that memory pays, tanh and relu, width and depth."""

import statistics

from framegen.report.figures import comparisons, style
from framegen.report.figures.comparisons import Line, Panel
from framegen.report.page import Claim
from framegen.studies.claims.runs import HIDDEN_SIZES, NEEDS, Runs, above, skills_of, spread_text


def memory(runs: Runs) -> Claim:
    panels, found, values, pays = {}, [], {}, []
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
        rows |= {name: skills_of(each) for name, each in results.items()}
        panels[f"Light with {task}"] = {**rows, "optimum": [1.0]}
        found.append(
            f"{task}, {spread_text(rows['4-5-4 RNN'])} with memory and {spread_text(rows['no memory: MLP'])} without"
        )
        pays.append(above(rows["4-5-4 RNN"], rows["no memory: MLP"]))
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
        "holds" if all(pays) else "holds in part" if any(pays) else "does not hold",
        [picture],
        [
            "Skill one step ahead on the test clips. A linear map of k frames remembers exactly k. "
            "GRU: batches of 20, not 10."
        ],
        [runs.command(name) for name in NEEDS[1]],
        values,
    )


def activation(runs: Runs) -> Claim:
    results = {"tanh": runs.results("video"), "relu": runs.results("relu")}
    parts = {"one step ahead": "one_step", "closed loop": "closed_loop"}
    panels = {
        title: {name: skills_of(each, part) for name, each in results.items()}
        for title, part in parts.items()
    }
    picture = style.save(comparisons.strip_plot(panels, "skill", lowest=-1.0), runs.picture("activation"))
    tanh, relu = panels["one step ahead"].values()
    weak = [sum(value < 0.5 for value in values) for values in (tanh, relu)]
    return Claim(
        2,
        "The non-linearity is usually tanh or relu",
        "Both were trained in the same way, from the same seeds.",
        f"Skill {spread_text(tanh)} with tanh and {spread_text(relu)} with relu; below 0.5 are {weak[0]} of "
        f"{len(tanh)} tanh nets and {weak[1]} of {len(relu)} relu nets.",
        "holds" if not any(weak) else "holds in part" if min(weak) == 0 else "does not hold",
        [picture],
        [
            "Every seed's skill. A relu unit that is negative for every input has no gradient and never comes back."
        ],
        [runs.command(name) for name in NEEDS[2]],
        {"activation/tanh": statistics.fmean(tanh), "activation/relu": statistics.fmean(relu)},
    )


def width_and_depth(runs: Runs) -> Claim:
    widths = {5: "video", **{size: f"hidden-{size}" for size in HIDDEN_SIZES}}
    by_width = {size: skills_of(runs.results(name)) for size, name in sorted(widths.items())}
    by_depth = {layers: skills_of(runs.results(f"layers-{layers}")) for layers in (1, 2, 3)}
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
    ends = f"from {spread_text(by_width[1])} with 1 unit over {spread_text(by_width[5])} with 5 to "
    ends += f"{spread_text(by_width[64])} with 64"
    worse = above(by_width[5], by_width[64]) or above(by_depth[1], by_depth[3])
    poor = any(above(by_width[5], by_width[size]) for size in by_width if size < 5)
    return Claim(
        3,
        "Width and depth are free to choose",
        "Only the numbers of inputs and outputs are given by the data; the hidden layers are up to us.",
        f"Skill {ends}; {spread_text(by_depth[1])} with one layer of 5, {spread_text(by_depth[3])} with three "
        "(batches of 20 clips).",
        "holds in part" if poor or worse else "holds",
        made,
        [
            "Skill over the number of hidden units; the article's net has 5.",
            "Layers of 5 units, trained with batches of 20 clips, half as many steps as with 10.",
        ],
        [runs.command(name) for name in NEEDS[3]],
        {f"width/{size}": statistics.fmean(values) for size, values in by_width.items()}
        | {f"depth/{layers}": statistics.fmean(values) for layers, values in by_depth.items()},
    )
