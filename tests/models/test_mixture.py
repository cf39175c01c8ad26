"""The mixture of censored Gaussians: a distribution of stored levels, and the nets that say one."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from framegen.config.models import MLP, ConvRecurrent, Model, MotionFilter, Recurrent
from framegen.config.tasks import LEVEL, Orbit
from framegen.data import orbit
from framegen.machine.errors import OptionError, UserError
from framegen.models import build
from framegen.models.mixture import SMALLEST, Mixture, join
from framegen.models.predictor import Predictor
from framegen.models.rollout import rollout

EVERY = torch.arange(256) * LEVEL
FRAMES = orbit.sample(Orbit(num_test_clips=3, num_frames=7), "test").float() / 255  # (3, 7, 1, 2, 2)
NETS: dict[str, tuple[Model, tuple[int, int, int]]] = {
    "gru": (Recurrent("gru", 6, density=3), (1, 2, 2)),
    "lstm of many pixels": (Recurrent("lstm", 6, density=2), (1, 9, 9)),
    "mlp": (MLP(6, density=2), (3, 2, 2)),
    "convolutional": (ConvRecurrent("convlstm", 4, 1, 3, 2, "motion", density=2), (3, 7, 6)),
    "motion filter": (MotionFilter(4, density=2), (3, 16, 18)),
}


def _mixture(components: int, shape: tuple[int, int, int], whole: bool, smallest: float = 0.01) -> Mixture:
    """A single step of one sequence, its components all over [0, 1] and beyond."""
    random = torch.Generator().manual_seed(components)
    each = (1, 1, components, *shape)
    means = 1.6 * torch.rand(each, generator=random, dtype=torch.float64) - 0.3
    deviations = smallest + 0.2 * torch.rand(each, generator=random, dtype=torch.float64)
    weights = torch.randn(1, 1, components, *((1, 1, 1) if whole else shape), generator=random).double()
    return Mixture(means, deviations, weights.log_softmax(2))


def _repeated(mixture: Mixture, count: int) -> Mixture:
    return Mixture(*(part.expand(count, *part.shape[1:]) for part in mixture))


def _each_level(mixture: Mixture) -> Tensor:
    """Probabilities of the levels of a frame of one value, (256,)."""
    return _repeated(mixture, 256).log_prob(EVERY.double().view(256, 1, 1, 1, 1))[:, 0].exp()


@pytest.mark.parametrize("components", [1, 2, 5])
def test_the_levels_probabilities_sum_to_1_and_make_mean_and_cdf(components: int) -> None:
    mixture = _mixture(components, (1, 1, 1), whole=True)
    probabilities = _each_level(mixture)
    assert probabilities.sum().item() == pytest.approx(1, abs=2e-5)
    torch.testing.assert_close(
        mixture.mean.flatten(), (probabilities @ EVERY.double())[None], atol=2e-5, rtol=0
    )
    below = _repeated(mixture, 256).cdf(EVERY.double().view(256, 1, 1, 1, 1)).flatten()
    torch.testing.assert_close(below, probabilities.cumsum(0), atol=3e-5, rtol=0)
    nothing = mixture.cdf(torch.full((1, 1, 1, 1, 1), -LEVEL).double())
    assert nothing.item() == 0


def test_at_the_smallest_deviation_no_level_is_more_probable_than_1() -> None:
    for place in (0.5, 0.5 + LEVEL / 2, -0.1, 0.0, LEVEL / 2, LEVEL):
        one = torch.full((1, 1, 1, 1, 1, 1), place, dtype=torch.float64)
        probabilities = _each_level(Mixture(one, torch.full_like(one, SMALLEST), torch.zeros_like(one)))
        assert probabilities.max() <= 1
        assert probabilities.sum().item() == pytest.approx(1, abs=0.07)


def test_a_weight_of_the_whole_frame_ties_its_values_and_own_weights_do_not() -> None:
    places = torch.cartesian_prod(torch.arange(256), torch.arange(256))
    frames = (places * LEVEL).double().view(-1, 1, 1, 1, 2)
    for whole in (True, False):
        mixture = _mixture(3, (1, 1, 2), whole, smallest=0.03)
        joint = _repeated(mixture, 256**2).log_prob(frames).exp().view(256, 256)
        assert joint.sum().item() == pytest.approx(1, abs=1e-4)
        apart = joint.sum(1)[:, None] * joint.sum(0)
        assert ((joint - apart).abs().sum() < 1e-3) != whole


@pytest.mark.parametrize("whole", [True, False])
def test_what_is_drawn_is_as_frequent_as_it_is_probable(whole: bool) -> None:
    mixture, count = _mixture(3, (1, 1, 2), whole), 40_000
    drawn = _repeated(mixture, count).sample(torch.Generator().manual_seed(0))  # (N, 1, 1, 1, 2)
    assert (drawn - (drawn * 255).round() / 255).abs().max() < 1e-6
    for level in (0, 40, 128, 200, 254):
        value = torch.full((1, 1, 1, 1, 2), level * LEVEL, dtype=torch.float64)
        share = (drawn <= value + LEVEL / 4).double().mean(0)
        torch.testing.assert_close(share, mixture.cdf(value)[0], atol=0.01, rtol=0)
    both = ((drawn[..., 0] < 0.5) & (drawn[..., 1] < 0.5)).double().mean().item()
    edge = torch.full((1, 1, 1, 1, 2), 127 * LEVEL, dtype=torch.float64)
    below = torch.special.ndtr((edge[:, :, None] + LEVEL / 2 - mixture.means) / mixture.deviations)
    # With a weight of the whole frame both lie in the same component.
    together = (
        (mixture.log_weights.exp().flatten() * below.flatten(3).prod(3).flatten()).sum() if whole else None
    )
    expected = mixture.cdf(edge).prod().item() if together is None else together.item()
    assert both == pytest.approx(expected, abs=0.01)


def test_a_low_temperature_draws_the_likeliest_component_and_a_seed_draws_the_same() -> None:
    mixture = _repeated(_mixture(4, (1, 1, 2), whole=True), 50)
    cold = mixture.sample(torch.Generator().manual_seed(3), 1e-6)
    likeliest = mixture.means[0, 0, int(mixture.log_weights[0, 0].argmax())].clamp(0, 1)
    assert (cold - likeliest).abs().max() <= LEVEL
    one, again, other = (mixture.sample(torch.Generator().manual_seed(seed)) for seed in (3, 3, 4))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    narrow = torch.full((4000, 1, 1, 1, 1, 1), 0.05)
    single = Mixture(narrow + 0.45, narrow, torch.zeros_like(narrow))
    assert single.sample(torch.Generator().manual_seed(3), 4.0).std().item() == pytest.approx(0.1, rel=0.05)


def _net(name: str) -> tuple[Predictor, Tensor]:
    """A net away from its first weights, and three clips for it."""
    config, shape = NETS[name]
    model, random = build(config, shape, 1), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=random)
    return model.eval(), torch.rand(3, 6, *shape, generator=random)


@pytest.mark.parametrize("name", NETS)
@torch.inference_mode()
def test_a_net_predicts_its_mixtures_mean_and_steps_as_it_unrolls(name: str) -> None:
    model, frames = _net(name)
    mixture, _ = model.density(frames)
    assert mixture.means.shape == (3, 6, NETS[name][0].density, *frames.shape[2:])
    assert mixture.deviations.min() >= SMALLEST
    torch.testing.assert_close(
        mixture.log_weights.exp().sum(2), torch.ones_like(mixture.log_weights[:, :, 0])
    )
    torch.testing.assert_close(model(frames)[0], mixture.mean)
    steps, state = [], None
    for t in range(6):
        step, state = model.density(frames[:, t : t + 1], state)
        steps.append(step)
    for whole, stepped in zip(mixture, join(steps), strict=True):
        torch.testing.assert_close(stepped, whole, atol=1e-5, rtol=1e-5)
    future, changed = model.log_prob(frames, frames), frames.clone()
    changed[:, 4:] = 1 - changed[:, 4:]
    assert torch.equal(model.log_prob(changed, frames)[:, :4], future[:, :4])


@pytest.mark.parametrize("name", NETS)
def test_the_other_weights_of_a_seed_do_not_depend_on_the_head(name: str) -> None:
    config, shape = NETS[name]
    values = {field: value for field, value in vars(config).items() if field != "density"}
    plain, dense = build(type(config)(**values), shape, 5).state_dict(), build(config, shape, 5).state_dict()
    assert not any(key.startswith("spread") for key in plain)
    assert plain.keys() < dense.keys()
    assert all(torch.equal(value, dense[key]) for key, value in plain.items())


@torch.inference_mode()
def test_futures_are_drawn_frame_by_frame_from_what_the_net_says() -> None:
    model, frames = _net("gru")
    drawn = torch.stack([*rollout(model, frames, 4, torch.Generator().manual_seed(7), 0.5)], 1)
    random, seen = torch.Generator().manual_seed(7), frames
    for _ in range(4):
        last = Mixture(*(part[:, -1:] for part in model.density(seen)[0]))
        seen = torch.cat([seen, last.sample(random, 0.5)], 1)
    torch.testing.assert_close(drawn, seen[:, 6:])
    futures = rollout(model, frames[:1].expand(5, *frames.shape[1:]), 4, torch.Generator().manual_seed(7))
    alike = torch.stack([*futures], 1)
    assert all(not torch.equal(*pair) for pair in itertools.combinations(alike, 2))


def test_a_net_without_a_head_says_so() -> None:
    plain = build(Recurrent(), (1, 2, 2), 0)
    assert not plain.has_density
    with pytest.raises(UserError, match="--density 4"):
        plain.density(FRAMES)
    with pytest.raises(UserError, match="--density 4"):
        next(rollout(plain, FRAMES, 2, torch.Generator()))


def test_a_model_that_knows_no_head_is_refused() -> None:
    from tests.own_world import Conv

    with pytest.raises(OptionError, match="--density 2: Conv has no density head"):
        build(Conv(density=2), (1, 5, 5), 0)


def test_bits_are_the_logarithm_of_the_probability_of_a_frame() -> None:
    """A single component: the product of its pixels' own probabilities, each from the normal distribution."""
    mixture = _mixture(1, (1, 2, 2), whole=True)
    levels = torch.tensor([0, 30, 100, 255])
    target = (levels * LEVEL).double().view(1, 1, 1, 2, 2)
    expected = 0.0
    for level, mean, deviation in zip(
        levels.tolist(), mixture.means.flatten().tolist(), mixture.deviations.flatten().tolist(), strict=True
    ):
        normal = torch.distributions.Normal(torch.tensor(mean).double(), torch.tensor(deviation).double())
        low = 0.0 if level == 0 else normal.cdf(torch.tensor((level - 0.5) / 255).double()).item()
        high = 1.0 if level == 255 else normal.cdf(torch.tensor((level + 0.5) / 255).double()).item()
        expected += math.log(high - low)
    assert mixture.log_prob(target).item() == pytest.approx(expected, abs=0.01)
