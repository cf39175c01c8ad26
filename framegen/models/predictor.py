"""The one contract that every predictor of sequences speaks."""

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from framegen.machine.errors import UserError
from framegen.models.mixture import Mixture

State = Any
"""A model's memory from step to step: None, a tensor, or a tuple of such states, to any depth."""
SMALL_MODEL = 100_000
"""Parameters below which a second CPU thread costs more than it gives."""


class Predictor(nn.Module):
    """Predicts the target at every step from the frames up to and including that step.

        predictions, state = model(frames, state)

    `frames` and `predictions` have one shape, (B, T, C, H, W), float32. `predictions[:, t]` depends on the
    frames up to t and on the state that went in, never on later frames. T = 1 is streaming: a sequence fed in
    one piece and the same sequence fed frame by frame, the state handed on, give the same predictions. A
    `state` of None begins a new sequence. Models never change the frames or the state that they are given.
    """

    frames_at_once = 1
    """How many frames a rollout asks for in one go: more where the call costs more than the frame."""

    def forward(self, frames: Tensor, state: State = None) -> tuple[Tensor, State]:
        raise NotImplementedError

    @property
    def has_density(self) -> bool:
        """Whether `density` can be asked."""
        return False

    @property
    def has_bits(self) -> bool:
        """Whether `log_prob` can be asked."""
        return self.has_density

    def density(self, frames: Tensor, state: State = None) -> tuple[Mixture, State]:
        """How probable each target is, at every step; the mixture's mean is what the model predicts. Raises
        UserError where there is no density head; see `density.Net`."""
        none = "the model has no density head to draw from"
        raise UserError(f"{none}; a training with --density 4 gives it one")

    def log_prob(self, frames: Tensor, targets: Tensor) -> Tensor:
        """Natural log of each target's probability, given the frames so far: (B, T, C, H, W) -> (B, T)."""
        return self.density(frames)[0].log_prob(targets)

    def feedback(self, predictions: Tensor) -> Tensor:
        """The frame shown to the model in place of the next one, closed-loop: its own prediction."""
        return predictions

    def run_on(self, frames: Tensor, state: State, num_frames: int) -> tuple[Tensor, State]:
        """Predict, and from the end of the frames go on closed-loop.

        Args:
            frames: (B, T, C, H, W), T from 1 to `num_frames`.

        Returns:
            Predictions (B, num_frames, C, H, W), the last ones each made from the one before; the state.
        """
        made, state = self(frames, state)
        parts = [made]
        for _ in range(num_frames - frames.shape[1]):
            made, state = self(self.feedback(made[:, -1:]), state)
            parts.append(made)
        return torch.cat(parts, 1), state


class Forecaster(Predictor):
    """A predictor that is shown nothing when it runs closed-loop, since its own prediction is no evidence: a
    frame of NaN, one that was not observed, moves on what it knows."""

    def feedback(self, predictions: Tensor) -> Tensor:
        return torch.full_like(predictions, math.nan)


class Plain(Predictor):
    """Any module behind the contract: one that returns its predictions alone has no state."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, frames: Tensor, state: State = None) -> tuple[Tensor, State]:
        made = self.module(frames) if state is None else self.module(frames, state)
        predictions, state = made if isinstance(made, tuple) else (made, None)
        check_shape(self.module, predictions, frames)
        return predictions, state


def check_shape(module: nn.Module, predictions: Tensor, frames: Tensor) -> None:
    """Raises UserError where predictions have not the frames' shape."""
    if predictions.shape != frames.shape:
        shapes = f"{tuple(predictions.shape)} for frames of {tuple(frames.shape)}"
        raise UserError(f"{type(module).__name__}: returns {shapes}; both must have one shape")


def device_of(model: Predictor) -> torch.device:
    """Where the model computes; a model without parameters or buffers is on the CPU."""
    tensors = itertools.chain(model.parameters(), model.buffers())
    return next((tensor.device for tensor in tensors), torch.device("cpu"))


def num_parameters(model: Predictor, trained: bool = True) -> int:
    """How many numbers are trained, or else are frozen."""
    return sum(each.numel() for each in model.parameters() if each.requires_grad == trained)


def cpu_threads(model: Predictor) -> int:
    """CPU threads for a training in PyTorch: one for a small model, where handing work to a second takes
    longer than the work. What convolves does more with each of its parameters, and gets all threads."""
    convolves = any(isinstance(module, nn.Conv2d) for module in model.modules())
    small = num_parameters(model) + num_parameters(model, trained=False) < SMALL_MODEL and not convolves
    return 1 if small else torch.get_num_threads()


def map_state(function: Callable[..., Tensor], *states: State) -> State:
    """Apply a function to the tensors at the same place in states of one structure."""
    match states[0]:
        case None:
            return None
        case Tensor():
            return function(*states)
        case tuple() as first:
            parts = [map_state(function, *parts) for parts in zip(*states, strict=True)]
            return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)
        case other:
            raise TypeError(f"a state is None, a tensor or a tuple of states, not {type(other).__name__}")


def name_parts(state: State, name: str) -> dict[str, Tensor]:
    """A state's tensors by names that tell their places ("state.0.1"); None is an empty tensor."""
    match state:
        case None:
            return {f"{name}.none": torch.empty(0)}
        case Tensor():
            return {name: state}
        case _:
            parts = (name_parts(part, f"{name}.{index}") for index, part in enumerate(state))
            return {key: value for part in parts for key, value in part.items()}


def from_parts(parts: Mapping[str, Tensor], name: str) -> State:
    """The inverse of `name_parts`; other names are left aside. Raises ValueError where nothing fits."""
    if name in parts:
        return parts[name]
    if f"{name}.none" in parts:
        return None
    places = {key.removeprefix(f"{name}.").partition(".")[0] for key in parts if key.startswith(f"{name}.")}
    if not places or places != {str(index) for index in range(len(places))}:
        raise ValueError(f"no state stands under {name}")
    return tuple(from_parts(parts, f"{name}.{index}") for index in range(len(places)))
