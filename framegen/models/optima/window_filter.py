"""The Bayes-optimal predictor of shapes on a torus that are seen through a window that pans over it."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from framegen.machine.errors import UserError
from framegen.models.optima.sprite_filter import SpriteFilter
from framegen.models.predictor import Forecaster, State
from framegen.models.window import laid, told_motion


class WindowFilter(Forecaster):
    """The filter of the whole torus, that sees no more of it than the window.

    Where the window stands first, the torus has its row and column 0. What it shows is laid into a torus of
    pixels that were not observed; of the torus' next frame that part is seen to which the window has moved.
    Closed-loop nobody tells its motion: then its place is a distribution, independent of the shapes'. It is
    exact for sequences of which all frames are observed, or none behind, or none before, some frame; after
    a gap the window is taken to stand where it most probably does.

    The state is that of the torus' filter, and the probability of the window's coming motion and of its
    place, (B, M, H, W) float32.
    """

    def __init__(
        self, torus: SpriteFilter, hidden: Tensor, ways: Tensor, told: Tensor, turning: float
    ) -> None:
        """
        Args:
            torus: hides nothing.
            hidden: (h, w) bool, the window's pixels behind a bar.
            ways: (M, 2) integers, the window's motions in pixels a frame, down and to the right.
            told: (M, 2), the values of the last two channels that tell them.
            turning: probability that the motion is drawn anew.
        """
        super().__init__()
        self.torus, self.hidden, self.turning = torus, hidden, turning
        self.ways, self.told = ways, told.float()

    def forward(self, frames: Tensor, state: State = None) -> tuple[Tensor, State]:
        scene, window = (None, self._first(len(frames))) if state is None else state
        predictions = []
        for frame in frames.cpu().unbind(1):
            window = self._heard(window, frame)
            made, scene = self.torus(self._laid(frame, window)[:, None], scene)
            window = self._moved(window)
            predictions.append(self._through(made[:, 0], window))
        return torch.stack(predictions, 1).to(frames), (scene, window)

    @property
    def has_bits(self) -> bool:
        return True

    @torch.inference_mode()
    def log_prob(self, frames: Tensor, targets: Tensor) -> Tensor:
        """log p(target at t | frames up to t), what is told included: (B, T) float64."""
        seen, asked, told, window = [], [], [], self._first(len(frames))
        for frame, target in zip(frames.cpu().unbind(1), targets.cpu().unbind(1), strict=True):
            window = self._heard(window, frame)
            seen.append(self._laid(frame, window))
            window = self._moved(window)
            asked.append(self._laid(target, window))
            told.append((window.double().sum((2, 3)) * self._agrees(target)).sum(1).log())
        return self.torus.log_prob(torch.stack(seen, 1), torch.stack(asked, 1)) + torch.stack(told, 1)

    def _first(self, batch: int) -> Tensor:
        window = torch.zeros(batch, len(self.ways), *self.torus.shape[2:])
        window[:, :, 0, 0] = 1 / len(self.ways)
        return window

    def _agrees(self, frame: Tensor) -> Tensor:
        """Which motions are those that a frame (B, C, h, w) tells, (B, M) bool; all where it is NaN."""
        said = (told_motion(frame.nan_to_num())[:, None] == self.ways).all(2)
        return said | frame[:, -1:, 0, 0].isnan()

    def _heard(self, window: Tensor, frame: Tensor) -> Tensor:
        """What is known of the window when a frame tells where it goes."""
        left = window * self._agrees(frame)[:, :, None, None]
        return left / left.sum((1, 2, 3), keepdim=True)

    def _moved(self, window: Tensor) -> Tensor:
        """What is known of it one frame later, (B, M, H, W)."""
        moved = [window[:, m].roll(way, (1, 2)) for m, way in enumerate(map(tuple, self.ways.tolist()))]
        kept = torch.stack(moved, 1)
        return (1 - self.turning) * kept + self.turning * kept.mean(1, keepdim=True)

    def _laid(self, frame: Tensor, window: Tensor) -> Tensor:
        """A frame's picture where it is on the torus, (B, C, H, W), NaN where nothing was observed."""
        rows, columns = self.torus.shape[2:]
        at = window.sum(1).flatten(1).argmax(1)
        place = torch.stack([at // columns, at % columns], 1)
        return laid(frame[:, :-2].masked_fill(self.hidden, math.nan), place, (rows, columns), math.nan)

    def _through(self, frame: Tensor, window: Tensor) -> Tensor:
        """The mean of what the window shows of a frame (B, C, H, W), and of what is told."""
        (height, width), size = self.hidden.shape, frame.shape[2:]
        places = torch.fft.rfft2(window.sum(1)).conj()[:, None]
        seen = torch.fft.irfft2(torch.fft.rfft2(frame) * places, size)[..., :height, :width]
        told = window.sum((2, 3)) @ self.told  # (B, 2)
        told = told[:, :, None, None].expand(-1, -1, height, width)
        return torch.cat([seen.masked_fill(self.hidden, 0), told], 1)


class WindowFloor(Forecaster):
    """A lower bound where frames do not tell the window's motion: a `WindowFilter` that is told it all the
    same, for the clips that it was made with. The state is that filter's."""

    def __init__(self, filter: WindowFilter, clips: Iterable[tuple[Tensor, Tensor]]) -> None:
        """
        Args:
            clips: frames (N, T, C, h, w), no two alike; and the levels that would tell their motion,
                (N, T, 2).
        """
        super().__init__()
        self.filter = filter
        self.known = {
            _content(frame): told / 255
            for frames, telling in clips
            for frame, told in zip(frames.flatten(0, 1), telling.flatten(0, 1), strict=True)
        }

    def forward(self, frames: Tensor, state: State = None) -> tuple[Tensor, State]:
        flat = frames.cpu().flatten(0, 1)
        told = torch.stack([self._of(frame) for frame in flat]).unflatten(0, frames.shape[:2])
        telling = told[..., None, None].expand(*frames.shape[:2], 2, *frames.shape[3:])
        made, state = self.filter(torch.cat([frames.cpu(), telling], 2), state)
        return made[:, :, :-2].to(frames), state

    def _of(self, frame: Tensor) -> Tensor:
        """What a frame (C, h, w) would tell, (2,); NaN where it was not observed."""
        if frame.isnan().all():
            return torch.full((2,), math.nan)
        if (content := _content(frame)) not in self.known:
            raise UserError("the floor of a window that tells nothing knows only validation and test clips")
        return self.known[content]


def _content(frame: Tensor) -> int:
    return hash((frame * 255).round().to(torch.uint8).numpy().tobytes())
