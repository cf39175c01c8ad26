"""The recurrence of the minGRU: both ways are the same, gradients too."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from framegen.models.nets import mingru as scan


def _sequence(steps: int) -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(steps)
    gate, candidate = torch.rand(2, steps, 3, 2, generator=random, dtype=torch.float64)
    initial = torch.rand(3, 2, generator=random, dtype=torch.float64)
    return gate.requires_grad_(), candidate.requires_grad_(), initial.requires_grad_()


@pytest.mark.parametrize("steps", [1, 2, 7, 64, 100])
def test_doubling_is_the_loop_and_so_are_its_gradients(steps: int) -> None:
    sequence = _sequence(steps)
    gate, candidate, hidden = sequence
    written_out = []
    for t in range(steps):
        hidden = (1 - gate[t]) * hidden + gate[t] * candidate[t]
        written_out.append(hidden)
    expected = torch.stack(written_out)
    weight = torch.rand(expected.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    gradients = torch.autograd.grad((weight * expected).sum(), sequence)
    for way in (scan.scan, scan.scan_by_steps, scan.scan_by_doubling):
        states = way(*sequence)
        torch.testing.assert_close(states, expected)
        ours = torch.autograd.grad((weight * states).sum(), sequence)
        torch.testing.assert_close(ours, gradients)


@pytest.mark.parametrize("way", [scan.scan_by_steps, scan.scan_by_doubling])
def test_the_gradients_are_those_of_finite_differences(way: Callable[..., Tensor]) -> None:
    assert torch.autograd.gradcheck(way, _sequence(5))


def test_doubling_is_taken_where_it_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    monkeypatch.setattr(scan, "scan_by_doubling", lambda *_: taken.append("doubling"))
    monkeypatch.setattr(scan, "scan_by_steps", lambda *_: taken.append("steps"))
    for steps, size in ((200, 8), (10, 8), (200, 10**5)):
        scan.scan(torch.zeros(steps, 1, size), torch.zeros(steps, 1, size), torch.zeros(1, size))
    assert taken == ["doubling", "steps", "steps"]
