"""All hidden states of a plain RNN at once: Newton's method with an associative scan over time.

The article says that an RNN cannot be computed in parallel over time. Its states h_1 ... h_T are the solution
of one system of equations, h_t = f(h_{t-1}, x_t), which Newton's method solves for all t at once; each of its
steps is a linear recurrence, and those are associative (Lim et al., "Parallelizing non-linear sequential
models over the sequence length", ICLR 2024, which calls it DEER; Danieli et al., "DeepPCR", NeurIPS 2023).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from framegen.config.models import Recurrent
from framegen.models import build
from framegen.models.nets.recurrent import RecurrentNet

TOLERANCE = 1e-6

MAX_ITERATIONS = 30

NETS, HIDDEN_SIZE = 5, 16
"""Number of the random nets, and of their units."""


@dataclass(frozen=True)
class Solution:
    """The result of Newton's method."""

    hidden: Tensor
    """(T, H)."""
    changes: list[float]
    """By iteration, the largest change of any state; converged where the last is below the tolerance."""


def linear_recurrence(matrices: Tensor, offsets: Tensor) -> Tensor:
    """h_t = A_t h_{t-1} + b_t from h_0 = 0, in log2(T) steps that are parallel over time.

    Each doubling composes (A, b) after (A', b') to (A A', A b' + b) (Hillis and Steele, "Data parallel
    algorithms", 1986).

    Args:
        matrices: A, (T, H, H).
        offsets: b, (T, H).

    Returns:
        h, (T, H).
    """
    a, b = matrices, offsets[..., None]  # (T, H, H), (T, H, 1)
    distance = 1
    while distance < len(a):
        earlier_a, earlier_b = a[:-distance], b[:-distance]
        b = torch.cat([b[:distance], a[distance:] @ earlier_b + b[distance:]])
        a = torch.cat([a[:distance], a[distance:] @ earlier_a])
        distance *= 2
    return b[..., 0]


@torch.inference_mode()
def hidden_states(model: RecurrentNet, frames: Tensor) -> Solution:
    """The hidden states of a one-layer tanh RNN, from no state on, without going through time step by step.

    Args:
        frames: one clip (T, C, H, W).

    Returns:
        The states, and how they were come to. Where the net is chaotic, products of the matrices A grow
        without bound, and the iterations do not converge, or to values that are not finite.
    """
    weight_ih, weight_hh, bias_ih, bias_hh = model.rnn.parameters()
    drive = frames.flatten(1) @ weight_ih.T + bias_ih + bias_hh  # (T, H)
    # The states of a net without memory. From 0 the first matrices would be weight_hh itself, whose powers
    # may overflow.
    hidden, changes = drive.tanh(), []
    for _ in range(MAX_ITERATIONS):
        before = torch.cat([torch.zeros_like(hidden[:1]), hidden[:-1]])  # h_{t-1}
        value = (drive + before @ weight_hh.T).tanh()
        jacobian = (1 - value**2)[..., None] * weight_hh  # dh_t / dh_{t-1}: (T, H, H)
        offsets = value - (jacobian @ before[..., None])[..., 0]
        updated = linear_recurrence(jacobian, offsets)
        changes.append((updated - hidden).abs().max().item())
        hidden = updated
        if not changes[-1] > TOLERANCE:
            break
    return Solution(hidden, changes)


def iterations_by_gain(gains: Sequence[float], frames: Tensor) -> list[list[int]]:
    """Newton iterations that random tanh nets need on a clip, (NETS, gains); MAX_ITERATIONS where they do not
    converge.

    The recurrent weights are normal with standard deviation gain / sqrt(HIDDEN_SIZE): without input, such
    large nets are chaotic above a gain of 1 (Sompolinsky et al., "Chaos in random neural networks", 1988).
    """
    needed = []
    for seed in range(NETS):
        model = build(Recurrent(hidden_size=HIDDEN_SIZE), (1, 2, 2), seed)
        assert isinstance(model, RecurrentNet)
        generator = torch.Generator().manual_seed(seed)
        normal = torch.randn(HIDDEN_SIZE, HIDDEN_SIZE, generator=generator) / HIDDEN_SIZE**0.5
        row = []
        for gain in gains:
            list(model.rnn.parameters())[1].data = gain * normal  # weight_hh
            changes = hidden_states(model, frames).changes
            row.append(len(changes) if changes[-1] <= TOLERANCE else MAX_ITERATIONS)
        needed.append(row)
    return needed
