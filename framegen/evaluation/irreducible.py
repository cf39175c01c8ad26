"""The irreducible error: how far stored frames lie from the same frames without noise."""

from collections.abc import Iterator

import torch
from torch import Tensor

from framegen.config.tasks import LEVEL, Drift, Orbit, Sprites, Task, World
from framegen.data import drift, orbit, sprites
from framegen.data.clips import Data, fill, to_float, unasked
from framegen.data.kept import hidden
from framegen.models.mixture import censored_mean


def expected_frames(task: Task) -> Iterator[Tensor] | None:
    """Each test clip's stored frames as expected from the true scene, (T, C, H, W) float64, one clip at a
    time; None where no scene is known, and where noise is less than a level, which is rounded away."""
    if not isinstance(task, World) or task.noise < LEVEL:
        return None
    match task:
        case Orbit():
            clean, visible = orbit.clean(task, "test"), ~hidden(task.size, task.bar)
        case Drift():
            clean, visible = drift.clean(task, "test"), torch.tensor(True)
        case Sprites():
            return _of_sprites(task)
    return (censored_mean(frames, task.noise) * visible for frames in clean)


def _of_sprites(task: Sprites) -> Iterator[Tensor]:
    """Pictures, and what is told of a window, which has no noise."""
    visible, told = ~hidden(task.side, task.bar), sprites.told(task, "test").double() / 255
    for clean, its in zip(sprites.clean(task, "test"), told, strict=True):
        yield torch.cat([censored_mean(clean, task.noise) * visible, its], 1)


def irreducible(task: Task, data: Data) -> Tensor | None:
    """The mse of a predictor that knows the scene, on each test clip after the prompt, (N,) float64; None if
    no scene is known. It is the noise in these very frames, not the noise's expectation, so the rest
    of a predictor's error depends less on the clips."""
    expected = expected_frames(task)
    if expected is None or data.test_frames is None:
        return None
    frames = to_float(data.test_frames)
    pairs = zip(frames if data.asked is None else unasked(frames, data.asked), expected, strict=True)
    return torch.stack([(fill(a, b) - b)[data.context :].square().mean() for a, b in pairs])
