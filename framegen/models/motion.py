"""The motion baseline: what moved goes on moving. It is not trained, and on film hard to beat."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from framegen.models.predictor import Forecaster, State

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in a grey picture (ITU-R BT.601)."""


class Motion(Forecaster):
    """The last frame, moved on by the optical flow between the last two.

    The flow F says where each pixel came from, I_t(x) = I_{t-1}(x + F(x)); the prediction goes on the same
    way: I_t(x + F(x)), between pixels bilinear, outside the picture its border. F is found on grey pictures
    by dense inverse search (Kroeger et al., 2016), OpenCV's. After the first frame it is 0, a copy.

    With `flows` above 1 the mean of the last flows is taken for one: of what shakes it is surer (of a talking
    face by 2 dB), and of what changes later.

    The state is the last frame (B, C, H, W); the last flows (B, flows, 2, H, W) in pixels, to the right and
    down, the newest first; and how many there are, (B,). Closed-loop the last frame is moved by what was
    observed last: on films that has .73 of copying's error over ten frames, the flow between its own .82.
    """

    def __init__(self, value_range: tuple[float, float], flows: int = 1) -> None:
        """
        Args:
            value_range: lowest and highest value of a pixel, black and white.
            flows: how many of the last flows count.
        """
        super().__init__()
        self.value_range, self.flows = value_range, flows

    def forward(self, frames: Tensor, state: State = None) -> tuple[Tensor, State]:
        predictions = []
        for frame in frames.unbind(1):
            if state is None:
                flows = frame.new_zeros(len(frame), self.flows, 2, *frame.shape[2:])
                count = torch.zeros(len(frame), dtype=torch.int64, device=frame.device)
            else:
                before, flows, count = state
                seen = ~frame.isnan().flatten(1).any(1)  # (B,)
                if not seen.all():
                    frame = torch.where(seen[:, None, None, None], frame, warp(before, _mean(flows, count)))
                if seen.any():
                    found = optical_flow(frame[seen], before[seen], self.value_range)
                    flows, count = flows.clone(), (count + seen).clamp(max=self.flows)
                    flows[seen] = torch.cat([found[:, None], flows[seen, :-1]], 1)
            predictions.append(warp(frame, _mean(flows, count)))
            state = frame, flows, count
        return torch.stack(predictions, 1), state


def _mean(flows: Tensor, count: Tensor) -> Tensor:
    """The mean flow (B, 2, H, W) of the first `count` ones; all others are 0."""
    return flows.sum(1) / count.clamp(min=1)[:, None, None, None]


def optical_flow(after: Tensor, before: Tensor, value_range: tuple[float, float]) -> Tensor:
    """Where each pixel of a frame was in another, (B, 2, H, W) in pixels, to the right and down: after(x) is
    before(x + flow(x)). No gradient goes through it.

    Args:
        after, before: (B, C, H, W), at least 16 pixels a side.
        value_range: lowest and highest value of a pixel, black and white.
    """
    import cv2

    # Ultrafast with the finest scale 0, so that the flow has the picture's own resolution: at 64 pixels
    # as good as the slower presets, which stop at half of it and are then worse. A fresh search each
    # time: one keeps the scales that it chose for another size.
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    search.setFinestScale(0)
    guess: Any = None  # OpenCV takes none to begin with, though its types ask for one
    pairs = zip(_grey(after, value_range), _grey(before, value_range), strict=True)
    flows = torch.stack([torch.from_numpy(search.calc(*pair, guess)) for pair in pairs])  # (B, H, W, 2)
    return flows.movedim(3, 1).to(after)


def _grey(frames: Tensor, value_range: tuple[float, float]) -> NDArray[np.uint8]:
    """(B, C, H, W) -> (B, H, W) uint8."""
    low, high = value_range
    weights = frames.new_tensor(LUMA if frames.shape[1] == 3 else [1 / frames.shape[1]])
    grey = (frames.detach() * weights[:, None, None]).sum(1)
    levels = (grey - low) / (high - low) * 255
    return levels.round().clamp(0, 255).to("cpu", torch.uint8).numpy()


def warp(frames: Tensor, flow: Tensor, mirror: bool = False) -> Tensor:
    """Each pixel taken from where the flow points, between pixels bilinearly, beyond the border the border.

    A flow of 0 gives back the frames bit by bit, which `grid_sample` with its scaled coordinates does not.

    Args:
        frames: (N, C, H, W).
        flow: (N, 2, H, W), in pixels: to the right, and down.
        mirror: beyond the border lies the picture's mirror image, and beyond that the picture again.
    """
    height, width = frames.shape[2:]
    x = _within(torch.arange(width, device=flow.device) + flow[:, 0], width - 1, mirror)  # (N, H, W)
    y = _within(torch.arange(height, device=flow.device)[:, None] + flow[:, 1], height - 1, mirror)
    # In the last column the left neighbour is taken, so that the flow has a gradient there too.
    left, top = (
        each.detach().floor().clamp(max=max(last - 1, 0)) for each, last in ((x, width - 1), (y, height - 1))
    )
    across, down = (x - left)[:, None], (y - top)[:, None]  # (N, 1, H, W)
    pixels, corner = frames.flatten(2), (top * width + left).long()
    right, below = int(width > 1), width * int(height > 1)

    def at(offset: int) -> Tensor:
        index = (corner + offset).flatten(1)[:, None].expand(-1, frames.shape[1], -1)
        return pixels.gather(2, index).view_as(frames)

    upper = torch.lerp(at(0), at(right), across)
    lower = torch.lerp(at(below), at(below + right), across)
    return torch.lerp(upper, lower, down)


def _within(places: Tensor, last: int, mirror: bool) -> Tensor:
    """Places brought into [0, last]."""
    if mirror and last > 0:
        places = last - (places.remainder(2 * last) - last).abs()
    return places.clamp(0, last)
