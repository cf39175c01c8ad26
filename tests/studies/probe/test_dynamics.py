"""Lyapunov exponents and fixed points of maps that are known, and the light that a net generates."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from framegen.config.models import Recurrent
from framegen.config.tasks import Orbit
from framegen.data import orbit
from framegen.data.kept import hidden
from framegen.models import build
from framegen.models.predictor import Predictor, State
from framegen.models.rollout import generate
from framegen.studies.probe import long_loops
from framegen.studies.probe.dynamics import ClosedLoop, fixed_points, linearise, lyapunov
from framegen.studies.probe.long_loops import Light, clips_for, decode, judge, run_on
from framegen.studies.probe.states import layout_of

RANDOM = torch.Generator().manual_seed(0)
WORLD = Orbit(period=40, speeds=(1, 3))


def _turned(angle: float, scale: float = 1.0) -> Tensor:
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    return torch.tensor([[cos, -sin], [sin, cos]], dtype=torch.float64)


def test_the_exponents_of_an_affine_map_are_the_logarithms_of_its_eigenvalues() -> None:
    basis = torch.randn(3, 3, generator=RANDOM, dtype=torch.float64)
    values = torch.tensor([1.1, -0.7, 0.2], dtype=torch.float64)
    matrix = basis @ torch.diag(values) @ torch.linalg.inv(basis)
    offset = torch.randn(3, generator=RANDOM, dtype=torch.float64)
    start = torch.randn(2, 3, generator=RANDOM, dtype=torch.float64)
    found = lyapunov(lambda x: x @ matrix.T + offset, start, 300, 3, settle=20)
    torch.testing.assert_close(found, values.abs().log().expand(2, 3), atol=1e-6, rtol=0)
    (point,), eigenvalues = fixed_points(lambda x: x @ matrix.T + offset, start)
    torch.testing.assert_close(point, torch.linalg.solve(torch.eye(3).double() - matrix, offset))
    torch.testing.assert_close(eigenvalues[0].real, values)


def test_a_rotation_is_neutral_and_a_direction_that_is_lost_is_told() -> None:
    start = torch.randn(1, 2, generator=RANDOM, dtype=torch.float64)
    torch.testing.assert_close(
        lyapunov(lambda x: x @ _turned(0.3).T, start, 200, 2), torch.zeros(1, 2).double(), atol=1e-12, rtol=0
    )
    flat = torch.tensor([[1.0, 0.0], [0.5, 0.0]], dtype=torch.float64)
    first, second = lyapunov(lambda x: x @ flat.T, start, 50, 2, settle=5)[0].tolist()
    assert first == pytest.approx(0, abs=1e-12)
    assert second == -math.inf


def test_a_limit_cycle_is_neutral_along_and_forgets_across() -> None:
    """r <- r + a r (1 - r), phi <- phi + w: on the cycle r = 1 the exponents are 0 and log(1 - a)."""

    def step(x: Tensor) -> Tensor:
        radius = x.norm(dim=1, keepdim=True)
        return (x @ _turned(0.5).T) * (1 + 0.3 * (1 - radius))

    start = torch.randn(3, 2, generator=RANDOM, dtype=torch.float64)
    found = lyapunov(step, start, 400, 2, settle=100)
    expected = torch.tensor([0.0, math.log(0.7)], dtype=torch.float64).expand(3, 2)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)
    (point,), eigenvalues = fixed_points(step, 0.1 * start)
    assert point.norm() < 1e-8
    assert eigenvalues[0].abs().tolist() == pytest.approx([1.3, 1.3])
    assert eigenvalues[0].angle().abs().tolist() == pytest.approx([0.5, 0.5])


def test_several_fixed_points_are_found_each_once() -> None:
    starts = torch.linspace(-2, 2, 30, dtype=torch.float64)[:, None]
    points, eigenvalues = fixed_points(lambda x: (2 * x).tanh(), starts)
    stable = 0.9575040240772687  # x = tanh(2 x)
    assert sorted(points[:, 0].tolist()) == pytest.approx([-stable, 0, stable])
    assert sorted(eigenvalues[:, 0].abs().tolist()) == pytest.approx([2 * (1 - stable**2)] * 2 + [2])
    assert len(fixed_points(lambda x: x + 1, starts)[0]) == 0


@pytest.mark.parametrize("config", [Recurrent(), Recurrent("gru", 3), Recurrent("lstm", 2, 2)])
def test_the_closed_loop_as_a_map_generates_what_the_rollout_does(config: Recurrent) -> None:
    model = build(config, (1, 2, 2), 0).eval()
    layout = layout_of(model, (1, 2, 2))
    prompt = torch.rand(3, 4, 1, 2, 2, generator=RANDOM)
    closed = ClosedLoop(model, layout, (1, 2, 2))
    points, made = closed.begin(prompt), generate(model, prompt, 6)
    for frame in made.unbind(1):
        torch.testing.assert_close(closed.frames(points).float(), frame, atol=1e-5, rtol=0)
        points = closed(points)
    after, jacobian = linearise(closed, points)
    torch.testing.assert_close(after, closed(points))
    nudge = 1e-6 * torch.randn(3, points.shape[1], generator=RANDOM, dtype=torch.float64)
    moved = (closed(points + nudge) - closed(points - nudge)) / 2
    torch.testing.assert_close((jacobian @ nudge[..., None])[..., 0], moved, atol=1e-12, rtol=1e-5)


@pytest.mark.parametrize("size", [2, 3, 8])
def test_phase_and_amplitude_of_a_picture_are_those_it_was_made_with(size: int) -> None:
    task = replace(WORLD, size=size)
    phase = torch.linspace(-3, 3, 50, dtype=torch.float64)
    pictures = orbit.render(task, phase)
    middle = orbit.render(task, torch.arange(120, dtype=torch.float64) * math.pi / 60).mean(0)
    found, amplitude = decode(task, middle + 0.7 * (pictures - middle))
    apart = torch.remainder(found - phase + math.pi, 2 * math.pi) - math.pi
    assert apart.abs().max() < math.radians(0.2)
    torch.testing.assert_close(amplitude, torch.full_like(amplitude, 0.7), atol=2e-3, rtol=0)
    assert decode(task, middle)[1] < 1e-6


def test_the_phase_of_a_light_behind_a_bar_is_told_by_what_is_seen() -> None:
    task = replace(WORLD, size=8, bar=2)
    phase = torch.linspace(-3, 3, 50, dtype=torch.float64)
    found, amplitude = decode(task, orbit.render(task, phase).masked_fill(hidden(8, 2), 0))
    apart = torch.remainder(found - phase + math.pi, 2 * math.pi) - math.pi
    assert apart.abs().max() < math.radians(0.3)  # less of it is seen
    torch.testing.assert_close(amplitude, torch.ones_like(amplitude), atol=1e-2, rtol=0)


class _Player(Predictor):
    """Plays the light that goes round at a velocity of its own and fades, whatever it is shown."""

    def __init__(self, velocity: Tensor, first: Tensor, fading: float = 1.0) -> None:
        super().__init__()
        self.velocity, self.first, self.fading = velocity, first, fading

    def forward(self, frames: Tensor, state: State = None) -> tuple[Tensor, State]:
        number = (torch.zeros(len(frames)) if state is None else state) + frames.shape[1]
        context = 10
        phase = self.first + self.velocity * (number - context)
        picture = orbit.render(WORLD, phase.double()).float()[:, None]
        middle = orbit.render(WORLD, torch.arange(120) * math.pi / 60).mean(0)
        made = middle + self.fading ** number.view(-1, 1, 1, 1, 1) * (picture - middle)
        return made.expand_as(frames), number


@pytest.mark.parametrize(
    ("offset", "fading", "verdict"),
    [
        (0.0, 1.0, "in step"),
        (math.radians(0.3), 1.0, "drifts"),
        (math.radians(12), 1.0, "another motion"),
        (0.0, 0.99, "fades"),
    ],
)
def test_each_cause_is_told_from_the_others(offset: float, fading: float, verdict: str) -> None:
    task, prompts, truth = clips_for(WORLD, 10, 300)
    assert prompts.shape == (long_loops.CLIPS, 10, 1, 2, 2)
    velocity = truth[:, 1] - truth[:, 0]
    light = run_on(_Player(velocity + offset * velocity.sign(), truth[:, 0], fading), task, prompts, truth)
    # At 12 degrees more, a light of 9 degrees is nearer to 27, one of 27 still nearest to itself.
    slow = velocity.abs() < 0.2
    for is_slow, found in zip(slow.tolist(), judge(task, light), strict=True):
        assert found == (verdict if is_slow or verdict != "another motion" else "drifts")
    if verdict != "fades":
        expected = torch.rad2deg(velocity + offset * velocity.sign())
        torch.testing.assert_close(light.generated_velocity, expected, atol=1e-2, rtol=0)
        assert (light.amplitude - 1).abs().max() < 1e-2


def test_prompts_are_the_beginnings_of_the_clips_whose_phases_are_told() -> None:
    task, prompts, truth = clips_for(replace(WORLD, noise=0.0), 10, 30)
    clean = orbit.render(task, orbit.phases(task, "test")[:, :10])
    assert (prompts - clean).abs().max() < 0.5 / 255 + 1e-6
    assert truth.shape == (long_loops.CLIPS, 30)


def test_turns_are_gone_after() -> None:
    ahead = torch.arange(100, dtype=torch.float64)[None] * 0.5
    light = Light(torch.rad2deg(long_loops.gone_after(ahead % (2 * math.pi))), ahead, torch.zeros(1))
    torch.testing.assert_close(light.ahead, torch.rad2deg(ahead))
    assert light.generated_velocity.item() == pytest.approx(math.degrees(0.5))
