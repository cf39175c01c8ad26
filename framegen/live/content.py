"""A run's content in the live page: its nets, a few test clips, and the optimum where it is known."""

import math
from collections.abc import Sequence
from typing import Any, get_args

import torch
from torch import Tensor, nn

from framegen.config.models import MLP, Recurrent
from framegen.config.tasks import Orbit, Sine, Task
from framegen.data import orbit, sine
from framegen.data.clips import Data, evenly
from framegen.evaluation.results import Member, Results
from framegen.live.hiding import check_hiding
from framegen.live.render import MAX_SIDE, base64_of
from framegen.machine.errors import UserError
from framegen.machine.plugins import command
from framegen.models.nets.moving_memory import MovingMemoryNet
from framegen.models.nets.recurrent import FullyConnected
from framegen.models.parameters import flatten
from framegen.models.predictor import Predictor, num_parameters
from framegen.runs.run import Run

MAX_WEIGHTS = 120_000
"""The most weights of all nets in the page together."""
MAX_MEMBERS, MAX_CLIPS = 8, 6
CLIP_BYTES = 120_000
"""The most bytes of all clips in the page together."""


def check_playable(run: Run) -> None:
    """Raises UserError, with the way out, where a run's net cannot run in the page."""
    if isinstance(run.model, MovingMemoryNet):
        check_hiding(run)
        return
    model, (channels, height, width) = run.model, run.data.frame_shape
    way_out = f"{command('generate', run.folder, '--out', 'clip.gif')} shows what it does"
    if not _is_linear(model, channels * height * width):
        kind = type(run.config.model).__name__
        dense = " with a density head" if model.has_density else ""
        raise UserError(
            f"{run.folder}: play shows fully connected nets, and this is a {kind}{dense}; {way_out}"
        )
    if max(height, width) > MAX_SIDE or channels not in (1, 3):
        shape = f"{channels} x {height} x {width}"
        raise UserError(
            f"{run.folder}: play shows grey or colour frames of up to {MAX_SIDE} pixels a side, and these are"
            f" {shape}; {way_out}"
        )
    if (weights := num_parameters(model)) > MAX_WEIGHTS:
        raise UserError(f"{run.folder}: play takes up to {MAX_WEIGHTS} weights, not {weights}; {way_out}")


def is_playable(run: Run) -> bool:
    """Whether a run's net can run in the page."""
    if not isinstance(run.model, FullyConnected | MovingMemoryNet):  # known without looking at the data
        return False
    try:
        check_playable(run)
    except UserError:
        return False
    return True


def _is_linear(model: Predictor, pixels: int) -> bool:
    """Whether `net.js` computes this model: hidden layers, and a linear map to the frame."""
    head = getattr(model, "head", None)
    plain = isinstance(head, nn.Linear) and head.out_features == pixels and not model.has_density
    return type(model) in get_args(FullyConnected) and plain


def content(run: Run, results: Results) -> dict[str, Any]:
    """All that the page's programs need, as JSON takes it; see `readPage` in course.js.

    Raises UserError where the run cannot be played.
    """
    check_playable(run)
    task, data = run.config.task, run.data
    members = chosen_members(results, run)
    clips, context = clips_of(run)
    return {
        "shape": {**shape_of(run.config.model), "frame": list(data.frame_shape)},
        "range": list(task.value_range),
        "ground": ground(task),
        "nextFrame": task.next_frame,
        "context": context,
        "levels": data.test_frames is not None and data.test_frames.dtype == torch.uint8,
        "clips": clips,
        "members": [
            {"seed": member.seed, "weights": base64_of(flatten(run.models[member.seed].parameters()))}
            for member in members
        ],
        "shown": [member.seed for member in members].index(results.median_seed),
        "optimum": optimum_of(task),
    }


def shape_of(model: Any) -> dict[str, Any]:
    match model:
        case Recurrent():
            return {"cell": model.cell, "hidden": model.hidden_size, "layers": model.num_layers}
        case MLP():
            return {"cell": "mlp", "hidden": model.hidden_size, "layers": 1}
        case _:
            raise TypeError(f"{type(model).__name__} cannot be played")


