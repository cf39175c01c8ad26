"""The memory that moves: where it is an exact filter, what it keeps hidden, and what leaves the picture."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from framegen.config.experiments import configure
from framegen.config.models import Border, MovingMemory
from framegen.config.tasks import TOLD
from framegen.machine.errors import OptionError
from framegen.models import build
from framegen.models.kernels import moving
from framegen.models.nets.moving_memory import SCALE, UNKNOWN, MovingMemoryNet
from framegen.models.optima.texture_filter import TextureFilter

CERTAIN = 40.0
"""Of a sigmoid, all but 1."""


def _by_hand(
    speed: int,
    border: Border,
    noise: float,
    black_is_hidden: bool,
    window: tuple[int, int, int] | None = None,
) -> MovingMemoryNet:
    """Nets that add nothing of their own: frames are taken as they are, and expected frames are said.

    Args:
        window: the shape of its frames, what is told included, each channel with a memory of its own.
    """
    config = MovingMemory(speed, features=0, border=border)
    config = replace(config, apart=True, canvas=8) if window else config
    net = build(config, window or (1, 8, 8), 0)
    assert isinstance(net, MovingMemoryNet)
    with torch.no_grad():
        for parameter in (*net.read.parameters(), *net.seen.parameters()):
            parameter.zero_()
        assert net.light.bias is not None
        net.light.weight.zero_()
        net.light.bias.fill_(CERTAIN)
        if black_is_hidden:
            net.light.weight[0], net.light.bias[0] = 1000.0, -CERTAIN
        net.precision.fill_(math.log(noise**-2) / SCALE)
        net.empty.fill_(0.5)
        for parameter, logit in ((net.keep, CERTAIN), (net.turn, -CERTAIN), (net.share, -CERTAIN)):
            parameter.fill_(logit / SCALE)
    return net


@torch.inference_mode()
def test_it_can_be_the_exact_filter_of_a_texture_that_slides() -> None:
    """One whose pixels are independent, with the variance that an empty memory stands for."""
    random, noise = torch.Generator().manual_seed(0), 0.004
    power = torch.full((8, 8), noise**2 / UNKNOWN)
    velocities = torch.tensor([*itertools.product(range(-2, 3), repeat=2)])
    texture = 0.5 + power.sqrt() * torch.randn(3, 8, 8, generator=random)
    ways = [(1, 2), (0, -1), (-2, 0)]
    clean = torch.stack(
        [
            torch.stack([one.roll((t * y, t * x), (0, 1)) for t in range(6)])
            for one, (y, x) in zip(texture, ways, strict=True)
        ]
    )
    frames = (clean + noise * torch.randn(clean.shape, generator=random))[:, :, None]
    exact, (gathered, count) = TextureFilter(power, velocities, noise, 0.5)(frames)
    made, (_, belief, _) = _by_hand(2, "torus", noise, False)(frames)
    inside = (exact > 0.01) & (exact < 0.99)
    assert inside.float().mean() > 0.95
    torch.testing.assert_close(made[inside], exact[inside], atol=2e-4, rtol=0)
    odds = TextureFilter(power, velocities, noise, 0.5).known(gathered, count)[1].softmax(1)
    torch.testing.assert_close(belief[:, 0].exp(), odds.float(), atol=1e-4, rtol=0)


def _crossing(hidden: slice, frames: int = 8) -> Tensor:
    """A bright spot on grey that moves right by 1 pixel per frame, behind a bar: (T, 1, 8, 8)."""
    clip = torch.full((frames, 1, 8, 8), 0.3)
    for t in range(frames):
        clip[t, 0, 3:5, t % 8] = 0.9
    clip[..., hidden] = 0
    return clip


@torch.inference_mode()
def test_what_is_hidden_goes_on_moving() -> None:
    net = _by_hand(1, "torus", 0.1, True)
    clip = _crossing(slice(3, 7))
    state = net(clip[None, :5])[1]  # hidden since two frames, and for two more
    (moved,), ((belief,),), _ = net(torch.zeros(1, 2, 1, 8, 8), state)[1]  # nothing at all is seen
    way = int(belief.argmax())
    assert net.ways[way] == (0, 1)
    assert moved[0, way, 0, 3:5, 7].tolist() == pytest.approx([0.9, 0.9], abs=0.02)
    still = net.ways.index((0, 0))
    assert moved[0, still, 0, 3, 7] < 0.5


@pytest.mark.parametrize("border", ["torus", "open"])
@torch.inference_mode()
def test_what_leaves_an_open_picture_is_gone(border: Border) -> None:
    net = _by_hand(1, border, 0.1, True)
    (memory,), _, _ = net(_crossing(slice(0, 0))[None])[1]  # seen last at the right edge
    content, trust = memory[0, net.ways.index((0, 1)), :, 3, 0]
    if border == "torus":
        assert content == pytest.approx(0.9, abs=0.02)
    assert (trust > 0) == (border == "torus")


def test_a_memory_that_is_not_trusted_costs_nothing_however_wrong_it_is() -> None:
    net = _by_hand(1, "open", 0.1, True)
    frames = torch.rand(2, 5, 1, 8, 8, generator=torch.Generator().manual_seed(0)) / 2 + 0.25
    _, (_, belief, _) = net(frames[:, :1])
    assert torch.allclose(belief.exp(), torch.full_like(belief, 1 / 9), atol=0.02)


@torch.inference_mode()
def test_a_window_sees_a_part_of_the_whole_and_each_channel_has_its_memory() -> None:
    """The same as nets that are shown the whole torus, each one channel, black where the window is not."""
    random = torch.Generator().manual_seed(0)
    torus = torch.rand(3, 7, 2, 8, 8, generator=random) * 0.6 + 0.3
    steps = torch.randint(-2, 3, (3, 7, 2), generator=random)
    place = (steps.cumsum(1) - steps) % 8
    told = (0.5 + steps / TOLD)[..., None, None]
    shown, whole = [], torch.zeros_like(torus)
    for clip, t in itertools.product(range(3), range(7)):
        down, right = ((place[clip, t, axis] + torch.arange(n)) % 8 for axis, n in enumerate((4, 5)))
        shown.append(torus[clip, t][:, down[:, None], right])
        whole[clip, t][:, down[:, None], right] = shown[-1]
    frames = torch.stack(shown).unflatten(0, (3, 7))
    frames = torch.cat([frames, told.expand(-1, -1, -1, 4, 5)], 2)
    net = _by_hand(2, "torus", 0.1, True, (4, 4, 5))
    first, state = net(frames[:, :3])
    made, (_, _, now) = net(frames[:, 3:], state)
    made = torch.cat([first, made], 1)
    assert torch.equal(now, (place[:, -1] + steps[:, -1]) % 8)
    torch.testing.assert_close(made[:, :, 2:], told.expand(-1, -1, -1, 4, 5))
    alone = _by_hand(2, "torus", 0.1, True)
    expected = torch.cat([alone(whole[:, :, channel, None])[0] for channel in range(2)], 2)
    for clip, t in itertools.product(range(3), range(7)):
        after = place[clip, t] + steps[clip, t]
        down, right = ((after[axis] + torch.arange(n)) % 8 for axis, n in enumerate((4, 5)))
        held = expected[clip, t][:, down[:, None], right]
        torch.testing.assert_close(made[clip, t, :2], held, atol=1e-5, rtol=0)


@pytest.mark.parametrize("border", ["torus", "open"])
@pytest.mark.parametrize(("speed", "sides"), [(0, (4, 4)), (1, (5, 8)), (2, (7, 9)), (3, (4, 6))])
def test_compiled_code_makes_the_same_states_and_gradients(
    speed: int, sides: tuple[int, int], border: Border
) -> None:
    net = build(MovingMemory(speed, border=border), (1, *sides), 0)
    assert isinstance(net, MovingMemoryNet)
    random = torch.Generator().manual_seed(0)
    features, visible = (torch.rand(2, 4, n, *sides, generator=random) for n in (4, 1))
    memory = torch.rand(2, len(net.ways), 5, *sides, generator=random)
    belief = torch.randn(2, len(net.ways), generator=random).log_softmax(1)
    given = [each.requires_grad_() for each in (features, visible, memory, belief)]
    learned = [net.keep, net.turn, net.share, net.precision]
    found: list[list[Tensor]] = []
    for unroll in (net.unroll, net.compiled):
        expected, state = unroll(features, visible, (memory, belief))
        parts = expected, *state
        random.manual_seed(1)
        loss = torch.stack([(part * torch.randn(part.shape, generator=random)).sum() for part in parts])
        found.append([*parts, *torch.autograd.grad(loss.sum(), [*given, *learned])])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(other, one, atol=2e-4 * (1 + one.abs().max().item()), rtol=0)


def test_without_a_compiler_pytorch_does_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    net, frames = build(MovingMemory(1), (1, 8, 8), 0), torch.rand(2, 4, 1, 8, 8)
    made, _ = net(frames)
    monkeypatch.setattr(moving, "applies", lambda _: False)
    torch.testing.assert_close(net(frames)[0], made, atol=1e-5, rtol=0)


def test_wrong_options_are_refused() -> None:
    with pytest.raises(OptionError, match="--kernel-size 4: is odd"):
        MovingMemory(kernel_size=4)
    with pytest.raises(OptionError, match="--max-speed"):
        MovingMemory(max_speed=9)
    with pytest.raises(OptionError, match="--canvas 16: is for a window"):
        configure("sprites", options={"canvas": 16})
    with pytest.raises(OptionError, match="--canvas 32: must be the torus' own side; --canvas 48"):
        configure("sprites-window", options={"size": 48})
    with pytest.raises(OptionError, match="--max-speed 4: must be less than 4 pixels"):
        build(MovingMemory(4), (1, 4, 8), 0)


def test_the_config_tells_the_weights_between_hidden_channels() -> None:
    config = MovingMemory(features=1, hidden_size=6, num_layers=3, kernel_size=3)
    wide = [
        p.numel()
        for p in build(config, (1, 8, 8), 0).parameters()
        if p.dim() == 4 and tuple(p.shape[:2]) == (6, 6) and p.shape[2] == 3
    ]
    assert sum(wide) == config.weights
