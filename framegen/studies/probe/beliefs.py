"""The optimal observer's beliefs after each frame of a clip, as numbers that a net's state may hold too."""

import math
from functools import singledispatch

import torch
from torch import Tensor

from framegen.config.tasks import Drift, Orbit, Sprites, Task
from framegen.data import drift
from framegen.models.predictor import Predictor, State

POSITION, JOINT, DIRECTION, SPEED, ENTROPY = (
    "position",
    "direction x position",
    "direction",
    "speed",
    "entropy",
)
MEANINGS = {
    POSITION: "E[(cos, sin) of the light's angle], of the frame that was seen last",
    JOINT: "E[direction (cos, sin)], direction 1 or -1: its direction, relative to its position",
    DIRECTION: "E[direction]",
    SPEED: "the probability of each speed",
    ENTROPY: "of the whole posterior, in nats",
    "place": "E[(cos, sin) of 2 pi row / height and of 2 pi column / width], of the coming frame",
    "velocity": "E[velocity] before the coming frame, pixels a frame, down and to the right",
    "velocities": "the probability of each velocity before the coming frame",
    "shape": "the probability of each shape",
}
"""By its name, what is known."""


@singledispatch
def known(task: Task, optimum: Predictor, state: State) -> dict[str, Tensor]:
    """The optimum's beliefs in a state: by a name of `MEANINGS`, (B, K) float64; {} where the task's optimum
    has no belief, or none is known."""
    return {}


# The belief of a new task's optimum is a line here, if it has one.
known.register(Orbit, lambda task, optimum, state: _of_orbit(task, optimum.posterior(state)))
known.register(
    Drift, lambda task, optimum, state: _of_velocities(task, optimum.known(*state)[1].softmax(1).float())
)
known.register(Sprites, lambda task, _, state: _of_sprites(task, state[0] if task.view else state))


def _of_orbit(task: Orbit, posterior: Tensor) -> dict[str, Tensor]:
    """Beliefs from the probability of shift and angle, (B, S, G); a speed's two shifts are adjacent, forwards
    and back."""
    angle = torch.arange(posterior.shape[2], dtype=torch.float64) * (2 * math.pi / posterior.shape[2])
    circle = torch.stack([angle.cos(), angle.sin()], 1)  # (G, 2)
    forwards, back = posterior[:, ::2].sum(1), posterior[:, 1::2].sum(1)  # (B, G)
    of_speeds = posterior.sum(2).unflatten(1, (-1, 2)).sum(2)
    return {
        POSITION: (forwards + back) @ circle,
        JOINT: (forwards - back) @ circle,
        DIRECTION: (forwards - back).sum(1, keepdim=True),
        **({SPEED: of_speeds} if len(task.speeds) > 1 else {}),
        ENTROPY: _entropy(posterior)[:, None],
    }


def _of_velocities(task: Drift | Sprites, odds: Tensor) -> dict[str, Tensor]:
    odds = odds.double()
    return {
        "velocity": odds @ drift.velocities(task).double(),
        "velocities": odds,
        ENTROPY: _entropy(odds)[:, None],
    }


def _of_sprites(task: Sprites, state: Tensor) -> dict[str, Tensor]:
    """Beliefs from the probability of shape, velocity and place in the coming frame, (B, things, K, V, H, W),
    those of one thing after another."""
    coming = state.flatten(0, 1)
    turn = torch.arange(task.size, dtype=torch.float64) * (2 * math.pi / task.size)
    circle = torch.stack([turn.cos(), turn.sin()], 1)  # (H or W, 2)
    place = coming.double().sum((1, 2))  # (B, H, W)
    found = {
        "place": torch.cat([place.sum(2) @ circle, place.sum(1) @ circle], 1),
        **_of_velocities(task, coming.sum((1, 3, 4))),
        "shape": coming.double().sum((2, 3, 4)),
        ENTROPY: _entropy(coming)[:, None],
    }
    return {name: each.unflatten(0, (-1, task.things)).flatten(1) for name, each in found.items()}


def _entropy(probabilities: Tensor) -> Tensor:
    """The entropy of distributions (B, …), in nats: (B,)."""
    return torch.special.entr(probabilities.double()).flatten(1).sum(1)
