"""The posterior of digits that fly straight and bounce, from the whole pixels at which they were seen.

A digit starts at (x0, y0), uniform in [0, 1]^2, at an angle, uniform too, and moves by `step` a frame; an
edge that it would cross holds it up, and turns that component of its velocity round. Given the angle, x and y
are independent, and in each the starts that agree with all that was seen are one interval of those that met
no edge yet, and one for each frame in which the edge may have been met first, who all stand at one point from
then on. So the measure of the starts is exact, and only the angle lies on a grid.
"""

import math

import torch
from torch import Tensor

ANGLES = 256
"""Points of the grid of angles. Eight times as many move a clip's closed-loop error at 64x64 by 3e-3 of it,
and the mean over 100 clips by 1e-4."""
NEGLIGIBLE = 1e-12
"""Chances below it are rounding."""


def all_angles(rows: int, number: int = ANGLES) -> tuple[Tensor, Tensor]:
    """The grid before anything was seen: the cells' middles (rows, number), of which none flies along an axis
    (number is a multiple of 4), and the cells' width (rows,)."""
    width = torch.full((rows,), 2 * math.pi / number, dtype=torch.float64)
    return (torch.arange(number) + 0.5) * width[:, None], width


def refine(angles: Tensor, width: Tensor, weight: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """Lay the grid again over the cells that have a weight, and over those beside them.

    Args:
        angles: (R, M), middles of cells; NaN where a row has fewer than M.
        width: (R,), of the cells.
        weight: (R, M).
        number: points of the new grid; enough for all cells that are kept.

    Returns:
        (R, number) and (R,): each cell that is kept is cut into as many equal parts as there is room for.
    """
    held = weight > 0
    # The last cell counts as the first one's neighbour: right on a whole circle, and no harm elsewhere.
    kept = (held | held.roll(1, 1) | held.roll(-1, 1)) & ~angles.isnan()
    count = kept.sum(1, keepdim=True)  # (R, 1)
    parts = (number // count.clamp(min=1)).clamp(min=1)
    order = (~kept).byte().argsort(stable=True, dim=1)  # the kept cells come first
    index = torch.arange(number)
    cell = angles.gather(1, order.gather(1, (index // parts).clamp(max=angles.shape[1] - 1)))
    middle = ((index % parts + 0.5) / parts - 0.5) * width[:, None]
    return (cell + middle).where(index < count * parts, math.nan), width / parts[:, 0]


def standing(velocity: Tensor, seen: Tensor, room: int, ahead: int) -> Tensor:
    """Along one axis: the measure of the starts that agree with what was seen, by where they stand later.

    Args:
        velocity: (R, M), at the start, in rooms a frame; never 0.
        seen: (R, t) int64, the pixels at which the digit stood in the frames 1 ... t, t >= 1.
        room: the room's pixels; the digit stands at 0 ... room.
        ahead: how many frames after the last one, 1 or more.

    Returns:
        (R, M, room + 1); its sum over the pixels is the measure of all starts that agree.
    """
    (rows, number), frames = velocity.shape, seen.shape[1]
    speed, rightwards = velocity.abs()[..., None], (velocity > 0)[..., None]
    times = torch.arange(frames + ahead + 1).double()  # of the start: 0
    # What counts is the distance to the edge ahead: uniform at the start, and smaller by `speed` each frame.
    near = torch.where(rightwards, room - 1 - seen[:, None], seen[:, None]) / room  # (R, M, t)
    travelled = times * speed  # (R, M, 1 + t + ahead)
    least = (near.clamp(min=0) + travelled[..., 1 : frames + 1]).cummax(-1).values
    most = (near + 1 / room + travelled[..., 1 : frames + 1]).cummin(-1).values.clamp(max=1)
    least = torch.cat([torch.zeros_like(speed), least, least[..., -1:].expand(-1, -1, ahead - 1)], -1)
    most = torch.cat([torch.ones_like(speed), most, most[..., -1:].expand(-1, -1, ahead - 1)], -1)
    # (R, M, t + ahead): who agrees until then, and meets the edge first in frame 1, 2, ...
    first = torch.minimum(most, travelled[..., 1:]) - torch.maximum(least, travelled[..., :-1])
    result = torch.zeros(rows, number, room + 1, dtype=torch.float64)
    _add_bounced(result, first, velocity, seen, room, frames + ahead)
    # Who has met no edge yet stands in an interval of at most one pixel's width, over at most two pixels.
    gone = travelled[..., -1]
    low, high = torch.maximum(least[..., -1] - gone, torch.zeros_like(gone)), most[..., -1] - gone
    low, high = torch.where(velocity > 0, 1 - high, low), torch.where(velocity > 0, 1 - low, high)
    pixel = (low * room).floor().clamp(0, room - 1).nan_to_num()
    edge = (pixel + 1) / room
    parts = torch.stack([torch.minimum(high, edge) - low, high - torch.maximum(low, edge)], -1)
    pixels = torch.stack([pixel, pixel + 1], -1).long()
    return result.scatter_add_(2, pixels, parts.where(parts > NEGLIGIBLE, 0))


def _add_bounced(result: Tensor, first: Tensor, velocity: Tensor, seen: Tensor, room: int, time: int) -> None:
    """Add those that met their first edge in frame 1, 2, ... and agree with what was seen, at `time`."""
    row, angle, bounce = (first > NEGLIGIBLE).nonzero(as_tuple=True)  # (K,) each
    measure, along = first[row, angle, bounce], velocity[row, angle]
    frames = torch.arange(1, seen.shape[1] + 1)
    since = frames - (bounce[:, None] + 1)  # (K, t)
    agrees = (since < 0) | (_pixel_after(since, along[:, None], room) == seen[row])
    keep = agrees.all(1)
    row, angle, bounce, measure, along = (each[keep] for each in (row, angle, bounce, measure, along))
    pixel = _pixel_after(time - (bounce + 1), along, room)
    result.index_put_((row, angle, pixel), measure, accumulate=True)


def _pixel_after(frames: Tensor, velocity: Tensor, room: int) -> Tensor:
    """The pixel of a digit, by frames since it first met an edge."""
    speed = velocity.abs()
    crossing = (1 / speed).ceil()  # frames from edge to edge
    phase = frames.remainder(2 * crossing)
    distance = torch.where(phase < crossing, phase * speed, 1 - (phase - crossing) * speed)
    return ((velocity > 0).double() * (1 - 2 * distance) + distance).mul(room).floor().long()
