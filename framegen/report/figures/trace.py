"""What passed through a net, and its weights: all that the drawings of it show."""

from dataclasses import dataclass
from typing import Literal

from matplotlib.colors import Colormap, LinearSegmentedColormap
from torch import Tensor

from framegen.report.figures.style import BLUE, RED

GREYS = LinearSegmentedColormap.from_list("greys", ["#000000", "#FFFFFF"])
SIZES = LinearSegmentedColormap.from_list("sizes", ["#FFFFFF", "#404040"])
DIVERGING = LinearSegmentedColormap.from_list("diverging", [RED, "#FFFFFF", BLUE])


@dataclass(frozen=True)
class Layer:
    """Weights into a layer: from the layer before, (units, inputs), and from itself one step earlier, (units,
    units); and its bias, (units,)."""

    forward: Tensor
    recurrent: Tensor | None
    signed: bool
    """False where a weight stands for several gates: then it is their root sum of squares."""
    bias: Tensor | None = None
    """None where each gate has its own."""


@dataclass(frozen=True)
class Scale:
    """How values become colours."""

    colors: Colormap
    low: float
    high: float
    label: str

    def color(self, value: float) -> tuple[float, float, float, float]:
        return self.colors((value - self.low) / (self.high - self.low))


@dataclass(frozen=True)
class Trace:
    """A net of fully connected layers, and what passed through it step by step, from no state on."""

    layers: list[Layer]
    head: Layer
    inputs: Tensor
    """(T, inputs)."""
    hidden: list[Tensor]
    """By layer, (T + 1, units); the first is h_0 = 0."""
    outputs: Tensor
    """(T, outputs)."""
    labels: Tensor
    """(T or T - 1, outputs), what the outputs should have been, as far as it is known."""
    frame_shape: tuple[int, int, int]
    """(C, H, W)."""
    value_range: tuple[float, float]
    next_frame: bool
    """Whether the label is the next frame."""
    activation: Literal["tanh", "relu"] | None
    """The f of h_t = f(W x_t + U h_{t-1} + b); None where the units are of another kind."""

    @property
    def what(self) -> str:
        """What comes in at a step: one value is a sample of a curve."""
        return "sample" if self.frame_shape == (1, 1, 1) else "frame"

    @property
    def recurrent(self) -> bool:
        return any(layer.recurrent is not None for layer in self.layers)

    @property
    def signed(self) -> bool:
        return all(layer.signed for layer in self.layers)

    @property
    def matrices(self) -> list[Tensor]:
        """All weights."""
        found = [m for each in (*self.layers, self.head) for m in (each.forward, each.recurrent)]
        return [m for m in found if m is not None]

    @property
    def largest(self) -> float:
        """The largest weight's size."""
        return max(m.abs().max().item() for m in self.matrices)

    @property
    def sizes(self) -> str:
        """Such as 4-5-4."""
        layers = (*self.layers, self.head)
        return "-".join(str(n) for n in (self.inputs.shape[1], *(len(each.forward) for each in layers)))

    @property
    def outside(self) -> Scale:
        """Of the values of inputs and outputs."""
        colors, label = (GREYS, "pixel") if self.what == "frame" else (DIVERGING, "sample")
        return Scale(colors, *self.value_range, label)

    @property
    def inside(self) -> Scale:
        """Of the values of hidden units."""
        most = max(1.0, *(each.abs().max().item() for each in self.hidden))
        return Scale(DIVERGING, -most, most, "hidden unit")

    @property
    def of_weights(self) -> Scale:
        """Of the weights in an image."""
        return Scale(*(DIVERGING, -self.largest) if self.signed else (SIZES, 0), self.largest, "weight")
