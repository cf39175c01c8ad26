"""Observers who have seen the last frames alone: what memory is worth."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from framegen.models.predictor import Forecaster, State, map_state

AT_ONCE = 8192
"""Pixels that are filtered at once: beliefs about so many lie in a processor's cache."""


class Observer(Forecaster):
    """What an exact filter says that began anew `seen` frames ago, at each frame: nobody who sees nothing but
    the last `seen` frames knows more.

    Closed-loop it goes on from what the last true frames said: a frame of NaN moves that belief on. Where
    true frames follow, it is forgotten, and those of NaN among the last `seen` say nothing.

    The state is the last frames, (B, at most `seen`, C, H, W), and the filter's state after them, which is
    None until a frame of NaN asks for it.
    """

    def __init__(self, optimum: Forecaster, seen: int) -> None:
        super().__init__()
        self.optimum, self.seen = optimum, seen

    def forward(self, frames: Tensor, state: State = None) -> tuple[Tensor, State]:
        window, belief = (frames[:, :0], None) if state is None else state
        if not frames.isnan().any():
            window = torch.cat([window, frames], 1)
            made = observe(self.optimum, window, [self.seen])[self.seen][:, -frames.shape[1] :]
            return made, (window[:, -self.seen :], None)
        predictions = []
        for frame in frames.split(1, 1):
            if belief is None and window.shape[1]:
                _, belief = self.optimum(window)
            made, belief = self.optimum(frame, belief)
            window = torch.cat([window, frame], 1)[:, -self.seen :]
            unseen = frame.isnan().flatten(1).all(1)  # (B,)
            if not unseen.all():
                anew, known = self.optimum(window)
                made, belief = map_state(partial(_where, unseen), (made, belief), (anew[:, -1:], known))
            predictions.append(made)
        return torch.cat(predictions, 1), (window, belief)


def observe(optimum: Forecaster, frames: Tensor, lengths: Sequence[int]) -> dict[int, Tensor]:
    """The predictions of observers of several lengths: a filter that begins at a frame passes through all of
    them on its way to the longest.

    Args:
        frames: (B, T, C, H, W), all observed; nobody has seen what came before them.
        lengths: numbers of frames.

    Returns:
        By length, (B, T, C, H, W).
    """
    batch, time = frames.shape[:2]
    longest = min(max(lengths), time)
    made = {length: torch.empty_like(frames) for length in lengths}
    behind = torch.full_like(frames[:, : longest - 1], torch.nan)
    padded = torch.cat([frames, behind], 1)
    starts, few = range(max(1, time - min(lengths) + 1)), max(1, AT_ONCE // frames[0, 0].numel())
    together = max(1, few // batch)
    for first in starts[::together]:
        some = starts[first : first + together]
        windows = torch.cat([padded[:, start : start + longest] for start in some])
        found = torch.cat([optimum(each)[0] for each in windows.split(few)])
        for start, predictions in zip(some, found.split(batch), strict=True):
            for length, each in made.items():
                if start + length <= time:
                    each[:, start + length - 1] = predictions[:, length - 1]
                if start == 0:
                    each[:, :length] = predictions[:, :length]
    return made


def _where(unseen: Tensor, moved: Tensor, anew: Tensor) -> Tensor:
    return torch.where(unseen.view(-1, *[1] * (moved.dim() - 1)), moved, anew)
