"""The options of the models; `framegen.models` builds them."""

from dataclasses import dataclass, field
from typing import Literal

from framegen.config.checks import check, check_between

Unit = Literal["tanh", "relu", "gru", "lstm", "mingru"]
Cell = Literal["convlstm", "convgru", "minconvgru", "predrnn", "cnn"]
Answer = Literal["frame", "residual", "motion"]
Border = Literal["torus", "open"]


@dataclass(frozen=True)
class Model:
    """The base of every model's options. config.json knows a subclass by its name."""

    density: int = field(default=0, kw_only=True)
    """Gaussians of the mixture that says how sure the net is, trained by likelihood; 0: the mean alone."""

    @property
    def weights(self) -> int:
        """About how many numbers are trained, whatever the frames; too many are refused."""
        return 0


@dataclass(frozen=True)
class Recurrent(Model):
    """A recurrent net: frame -> `num_layers` layers of `hidden_size` recurrent units -> linear -> frame."""

    cell: Unit = "tanh"
    """Kind of unit: tanh and relu are the plain (Elman) RNN, mingru a GRU with gates of the input alone."""
    hidden_size: int = 5
    """Recurrent units per layer."""
    num_layers: int = 1
    """Recurrent layers."""

    def __post_init__(self) -> None:
        check_between(self, 1, 4096, "hidden_size")
        check_between(self, 1, 32, "num_layers")

    @property
    def weights(self) -> int:
        if self.cell == "mingru":
            return 2 * (self.num_layers - 1) * self.hidden_size**2
        gates = {"gru": 3, "lstm": 4}.get(self.cell, 1)
        return gates * (2 * self.num_layers - 1) * self.hidden_size**2


@dataclass(frozen=True)
class MLP(Model):
    """A feed-forward net without memory: the current frame -> `hidden_size` tanh units -> the next frame."""

    hidden_size: int = 32
    """Hidden units."""

    def __post_init__(self) -> None:
        check_between(self, 1, 4096, "hidden_size")


@dataclass(frozen=True)
class ConvRecurrent(Model):
    """A convolutional recurrent net for video: patches of pixels -> recurrent layers -> answer."""

    cell: Cell = "minconvgru"
    """Kind of recurrent layer; minconvgru is the fastest, predrnn has a second memory, cnn has none."""
    hidden_size: int = 48
    """Hidden channels per layer."""
    num_layers: int = 2
    """Recurrent layers."""
    kernel_size: int = 3
    """Height and width of the convolutions, odd."""
    patch: int = 4
    """Height and width in pixels of what becomes the channels of one place; 1 leaves frames as they are."""
    answer: Answer = "motion"
    """The net's output: the frame; a residual to the last frame; a motion of it, plus a residual."""

    def __post_init__(self) -> None:
        check_between(self, 1, 4096, "hidden_size")
        check_between(self, 1, 32, "num_layers")
        _check_kernel(self)
        check_between(self, 1, 64, "patch")

    @property
    def weights(self) -> int:
        """Without the first layer's part that depends on the frames' channels."""
        of_input, of_hidden = {
            "convlstm": (4, 4),
            "convgru": (3, 3),
            "minconvgru": (2, 0),
            "predrnn": (7, 9),
            "cnn": (1, 0),
        }[self.cell]
        products = of_input * (self.num_layers - 1) + of_hidden * self.num_layers
        return products * (self.hidden_size * self.kernel_size) ** 2


@dataclass(frozen=True)
class MovingMemory(Model):
    """A memory with a copy for each velocity, moved by it at every step: what is hidden goes on moving. Which
    velocity is true is inferred from how well its copy foresees each frame."""

    max_speed: int = 2
    """Largest velocity in pixels per frame, down and across: (2 max_speed + 1)^2 copies."""
    features: int = 3
    """Learned channels of the memory, beside the frame's own."""
    hidden_size: int = 16
    """Hidden channels of the convolutions that read frames and write predictions."""
    num_layers: int = 2
    """Hidden layers of each."""
    kernel_size: int = 5
    """Height and width of the convolutions, odd."""
    border: Border = "torus"
    """What leaves the picture: comes back at the other side (torus), or is gone (open)."""
    apart: bool = False
    """Whether each colour channel has a memory of its own, with the same weights: for things that differ in
    colour, and move each on its own."""
    canvas: int = 0
    """Height and width of the memory where frames are a window that pans over it, and their last two channels
    tell its motion; 0: the frames' own."""

    def __post_init__(self) -> None:
        check_between(self, 0, 8, "max_speed")
        check_between(self, 0, 1024, "canvas")
        check_between(self, 0, 256, "features")
        check_between(self, 1, 1024, "hidden_size")
        check_between(self, 1, 32, "num_layers")
        _check_kernel(self)

    @property
    def weights(self) -> int:
        """Of the convolutions between hidden channels."""
        return 2 * (self.num_layers - 1) * (self.hidden_size * self.kernel_size) ** 2


@dataclass(frozen=True)
class MotionFilter(Model):
    """A recurrent filter of motion, for films: it carries a belief of how each pixel moves, corrects it by
    the optical flow that it sees, and moves the last frame on."""

    hidden_size: int = 16
    """Hidden channels."""

    def __post_init__(self) -> None:
        check_between(self, 1, 1024, "hidden_size")

    @property
    def weights(self) -> int:
        return 9 * self.hidden_size**2


def _check_kernel(model: ConvRecurrent | MovingMemory) -> None:
    check_between(model, 1, 31, "kernel_size")
    check(model.kernel_size % 2 == 1, f"--kernel-size {model.kernel_size}: is odd")
