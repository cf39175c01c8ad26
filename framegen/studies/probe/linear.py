"""How much of what the optimal observer knows can be read from a net's state by a linear map.

A linear probe (Alain and Bengio, "Understanding intermediate layers using linear classifier probes", 2016):
what a map that is fitted on the training clips says of the test clips' states. Beside it stand the same map
of the last frames, which needs no net, and of nets with the same config that were never trained.
"""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from framegen.config.tasks import Task
from framegen.data.clips import CHUNK_BYTES, Clips, chunk_size, evenly
from framegen.machine.errors import UserError
from framegen.machine.files import Finite
from framegen.machine.progress import count_of
from framegen.models.baselines import fit_ridge, lagged
from framegen.models.predictor import Predictor, State
from framegen.studies.probe.beliefs import MEANINGS, known
from framegen.studies.probe.states import Layout, layout_of

CLIPS = 1000
"""Clips of a split that are looked at, at most."""
FRAMES = (1, 2, 4)
"""Last frames, of which the same map is fitted."""
EARLY = 4
"""First frames, of which a map of their own is fitted: later a posterior may be all but a point, and what is
read then is where something is, not how sure the observer is of it."""
MAX_FEATURES = 1024
"""Numbers a row: maps of more are pooled until they are fewer."""
RIDGE = 1e-6
"""The penalty of the maps; see `fit_ridge`."""
NOTHING = 1e-9
"""A variance below which there is nothing to explain."""

Known = Mapping[str, Tensor]
"""The observer's beliefs after each frame of each clip, (N, T, K), by name."""


@dataclass(frozen=True)
class Readout(Finite):
    """How well the beliefs can be read from some features, on the test clips."""

    r2: dict[str, float | None]
    """R^2 of each belief over all clips and frames."""
    over_frames: dict[str, list[float | None]]
    """The same after the first frame, the second, …: each with the variance at that frame. None where
    there is nothing to know."""
    early: dict[str, float | None]
    """R^2 over the first EARLY frames, of a map that is fitted on them alone."""

    def after(self, frames: int, name: str) -> float:
        """The mean of those after a number of frames; NaN where there is nothing to know."""
        values = [value for value in self.over_frames[name][frames - 1 :] if value is not None]
        return statistics.fmean(values) if values else math.nan


@dataclass(frozen=True)
class Examination:
    """The clips that are looked at, and what the optimum knows of them."""

    train: Tensor
    """(N, T, C, H, W) float32, of the training clips."""
    test: Tensor
    known_train: Known
    known_test: Known


def examine(task: Task, optimum: Predictor | None, train: Clips, test: Clips) -> Examination:
    """Let the optimum go through the clips, frame by frame. Raises UserError where it has no belief."""
    seen, unseen = (each.batch(evenly(len(each), CLIPS))[0] for each in (train, test))
    if optimum is None or not (known_of := known_by(task, optimum)):
        raise UserError(
            f"{type(task).__name__}: nobody knows what an optimal observer of it believes, so there is "
            "nothing to compare a net with; probe a run of video, drift or sprites"
        )
    return Examination(seen, unseen, known_of(seen), known_of(unseen))


def known_by(task: Task, optimum: Predictor) -> Callable[[Tensor], Known] | None:
    """A function of clips (N, T, C, H, W) that says what the optimum knows after each frame; None where that
    cannot be said."""

    def after_each(frames: Tensor) -> Known:
        parts = []
        for some in frames.split(chunk_size(frames.shape[1:])):
            steps = _streamed(optimum, some, lambda state: known(task, optimum, state))
            parts.append({name: torch.stack([step[name] for step in steps], 1) for name in steps[0]})
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    return after_each if known.dispatch(type(task)) is not known.dispatch(object) else None


