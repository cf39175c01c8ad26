"""A lower bound of every predictor's error on Moving MNIST: it knows the digits, and still errs."""

import hashlib

import torch
from torch import Tensor, nn

from framegen.models.optima.bouncing import ANGLES, NEGLIGIBLE, all_angles, refine, standing
from framegen.models.predictor import Forecaster, State

ENOUGH = 1 / 4
"""Share of the grid that must agree with the frames; else a finer one is laid."""
FINER = 16
"""Refinement of the grid for a digit with which no angle agrees."""
AT_ONCE = 8
"""Clips: their grids fit a processor's cache."""


class Floor(Forecaster):
    """The mean of the next frame, given the digits' pictures and the pixels at which they were seen so far.

    Real predictors know neither. This one knows both, for the clips that it was made with. It must still
    guess what whole pixels hide: where between two of them a digit started, and its exact angle (see
    `bouncing.py`). As the posterior mean it has the smallest expected squared error with this knowledge,
    so no predictor with less knowledge is better.

    A clip is known by the digest of its frames up to now. The state is that digest and the number of frames
    since one was seen, (B,) int64 each; the grid of angles (B, D, M) and its cells' width (B, D), float64.
    """

    def __init__(
        self, frames: Tensor, pictures: Tensor, places: Tensor, room: int, step: float, angles: int = ANGLES
    ) -> None:
        """
        Args:
            frames: (N, T, 1, H, W) uint8, all clips that it will be asked about.
            pictures: (N, D, side, side) uint8, the digits in them.
            places: (N, D, T, 2), row and column of each digit's upper left pixel, 0 ... room.
            step: how far a digit moves in a frame, in units of the room.
            angles: points of the grid of angles.
        """
        super().__init__()
        self.pictures, self.places, self.room, self.step, self.angles = pictures, places, room, step, angles
        self.known: dict[int, tuple[int, int]] = {}  # digest of its first t frames: clip, t
        for clip, its in enumerate(frames):
            digest = 0
            for t, frame in enumerate(its):
                digest = _digest(digest, frame)
                self.known[digest] = clip, t + 1

    def forward(self, frames: Tensor, state: State = None) -> tuple[Tensor, State]:
        if state is None:
            digits, nothing = self.pictures.shape[1], torch.zeros(len(frames), dtype=torch.int64)
            grid, width = (
                each.view(len(frames), digits, *each.shape[1:])
                for each in all_angles(len(frames) * digits, self.angles)
            )
            state = nothing, nothing, grid, width
        groups = zip(frames.cpu().split(AT_ONCE), *(part.split(AT_ONCE) for part in state), strict=True)
        parts = zip(*(self._predict(*group) for group in groups), strict=True)
        predictions, *state = (torch.cat(part) for part in parts)
        return predictions.to(frames), tuple(state)

    def _predict(self, frames: Tensor, digest: Tensor, unseen: Tensor, *grid: Tensor) -> tuple[Tensor, ...]:
        """The predictions of some clips (B, T, 1, H, W), and the state."""
        (batch, digits, _), predictions = grid[0].shape, []
        angles, width = (each.flatten(0, 1) for each in grid)  # a row a digit
        for frame in frames.unbind(1):
            if frame.isnan().all():
                unseen = unseen + 1
            else:
                levels = frame.mul(255).round().to(torch.uint8)
                seen = [_digest(before, its) for before, its in zip(digest.tolist(), levels, strict=True)]
                digest, unseen = torch.tensor(seen), torch.zeros_like(unseen)
            if not all(each in self.known for each in digest.tolist()):
                told = "the floor knows only the clips that it was made with"
                raise ValueError(f"{told}, from their first frame")
            clips = [self.known[each][0] for each in digest.tolist()]
            t = self.known[int(digest[0])][1]
            places = self.places[clips, :, :t].flatten(0, 1)  # (B D, t, 2)
            angles, width, chances = self._chances(places, angles, width, int(unseen[0]) + 1)
            scenes = zip(self.pictures[clips], chances.unflatten(0, (batch, digits)), strict=True)
            predictions.append(torch.stack([expected_maximum(*each, frame.shape[-1]) for each in scenes]))
        grid = tuple(each.unflatten(0, (batch, digits)) for each in (angles, width))
        return torch.stack(predictions, 1)[:, :, None], digest, unseen, *grid

    def _chances(
        self, seen: Tensor, angles: Tensor, width: Tensor, ahead: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The grid (R, M), laid anew where too little of it agrees with the places (R, t, 2) seen; and where
        the digits stand some frames later, (R, room + 1, room + 1), rows and columns, sums of 1."""
        rows, columns = self._standing(seen, angles, ahead)
        weight = rows.sum(2) * columns.sum(2)  # (R, M)
        few = (weight > 0).sum(1) < ENOUGH * self.angles
        if few.any():
            angles, width = angles.clone(), width.clone()
            angles[few], width[few] = self._refined(seen[few], angles[few], width[few], weight[few])
            rows[few], columns[few] = self._standing(seen[few], angles[few], ahead)
        together = rows.mT @ columns
        return angles, width, together / together.sum((1, 2), keepdim=True)

    def _refined(self, seen: Tensor, angles: Tensor, width: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """`refine`; where all that agrees lies between two points of the grid, it is looked for there."""
        grid = refine(angles, width, weight, self.angles)
        lost = (weight == 0).all(1)
        if lost.any():
            fine = refine(angles[lost], width[lost], torch.ones_like(weight[lost]), FINER * self.angles)
            rows, columns = self._standing(seen[lost], fine[0], 1)
            found = refine(*fine, rows.sum(2) * columns.sum(2), self.angles)
            for part, its in zip(grid, found, strict=True):
                part[lost] = its
        return grid

    def _standing(self, seen: Tensor, angles: Tensor, ahead: int) -> tuple[Tensor, Tensor]:
        """`standing` along the rows and along the columns, (R, M, room + 1) each."""
        velocity = torch.cat([angles.sin(), angles.cos()]) * self.step
        rows, columns = standing(velocity, torch.cat(seen.unbind(2)), self.room, ahead).chunk(2)
        return rows, columns


def expected_maximum(pictures: Tensor, chances: Tensor, size: int) -> Tensor:
    """The mean of a canvas on which the brighter pixel is seen, the digits' places being independent.

    Args:
        pictures: (D, side, side) uint8.
        chances: (D, places, places), of each row and column of the upper left pixel; they sum to 1.

    Returns:
        (size, size) float64, values in [0, 1].
    """
    copies, weights = [], []
    for picture, chance in zip(pictures, chances, strict=True):
        room = len(chance) - 1
        row, column = (chance > NEGLIGIBLE).nonzero(as_tuple=True)
        around = nn.functional.pad(picture, (room,) * 4)
        windows = around.unfold(0, size, 1).unfold(1, size, 1)  # (places, places, size, size), a view
        copies.append(windows[room - row, room - column].flatten(1))  # (n, P)
        weights.append(chance[row, column])
    means = torch.stack([w @ each.double() for each, w in zip(copies, weights, strict=True)])  # (D, P)
    mean = means.sum(0)
    contested = (means > 0).sum(0) > 1  # elsewhere the others are dark
    levels = torch.arange(int(contested.sum()))[:, None] * 256  # (K, 1): where a pixel's 256 levels begin
    below = torch.ones(len(levels), 256, dtype=torch.float64)  # that the maximum is at most 0, 1, ..., 255
    for each, weight in zip(copies, weights, strict=True):
        places = (levels.T + each[:, contested]).flatten()  # (n * K)
        shares = torch.zeros(below.numel(), dtype=torch.float64)
        shares.index_add_(0, places, weight[:, None].expand(-1, len(levels)).flatten())
        below *= shares.view_as(below).cumsum(1)
    mean[contested] = (1 - below[:, :-1]).sum(1)
    return mean.view(size, size) / 255


def _digest(before: int, frame: Tensor) -> int:
    """The digest of a clip up to a frame, from that of the frames before it."""
    content = before.to_bytes(8, "big", signed=True) + frame.numpy().tobytes()
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big", signed=True)
