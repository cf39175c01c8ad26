"""What is not seen as pictures: a world, what is there and what is seen of it; and a memory that moves."""

import itertools
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor

from framegen.config.tasks import Sprites
from framegen.data import sprites
from framegen.data.clips import to_float
from framegen.machine.errors import UserError
from framegen.models.nets.moving_memory import MovingMemoryNet
from framegen.report.continuation import to_levels
from framegen.report.figures.cells import Cell, Picture, cells
from framegen.report.figures.style import GREY, RED
from framegen.runs.run import Run

FRAMES, BEFORE, AMONG = 14, 3, 200
"""Frames that are shown, those of them before something goes out of sight, and clips that are looked at."""
COPIES = 3
"""Of a memory that moves, those that are shown."""


class Event(NamedTuple):
    """Something goes out of sight and comes back: in which test clip, and which frames show it."""

    clip: int
    frames: range


def usual_event(run: Run) -> Event:
    """The first of the median time out of sight, of those that fit a picture. Raises UserError where none
    does."""
    assert run.data.unseen is not None
    unseen = run.data.unseen[:AMONG]
    gone = torch.where(unseen <= FRAMES - BEFORE - 2, unseen, 0)
    if not gone.any():
        raise UserError(f"nothing comes back into sight within {FRAMES} frames")
    clip, back = (gone == gone[gone > 0].median()).nonzero()[0].tolist()
    first = max(0, back - int(gone[clip, back]) - BEFORE)
    return Event(clip, range(first, min(first + FRAMES, gone.shape[1])))


def world(run: Run) -> Figure:
    """What is seen of it, above what is there. Raises UserError; see `usual_event`."""
    event = usual_event(run)
    return cells({"seen": _seen(run, event), "there": _there(run, event)}, _numbers(event))


@torch.inference_mode()
def velocities(run: Run) -> Figure:
    """Copies that a net holds of its memory, each moved by its velocity: what each expected of a frame before
    it was seen, and below how much the net believed in it. Raises UserError; see `usual_event`."""
    net, event = run.model, usual_event(run)
    assert isinstance(net, MovingMemoryNet)
    assert run.data.test_frames is not None
    frames, state, before = to_float(run.data.test_frames[event.clip][: event.frames.stop]), None, []
    for frame in frames:
        before.append(state)
        _, state = net(frame[None, None], state)
    shown = [before[number] for number in event.frames]
    believed = torch.stack([state[1][0, 0].exp() for state in shown if state])
    rows = {"seen": _seen(run, event)}
    for v in believed.amax(0).argsort(descending=True)[:COPIES].tolist():
        down, right = net.ways[v]
        rows[f"copy moved\n↓ {down:+}  → {right:+}"] = [
            Cell()
            if state is None
            else Cell(_picture(state[0][0, 0, v, :1]), RED, float(state[1][0, 0, v].exp()))
            for state in shown
        ]
    rows["there"] = _there(run, event)
    return cells(rows, _numbers(event))


def _seen(run: Run, event: Event) -> list[Cell]:
    assert run.data.test_frames is not None
    frames = to_float(run.data.test_frames[event.clip][list(event.frames)])
    return [Cell(_picture(frame)) for frame in frames]


def _there(run: Run, event: Event) -> list[Cell]:
    """The whole world; the window in its middle, where there is one."""
    task = run.config.task
    assert isinstance(task, Sprites)
    scene = next(itertools.islice(sprites.scenes(task, "test"), event.clip, None))[list(event.frames)]
    beyond = (task.size - task.side) // 2
    window = task.side / task.size if task.view else 0
    return [Cell(_picture(frame), GREY, window=window) for frame in scene.roll((beyond, beyond), (2, 3))]


def _picture(frame: Tensor) -> Picture:
    return to_levels(frame, (0.0, 1.0))


def _numbers(event: Event) -> list[int]:
    return [frame + 1 for frame in event.frames]
