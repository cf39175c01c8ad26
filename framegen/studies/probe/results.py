"""The results of a probe of a run's nets, and their file: probe.json."""

from dataclasses import dataclass
from pathlib import Path

from framegen.machine.files import Finite, to_json, write_bytes
from framegen.studies.probe.linear import Readout

PROBE = "probe.json"


@dataclass(frozen=True)
class FixedPoint(Finite):
    """A frame and a state that a net, running on by itself, leaves as they are."""

    modulus: float
    """Modulus of the Jacobian's largest eigenvalue: below 1 the point is stable."""
    turn: float
    """Degrees a frame by which that eigenvalue turns."""
    amplitude: float
    """Amplitude of the light in the frame: 1 as bright as a true one, 0 none."""


@dataclass(frozen=True)
class Attractor(Finite):
    """Where a net's closed loop leads."""

    seed: int
    exponents: list[float | None]
    """The largest Lyapunov exponents, nats a frame, medians over the clips; None for a direction that is lost
    at once."""
    fixed_points: tuple[FixedPoint, ...]


@dataclass(frozen=True)
class LongLoop(Finite):
    """One net's generation over a long time."""

    seed: int
    verdicts: dict[str, float]
    """The share of the clips of which each is true; see `framegen.studies.probe.long_loops.judge`."""
    ahead: list[float]
    """Degrees between its light and the true one at each of the horizons, the median of their sizes over the
    clips."""
    amplitude: list[float]
    """Median amplitude of its light; 1 is right."""
    drift: float | None
    """Degrees a frame by which its light goes faster than the true one, in the light's direction: the median
    over the clips that did not fade. None where all did."""
    velocities: list[tuple[float, float]]
    """True and generated angular velocity of each clip that did not fade, degrees per frame."""


@dataclass(frozen=True)
class Dynamics(Finite):
    """Long closed loops after a prompt."""

    context: int
    """Frames of the prompt."""
    clips: int
    horizons: list[int]
    """Frames since the prompt ended."""
    members: tuple[LongLoop, ...]
    ranked: list[int]
    """The seeds of the best, the median and the worst member on the validation clips."""
    attractors: tuple[Attractor, ...]
    """The attractors of these nets; none where a state is too large."""


@dataclass(frozen=True)
class ProbedMember(Finite):
    """One net of the run."""

    seed: int
    readout: Readout


@dataclass(frozen=True)
class Probe(Finite):
    """How much of what the optimal observer knows a linear map reads, and what the closed loop does."""

    meanings: dict[str, str]
    """The quantities that are read, by name."""
    features: str
    """The features from which they are read."""
    members: tuple[ProbedMember, ...]
    untrained: tuple[ProbedMember, ...]
    """Nets of the same config that were never trained, with seeds of their own."""
    frames: dict[str, Readout]
    """Read from the last frames alone, by how many."""
    median_seed: int
    """The member whose validation mse is the (lower) median one."""
    dynamics: Dynamics | None
    """None where none was asked for, or the world is none in which a light goes round."""

    def values(self, name: str) -> list[float | None]:
        """R^2 of each member, of what has this name."""
        return [member.readout.r2[name] for member in self.members]


def write_probe(folder: Path, probe: Probe) -> None:
    """Write probe.json."""
    write_bytes(folder / PROBE, to_json(probe))
