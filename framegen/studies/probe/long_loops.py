"""The light of Orbit in frames that a net generates: its phase, its brightness and its speed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from framegen.config.tasks import Orbit
from framegen.data import orbit
from framegen.data.clips import to_float
from framegen.data.kept import hidden
from framegen.models.predictor import Predictor
from framegen.models.rollout import rollout

ANGLES = 120
"""Pictures that a frame is compared with; between two of them a parabola says where it fits best."""
TOGETHER = 100
"""Frames that are compared at once."""
CLIPS = 40

FADED = 0.5
"""An amplitude below this is a light that fades."""
AWAY = 45.0
"""Degrees from the true light; more is a drift."""
LAST = 0.1
"""The part of the frames, at their end, by which a clip is judged."""
VERDICTS = ("in step", "drifts", "another motion", "fades")


@dataclass(frozen=True)
class Light:
    """The light in generated frames, (N, T) float64 each."""

    ahead: Tensor
    """Degrees by which it is ahead of the true light, unwrapped."""
    amplitude: Tensor
    """How much the picture differs from the mean of all phases, over what the true one does: 1 is right, 0 is
    a light that has faded out."""
    velocity: Tensor
    """(N,), the true angular velocity, degrees a frame."""

    @property
    def generated_velocity(self) -> Tensor:
        """(N,), degrees a frame, over the second half of the frames (a line of least squares)."""
        half = self.ahead[:, self.ahead.shape[1] // 2 :]
        time = torch.arange(half.shape[1], dtype=torch.float64)
        time -= time.mean()
        return self.velocity + (half @ time) / time.square().sum()


def decode(task: Orbit, frames: Tensor) -> tuple[Tensor, Tensor]:
    """The phase in radians and the amplitude of each frame: (…, 1, size, size) -> (…) and (…) float64.

    The clean picture at each angle less their mean is scaled so that it fits the frame best; the angle whose
    picture fits best is the phase, its scale the amplitude.
    """
    turn = 2 * math.pi / ANGLES
    clean = orbit.render(task, torch.arange(ANGLES, dtype=torch.float64) * turn)
    pictures = clean.masked_fill(hidden(task.size, task.bar), 0).flatten(1)  # (ANGLES, P)
    middle = pictures.mean(0)
    pictures = pictures - middle
    size = pictures.square().sum(1)
    likeness = (frames.double().flatten(-3) - middle) @ pictures.T  # (…, ANGLES)
    explained = likeness.clamp(min=0).square() / size  # of the frame's square, by the best scale of each
    best = explained.argmax(-1, keepdim=True)
    before, here, after = (explained.gather(-1, (best + k) % ANGLES) for k in (-1, 0, 1))
    beside = (after - before) / (2 * (2 * here - before - after)).clamp(min=1e-12)  # in [-1/2, 1/2]
    largest = here + beside * (after - before) / 4
    between = size[best] + beside * (size[(best + 1) % ANGLES] - size[best - 1]) / 2
    return ((best + beside) * turn)[..., 0], (largest / between).sqrt()[..., 0]


def clips_for(trained: Orbit, context: int, frames: int) -> tuple[Orbit, Tensor, Tensor]:
    """The world with clips of `context + frames` frames, the prompts (N, context, 1, H, W), and
    the true phase of the frames after them, (N, frames) radians."""
    task = replace(trained, num_frames=context + frames, num_test_clips=CLIPS)
    prompts = to_float(orbit.sample(replace(task, num_frames=context), "test"))
    # A shorter clip begins as the longer one does: start and direction are drawn before any noise.
    return task, prompts, orbit.phases(task, "test")[:, context:]


@torch.inference_mode()
def run_on(model: Predictor, task: Orbit, prompts: Tensor, truth: Tensor) -> Light:
    """Let a model go on from prompts, and look at the light that it makes."""
    phases, amplitudes, waiting = [], [], []
    for frame in rollout(model, prompts, truth.shape[1]):
        waiting.append(frame)
        if len(waiting) == TOGETHER or sum(map(len, phases)) + len(waiting) == truth.shape[1]:
            phase, amplitude = decode(task, torch.stack(waiting))  # (frames, N)
            phases.append(phase)
            amplitudes.append(amplitude)
            waiting = []
    return light(torch.cat(phases).T, torch.cat(amplitudes).T, truth)


def light(phase: Tensor, amplitude: Tensor, truth: Tensor) -> Light:
    """Results of `decode` beside the true phase, radians: (N, T) each."""
    return Light(
        torch.rad2deg(gone_after(phase - truth)), amplitude, torch.rad2deg(truth[:, 1] - truth[:, 0])
    )


def gone_after(angles: Tensor) -> Tensor:
    """Angles (N, T), unwrapped; the first within half a turn of 0."""
    turn = 2 * math.pi
    first = torch.remainder(angles[:, :1] + math.pi, turn) - math.pi
    steps = torch.remainder(angles.diff(dim=1) + math.pi, turn) - math.pi
    return torch.cat([first, first + steps.cumsum(1)], 1)


def shares(verdicts: Sequence[str]) -> dict[str, float]:
    """The share of each of VERDICTS in all clips."""
    return {each: verdicts.count(each) / len(verdicts) for each in VERDICTS}


def judge(task: Orbit, light: Light) -> list[str]:
    """Each clip's verdict, one of VERDICTS: by its last frames, and in this order

    - it fades: the amplitude is below FADED;
    - another motion: its velocity is nearer to another one that a light may have (the other direction too);
    - it drifts: it is more than AWAY from the true light;
    - in step: none of these.
    """
    last = max(1, round(LAST * light.ahead.shape[1]))
    amplitude = light.amplitude[:, -last:].mean(1)
    away = light.ahead[:, -last:].abs().mean(1)
    possible = torch.rad2deg(orbit.angular_velocities(task))
    apart = (light.generated_velocity[:, None] - possible).abs()  # (N, V)
    own = (light.velocity[:, None] - possible).abs().argmin(1)
    verdicts = []
    for clip, right in enumerate(own.tolist()):
        if amplitude[clip] < FADED:
            verdicts.append("fades")
        elif apart[clip].argmin() != right:
            verdicts.append("another motion")
        else:
            verdicts.append("drifts" if away[clip] > AWAY else "in step")
    return verdicts
