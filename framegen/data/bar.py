"""An opaque bar in the middle of a picture, from top to bottom: does a world go on where it is hidden?"""

import torch
from torch import Tensor


def hidden(size: int, bar: int) -> Tensor:
    """Which pixels a bar of so many columns hides, (size, size) bool."""
    mask = torch.zeros(size, size, dtype=torch.bool)
    left = (size - bar) // 2
    mask[:, left : left + bar] = True
    return mask
