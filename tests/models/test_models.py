"""The contract, for every predictor; and what each one is."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from framegen.config.models import MLP, Answer, Cell, ConvRecurrent, MovingMemory, Recurrent
from framegen.config.tasks import Orbit, Sine
from framegen.data import orbit, sine
from framegen.models import build
from framegen.models.baselines import CopyLast, MeanFrame, fit_autoregression, fit_ridge
from framegen.models.nets.recurrent import RecurrentNet
from framegen.models.optima.bayes import BayesFilter
from framegen.models.optima.observer import Observer
from framegen.models.predictor import Predictor, map_state, name_parts
from framegen.models.rollout import generate

SHAPE = (1, 2, 2)
DRAWS = torch.Generator().manual_seed(0)
FRAMES = orbit.sample(Orbit(num_test_clips=6, num_frames=15), "test").float() / 255  # (6, 15, 1, 2, 2)


def _linear(count: int) -> Predictor:
    return fit_autoregression([(FRAMES[:, :-1], FRAMES[:, 1:])], count)


def _video_net(cell: Cell, answer: Answer) -> Predictor:
    """A small net some steps away from its first weights, where residual and motion say nothing yet."""
    model = build(ConvRecurrent(cell, 4, 2, 3, 1, answer), SHAPE, 1)
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=random)
    return model


PREDICTORS: dict[str, Callable[[], Predictor]] = {
    **{
        cell: (lambda cell=cell: build(Recurrent(cell), SHAPE, 1))
        for cell in ("tanh", "relu", "gru", "lstm", "mingru")
    },
    "convlstm": lambda: _video_net("convlstm", "frame"),
    "convgru": lambda: _video_net("convgru", "residual"),
    "minconvgru": lambda: _video_net("minconvgru", "motion"),
    "predrnn": lambda: _video_net("predrnn", "motion"),
    "cnn": lambda: _video_net("cnn", "residual"),
    "moving memory": lambda: build(MovingMemory(1), SHAPE, 1),
    "moving memory, open": lambda: build(MovingMemory(1, border="open"), SHAPE, 1),
    "two layers": lambda: build(Recurrent("tanh", 7, 2), SHAPE, 1),
    "lstm, three layers": lambda: build(Recurrent("lstm", 3, 3), SHAPE, 1),
    "mingru, three layers": lambda: build(Recurrent("mingru", 3, 3), SHAPE, 1),
    "mlp": lambda: build(MLP(), SHAPE, 1),
    "copy last": CopyLast,
    "mean frame": lambda: MeanFrame(FRAMES.mean((0, 1))),
    "linear, 1 frame": lambda: _linear(1),
    "linear, 4 frames": lambda: _linear(4),
    "optimum": lambda: BayesFilter(*orbit.phase_grid(Orbit()), Orbit().deviation),
    "observer, 2 frames": lambda: Observer(BayesFilter(*orbit.phase_grid(Orbit()), Orbit().deviation), 2),
}


@pytest.fixture(params=PREDICTORS)
def model(request: pytest.FixtureRequest) -> Predictor:
    return PREDICTORS[request.param]().eval()


@torch.inference_mode()
def test_stepping_equals_unrolling(model: Predictor) -> None:
    whole, _ = model(FRAMES)
    state, steps = None, []
    for t in range(FRAMES.shape[1]):
        prediction, state = model(FRAMES[:, t : t + 1], state)
        steps.append(prediction)
    torch.testing.assert_close(torch.cat(steps, 1), whole, atol=1e-6, rtol=0)
    first, state = model(FRAMES[:, :6])
    second, _ = model(FRAMES[:, 6:], state)
    torch.testing.assert_close(torch.cat([first, second], 1), whole, atol=1e-6, rtol=0)


@torch.inference_mode()
def test_the_future_never_leaks_into_the_past(model: Predictor) -> None:
    changed = FRAMES.clone()
    changed[:, 9:] = 1 - changed[:, 9:]
    before, after = model(FRAMES)[0], model(changed)[0]
    assert torch.equal(before[:, :9], after[:, :9])
    if not isinstance(model, MeanFrame):
        assert not torch.equal(before[:, 9:], after[:, 9:])
    assert torch.equal(generate(model, FRAMES[:, :9], 5), generate(model, changed[:, :9], 5))


@torch.inference_mode()
def test_nothing_handed_in_is_changed(model: Predictor) -> None:
    frames = FRAMES.clone()
    _, state = model(frames)
    kept = name_parts(map_state(Tensor.clone, state), "state")
    model(frames, state)
    assert torch.equal(frames, FRAMES)
    for name, part in name_parts(state, "state").items():
        assert torch.equal(part, kept[name])


@torch.inference_mode()
def test_clips_of_a_batch_do_not_touch_each_other(model: Predictor) -> None:
    whole, _ = model(FRAMES)
    alone, _ = model(FRAMES[2:3])
    torch.testing.assert_close(whole[2:3], alone, atol=1e-6, rtol=0)


def test_the_articles_net_has_79_parameters_and_fits_torchs_own_modules() -> None:
    model = build(Recurrent(), SHAPE, 0)
    assert sum(parameter.numel() for parameter in model.parameters()) == 79
    rnn, head = nn.RNN(4, 5, batch_first=True), nn.Linear(5, 4)
    weights = model.state_dict()
    rnn.load_state_dict(
        {name.removeprefix("rnn."): value for name, value in weights.items() if name.startswith("rnn.")}
    )
    head.load_state_dict(
        {name.removeprefix("head."): value for name, value in weights.items() if name.startswith("head.")}
    )
    with torch.inference_mode():
        expected = head(rnn(FRAMES.flatten(2))[0]).view_as(FRAMES)
        assert torch.equal(model(FRAMES)[0], expected)


@torch.inference_mode()
def test_the_temporal_view_is_literal() -> None:
    """50 hand-wired 4x5x4 feed-forward nets that pass their hidden layer on are the RNN."""
    model = build(Recurrent(), SHAPE, 3)
    frames = orbit.sample(Orbit(num_test_clips=2), "test").float() / 255
    assert frames.shape[1] == 50
    w = {name: value.double() for name, value in model.state_dict().items()}
    outputs = []
    hidden = torch.zeros(2, 5).double()
    for t in range(50):
        into = frames[:, t].flatten(1).double() @ w["rnn.weight_ih_l0"].T + w["rnn.bias_ih_l0"]
        fed = torch.zeros(2, 5).double()
        for j in range(5):
            for i in range(5):  # each unit is fed by every unit
                fed[:, j] += w["rnn.weight_hh_l0"][j, i] * hidden[:, i]
        hidden = torch.tanh(into + fed + w["rnn.bias_hh_l0"])
        outputs.append(hidden @ w["head.weight"].T + w["head.bias"])
    torch.testing.assert_close(
        model(frames)[0].double().flatten(2), torch.stack(outputs, 1), atol=1e-6, rtol=0
    )


def test_initial_weights_are_torchs_distribution_and_leave_the_global_generator_alone() -> None:
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    model = build(Recurrent("tanh", 400), SHAPE, 5)
    assert torch.equal(torch.random.get_rng_state(), before)
    again, other = build(Recurrent("tanh", 400), SHAPE, 5), build(Recurrent("tanh", 400), SHAPE, 6)
    assert isinstance(model, RecurrentNet)
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
        assert not torch.equal(value, other.state_dict()[name])
    weights = model.state_dict()["rnn.weight_hh_l0"]
    reference = nn.RNN(4, 400).weight_hh_l0
    assert isinstance(reference, Tensor)
    assert weights.abs().max() <= 1 / math.sqrt(400)
    assert weights.std().item() == pytest.approx(reference.std().item(), rel=0.02)


def test_relu_differs_from_tanh() -> None:
    tanh, relu = build(Recurrent("tanh"), SHAPE, 1), build(Recurrent("relu"), SHAPE, 1)
    assert not torch.equal(tanh(FRAMES)[0], relu(FRAMES)[0])


def test_least_squares_is_the_library_solution() -> None:
    model = fit_autoregression([(FRAMES[:3, :-1], FRAMES[:3, 1:]), (FRAMES[3:, :-1], FRAMES[3:, 1:])], 2)
    flat = FRAMES.flatten(2).double()
    before = torch.cat([flat[:, :1], flat[:, :-2]], 1)
    features = torch.cat([flat[:, :-1], before, torch.ones(6, 14, 1).double()], -1).flatten(0, 1)
    solution = torch.linalg.lstsq(features, flat[:, 1:].flatten(0, 1)).solution
    torch.testing.assert_close(model.weight, solution[:-1], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(model.bias, solution[-1], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("ridge", [0.0, 0.1])
def test_ridge_is_numpys_least_squares_with_rows_for_the_penalty(ridge: float) -> None:
    x = torch.randn(4, 50, 3, generator=DRAWS) * torch.tensor([1.0, 10.0, 0.1]) + 5
    y = x @ torch.randn(3, 2, generator=DRAWS) + torch.randn(4, 50, 2, generator=DRAWS)
    weight, bias = fit_ridge([(x[:1], y[:1]), (x[1:], y[1:])], ridge)
    rows, wanted = (each.double().flatten(0, 1).numpy() for each in (x, y))
    scaled = (rows - rows.mean(0)) / rows.std(0)
    penalty = np.sqrt(ridge * len(rows)) * np.eye(3)
    both = np.vstack([scaled, penalty]), np.vstack([wanted - wanted.mean(0), np.zeros((3, 2))])
    solution = np.linalg.lstsq(*both)[0]
    expected = scaled @ solution + wanted.mean(0)
    np.testing.assert_allclose((x.double() @ weight + bias).flatten(0, 1), expected, rtol=1e-6)


def test_an_input_that_never_changes_says_nothing() -> None:
    x = torch.randn(100, 2, generator=DRAWS)
    still = torch.cat([x, torch.full((100, 1), 3.0)], 1)
    y = x.sum(1, keepdim=True)
    weight, bias = fit_ridge([(still, y)], 1e-6)
    assert weight[2].abs().max() == 0
    torch.testing.assert_close((still.double() @ weight + bias).float(), y, atol=1e-4, rtol=0)


def test_noise_free_data_can_be_fitted_too() -> None:
    config = Sine(lag=-1)
    inputs, targets = sine.samples(config, 0, 500), sine.samples(config, 1, 500)
    model = fit_autoregression([(inputs, targets)], 4)
    error = (model(inputs)[0] - targets)[:, 4:]
    assert (
        error.square().mean() < 1e-6
    )  # not 0: the fit also serves the first frames, where the past is padded
