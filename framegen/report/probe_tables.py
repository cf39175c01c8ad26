"""What a probe found, as tables on the terminal, and in sentences."""

import statistics
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from framegen.evaluation.metrics import spread
from framegen.evaluation.probes import Attractor, Dynamics, LongLoop, Probe, ProbedMember
from framegen.evaluation.running_on import AWAY, FADED, LAST
from framegen.progress import count_of

VERDICT_TEXTS = {
    "in step": f"within {AWAY:g} degrees of the true light",
    "drifts": "at about the right speed, but further away than that",
    "another speed": "nearer to another speed, or direction, that a light may have",
    "fades": f"less than {FADED:g} of the true light's brightness",
}
CAUSES = {
    "in step": "Most clips stay in step.",
    "drifts": "What is lost at long horizons is mostly the phase: the light goes on, but at a speed that is "
    "slightly wrong.",
    "another speed": "What is lost at long horizons is mostly the speed: the light goes on at another one.",
    "fades": "What is lost at long horizons is mostly the light itself: it fades.",
}


def print_probe(found: Probe, console: Console) -> None:
    """R^2 of all that is read, by whom it is read from; then what the closed loops do."""
    table = Table()
    table.add_column("R^2, test clips", no_wrap=True)
    nets = count_of(len(found.members), "trained net")
    for column in (
        nets,
        f"{len(found.untrained)} untrained",
        *(name.replace("last ", "last\n") for name in found.frames),
    ):
        table.add_column(column, justify="right", no_wrap=True)
    for name in found.meanings:
        frames = [_number(readout.r2[name]) for readout in found.frames.values()]
        table.add_row(name, _spread(found.members, name), _spread(found.untrained, name), *frames)
    console.print(f"\nRead by a linear map from the net's state ({found.features}):", highlight=False)
    console.print(table)
    if len(found.members) > 1:
        console.print(
            "Mean ± standard deviation over the seeds; in brackets the lowest and the highest.",
            highlight=False,
        )
    for name, meaning in found.meanings.items():
        console.print(f"{name}: {meaning}", highlight=False)
    if found.dynamics is not None:
        _print_dynamics(found.dynamics, console)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _spread(members: Sequence[ProbedMember], name: str) -> str:
    values = [member.readout.r2[name] for member in members]
    if len(values) == 1:
        return _number(values[0])
    over = spread(values)
    return f"{_number(over.mean)} ± {_number(over.sd)} [{_number(over.min)}, {_number(over.max)}]"


def _print_dynamics(found: Dynamics, console: Console) -> None:
    console.print(
        f"\nRunning on by itself for {found.horizons[-1]} frames after a prompt of {found.context}, "
        f"{found.clips} clips, judged by the last {LAST:.0%} of the frames:",
        highlight=False,
    )
    table = Table()
    table.add_column("net", no_wrap=True)
    for column in (*VERDICT_TEXTS, "away,\ndegrees", "amplitude", "drift,\ndegrees/frame"):
        table.add_column(column.replace(" speed", "\nspeed"), justify="right", no_wrap=True)
    by_seed = {loop.seed: loop for loop in found.members}
    for each in found.attractors:
        table.add_row(f"seed {each.seed}", *_row([by_seed[each.seed]]))
    if len(found.members) > 1:
        table.add_row(f"all {len(found.members)}, mean or median", *_row(found.members))
    console.print(table)
    for name, meaning in VERDICT_TEXTS.items():
        console.print(f"{name}: {meaning}", highlight=False)
    console.print(cause(found.members), highlight=False)
    for each in found.attractors:
        console.print(_attractor(each), highlight=False)


def _row(loops: Sequence[LongLoop]) -> list[str]:
    shares = [statistics.fmean(loop.verdicts[name] for loop in loops) for name in VERDICT_TEXTS]
    drifts = [abs(loop.drift) if len(loops) > 1 else loop.drift for loop in loops if loop.drift is not None]
    return [
        *(f"{share:.0%}" for share in shares),
        f"{statistics.median(loop.ahead[-1] for loop in loops):.0f}",
        f"{statistics.median(loop.amplitude[-1] for loop in loops):.2f}",
        f"{statistics.median(drifts):+.3f}" if drifts else "-",
    ]


def cause(loops: Sequence[LongLoop]) -> str:
    """What makes the error at long horizons, in a sentence: that of the verdicts, but for "in step", which is
    true of most clips of all nets; unless at least three quarters stay in step."""
    shares = {name: statistics.fmean(loop.verdicts[name] for loop in loops) for name in VERDICT_TEXTS}
    lost = {name: share for name, share in shares.items() if name != "in step"}
    return CAUSES["in step" if shares["in step"] >= 0.75 else max(lost, key=lambda name: lost[name])]


def _attractor(found: Attractor) -> str:
    exponents = ", ".join("-inf" if value is None else f"{value:+.3f}" for value in found.exponents)
    text = f"seed {found.seed}: Lyapunov exponents, nats a frame: {exponents}"
    points = [
        f"{'stable' if point.modulus < 1 else 'unstable'} (eigenvalue {point.modulus:.3f}, turning "
        f"{point.turn:.1f} degrees a frame, amplitude {point.amplitude:.2f})"
        for point in found.fixed_points[:SHOWN_POINTS]
    ]
    count = count_of(len(found.fixed_points), "fixed point")
    return f"{text}; {count}{': ' if points else ''}{'; '.join(points)}"


SHOWN_POINTS = 3
