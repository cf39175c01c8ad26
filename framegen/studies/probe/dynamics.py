"""A net that runs on by itself is a map of a point to the next: its Lyapunov exponents and fixed points."""

import math
from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor

from framegen.models.predictor import Predictor
from framegen.studies.probe.states import Layout

Map = Callable[[Tensor], Tensor]
"""Points (B, n) -> points (B, n), each for itself; float64."""

NEWTON_STEPS = 60
SCALES = (1.0, 0.5, 0.25, 0.1, 0.03)
"""Lengths of a Newton step that are tried; the one with the smallest residual is taken."""
FOUND = 1e-9
"""Residual below which a point is fixed."""
SAME = 1e-5
"""Distance below which two fixed points are one."""
LOST = 1e-13
"""A growth a step below which a direction is lost: what is left of it is rounding."""


class ClosedLoop:
    """A model that is fed its own predictions, as a map of points: the frame that it made last, and its
    state, side by side in a row (B, P + S) float64.

    It is a copy of the model in float64.
    """

    def __init__(self, model: Predictor, layout: Layout, frame_shape: tuple[int, int, int]) -> None:
        self.model = deepcopy(model).double().requires_grad_(False)
        self.layout, self.frame_shape = layout, frame_shape

    def begin(self, prompt: Tensor) -> Tensor:
        """The points behind a prompt (B, T, C, H, W)."""
        made, state = self.model(prompt.double())
        return torch.cat([made[:, -1].flatten(1), self.layout.pack(state)], 1)

    def __call__(self, points: Tensor) -> Tensor:
        pixels = math.prod(self.frame_shape)
        frames = points[:, :pixels].reshape(len(points), 1, *self.frame_shape)
        made, state = self.model(self.model.feedback(frames), self.layout.unpack(points[:, pixels:]))
        return torch.cat([made[:, 0].flatten(1), self.layout.pack(state)], 1)

    def frames(self, points: Tensor) -> Tensor:
        """The frames of points, (B, C, H, W)."""
        return points[:, : math.prod(self.frame_shape)].reshape(len(points), *self.frame_shape)


def linearise(step: Map, points: Tensor) -> tuple[Tensor, Tensor]:
    """The next points (B, n), and the map's Jacobian (B, n, n) at each of the points."""
    batch, size = points.shape
    # Each row of a Jacobian is pulled back through its own copy of the point, all at once.
    copies = points.repeat_interleave(size, 0).requires_grad_()
    with torch.enable_grad():
        after = step(copies)
        rows = torch.eye(size, dtype=points.dtype).repeat(batch, 1)
        (pulled,) = torch.autograd.grad((after * rows).sum(), copies)
    return after[::size].detach(), pulled.view(batch, size, size)


@torch.no_grad()
def lyapunov(step: Map, points: Tensor, steps: int, count: int, settle: int = 0) -> Tensor:
    """The largest Lyapunov exponents along the way from each point: how fast neighbours part, in nats a step.

    0 is neutral, below 0 they come together. The tangents are made orthogonal after each step, and what that
    takes is averaged (Benettin et al., 1980; Eckmann and Ruelle, 1985).

    Args:
        points: (B, n) float64.
        settle: steps before those that count.

    Returns:
        (B, count), the largest first up to an error that shrinks with the steps; -inf for a direction that
        is lost at once.
    """
    random = torch.Generator().manual_seed(0)
    tangents = torch.randn(*points.shape, count, generator=random, dtype=torch.float64)
    tangents = torch.linalg.qr(tangents).Q
    total = torch.zeros(len(points), count, dtype=torch.float64)
    for number in range(settle + steps):
        points, jacobian = linearise(step, points)
        tangents, growth = torch.linalg.qr(jacobian @ tangents)
        if number >= settle:
            total += growth.diagonal(dim1=1, dim2=2).abs().clamp(min=LOST**2).log()
    exponents = total / steps
    return torch.where(exponents > math.log(LOST), exponents, -math.inf)


@torch.no_grad()
def fixed_points(step: Map, starts: Tensor) -> tuple[Tensor, Tensor]:
    """The points that the map leaves where they are, by Newton's method from many starts (B, n) float64.

    Returns:
        Those that were found, each once, (M, n); and the eigenvalues of the Jacobian there, the largest
        modulus first, (M, n) complex128. A fixed point is stable where all moduli are below 1.
    """
    points, identity = starts, torch.eye(starts.shape[1], dtype=starts.dtype)
    scales = torch.tensor(SCALES, dtype=starts.dtype)[:, None, None]
    for _ in range(NEWTON_STEPS):
        after, jacobian = linearise(step, points)
        missed = after - points
        if (missed.norm(dim=1) < FOUND).all():
            break
        towards = torch.linalg.lstsq(jacobian - identity, -missed[..., None]).solution[..., 0]
        tried = torch.cat([points + scales * towards, points[None]])  # (scales + 1, B, n)
        left = (step(tried.flatten(0, 1)).view_as(tried) - tried).norm(dim=2).nan_to_num(math.inf)
        points = tried[left.argmin(0), torch.arange(len(points))]
    reached = points[(step(points) - points).norm(dim=1) < FOUND]
    found: list[Tensor] = []
    for point in reached:
        if all((point - other).norm() > SAME * (1 + other.norm()) for other in found):
            found.append(point)
    if not found:
        return starts[:0], starts[:0].to(torch.complex128)
    places = torch.stack(found)
    values = torch.linalg.eigvals(linearise(step, places)[1])
    order = values.abs().argsort(dim=1, descending=True)
    return places, values.gather(1, order)
