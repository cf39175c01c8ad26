"""A blend of predictors: its weights are the best, shrunk where little is known; it runs on as they do."""

import pytest
import torch
from torch import Tensor

from framegen.models.baselines import CopyLast, MeanFrame
from framegen.models.blend import Blend, error_products, fit_weights, least
from framegen.models.motion import Motion
from framegen.models.rollout import generate


def products(clips: int, horizons: int, experts: int, seed: int = 0, pixels: int = 40) -> Tensor:
    """Of errors that are partly the same for all experts."""
    drawn = torch.Generator().manual_seed(seed)
    shared = torch.randn(clips, horizons, 1, pixels, generator=drawn, dtype=torch.float64)
    own = torch.randn(clips, horizons, experts, pixels, generator=drawn, dtype=torch.float64)
    errors = shared + own * torch.linspace(0.5, 1.5, experts)[:, None]
    return errors @ errors.mT / pixels


@pytest.mark.parametrize("part", [0.0, 0.1, 10.0])
def test_no_weights_on_a_fine_grid_are_better(part: float) -> None:
    matrix, guess = products(1, 1, 3)[0], torch.tensor([0.2, 0.3, 0.5]).double()
    (found,) = least(matrix, guess, part)
    steps = torch.arange(101, dtype=torch.float64) / 100
    pairs = torch.cartesian_prod(steps, steps)
    grid = torch.cat([pairs, 1 - pairs.sum(1, keepdim=True)], 1)
    grid = grid[grid[:, 2] >= 0]

    def cost(weights: Tensor) -> Tensor:
        return torch.einsum("ne,ef,nf->n", weights, matrix[0], weights) + part * (
            weights - guess
        ).square().sum(1)

    assert cost(found[None]).item() <= cost(grid).min().item() + 1e-12
    assert found.min() >= 0
    assert found.sum().item() == pytest.approx(1)


def test_of_two_that_are_the_same_none_is_needed_more() -> None:
    same = torch.ones(1, 2, 2).double()
    assert torch.allclose(least(same, torch.tensor([0.5, 0.5]), 1e-3), torch.tensor([0.5, 0.5]).double())


def test_a_single_clip_decides_nothing() -> None:
    guess = torch.tensor([0.25, 0.75]).double()
    assert fit_weights(products(1, 4, 2), guess).equal(guess.expand(4, 2))


def test_many_clips_that_agree_decide() -> None:
    errors = products(32, 6, 2)
    errors[:, :3, 1] *= 30  # the second is bad near by,
    errors[:, :3, :, 1] *= 30
    errors[:, 3:, 0] *= 30  # the first far off
    errors[:, 3:, :, 0] *= 30
    weights = fit_weights(errors, torch.tensor([0.5, 0.5]).double())
    assert weights[0, 0] > 0.95
    assert weights[5, 1] > 0.95


def test_clips_that_disagree_leave_the_guess() -> None:
    errors = products(4, 5, 2)
    for block, bad in ((0, 0), (1, 1), (2, 0), (3, 1)):
        errors[block, :, bad] *= 10
        errors[block, :, :, bad] *= 10
    weights = fit_weights(errors, torch.tensor([0.5, 0.5]).double())
    assert torch.allclose(weights, torch.full_like(weights, 0.5), atol=0.1)


@pytest.fixture
def clips() -> Tensor:
    return torch.rand(2, 6, 1, 16, 16, generator=torch.Generator().manual_seed(1))


def test_it_runs_on_as_its_experts_do(clips: Tensor) -> None:
    experts = {"copy": CopyLast(), "motion": Motion((0, 1)), "mean": MeanFrame(torch.full((1, 16, 16), 0.5))}
    weights = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3]])
    made = generate(Blend(experts, weights), clips[:, :3], 5)
    alone = torch.stack([generate(each, clips[:, :3], 5) for each in experts.values()])
    used = weights[torch.tensor([0, 1, 1, 1, 1])]  # beyond the last row the last row
    assert torch.allclose(made, torch.einsum("te,ebtchw->btchw", used, alone), atol=1e-6)


def test_a_frame_that_is_seen_begins_the_count_anew(clips: Tensor) -> None:
    blend = Blend({"copy": CopyLast(), "mean": MeanFrame(torch.zeros(1, 16, 16))}, torch.eye(2))
    shown = clips.clone()
    shown[:, 2] = torch.nan
    made, _ = blend(shown)
    assert made[:, 1].equal(clips[:, 1])
    assert not made[:, 2].any()
    assert made[:, 3].equal(clips[:, 3])


def test_products_are_the_mean_squares_of_what_runs_on(clips: Tensor) -> None:
    experts = {"copy": CopyLast(), "motion": Motion((0, 1))}
    found = error_products(experts, clips, 3)
    for index, expert in enumerate(experts.values()):
        apart = (generate(expert, clips[:, :3], 3) - clips[:, 3:]).double().square().mean((2, 3, 4))
        assert torch.allclose(found[:, :, index, index], apart, atol=1e-6)
