"""The predictors beside a model: references that any net should beat, and the optimum that none can; and the
irreducible error: how far stored frames lie from the same frames without noise."""

from collections.abc import Iterator
from functools import singledispatch

import torch
from torch import Tensor

from framegen.config.tasks import LEVEL, Drift, MovingMNIST, Orbit, Sine, Sprites, Task, World
from framegen.data import drift, orbit, sine, sprites
from framegen.data.clips import Data, chunks, evenly, fill, to_float, unasked
from framegen.data.kept import hidden
from framegen.data.moving_mnist import BouncingClips
from framegen.machine.progress import count_of
from framegen.models.baselines import AutoRegression, CopyLast, MeanFrame, fit_autoregression, fit_mean
from framegen.models.mixture import censored_mean
from framegen.models.motion import Motion
from framegen.models.optima.bayes import BayesFilter
from framegen.models.optima.floor import Floor
from framegen.models.optima.observer import Observer
from framegen.models.optima.sprite_filter import SpriteFilter
from framegen.models.optima.texture_filter import TextureFilter
from framegen.models.optima.window_filter import WindowFilter, WindowFloor
from framegen.models.predictor import Forecaster, Predictor

COPY_LAST, MEAN_FRAME, MOTION, OPTIMUM = "copy last", "mean frame", "motion", "optimum"
OBSERVERS = {f"observer, {count_of(count, 'frame')}": count for count in (1, 2, 4, 8)}
"""By name, the number of frames that each has seen."""
ONE_FRAME = next(iter(OBSERVERS))
LINEAR_FRAMES = (1, 2, 4)
FITTED = 1000
"""Clips that references are fitted on, at most."""
LINEAR_MAX_FEATURES = 2048
"""Linear baselines with more inputs are left out: their fit grows with the cube."""
MOTION_MIN_SIDE = 16
"""Pixels that a frame needs in height and width for its motion to be found."""


@singledispatch
def optimal_predictor(task: Task, data: Data) -> Predictor | None:
    """The predictor that nobody can beat on this task, or a floor: one that knows more than is to be seen, as
    low as which nobody comes. None where neither is known."""
    return None


def _floor(task: MovingMNIST, data: Data) -> Floor | None:
    """Is told the digits of validation and test clips; None for the public test file's, that nobody knows."""
    val, test, frames = data.val, data.test, data.test_frames
    if not (isinstance(val, BouncingClips) and isinstance(test, BouncingClips)) or frames is None:
        return None
    every = slice(None)
    scenes = zip(val.scenes(every), test.scenes(every), strict=True)
    pictures, places = (torch.cat(each) for each in scenes)
    return Floor(torch.cat([val.frames(every), frames]), pictures, places, task.room, task.step)


def _sprites(task: Sprites, data: Data) -> Predictor:
    """Where a window does not tell its motion, a floor that is told it of validation and test clips."""
    levels, bar = (sprites.DARK, sprites.BRIGHT), hidden(task.size, 0 if task.view else task.bar)
    moving = sprites.shapes(task), drift.velocities(task), task.turning
    torus = SpriteFilter(*moving, levels, task.noise, bar, task.away > 0, task.things)
    if not task.view:
        return torus
    ways = drift.ways(task.pan)
    behind, levels = hidden(task.side, task.bar), sprites.telling(ways) / 255
    window = WindowFilter(torus, behind, ways, levels, task.turning)
    if task.told:
        return window
    motions = (sprites.panning(task, split)[:, :-1] for split in ("val", "test"))
    clips = (each.batch(slice(None))[0] for each in (data.val, data.test))
    return WindowFloor(window, zip(clips, map(sprites.telling, motions), strict=True))


# The optimum of a new task is a line here, if there is one.
optimal_predictor.register(
    Orbit, lambda task, _: BayesFilter(*orbit.phase_grid(task), task.deviation, hidden(task.size, task.bar))
)
optimal_predictor.register(
    Sine, lambda task, _: AutoRegression(sine.optimal_weights(task), torch.zeros(1).double())
)
optimal_predictor.register(MovingMNIST, _floor)
optimal_predictor.register(
    Drift,
    lambda task, _: TextureFilter(drift.spectrum(task), drift.velocities(task), task.deviation, drift.MIDDLE),
)
optimal_predictor.register(Sprites, _sprites)


def fit_references(task: Task, data: Data) -> dict[str, Predictor]:
    """Every reference predictor by its name, fitted on the training clips as they were filmed; the first is
    copy last, the last the optimum, where it is known; before an exact filter stand observers who have seen
    less."""
    pixels = torch.Size(data.frame_shape).numel()
    mean = fit_mean(targets for _, targets in _clips(data))
    linear = {
        f"linear, {count_of(count, 'frame')}": fit_autoregression(_sequences(data), count, data.carry_state)
        for count in LINEAR_FRAMES
        if count * pixels <= LINEAR_MAX_FEATURES
    }
    moving = task.next_frame and min(data.frame_shape[1:]) >= MOTION_MIN_SIDE
    motion = {MOTION: Motion(task.value_range)} if moving else {}
    optimum = optimal_predictor(task, data)
    known: dict[str, Predictor] = {} if optimum is None else {OPTIMUM: optimum}
    if isinstance(optimum, Forecaster) and not isinstance(optimum, Floor):
        known = {name: Observer(optimum, seen) for name, seen in OBSERVERS.items()} | known
    return {COPY_LAST: CopyLast(), MEAN_FRAME: MeanFrame(mean), **linear, **motion, **known}


def _clips(data: Data) -> Iterator[tuple[Tensor, Tensor]]:
    """The training clips as they were filmed, a few at a time; at most FITTED of them, evenly spread."""
    count = len(data.train) if data.originals is None else data.originals
    if data.carry_state or count <= FITTED:
        yield from chunks(data.train, count)
        return
    for few in evenly(count, FITTED).split(FITTED // 40):
        yield data.train.batch(few)


def _sequences(data: Data) -> Iterator[tuple[Tensor, Tensor]]:
    """The same; those of a stream uncut, as one sequence."""
    for pair in _clips(data):
        inputs, targets = (each.flatten(0, 1)[None] for each in pair) if data.carry_state else pair
        yield inputs, targets


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
        case Sprites():  # what is told of a window has no noise
            visible, told = ~hidden(task.side, task.bar), sprites.told(task, "test").double() / 255
            pairs = zip(sprites.clean(task, "test"), told, strict=True)
            return (torch.cat([censored_mean(clean, task.noise) * visible, its], 1) for clean, its in pairs)
    return (censored_mean(frames, task.noise) * visible for frames in clean)


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
