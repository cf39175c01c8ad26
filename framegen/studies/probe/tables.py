"""A probe's results, as tables on the terminal, and in sentences."""

import statistics
from collections.abc import Sequence

from rich.console import Console

from framegen.evaluation.metrics import numbers
from framegen.machine.progress import count_of
from framegen.report.tables import print_table
from framegen.studies.probe.linear import EARLY
from framegen.studies.probe.long_loops import AWAY, FADED, LAST
from framegen.studies.probe.results import Attractor, Dynamics, LongLoop, Probe, ProbedMember

VERDICT_TEXTS = {
    "in step": f"within {AWAY:g} degrees of the true light",
    "drifts": "at about the right speed, but further away than that",
    "another motion": "nearer to another speed that a light may have, or to the other direction",
    "fades": f"less than {FADED:g} of the true light's brightness",
}
CAUSES = {
    "in step": "Most clips stay in step.",
    "drifts": "Most errors at long horizons are errors of phase: the light goes on, away from the true one.",
    "another motion": "Most errors at long horizons are errors of motion: the light goes on at another "
    "speed, or the other way.",
    "fades": "Most errors at long horizons come from the light itself: it fades.",
}
SHOWN_POINTS = 3
"""Fixed points that are described."""


def print_probe(found: Probe, console: Console) -> None:
    """R^2 of all that is read, by what it is read from; then what the closed loops do."""
    nets = len(found.members)
    trained = [f"median\nof {nets}", "lowest", "high-\nest"] if nets > 1 else ["net"]
    frames = [name.replace(" ", "\n") for name in found.frames]
    rows = {}
    for name in found.meanings:
        values = numbers(found.values(name))
        shown = [statistics.median(values), *([min(values), max(values)] if nets > 1 else [])]
        untrained = statistics.median(numbers([each.readout.r2[name] for each in found.untrained]))
        alone = numbers([readout.r2[name] for readout in found.frames.values()])
        rows[name] = [f"{round(value, 3) + 0.0:.3f}" for value in (*shown, untrained, *alone)]
    _say(console, f"\nRead by a linear map from the net's state ({found.features}), and from frames alone:")
    print_table(console, ["R^2, test clips", *trained, "un-\ntrained", *frames], rows, "")
    early = "; ".join(
        f"{name} {_early(found.members, name):.3f} (untrained {_early(found.untrained, name):.3f})"
        for name in found.meanings
    )
    _say(console, f"At frames 1 to {EARLY}, by a map fitted on these alone, median: {early}")
    for name, meaning in found.meanings.items():
        _say(console, f"{name}: {meaning}")
    if found.dynamics is not None:
        _print_dynamics(found.dynamics, console)


def _early(members: Sequence[ProbedMember], name: str) -> float:
    return statistics.median(numbers([each.readout.early[name] for each in members]))


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False)


def _print_dynamics(found: Dynamics, console: Console) -> None:
    _say(
        console,
        f"\nRunning on by itself for {found.horizons[-1]} frames after a prompt of {found.context}; "
        f"{found.clips} clips, judged by the last {LAST:.0%} of the frames:",
    )
    verdicts = [name.replace(" ", "\n") for name in VERDICT_TEXTS]
    columns = ["net", *verdicts, "away,\ndegrees", "brightness", "drift,\ndegrees\na frame"]
    by_seed = {loop.seed: loop for loop in found.members}
    rows = {f"{rank}: seed {seed}": _row([by_seed[seed]]) for rank, seed in ranked(found)}
    if len(found.members) > 1:
        rows[f"all {len(found.members)}"] = _row(found.members)
    print_table(console, columns, rows, "")
    for name, meaning in VERDICT_TEXTS.items():
        _say(console, f"{name}: {meaning}")
    _say(console, cause(found.members))
    for each in found.attractors:
        _say(console, _attractor(each))
    if not found.attractors:
        _say(console, "The state is too large for Lyapunov exponents and fixed points.")


def ranked(found: Dynamics) -> list[tuple[str, int]]:
    """The probed nets' names, with their seeds."""
    names = {1: ["this net"], 2: ["best", "worst"], 3: ["best", "median", "worst"]}[len(found.ranked)]
    return list(zip(names, found.ranked, strict=True))


def _row(loops: Sequence[LongLoop]) -> list[str]:
    """Mean shares of several nets, and medians; the drift's median size."""
    shares = [statistics.fmean(loop.verdicts[name] for loop in loops) for name in VERDICT_TEXTS]
    drifts = [loop.drift for loop in loops if loop.drift is not None]
    drift = "-"
    if drifts:
        drift = f"{drifts[0]:+.3f}" if len(loops) == 1 else f"{statistics.median(map(abs, drifts)):.3f}"
    return [
        *(f"{share:.0%}" for share in shares),
        f"{statistics.median(loop.ahead[-1] for loop in loops):.0f}",
        f"{statistics.median(loop.amplitude[-1] for loop in loops):.2f}",
        drift,
    ]


def cause(loops: Sequence[LongLoop]) -> str:
    """The main cause of the error at long horizons, in a sentence: the verdict, except "in step", which is
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
