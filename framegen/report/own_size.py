"""A film's continuation at its own size: what a model says at its size is done to the film's own last frame.

So what is shown stays as sharp as the film, and a model needs few pixels to see how things move.
"""

import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from framegen.config.film import Film
from framegen.data.clips import to_float
from framegen.data.films.facts import probe
from framegen.data.films.frames import read_frames, read_last
from framegen.data.films.pictures import Array
from framegen.evaluation.references import COPY_LAST, MEAN_FRAME
from framegen.machine.progress import counted
from framegen.models.blend import Blend
from framegen.models.nets.change import Change, apply, coarsely, enlarged
from framegen.models.nets.motion_filter import AVERAGED, MotionFilterNet
from framegen.models.predictor import device_of, map_state
from framegen.models.rollout import continuation
from framegen.report.continuation import Continuation, to_levels, write_generated
from framegen.report.figures.strips import LARGEST
from framegen.report.writers import write_animation
from framegen.runs.run import Run

MEAN_OF = 24
"""Frames of which the running mean is taken: of those before them it would hold .8^24, half a per cent."""


@dataclass(frozen=True)
class Place:
    """Where a film is to go on."""

    film: Path
    rate: float
    """Frames a second at which it is read."""
    start: float | None
    """Seconds from its beginning; None is its end."""

    def before(self, count: int, channels: int, most: int | None) -> list[Array]:
        """The last frames before that, at most `count`, (H, W, channels) uint8, at the size at which the film
        plays, or of `most` pixels on the longer side."""
        facts = probe(self.film)
        whole = facts.height, facts.width
        shrunk = min(1.0, (most or max(whole)) / max(whole))
        size = round(shrunk * whole[0]), round(shrunk * whole[1])
        if self.start is None:
            return read_last(self.film, count, size, channels, self.rate)
        began = max(0.0, self.start - count / self.rate)
        return list(read_frames(self.film, size, channels, self.rate, began, self.start))


def write_continued(
    out: Path, run: Run, prompt: Tensor, num_frames: int, place: Place, exclusive: bool
) -> None:
    """Write the frames that follow a prompt (T, C, h, w), at the film's own size where the model says how its
    pixels move. A GIF has at most LARGEST pixels a side."""
    task = run.config.task
    assert isinstance(task, Film)
    if isinstance(run.model, MotionFilterNet):
        most = LARGEST if out.suffix.lower() == ".gif" else None
        blend = run.blend if isinstance(run.blend, Blend) else None
        made = itertools.islice(at_own_size(run.model, blend, prompt, place, task.crop, most), num_frames)
        pictures = (to_levels(frame, task.value_range) for frame in counted(made, num_frames, "generating"))
        write_animation(out, pictures, place.rate, len(prompt) + 1, exclusive)
    else:
        made = counted(continuation(run.model, prompt, num_frames), num_frames, "generating")
        shown = Continuation(prompt, made, num_frames, task.value_range)
        write_generated(out, shown, place.rate, clean=True, exclusive=exclusive)


@torch.inference_mode()
def at_own_size(
    model: MotionFilterNet,
    blend: Blend | None,
    prompt: Tensor,
    place: Place,
    crop: int = 0,
    most: int | None = None,
) -> Iterator[Tensor]:
    """The frames (C, H, W) in [0, 1] that follow a prompt, without end; memory does not grow with them.

    Args:
        blend: what is shown at the model's size. What is finer is the last frame's where it copies, the last
            frames' mean where it takes the mean frame, and all else by the model. None: all is by the model,
            as it is where the film repeats itself.
        prompt: (T, C, h, w) in [0, 1], the film's frames before that place at the model's size: their middle
            part of its aspect ratio, scaled, and then `crop` pixels smaller.
        most: pixels of the longer side at most; None: as many as the film has.
    """
    changes = _changes(model, prompt)
    change = next(changes)
    lag = int(change.lag)
    frames = place.before(lag or min(len(prompt), MEAN_OF), prompt.shape[1], most)
    while lag:  # from the end, since a file may be one round of a loop that the model saw several times
        yield from (_tensor(frames[-back % len(frames)])[0] for back in range(lag, 0, -1))
    average = seen = _tensor(frames[0])
    mean = torch.zeros_like(seen)
    for frame in frames:
        seen = _tensor(frame)
        average, mean = torch.lerp(average, seen, AVERAGED), mean + seen / len(frames)
    height, width = seen.shape[2:]
    factor = min(height / (prompt.shape[2] + crop), width / (prompt.shape[3] + crop))
    blended = None if blend is None else continuation(blend, prompt, sys.maxsize)
    for ahead in itertools.count():
        made = apply(seen, average, enlarged(change, factor, (height, width)), factor)[1]
        if blend is not None and blended is not None:
            copied, averaged = (blend.weight(name, ahead) for name in (COPY_LAST, MEAN_FRAME))
            moved = 1 - copied - averaged
            made = coarsely(moved * made + copied * seen + averaged * mean, next(blended)[None], factor)
        yield made[0]
        change = next(changes)


def _changes(model: MotionFilterNet, prompt: Tensor) -> Iterator[Change]:
    """What a model says of each frame behind a prompt (T, C, h, w), without end."""
    frames, state = prompt[None].to(device_of(model)), None
    while True:
        made, state = model(frames, state)
        yield map_state(Tensor.cpu, state.change)
        frames = model.feedback(made[:, -1:])


def _tensor(frame: Array) -> Tensor:
    """(H, W, C) uint8 -> (1, C, H, W) in [0, 1]."""
    return to_float(torch.from_numpy(np.ascontiguousarray(frame.transpose(2, 0, 1))))[None]
