"""The convolutional nets: what the papers say, what the field counts, and how they answer."""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from framegen.config.models import Answer, Cell, ConvRecurrent
from framegen.machine.errors import OptionError
from framegen.models import build
from framegen.models.nets.answers import to_patches, to_pixels, to_range, warp
from framegen.models.nets.conv_layers import ConvGRU, ConvLSTM, MinConvGRU
from framegen.models.nets.mingru import MinGRU
from framegen.models.nets.predrnn import PredRNN, SpatiotemporalLSTM
from framegen.models.predictor import Predictor
from framegen.models.rollout import generate

CELLS: list[Cell] = ["convlstm", "convgru", "minconvgru", "predrnn", "cnn"]
ANSWERS: list[Answer] = ["frame", "residual", "motion"]


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_a_conv_lstm_of_one_pixel_is_torchs_lstm() -> None:
    layer, rnn, inputs = ConvLSTM(3, 4, 1), nn.LSTM(3, 4), _random(5, 2, 3)  # (T, B, C)
    torchs = torch.tensor([[0], [1], [3], [2]]) * 4 + torch.arange(4)  # i, f, g, o of our i, f, o, g
    into, bias, recurrent = (p.detach().squeeze()[torchs.flatten()] for p in layer.parameters())
    weights = (into, recurrent, bias, torch.zeros(16))
    rnn.load_state_dict(dict(zip(rnn.state_dict(), weights, strict=True)))
    frames = inputs[..., None, None]
    with torch.no_grad():
        states, (hidden, cell) = layer(frames)
        expected, last = rnn(inputs)
    torch.testing.assert_close(states.flatten(2), expected)
    torch.testing.assert_close((hidden.flatten(1), cell.flatten(1)), (last[0][0], last[1][0]))


def test_a_conv_gru_computes_what_its_paper_says() -> None:
    layer, frames = ConvGRU(2, 4, 3), _random(3, 2, 2, 5, 4)
    into, gates, last = (m for m in layer.children())
    hidden = torch.zeros(2, 4, 5, 4)
    with torch.no_grad():
        states, _ = layer(frames)
        for t in range(3):
            zx, rx, cx = into(frames[t]).chunk(3, 1)
            zh, rh = gates(hidden).chunk(2, 1)
            z, r = (zx + zh).sigmoid(), (rx + rh).sigmoid()
            hidden = (1 - z) * hidden + z * (cx + last(r * hidden)).tanh()
            torch.testing.assert_close(states[t], hidden)


def test_a_min_conv_gru_of_one_pixel_is_the_min_gru_and_that_is_the_papers() -> None:
    conv, dense, inputs = MinConvGRU(3, 4, 1), MinGRU(3, 4, 1), _random(2, 6, 3)
    linear = dense.layers[0]
    assert isinstance(linear, nn.Linear)
    with torch.no_grad():
        linear.weight.copy_(conv.inputs.weight.flatten(1))
        assert conv.inputs.bias is not None
        linear.bias.copy_(conv.inputs.bias)
        states, last = dense(inputs)
        frames = inputs.transpose(0, 1)[..., None, None]
        torch.testing.assert_close(conv(frames)[0].flatten(2).transpose(0, 1), states)
        hidden = torch.zeros(2, 4)
        for t in range(6):
            z, candidate = linear(inputs[:, t]).chunk(2, 1)
            hidden = (1 - z.sigmoid()) * hidden + z.sigmoid() * candidate
            torch.testing.assert_close(states[:, t], hidden)
        torch.testing.assert_close(last[0], hidden)


