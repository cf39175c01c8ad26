"""The knobs of the models; `framegen.models` builds them."""

from dataclasses import dataclass
from typing import Literal

from framegen.config.checks import check


@dataclass(frozen=True)
class Model:
    """The base of every model's knobs. A subclass is known by its name in config.json."""

    @property
    def weights(self) -> int:
        """About how many numbers are trained, whatever the frames; a config that asks for too many is
        refused."""
        return 0


@dataclass(frozen=True)
class Recurrent(Model):
    """A recurrent net: frame -> `num_layers` layers of `hidden_size` fully recurrent units -> linear ->
    frame."""

    cell: Literal["tanh", "relu", "gru", "lstm"] = "tanh"
    """Kind of recurrent unit; tanh and relu are the plain (Elman) RNN."""
    hidden_size: int = 5
    """Recurrent units a layer."""
    num_layers: int = 1
    """Recurrent layers."""

    def __post_init__(self) -> None:
        check(1 <= self.hidden_size <= 4096, f"--hidden-size {self.hidden_size}: lies between 1 and 4096")
        check(1 <= self.num_layers <= 32, f"--num-layers {self.num_layers}: lies between 1 and 32")

    @property
    def weights(self) -> int:
        gates = {"gru": 3, "lstm": 4}.get(self.cell, 1)
        return gates * (2 * self.num_layers - 1) * self.hidden_size**2


@dataclass(frozen=True)
class MLP(Model):
    """A feed-forward net without memory: the current frame -> `hidden_size` tanh units -> the next frame."""

    hidden_size: int = 32
    """Hidden units."""

    def __post_init__(self) -> None:
        check(1 <= self.hidden_size <= 4096, f"--hidden-size {self.hidden_size}: lies between 1 and 4096")
