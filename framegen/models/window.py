"""A window that pans over a torus: what its frames tell of its motion, and where they lie on the torus."""

import torch
from torch import Tensor

from framegen.config.tasks import TOLD


def told_motion(frames: Tensor) -> Tensor:
    """The coming motion of the window, from each frame to the next, which a frame's last two channels tell:
    (B, T, C, H, W) -> (B, T, 2) int64, pixels, down and to the right."""
    return ((frames[..., -2:, 0, 0] - 0.5) * TOLD).round().long()


def laid(frames: Tensor, place: Tensor, sides: tuple[int, int], empty: float) -> Tensor:
    """Frames (N, C, h, w) on a torus with these sides, which else is empty: (N, C, H, W).

    Args:
        place: (N, 2) int64, the row and the column at which a frame's upper left pixel lies.
    """
    pixels = _pixels(place, frames.shape[2:], sides)[:, None].expand(-1, frames.shape[1], -1)
    torus = frames.new_full((*frames.shape[:2], sides[0] * sides[1]), empty)
    return torus.scatter(2, pixels, frames.flatten(2)).unflatten(2, sides)


def shown(torus: Tensor, place: Tensor, sides: tuple[int, int]) -> Tensor:
    """The inverse of `laid`: what a window with these sides shows of a torus (N, C, H, W), (N, C, h, w)."""
    pixels = _pixels(place, sides, torus.shape[2:])[:, None].expand(-1, torus.shape[1], -1)
    return torus.flatten(2).gather(2, pixels).unflatten(2, sides)


def _pixels(
    place: Tensor, sides: torch.Size | tuple[int, int], torus: torch.Size | tuple[int, int]
) -> Tensor:
    """Which pixels of a torus a window covers that stands there, (N, h w) int64."""
    down, right = (
        (place[:, axis, None] + torch.arange(sides[axis], device=place.device)) % torus[axis]
        for axis in (0, 1)
    )
    return (down[:, :, None] * torus[1] + right[:, None]).flatten(1)
