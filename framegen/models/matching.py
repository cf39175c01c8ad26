"""A net that is shown how the last two frames match, and answers how the last one moves on.

A film has few shots, and a net learns to find motion only from many: where data is short, matching patches
(as optical flow has it since Lucas and Kanade, 1981; the volume of costs is that of Sun et al., "PWC-Net",
2018) generalizes to shots that training never saw, and the net learns what is left: where to trust it, and
how motion goes on.
"""

import torch
from torch import Tensor, nn

from framegen.config.models import ConvRecurrent
from framegen.models.answers import begin_at_zero, to_patches, to_range, warp
from framegen.models.convolutional import recurrent_layers
from framegen.models.predictor import Predictor, State

REACH = 4
"""How far a match is looked for, in pixels each way."""
TEMPERATURE = 5e-4
"""Mean squared difference by which a match counts e times less than another, at the start."""


class MatchingNet(Predictor):
    """patches, and how they moved since the frame before -> recurrent layers -> flow -> the last frame moved.

    The flow is a share of the one found between the last two frames, plus one of the net's own; both begin at
    0, so an untrained net copies the last frame, exactly. Nothing but pixels of the last frame is answered:
    no frame of a closed loop has values that the prompt did not have. The state is that of the layers, and
    the last frame.
    """

    def __init__(self, config: ConvRecurrent, frame_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.patch = config.patch
        self.recurrent = recurrent_layers(config, frame_shape[0] * self.patch**2 + 3)
        self.head = begin_at_zero(nn.Conv2d(config.hidden_size, 3, 1))
        self.log_temperature = nn.Parameter(torch.tensor(TEMPERATURE).log())

    def forward(self, frames: Tensor, state: State = None) -> tuple[Tensor, State]:
        seen = frames.transpose(0, 1)  # (T, B, C, H, W)
        inner, last = (None, seen[0]) if state is None else state
        now, before = seen.flatten(0, 1), torch.cat([last[None], seen[:-1]]).flatten(0, 1)
        moved, certainty = match(now, before, self.patch, self.log_temperature.exp())
        inputs = torch.cat([to_patches(now - 0.5, self.patch), moved / REACH, certainty], 1)
        hidden, inner = self.recurrent(inputs.unflatten(0, seen.shape[:2]), inner)
        share, own = self.head(hidden.flatten(0, 1)).to(now.dtype).split([1, 2], 1)
        flow = nn.functional.interpolate(share * moved + own, scale_factor=self.patch, mode="bilinear")
        predictions = to_range(warp(now, flow[:, :, : now.shape[2], : now.shape[3]]))
        return predictions.unflatten(0, seen.shape[:2]).transpose(0, 1), (inner, seen[-1])


def match(now: Tensor, before: Tensor, patch: int, temperature: Tensor) -> tuple[Tensor, Tensor]:
    """Where each patch was one frame earlier: the mean over all displacements, each by how well it fits.

    Frames are compared within a window of about twice the patch. No gradient goes into the frames.

    Args:
        now, before: (N, C, H, W).
        temperature: of the softmax over the mean squared differences.

    Returns:
        The displacement (N, 2, h, w), in pixels to the right and down, and how sure it is (N, 1, h, w), from
        nearly 0 (all fit alike) to 1.
    """
    height, width = now.shape[2:]
    margin = max(patch // 2, 1)
    window = patch + 2 * margin
    steps = range(-REACH, REACH + 1)
    costs: list[Tensor] = []
    with torch.no_grad():
        around = nn.functional.pad(before, (REACH,) * 4, mode="replicate")
        for down in range(len(steps)):
            row = around[:, :, down : down + height].unfold(3, width, 1)  # (N, C, H, displacements, W)
            cost = (now[:, :, :, None] - row).square().mean(1).transpose(1, 2)
            cost = nn.functional.pad(cost, (0, -width % patch, 0, -height % patch), mode="replicate")
            costs.append(nn.functional.avg_pool2d(cost, window, patch, margin, count_include_pad=False))
    fit = (-torch.cat(costs, 1) / temperature).softmax(1)  # (N, displacements, h, w)
    places = torch.tensor([[right, down] for down in steps for right in steps]).to(fit)  # (displacements, 2)
    return torch.einsum("ndhw,dk->nkhw", fit, places), fit.square().sum(1, keepdim=True)
