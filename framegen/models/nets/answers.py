"""How a convolutional net answers: the frame, a residual on the last frame, or the last frame moved."""

from torch import Tensor, nn

from framegen.config.models import ConvRecurrent
from framegen.models.motion import warp


class Answer(nn.Module):
    """A 1 x 1 convolution of the hidden state makes the next frame, as a config's `answer` says.

    Frame: of the hidden state alone. Residual: the last frame plus what the convolution says. Motion: the
    last frame moved by a flow (Liu et al., "Video frame synthesis using deep voxel flow", 2017), plus a
    residual where a mask lets it through, for what comes into sight (Finn et al., "Unsupervised learning
    for physical interaction through video prediction", 2016). Flow and residual begin at 0: an untrained
    net copies the last frame, exactly.
    """

    def __init__(self, config: ConvRecurrent, channels: int) -> None:
        super().__init__()
        self.kind, self.patch = config.answer, config.patch
        values = channels + (3 if self.kind == "motion" else 0)
        self.head = nn.Conv2d(config.hidden_size, values * self.patch**2, 1)
        if self.kind != "frame":
            begin_at_zero(self.head)

    def forward(self, hidden: Tensor, frames: Tensor) -> Tensor:
        """From hidden states (N, hidden_size, h, w), h = ceil(H / patch), w = ceil(W / patch), and the frames
        seen last, (N, C, H, W): predictions of the frames' shape."""
        said = to_pixels(self.head(hidden), frames, self.patch)
        if self.kind == "motion":
            flow, mask, said = said.split([2, 1, frames.shape[1]], 1)
            return to_range(warp(frames, flow) + mask.sigmoid() * said)
        return to_range(said if self.kind == "frame" else frames + said)


def begin_at_zero(layer: nn.Conv2d) -> nn.Conv2d:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def to_patches(frames: Tensor, patch: int) -> Tensor:
    """(N, C, H, W) -> (N, C * patch^2, h, w); sides that patch does not divide repeat their last pixels."""
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
