"""How sure a net is: a head that makes of its prediction and its features a mixture of Gaussians (Bishop,
"Mixture density networks", 1994)."""

import math

import torch
from torch import Tensor, nn

from framegen.models.mixture import SMALLEST, Mixture, mean_of
from framegen.models.nets.answers import to_pixels
from framegen.models.predictor import Predictor, State

WHOLE_FRAMES = 64
"""Values of a frame up to which a component is a whole frame; of larger ones each value has its own."""
NARROW, WIDE = 0.03, 0.3
"""Standard deviations of the untrained head's first and last component, which tell the components apart."""
SMALL = 0.1
"""The untrained head's weights, as a part of those that torch draws: it begins near the net's prediction."""


class Net(Predictor):
    """A trained predictor, with or without a density head.

    It says in `predict` what it makes of frames: its predictions, or with a head the mixture whose mean is
    the contract's prediction. A net of one's own does the same:

        self.spread = LinearDensity(config.density, hidden_size, frame_shape) if config.density else None
        ...
        return self.say(predictions, hidden), state

    and its config takes `density` from `Model`: enough for likelihood, bits, calibration and sampling.
    """

    spread: "LinearDensity | ConvDensity | None"
    """The head, made last, so that a seed's other weights are the same with and without it."""

    @property
    def has_density(self) -> bool:
        return self.spread is not None

    def predict(self, frames: Tensor, state: State) -> tuple[Tensor | Mixture, State]:
        """Predictions of the frames' shape (B, T, C, H, W), or their mixture; and the state."""
        raise NotImplementedError

    def say(self, predictions: Tensor, hidden: Tensor) -> Tensor | Mixture:
        """The predictions (B, T, C, H, W), or the mixture that the head makes of them and of the features."""
        return predictions if self.spread is None else self.spread(predictions, hidden)

    def forward(self, frames: Tensor, state: State = None) -> tuple[Tensor, State]:
        made, state = self.predict(frames, state)
        return mean_of(made), state

    def density(self, frames: Tensor, state: State = None) -> tuple[Mixture, State]:
        made, state = self.predict(frames, state)
        return (made, state) if isinstance(made, Mixture) else super().density(frames, state)


class LinearDensity(nn.Module):
    """A linear layer of the hidden state. Component k stands at the net's prediction plus an offset.

    Up to WHOLE_FRAMES values a frame there are K weights, and for each component an offset and a deviation of
    every value; beyond that each value has weights of its own too.
    """

    def __init__(self, components: int, hidden_size: int, frame_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.components, self.frame_shape = components, frame_shape
        values = math.prod(frame_shape)
        self.weights = 1 if values <= WHOLE_FRAMES else values
        self.layer = nn.Linear(hidden_size, components * (2 * values + self.weights))
        _begin(self.layer, slice(components * values, 2 * components * values), components)

    def forward(self, predictions: Tensor, hidden: Tensor) -> Mixture:
        """From predictions (B, T, C, H, W) and the hidden state (B, T, hidden_size)."""
        said = self.layer(hidden).float().unflatten(2, (-1, self.components)).transpose(2, 3)
        values = math.prod(self.frame_shape)
        offsets, deviations, weights = said.split([values, values, self.weights], 3)  # (B, T, K, ...)
        shape = self.frame_shape if self.weights > 1 else (1, 1, 1)
        offsets, deviations = (each.unflatten(3, self.frame_shape) for each in (offsets, deviations))
        return _mixture(predictions, offsets, deviations, weights.unflatten(3, shape))


class ConvDensity(nn.Module):
    """A 1 x 1 convolution of the hidden state: K weights, offsets and deviations for each value."""

    def __init__(self, components: int, hidden_size: int, channels: int, patch: int) -> None:
        super().__init__()
        self.components, self.channels, self.patch = components, channels, patch
        each = components * channels * patch**2
        self.layer = nn.Conv2d(hidden_size, 3 * each, 1)
        _begin(self.layer, slice(each, 2 * each), components, channels * patch**2)

    def forward(self, predictions: Tensor, hidden: Tensor) -> Mixture:
        """From predictions (B, T, C, H, W) and the hidden state (B, T, hidden_size, h, w)."""
        flat = predictions.flatten(0, 1)
        said = to_pixels(self.layer(hidden.flatten(0, 1)).float(), flat.float(), self.patch)
        parts = said.unflatten(1, (3, self.components, self.channels)).unflatten(0, predictions.shape[:2])
        return _mixture(predictions, *parts.unbind(2))


def _begin(layer: nn.Linear | nn.Conv2d, deviations: slice, components: int, values: int = 0) -> None:
    """Begin near the net's own prediction, with components that differ in how wide they are.

    Args:
        deviations: which rows of the layer say these.
        values: of each component in a row; 0 where the components of each value lie in a row.
    """
    wide = torch.linspace(math.log(NARROW), math.log(WIDE), components).exp()
    bias = wide.expm1().log()  # the inverse of softplus
    with torch.no_grad():
        layer.weight.mul_(SMALL)
        assert layer.bias is not None
        layer.bias.mul_(SMALL)
        rows = layer.bias[deviations]
        rows.add_(bias.repeat_interleave(values) if values else bias.repeat(len(rows) // components))


def _mixture(predictions: Tensor, offsets: Tensor, deviations: Tensor, weights: Tensor) -> Mixture:
    """A mixture from a layer's outputs, (B, T, K, ...) each."""
    means = predictions.float()[:, :, None] + offsets
    return Mixture(means, SMALLEST + nn.functional.softplus(deviations), weights.log_softmax(2))