def test_predrnns_memory_goes_up_through_the_layers_and_on_to_the_next_frame() -> None:
    net, frames = PredRNN(ConvRecurrent("predrnn", 3, 2, 3), 2), _random(2, 1, 2, 4, 4)
    low, high = (layer for layer in net.layers if isinstance(layer, SpatiotemporalLSTM))
    zero = torch.zeros(1, 3, 4, 4)
    with torch.no_grad():
        h0, c0, m = low(low.inputs(frames[0]), zero, zero, zero)
        h1, c1, m = high(high.inputs(h0), zero, zero, m)
        h0, c0, m = low(low.inputs(frames[1]), h0, c0, m)
        h1, c1, m = high(high.inputs(h0), h1, c1, m)
        states, (carried, memory) = net(frames, None)
    for ours, expected in ((states[1], h1), (carried[0][1], c0), (carried[1][1], c1), (memory, m)):
        torch.testing.assert_close(ours, expected)


def _as_the_field_does(cell: Cell) -> int:
    net = build(ConvRecurrent(cell, 128, 4, 5, 4, "frame"), (1, 64, 64), 0)
    return sum(p.numel() for name, p in net.named_parameters() if not name.endswith("bias"))


def test_parameters_are_as_many_as_published() -> None:
    """OpenSTL's Moving MNIST table: ConvLSTM-S 15.0 M, PredRNN 23.8 M; 4 layers of 128, 5x5, patch 4, no
    biases. Its ConvLSTM cells also hold two convolutions that they never call (5x5 and 1x1 from 256 to 128
    channels), which are counted there: 11.7 M are at work."""
    assert _as_the_field_does("predrnn") == 23_838_720
    assert _as_the_field_does("convlstm") == 11_675_648
    assert _as_the_field_does("convlstm") + 4 * (5 * 5 + 1) * 256 * 128 == 15_083_520


def test_a_min_conv_gru_has_a_third_of_a_conv_grus_weights() -> None:
    ours, theirs = (
        sum(p.numel() for name, p in kind(8, 8, 3).named_parameters() if not name.endswith("bias"))
        for kind in (MinConvGRU, ConvGRU)
    )
    assert 3 * ours == theirs


@pytest.mark.parametrize("cell", CELLS)
def test_the_config_tells_the_weights_of_all_but_the_first_layer(cell: Cell) -> None:
    config = ConvRecurrent(cell, 8, 3, 5, 1, "frame")
    wide = build(config, (8, 4, 4), 0).get_submodule("recurrent")
    first = {"convlstm": 4, "convgru": 3, "minconvgru": 2, "predrnn": 7, "cnn": 1}[cell] * (8 * 5) ** 2
    small = 24 * 8**2 * 3 if cell == "predrnn" else 0  # part of the 1x1 convolutions
    count = sum(p.numel() for name, p in wide.named_parameters() if not name.endswith("bias"))
    assert abs(count - first - config.weights) <= small


@pytest.mark.parametrize(("cell", "answer"), [*itertools.product(CELLS, ANSWERS)])
def test_any_sides_do_and_residual_and_motion_begin_at_copy_last_but_learn(
    cell: Cell, answer: Answer
) -> None:
    frames = _random(2, 4, 3, 7, 10)
    frames[:, :, :, :2], frames[:, :, :, -1] = 0, 1  # black and white, at the ends of the range
    model = build(ConvRecurrent(cell, 4, 2, 3, 4, answer), (3, 7, 10), 0)
    predictions, _ = model(frames[:, :-1])
    assert torch.equal(predictions, frames[:, :-1]) == (answer != "frame")
    (predictions - frames[:, 1:]).square().mean().backward()
    head = [p.grad for name, p in model.named_parameters() if name.startswith(("answer", "head"))]
    assert all(gradient is not None and gradient.abs().max() > 0 for gradient in head)


def test_a_pixel_beyond_the_range_is_cut_and_still_learns() -> None:
    frame = torch.tensor([-0.5, 0.0, 0.3, 1.0, 1.7], requires_grad=True)
    cut = to_range(frame)
    assert torch.equal(cut, torch.tensor([0.0, 0.0, 0.3, 1.0, 1.0]))
    (cut - 0.5).square().sum().backward()
    torch.testing.assert_close(frame.grad, 2 * (cut.detach() - 0.5))


