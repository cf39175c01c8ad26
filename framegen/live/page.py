"""The live page's HTML, from its template, style sheets and programs: one file that needs nothing else."""

import math
from typing import Any

from markupsafe import Markup

from framegen.config.tasks import Sine, Task
from framegen.evaluation.results import Member, Results
from framegen.live.content import chosen_members, content, ranks
from framegen.live.hiding import hiding_page
from framegen.live.render import rendered
from framegen.models.nets.moving_memory import MovingMemoryNet
from framegen.models.predictor import num_parameters
from framegen.runs.run import Run

TEMPLATE = "page.html.jinja"
STYLES = ("play.css", "controls.css", "cards.css", "widths.css")  # the later wins
PROGRAMS = (  # each knows those before it
    "net.js",
    "filter.js",
    "course.js",
    "draw.js",
    "space.js",
    "unrolled.js",
    "neuron.js",
    "curves.js",
    "strip.js",
    "belief.js",
    "play.js",
    "words.js",
    "controls.js",
    "tour.js",
)
MAX_LINES = {"hidden": 12, "pixels": 16, "layers": 4}
"""Nets up to this size are drawn line by line, larger ones as matrices."""
LEVELS = 5
UNITS = {
    "tanh": "tanh RNN",
    "relu": "relu RNN",
    "gru": "GRU",
    "lstm": "LSTM",
    "mingru": "minGRU",
    "mlp": "MLP",
}


def live_page(run: Run, results: Results) -> str:
    """The page of a run, HTML. Raises UserError where the run cannot be played."""
    if isinstance(run.model, MovingMemoryNet):
        return hiding_page(run)
    data = content(run, results)
    members = chosen_members(results, run)
    shape, task = data["shape"], run.config.task
    pixels = math.prod(run.data.frame_shape)
    sizes = {"hidden": shape["hidden"], "pixels": pixels, "layers": shape["layers"]}
    small = all(sizes[name] <= MAX_LINES[name] for name in sizes)
    named = zip(members, ranks(results, members), strict=True)
    return rendered(
        TEMPLATE,
        STYLES,
        PROGRAMS,
        name=run.folder.name,
        title=_title(shape, pixels),
        lead=_lead(run, results, shape),
        experiment=run.config.experiment,
        data={**data, "small": small},
        frame=data["shape"]["frame"],
        pixels=pixels,
        thing="frame" if pixels > 1 else "sample",
        small=small,
        recurrent=shape["cell"] != "mlp",
        levels=_levels(task),
        optimum=data["optimum"] is not None,
        ring=data["optimum"] is not None and data["optimum"]["kind"] == "ring",
        next_frame=task.next_frame,
        members=[{"seed": each.seed, "rank": rank, "score": _score(each)} for each, rank in named],
        scored=_scored(results),
        clips=[clip["name"] for clip in data["clips"]],
        steps=_steps(data, pixels),
        help=_help(shape["cell"] != "mlp", task.next_frame, small, len(members) > 1),
    )


def _title(shape: dict[str, Any], pixels: int) -> str:
    layers = "-".join([str(shape["hidden"])] * shape["layers"])
    return f"The {pixels}-{layers}-{pixels} {UNITS[shape['cell']]}"


def _lead(run: Run, results: Results, shape: dict[str, Any]) -> Markup:
    """The net's kind, its memory, and its skill."""
    task, (_, height, width) = run.config.task, run.data.frame_shape
    if isinstance(task, Sine):
        after = f"{abs(task.lag)} {'before' if task.lag > 0 else 'after'} it"
        answer = "the next one" if task.next_frame else f"the one {after}"
        what = f"is shown a sine, one sample at a time, and answers with {answer}"
    else:
        what = f"sees frames of {width} by {height} pixels, one at a time, and predicts the next"
    past = "its hidden layer, handed on from step to step"
    knows = (
        f"All it knows of the past is {past}" if shape["cell"] != "mlp" else "It knows nothing of the past"
    )
    lead = Markup("A net of <b>{} weights</b> {}. {}.").format(f"{num_parameters(run.model):,}", what, knows)
    reached = results.median.one_step.get("skill")
    if reached is None or isinstance(task, Sine):  # a sine's optimum errs by rounding alone
        return lead
    scale = "0 copies the last frame and 1 is the best possible"
    return lead + Markup(" On test clips its <b>skill is {}</b>, where {}.").format(_signed(reached), scale)


def _score(member: Member) -> str:
    skill, mse = member.one_step.get("skill"), member.one_step["mse"]
    if skill is not None and skill > -100:
        return f"skill {_signed(skill)}"
    return "diverged" if mse is None else f"error {mse:.2g}"


def _signed(value: float) -> str:
    return f"{value:.3f}".replace("-", "\N{MINUS SIGN}")


def _scored(results: Results) -> str:
    """The line below each seed."""
    return f"{len(results.members)} were trained; scores are one step ahead, on all test clips."


def _levels(task: Task) -> list[dict[str, Any]]:
    """Brightnesses to paint with."""
    low, high = task.value_range
    parts = [k / (LEVELS - 1) for k in range(LEVELS)]
    return [
        {"value": low + part * (high - low), "grey": round(255 * part), "name": f"{round(100 * part)} %"}
        for part in parts
    ]


def _steps(data: dict[str, Any], pixels: int) -> int:
    """Frames of a clip."""
    letters = len(data["clips"][0]["frames"].rstrip("="))
    return letters * 3 // 4 // pixels // (1 if data["levels"] else 4)


def _help(recurrent: bool, next_frame: bool, small: bool, several: bool) -> list[tuple[list[str], str]]:
    """The keys of this page, and what each does."""
    keys = [
        (["space"], "play, pause"),
        (["←", "→"], "a step back, a step on; with shift ten"),
        (["home", "end"], "first step, last step"),
        (["↑", "↓"], "choose a hidden unit"),
        (["d"], "disturb it: push up, down, undo"),
        (["m"] if recurrent else [], "memory off or on, from this step on"),
        (["c"] if next_frame else [], "closed loop, or true frames all along"),
        (["v"] if small else [], "in space, in time"),
        (["n"], "next test clip"),
        (["[", "]"] if several else [], "seed before, next seed"),
        (["\N{MINUS SIGN}", "+"], "slower, faster"),
        (["r"], "reset"),
        (["t", "enter", "esc"], "tour, its next step, its end"),
    ]
    return [(names, text) for names, text in keys if names]
