"""How a convolutional net answers: the frame, a residual on the last frame, or the last frame moved.

Each answer is a module: answer(hidden, frames) -> predictions, from hidden states (N, hidden_size, h, w) and
the frames that were seen last, (N, C, H, W); h = ceil(H / patch), w = ceil(W / patch).
"""

from torch import Tensor, nn

from framegen.models.motion import warp


class FrameAnswer(nn.Module):
    """The next frame, of nothing but the hidden state."""

    def __init__(self, hidden_size: int, channels: int, patch: int) -> None:
        super().__init__()
        self.head = nn.Conv2d(hidden_size, channels * patch**2, 1)
        self.patch = patch

    def forward(self, hidden: Tensor, frames: Tensor) -> Tensor:
        return to_range(to_pixels(self.head(hidden), frames, self.patch))


class ResidualAnswer(nn.Module):
    """The last frame plus a residual, which begins at 0: an untrained net copies the last frame, exactly."""

    def __init__(self, hidden_size: int, channels: int, patch: int) -> None:
        super().__init__()
        self.head = begin_at_zero(nn.Conv2d(hidden_size, channels * patch**2, 1))
        self.patch = patch

    def forward(self, hidden: Tensor, frames: Tensor) -> Tensor:
        return to_range(frames + to_pixels(self.head(hidden), frames, self.patch))


class MotionAnswer(nn.Module):
    """The last frame moved by a flow, plus a residual where a mask lets it through (what comes into sight).

    As in Finn et al., "Unsupervised learning for physical interaction through video prediction", 2016, a
    frame is mostly the last one moved; by a flow as in Liu et al., "Video frame synthesis using deep voxel
    flow", 2017. Flow and residual begin at 0: an untrained net copies the last frame, exactly.
    """

    def __init__(self, hidden_size: int, channels: int, patch: int) -> None:
        super().__init__()
        self.head = begin_at_zero(nn.Conv2d(hidden_size, (3 + channels) * patch**2, 1))
        self.channels, self.patch = channels, patch

    def forward(self, hidden: Tensor, frames: Tensor) -> Tensor:
        parts = to_pixels(self.head(hidden), frames, self.patch)  # (N, 3 + C, H, W)
        flow, mask, residual = parts.split([2, 1, self.channels], 1)
        return to_range(warp(frames, flow) + mask.sigmoid() * residual)


def begin_at_zero(layer: nn.Conv2d) -> nn.Conv2d:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def to_patches(frames: Tensor, patch: int) -> Tensor:
    """(N, C, H, W) -> (N, C * patch^2, h, w); sides that patch does not divide go on with their last
    pixels."""
    height, width = frames.shape[2:]
    frames = nn.functional.pad(frames, (0, -width % patch, 0, -height % patch), mode="replicate")
    return nn.functional.pixel_unshuffle(frames, patch)


def to_pixels(patches: Tensor, like: Tensor, patch: int) -> Tensor:
    """The inverse of `to_patches`, cut to the frames' sides and of their precision (also under autocast)."""
    return nn.functional.pixel_shuffle(patches.to(like.dtype), patch)[:, :, : like.shape[2], : like.shape[3]]


def to_range(frames: Tensor) -> Tensor:
    """The frames cut to [0, 1], with the gradient of the identity.

    So closed loops stay bounded, no error grows by it, and a pixel that is cut still learns to come back.
    """
    return frames.clamp(0, 1).detach() + (frames - frames.detach())
