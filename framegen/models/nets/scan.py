"""Linear recurrences over time: one step after another, or all steps at once by doubling."""

import torch
from torch import Tensor

DOUBLING_STEPS, DOUBLING_SIZE = 50, 512
"""Time steps from which doubling pays, and up to how many numbers a step; measured on a CPU."""


def scan(gate: Tensor, candidate: Tensor, initial: Tensor) -> Tensor:
    """h_t = (1 - z_t) h_{t-1} + z_t h~_t, the recurrence of the minGRU, by whichever way is faster.

    Args:
        gate: z, (T, B, …), values in [0, 1].
        candidate: h~, (T, B, …).
        initial: h_0, (B, …).

    Returns:
        h_1 … h_T, (T, B, …).
    """
    doubling = len(gate) >= DOUBLING_STEPS and initial.numel() <= DOUBLING_SIZE
    return (scan_by_doubling if doubling else scan_by_steps)(gate, candidate, initial)


def scan_by_steps(gate: Tensor, candidate: Tensor, initial: Tensor) -> Tensor:
    """`scan` in T steps, each of the size of one frame."""
    hidden, states = initial, []
    for z, new in zip(gate.unbind(), candidate.unbind(), strict=True):
        hidden = hidden + z * (new - hidden)  # not lerp: under autocast z and h~ have fewer bits than h
        states.append(hidden)
    return torch.cat(states).view_as(candidate)


def scan_by_doubling(gate: Tensor, candidate: Tensor, initial: Tensor) -> Tensor:
    """`scan` in log2(T) steps, each of the size of the whole sequence (Hillis and Steele, 1986): two steps h
    -> a h + b make one such step, so after k rounds each holds the 2^k steps up to it."""
    keep, add = 1 - gate, gate * candidate
    add = torch.cat([add[:1] + keep[:1] * initial, add[1:]])
    reach = 1
    while reach < len(gate):
        add = torch.cat([add[:reach], add[reach:] + keep[reach:] * add[:-reach]])
        keep = torch.cat([keep[:reach], keep[reach:] * keep[:-reach]])
        reach *= 2
    return add
