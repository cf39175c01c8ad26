"""The one contract that every predictor of sequences speaks."""

import itertools
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

pass

State = Any
"""What a model carries from step to step: None, a tensor or a tuple of tensors; batch size and all."""


class Predictor(nn.Module):
    """Predicts the target at every step from the frames up to and including that step.

        predictions, state = model(frames, state)

    `frames` and `predictions` have one shape, (B, T, C, H, W), float32. `predictions[:, t]` depends on the frames up
    to t and on the state that went in, never on later frames. T = 1 is streaming: a sequence fed in one piece and
    the same sequence fed frame by frame, the state handed on, give the same predictions. A `state` of None begins a
    new sequence. Models never change the frames or the state that they are given.
    """

    frames_at_once = 1
    """How many frames a rollout asks for in one go: more only where the call costs more than the frame."""

    def forward(self, frames: Tensor, state: State = None) -> tuple[Tensor, State]:
        raise NotImplementedError

    def feedback(self, predictions: Tensor) -> Tensor:
        """What the model is shown in place of the next frame when it runs closed-loop: its own prediction."""
        return predictions

    def run_on(self, frames: Tensor, state: State, num_frames: int) -> tuple[Tensor, State]:
        """Predict, and from the end of the frames go on closed-loop.

        Args:
            frames: (B, T, C, H, W), T from 1 to `num_frames`.

        Returns:
            `num_frames` predictions (B, num_frames, C, H, W), the last ones each made from the one before, and the state.
        """
        made, state = self(frames, state)
        parts = [made]
        for _ in range(num_frames - frames.shape[1]):
            made, state = self(self.feedback(made[:, -1:]), state)
            parts.append(made)
        return torch.cat(parts, 1), state


def device_of(model: Predictor) -> torch.device:
    """Where the model computes; a model without parameters or buffers is on the CPU."""
    tensors = itertools.chain(model.parameters(), model.buffers())
    return next((tensor.device for tensor in tensors), torch.device("cpu"))


def num_parameters(model: Predictor) -> int:
    """How many numbers are trained."""
    return sum(parameter.numel() for parameter in model.parameters())


def detach(state: State) -> State:
    """The same state, cut off from the graph that computed it (truncated back-propagation through time)."""
    match state:
        case None:
            return None
        case Tensor():
            return state.detach()
        case _:
            return tuple(detach(part) for part in state)


def flatten(tensors: Iterable[Tensor]) -> Tensor:
    """A copy of all values in one row, (P,)."""
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


def split(row: Tensor, model: Predictor) -> list[Tensor]:
    """Views of a row (P,) in the shapes of the model's parameters."""
    parameters = list(model.parameters())
    parts = row.split([parameter.numel() for parameter in parameters])
    return [part.view_as(parameter) for part, parameter in zip(parts, parameters, strict=True)]