def states_of(model: Predictor, layout: Layout, frames: Tensor) -> Tensor:
    """The state after each frame, as rows: (N, T, C, H, W) -> (N, T, F); maps are pooled (see
    `pooling`)."""
    most = max(1, CHUNK_BYTES // (4 * frames[0].numel()))
    pool = pooling(layout)
    parts = [
        torch.stack(_streamed(model, some, lambda state: layout.pack(state, pool).cpu()), 1)
        for some in frames.split(most)
    ]
    return torch.cat(parts)


@torch.inference_mode()
def _streamed(model: Predictor, frames: Tensor, see: Callable[[State], "Tensor | dict[str, Tensor]"]) -> list:
    """A model's states as features, after each frame of (B, T, C, H, W)."""
    state, seen = None, []
    for frame in frames.split(1, 1):
        _, state = model(frame, state)
        seen.append(see(state))
    return seen


def pooling(layout: Layout) -> int:
    """Places a side over which a state's maps are averaged: the least power of two with which a row has at
    most MAX_FEATURES numbers, or one place is left of each map."""
    pool = 1
    while _pooled_size(layout, pool) > MAX_FEATURES:
        if _pooled_size(layout, 2 * pool) == _pooled_size(layout, pool):
            return pool
        pool *= 2
    return pool


def _pooled_size(layout: Layout, pool: int) -> int:
    count = 0
    for shape in layout.shapes.values():
        *outer, height, width = shape if len(shape) >= 3 else (shape.numel(), 1, 1)
        count += torch.Size(outer).numel() * -(-height // pool) * -(-width // pool)
    return count


def frames_of(frames: Tensor, count: int) -> Tensor:
    """The last frames at each step side by side, newest first: (N, T, F); see `lagged`.

    Frames of more than MAX_FEATURES numbers together are pooled as states are.
    """
    while count * frames[0, 0].numel() > MAX_FEATURES and max(frames.shape[3:]) > 1:
        frames = functional.avg_pool2d(frames.flatten(0, 1), 2, ceil_mode=True).unflatten(0, frames.shape[:2])
    return lagged(frames, count)[0]


def read(train: Tensor, test: Tensor, examination: Examination) -> tuple[Readout, Known]:
    """Fit a map from features (N, T, F) of the training clips to all that is known, and score it on the
    test clips.

    Returns:
        The scores, and what the map says of the test clips, (N, T, K) each.
    """
    made = _fitted(train, test, examination.known_train)
    first = {name: each[:, :EARLY] for name, each in examination.known_train.items()}
    at_first = _fitted(train[:, :EARLY], test[:, :EARLY], first)
    r2, over_frames, early = {}, {}, {}
    for name, true in examination.known_test.items():
        r2[name] = r_squared(made[name], true)
        over_frames[name] = [r_squared(made[name][:, t], true[:, t]) for t in range(true.shape[1])]
        early[name] = r_squared(at_first[name], true[:, :EARLY])
    return Readout(r2, over_frames, early), made


def _fitted(train: Tensor, test: Tensor, wanted: Known) -> dict[str, Tensor]:
    """What a map that is fitted on the training clips says of the test clips."""
    weight, bias = fit_ridge([(train, torch.cat(list(wanted.values()), 2))], RIDGE)
    pieces = (test.double() @ weight + bias).split([each.shape[2] for each in wanted.values()], 2)
    return dict(zip(wanted, pieces, strict=True))


def read_frames(examination: Examination) -> dict[str, Readout]:
    """Readouts from the last frames alone, by their number."""
    return {
        f"last {count_of(count, 'frame') if count > 1 else 'frame'}": read(
            frames_of(examination.train, count), frames_of(examination.test, count), examination
        )[0]
        for count in FRAMES
    }


def layout_with_state(model: Predictor, frame_shape: tuple[int, int, int], kind: str) -> Layout:
    """A model's layout. Raises UserError where it has no state."""
    layout = layout_of(model, frame_shape)
    if not layout.size:
        raise UserError(
            f"{kind}: such a net keeps nothing from frame to frame, so there is no state to read; probe a "
            "recurrent one, such as a run of video or video-gru"
        )
    return layout


def read_model(model: Predictor, layout: Layout, examination: Examination) -> tuple[Readout, Known]:
    """Readouts from a model's states; see `read`."""
    train, test = (states_of(model, layout, each) for each in (examination.train, examination.test))
    return read(train, test, examination)


def feature_text(layout: Layout) -> str:
    """How a state became a row, in words."""
    tensors = " + ".join("x".join(map(str, shape)) for shape in layout.shapes.values())
    pool = pooling(layout)
    pooled = f", maps averaged over {pool}x{pool} places: {_pooled_size(layout, pool)} numbers"
    return f"{tensors}{pooled if pool > 1 else ' = ' + count_of(layout.size, 'number')}"


def names_of(examination: Examination) -> Sequence[str]:
    """The names of the beliefs, in the order of the tables."""
    return [name for name in MEANINGS if name in examination.known_test]


def r_squared(made: Tensor, true: Tensor) -> float | None:
    """1 - (squared error) / (squared distance from the mean), each summed over all rows and all K targets.

    1 is perfect, 0 is what the mean of these rows reaches, below that it is worse. None where the targets
    do not vary.

    Args:
        made, true: (…, K).
    """
    made, true = made.double().flatten(0, -2), true.double().flatten(0, -2)
    varied = (true - true.mean(0)).square().sum()
    if varied < NOTHING * len(true):
        return None
    return (1 - (made - true).square().sum() / varied).item()