def ground(task: Task) -> float:
    """The values of an empty frame."""
    return orbit.BASE if isinstance(task, Orbit) else 0.0


def chosen_members(results: Results, run: Run) -> list[Member]:
    """Those of a population that the page has room for, from the best on the validation clips to the worst:
    these two, the median, and others evenly between."""
    ranked = [member for member in results.by_validation if member.seed in run.models]
    room = min(MAX_MEMBERS, MAX_WEIGHTS // num_parameters(run.model))
    median = [member.seed for member in ranked].index(results.median_seed)
    others = {int(place) for place in evenly(len(ranked), room - 1)} if room > 1 else set()
    return [ranked[place] for place in sorted({median, *others})]


def ranks(results: Results, members: Sequence[Member]) -> list[str]:
    """The rank of each of these: the best, the median or the worst on the validation clips."""
    ranked = results.by_validation
    names = {ranked[-1].seed: "worst", ranked[0].seed: "best", results.median_seed: "median"}
    return ["" if len(ranked) == 1 else names.get(member.seed, "") for member in members]


def clips_of(run: Run) -> tuple[list[dict[str, str]], int]:
    """Test clips, as many as there is room for, each with a name; and how many frames are the prompt.

    Where the target is not the next frame, they have targets of their own.
    """
    data = run.data
    what = "test window" if data.carry_state else "test clip"
    if data.test_frames is None:
        inputs, targets = windows_of(data)
        named = [{"name": f"{what} {k + 1}"} for k in range(len(inputs))]
        pairs = zip(named, inputs, targets, strict=True)
        return [n | {"frames": base64_of(x), "targets": base64_of(y)} for n, x, y in pairs], inputs.shape[1]
    clips = data.test_frames
    length = min(clips.shape[1], CLIP_BYTES // (clips[0, 0].numel() * clips.element_size()))
    room = CLIP_BYTES // (length * clips[0, 0].numel() * clips.element_size())
    places = pick(data, len(clips), min(MAX_CLIPS, room))
    kinds = {k: name for name, members in data.kinds.items() for k in places if members[k]}
    found = [
        {
            "name": f"{what} {k}" + (f", {kinds[k]}" if k in kinds else ""),
            "frames": base64_of(clips[k, :length]),
        }
        for k in places
    ]
    return found, min(data.context, length)


def pick(data: Data, count: int, most: int) -> list[int]:
    """The first clips, of each kind as many; or of a stream clips that are evenly spread."""
    if data.carry_state:
        return [int(k) for k in evenly(count, most)]
    groups = [members.nonzero()[:, 0].tolist() for members in data.kinds.values()] or [list(range(count))]
    share = math.ceil(most / len(groups))
    return sorted(place for group in groups for place in group[:share])[:most]


def windows_of(data: Data) -> tuple[Tensor, Tensor]:
    """Parts of the test stream, (N, T, C, H, W): inputs, and what is to be made of them."""
    inputs, targets = data.test.batch(slice(0, MAX_CLIPS))
    inputs, targets = (each[:, data.test.burn_in :] for each in (inputs, targets))
    length = min(80, inputs.shape[1])
    starts = [int(k) for k in evenly(inputs.shape[1] - length + 1, MAX_CLIPS)]
    if len(inputs) > 1:
        return inputs[:, :length], targets[:, :length]
    x, y = (torch.stack([each[0, at : at + length] for at in starts]) for each in (inputs, targets))
    return x, y


def optimum_of(task: Task) -> dict[str, Any] | None:
    """The parameters of the optimum in `filter.js`; None where it has none."""
    match task:
        case Orbit(bar=0):
            clean, shifts = orbit.phase_grid(task)
            speeds = [sign * speed for speed in task.speeds for sign in (1, -1)]
            return {
                "kind": "ring",
                "angles": len(clean),
                "shifts": shifts.tolist(),
                "speeds": speeds,
                "deviation": task.deviation,
                "size": task.size,
                "width": orbit.width_of(task),
                "radius": orbit.RADIUS,
                "base": orbit.BASE,
                "amplitude": orbit.AMPLITUDE,
            }
        case Sine():
            return {"kind": "linear", "weights": sine.optimal_weights(task)[:, 0].tolist()}
        case _:
            return None
