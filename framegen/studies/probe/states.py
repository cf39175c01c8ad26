"""States of any structure as rows of numbers, one a sequence, and back."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from framegen.models.predictor import Predictor, State, device_of, from_parts, name_parts

NAME = "state"


@dataclass(frozen=True)
class Layout:
    """Where the tensors of a model's state stand in a row."""

    axes: Mapping[str, int]
    """By the tensor's name (see `name_parts`), the axis that numbers the sequences."""
    shapes: Mapping[str, torch.Size]
    """Its shape for one sequence, without that axis."""
    fixed: Mapping[str, Tensor]
    """Parts that are the same for all sequences, or no tensors; they are in no row."""

    @property
    def size(self) -> int:
        """Numbers a row."""
        return sum(shape.numel() for shape in self.shapes.values())

    def pack(self, state: State, pool: int = 1) -> Tensor:
        """A state as rows (B, size), in its own dtype.

        Args:
            pool: side of the squares over which the maps (channels, height, width) are averaged, of
                a convolutional state.
        """
        rows = []
        for name, tensor in name_parts(state, NAME).items():
            if name not in self.axes:
                continue
            part = tensor.movedim(self.axes[name], 0)
            if pool > 1 and part.dim() >= 4:
                part = functional.avg_pool2d(part.flatten(1, -3), pool, ceil_mode=True)
            rows.append(part.flatten(1))
        return torch.cat(rows, 1)

    def unpack(self, rows: Tensor) -> State:
        """The inverse of `pack` without pooling."""
        pieces = rows.split([shape.numel() for shape in self.shapes.values()], 1)
        parts = {
            name: piece.reshape(len(rows), *self.shapes[name]).movedim(0, self.axes[name]).contiguous()
            for name, piece in zip(self.shapes, pieces, strict=True)
        }
        return from_parts({**parts, **self.fixed}, NAME)


@torch.no_grad()
def layout_of(model: Predictor, frame_shape: tuple[int, int, int]) -> Layout:
    """The layout of a model's state, found by asking it for two and for three sequences of frames (C, H, W);
    empty where it has no state."""
    device = device_of(model)
    two, three = (
        name_parts(model(torch.zeros(count, 1, *frame_shape, device=device))[1], NAME) for count in (2, 3)
    )
    axes, shapes, fixed = {}, {}, {}
    for name, tensor in two.items():
        differing = [axis for axis, size in enumerate(tensor.shape) if size != three[name].shape[axis]]
        if differing and tensor.is_floating_point():
            axes[name] = differing[0]
            shapes[name] = tensor.movedim(differing[0], 0).shape[1:]
        else:
            fixed[name] = tensor
    return Layout(axes, shapes, fixed)
