"""Does a world go on where it is hidden? What is known of the frame in which something comes back into sight.

After Piaget's object permanence; here the optimum says how much could be known of where and when it comes,
and the observer of one frame how much of that needs no memory.
"""

import math
from collections.abc import Mapping

from torch import Tensor

from framegen.data.clips import Data
from framegen.evaluation.metrics import number, ratio_standard_error, skill, standard_error
from framegen.evaluation.references import ONE_FRAME, OPTIMUM
from framegen.evaluation.results import Permanence, Scores

LONGEST = 12
"""Frames out of sight from which on all are pooled."""
FEWEST = 10
"""Number of events from which on a mean is shown."""
CLEARLY = 4
"""Standard errors by which memory must be worth more than nothing for a memory skill to be told."""


def memory(squared: Mapping[int | str, Tensor], back: Tensor) -> dict[int | str, Scores]:
    """Each predictor's skill over the observer of one frame, and its standard error over the clips.

    Args:
        squared: by seed or name, the squared error of each frame one step ahead, (N, T) float64; the observer
            and the optimum among them.
        back: in which of them something comes back into sight, (N, T) bool.
    """
    errors = {name: (each * back).sum(1) for name, each in squared.items()}  # (N,)
    worst, best = errors[ONE_FRAME], errors[OPTIMUM]
    return {
        name: {
            "memory": skill(*(values.mean().item() for values in (each, worst, best))),
            "memory_se": ratio_standard_error(worst - each, worst - best),
        }
        for name, each in errors.items()
    }


def _told(squared: Mapping[int | str, Tensor], back: Tensor) -> bool:
    """Whether what memory is worth in those frames is clearly more than nothing, and so can be divided by."""
    worth = ((squared[ONE_FRAME] - squared[OPTIMUM]) * back).sum(1)  # (N,)
    error = standard_error(worth)
    return error is not None and worth.mean().item() > CLEARLY * error


def permanence(squared: Mapping[int | str, Tensor], data: Data, median_seed: int) -> Permanence | None:
    """One step ahead on the test clips, the squared error summed over a frame in which something comes back,
    and the memory skill, by how long it was out of sight. None where nothing is hidden, or too seldom; no
    memory skill where memory is not clearly worth anything.

    Args:
        squared: by seed or name, the mean squared error of each frame one step ahead, (N, T - 1) float64.
        median_seed: of the net that is shown as "model".
    """
    if data.unseen is None:
        return None
    unseen = data.unseen[:, 1:].clamp(max=LONGEST)  # of each target
    counts = unseen.flatten().bincount(minlength=LONGEST + 1)
    frames = [n for n in range(1, LONGEST + 1) if counts[n] >= FEWEST]
    if not frames:
        return None
    shown = {"model": median_seed} | {name: name for name in squared if isinstance(name, str)}
    errors = {name: squared[key] * math.prod(data.frame_shape) for name, key in shown.items()}
    back = [unseen == n for n in frames] if ONE_FRAME in squared else []
    nothing: Scores = {"memory": None, "memory_se": None}
    rows = [
        memory(squared, each) if _told(squared, each) else dict.fromkeys(squared, nothing) for each in back
    ]
    curves = {
        metric: {name: [row[key][metric] for row in rows] for name, key in shown.items() if rows}
        for metric in ("memory", "memory_se")
    }
    return Permanence(
        frames,
        [int(counts[n]) for n in frames],
        {name: [number(each[unseen == n].mean().item()) for n in frames] for name, each in errors.items()},
        {
            name: [number((each[unseen == n].std() / counts[n].sqrt()).item()) for n in frames]
            for name, each in errors.items()
        },
        **curves,
        members=[[row[seed]["memory"] for row in rows] for seed in squared if isinstance(seed, int)],
    )