def test_patches_are_put_together_again() -> None:
    for height, width, patch in ((8, 8, 4), (7, 10, 4), (1, 1, 3), (5, 3, 1)):
        frames = _random(2, 3, height, width)
        patches = to_patches(frames, patch)
        assert patches.shape == (2, 3 * patch**2, -(-height // patch), -(-width // patch))
        assert torch.equal(to_pixels(patches, frames, patch), frames)


def test_warping_is_grid_sample_and_nothing_moves_without_flow() -> None:
    frames, flow = _random(2, 3, 6, 9), 8 * _random(2, 2, 6, 9, seed=1) - 4
    assert torch.equal(warp(frames, torch.zeros_like(flow)), frames)
    x = (torch.arange(9) + flow[:, 0]) / 8 * 2 - 1
    y = (torch.arange(6)[:, None] + flow[:, 1]) / 5 * 2 - 1
    grid = torch.stack([x, y], -1)
    expected = nn.functional.grid_sample(frames, grid, padding_mode="border", align_corners=True)
    torch.testing.assert_close(warp(frames, flow), expected)
    moved = warp(frames, torch.tensor([2.0, -1.0])[:, None, None].expand_as(flow))
    assert torch.equal(moved[:, :, 1:, :7], frames[:, :, :-1, 2:])
    assert torch.equal(warp(frames[..., :1, :1], flow[..., :1, :1]), frames[..., :1, :1])


def test_beyond_the_border_lies_the_mirror_image() -> None:
    frames = torch.rand(1, 2, 5, 7, generator=torch.Generator().manual_seed(0))
    wide = torch.from_numpy(np.pad(frames.numpy(), ((0, 0), (0, 0), (8, 8), (12, 12)), mode="reflect"))
    for across, down in ((9, -6), (-12, 8), (0, 5)):
        flow = torch.tensor([float(across), float(down)])[:, None, None].expand(1, -1, 5, 7)
        expected = wide[..., 8 + down : 13 + down, 12 + across : 19 + across]
        torch.testing.assert_close(warp(frames, flow, mirror=True), expected)
    column = frames[..., :1]
    assert torch.equal(warp(column, torch.ones(1, 2, 5, 1), mirror=True)[..., 0, :], column[..., 1, :])


def _moving(num_frames: int) -> Tensor:
    """Two clips of a coloured pattern that moves by a pixel a frame and comes again: (2, T, 3, 8, 8)."""
    picture = nn.functional.interpolate(_random(2, 3, 4, 4), size=(8, 8), mode="nearest")
    return torch.stack([picture.roll(t, 3) for t in range(num_frames)], 1)


def _trained(model: Predictor, frames: Tensor, steps: int) -> tuple[float, float]:
    """The loss before and after some steps of Adam."""
    optimizer, losses = torch.optim.Adam(model.parameters(), 1e-2), []
    for _ in range(steps):
        loss = (model(frames[:, :-1])[0] - frames[:, 1:]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses[0], losses[-1]


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_thousand_frames_stay_bounded_and_do_not_fade(answer: Answer) -> None:
    frames = _moving(9)
    model = build(ConvRecurrent("minconvgru", 8, 2, 3, 2, answer), (3, 8, 8), 0)
    if answer != "frame":
        assert torch.equal(generate(model, frames, 20)[:, -1], frames[:, -1])
    before, after = _trained(model, frames, 40)
    assert after < before / 2
    last = generate(model, frames, 1000)[:, -50:]
    assert last.min() >= 0
    assert last.max() <= 1
    assert last.std((2, 3, 4)).min() > 0.3 * frames.std()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"kernel_size": 4}, "--kernel-size 4"),
        ({"patch": 0}, "--patch 0"),
        ({"hidden_size": 0}, "--hidden-size 0"),
        ({"num_layers": 99}, "--num-layers 99"),
    ],
)
def test_impossible_options_are_named(options: dict[str, int], named: str) -> None:
    with pytest.raises(OptionError, match=named):
        ConvRecurrent(**options)  # pyright: ignore[reportArgumentType]
