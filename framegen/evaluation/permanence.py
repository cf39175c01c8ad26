"""Does a world go on where it is hidden? The error at the frame in which something comes back into sight.

After Piaget's object permanence; here the optimum says how much could be known of where and when it comes.
"""

import math
from collections.abc import Mapping

from torch import Tensor

from framegen.data.clips import Data
from framegen.evaluation.metrics import number
from framegen.evaluation.results import Permanence

LONGEST = 8
"""Frames out of sight from which on all are pooled."""
FEWEST = 10
"""Number of events from which on a mean is shown."""


def permanence(squared: Mapping[str, Tensor], data: Data) -> Permanence | None:
    """One step ahead on the test clips, the squared error summed over a frame in which something comes back,
    by how long it was out of sight. None where nothing is hidden, or too seldom.

    Args:
        squared: by predictor, the mean squared error of each frame one step ahead, (N, T - 1) float64.
    """
    if data.unseen is None:
        return None
    unseen = data.unseen[:, 1:].clamp(max=LONGEST)  # of each target
    counts = unseen.flatten().bincount(minlength=LONGEST + 1)
    frames = [n for n in range(1, LONGEST + 1) if counts[n] >= FEWEST]
    if not frames:
        return None
    errors = {name: each * math.prod(data.frame_shape) for name, each in squared.items()}
    return Permanence(
        frames,
        [int(counts[n]) for n in frames],
        {name: [number(each[unseen == n].mean().item()) for n in frames] for name, each in errors.items()},
        {
            name: [number((each[unseen == n].std() / counts[n].sqrt()).item()) for n in frames]
            for name, each in errors.items()
        },
    )
