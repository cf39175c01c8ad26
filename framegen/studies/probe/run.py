"""Probe a run: what its nets know of what can be known, and what they do when they run on by themselves."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from framegen.config.config import to_dict
from framegen.config.tasks import Orbit
from framegen.config.training import Mode
from framegen.evaluation.metrics import summary
from framegen.evaluation.references import optimal_predictor
from framegen.machine.device import threads
from framegen.machine.errors import OptionError
from framegen.machine.progress import answer, say
from framegen.models import build
from framegen.models.kernels import fused
from framegen.models.predictor import cpu_threads
from framegen.report.draw import could_make
from framegen.report.figures import style
from framegen.report.tables import Screen
from framegen.runs.checkpoint import CHECKPOINT, steps_taken
from framegen.runs.folder import Named, find, lock, read_config
from framegen.runs.run import Run, load
from framegen.runs.tracking import Tracker, tracked
from framegen.runs.weights_and_biases import about_run, resolve_mode, tracker_of
from framegen.studies.probe import linear, long_loops, plots
from framegen.studies.probe.beliefs import MEANINGS
from framegen.studies.probe.dynamics import ClosedLoop, fixed_points, lyapunov
from framegen.studies.probe.linear import Examination, Known
from framegen.studies.probe.long_loops import Light
from framegen.studies.probe.results import (
    PROBE,
    Attractor,
    Dynamics,
    FixedPoint,
    LongLoop,
    Probe,
    ProbedMember,
    write_probe,
)
from framegen.studies.probe.states import Layout
from framegen.studies.probe.tables import print_probe

UNTRAINED = 8
"""Untrained nets; a population of this size or larger has them beside it."""
EXPONENTS = 8
"""Lyapunov exponents of a net with a larger state; else all."""
FOLLOWED = 4
"""Clips along which they are taken."""
MAX_STATE = 512
"""Numbers of a state: of larger ones neither exponents nor fixed points are looked for."""
SETTLED = 0.2
"""The part of the frames after which a closed loop is where it leads."""
STARTS, START_NUMBERS = 64, 4096
"""Points from which fixed points are looked for; fewer, where all their numbers are more than these."""
MIN_FRAMES, MAX_FRAMES = 20, 100_000
HORIZONS = 40
"""About how many are kept of a long loop."""


def probe(
    run: Named,
    num_frames: int = 1000,
    track: Mode | None = None,
    show: bool = True,
    draw: bool = True,
    runs_dir: Path | str = "runs",
) -> Probe:
    """Read from the states of a run's nets what the optimal observer knows, and follow their closed loops.

    Writes probe.json and, in figures, belief.png and (of Orbit) dynamics.png.

    Args:
        run: its folder, or its name in `runs_dir`.
        num_frames: how many a net generates by itself; 0 leaves that part out.
        track: whether W&B is "online", "offline" or "disabled"; None asks WANDB_MODE, else as the run was.
        show: whether to say on stderr what is done.
        draw: whether to make the figures.

    Returns:
        What probe.json holds.

    Raises:
        UserError: a task whose optimum has no belief, a net without a state, a run that was not measured.
    """
    if num_frames and not MIN_FRAMES <= num_frames <= MAX_FRAMES:
        raise OptionError(f"--num-frames {num_frames}: 0 for none, or {MIN_FRAMES} to {MAX_FRAMES}")
    opened = load(run, runs_dir=runs_dir)
    task, results = opened.config.task, opened.results
    opened.shown = results.median_seed
    layout = linear.layout_with_state(
        opened.model, opened.data.frame_shape, type(opened.config.model).__name__
    )
    with threads(cpu_threads(opened.model)):
        say("going through the clips with the optimal observer", show)
        optimum = optimal_predictor(task, opened.data)
        examination = linear.examine(task, optimum, opened.data.train, opened.data.test)
        found, read = _read(opened, layout, examination, show)
        if num_frames and isinstance(task, Orbit):
            ranked = [member.seed for member in results.by_validation]
            examined = dict.fromkeys([ranked[0], results.median_seed, ranked[-1]])
            found = replace(found, dynamics=_follow(opened, task, layout, list(examined), num_frames, show))
    write_probe(opened.folder, found)
    made = _draw(opened, examination, found, read) if draw else []
    _track(opened, found, made, track)
    return found


def print_probed(found: Probe, run: str, runs_dir: Path, **_: Any) -> None:
    """Print the result of `probe`."""
    folder = find(run, runs_dir)
    print_probe(found, Screen())
    made = [folder / "figures" / name for name in ("belief.png", "dynamics.png")]
    answer("", folder / PROBE, *(path for path in made if path.exists()))


def _read(
    run: Run, layout: Layout, examination: Examination, show: bool
) -> tuple[Probe, tuple[Known, Known]]:
    """Readouts from every net, and from untrained ones; and readouts from the shown net's and from
    the first untrained one's states of the test clips."""
    config, shape = run.config, run.data.frame_shape
    say(f"reading {len(run.models)} trained, {min(len(run.models), UNTRAINED)} untrained", show)
    fresh = max(run.models) + 1
    seeds = range(fresh, fresh + min(len(run.models), UNTRAINED))
    new = {seed: build(config.model, shape, seed).eval() for seed in seeds}
    members: dict[int, ProbedMember] = {}
    read: dict[int, Known] = {}
    for seed, model in {**run.models, **new}.items():
        computed = fused.compiled(model, config.training.engine)
        readout, made = linear.read_model(computed, layout, examination)
        members[seed] = ProbedMember(seed, readout)
        if seed in (run.shown, fresh):
            read[seed] = made
    found = Probe(
        {name: MEANINGS[name] for name in linear.names_of(examination)},
        linear.feature_text(layout),
        tuple(members[seed] for seed in run.models),
        tuple(members[seed] for seed in new),
        linear.read_frames(examination),
        run.shown,
        None,
    )
    return found, (read[run.shown], read[fresh])


def _follow(
    run: Run, trained: Orbit, layout: Layout, examined: Sequence[int], frames: int, show: bool
) -> Dynamics:
    """The closed loops of every net, and where those that are examined lead."""
    say(f"running on for {frames} frames", show)
    context = run.data.context
    task, prompts, truth = long_loops.clips_for(trained, context, frames)
    horizons = sorted({round(frames ** (k / (HORIZONS - 1))) for k in range(HORIZONS)})
    loops = []
    for seed, model in run.models.items():
        computed = fused.compiled(model, run.config.training.engine)
        light = long_loops.run_on(computed, task, prompts, truth)
        loops.append(_long_loop(seed, task, light, horizons))
    attractors = []
    for seed in examined if layout.size <= MAX_STATE else ():
        say(f"Lyapunov exponents and fixed points of seed {seed}", show)
        closed = ClosedLoop(run.models[seed], layout, run.data.frame_shape)
        attractors.append(_attractor(seed, closed, task, prompts, frames))
    return Dynamics(context, len(prompts), horizons, tuple(loops), list(examined), tuple(attractors))


def _long_loop(seed: int, task: Orbit, light: Light, horizons: Sequence[int]) -> LongLoop:
    """The stored results of a net's closed loops."""
    verdicts = long_loops.judge(task, light)
    places = [horizon - 1 for horizon in horizons]
    bright = torch.tensor([verdict != "fades" for verdict in verdicts])
    velocities = torch.stack([light.velocity, light.generated_velocity], 1)[bright]
    faster = (velocities[:, 1] - velocities[:, 0]) * velocities[:, 0].sign()
    return LongLoop(
        seed,
        long_loops.shares(verdicts),
        light.ahead[:, places].abs().median(0).values.tolist(),
        light.amplitude[:, places].median(0).values.tolist(),
        faster.median().item() if len(faster) else None,
        [(true, made) for true, made in velocities.tolist()],
    )


def _attractor(seed: int, closed: ClosedLoop, task: Orbit, prompts: torch.Tensor, frames: int) -> Attractor:
    """Exponents and fixed points of one net's closed loop."""
    settle = round(SETTLED * frames)
    points = closed.begin(prompts[:FOLLOWED])
    count = min(closed.layout.size, EXPONENTS)
    exponents = lyapunov(closed, points, frames - settle, count, settle).median(0).values
    visited = _visited(closed, prompts, settle)
    places, eigenvalues = fixed_points(closed, visited)
    _, amplitude = long_loops.decode(task, closed.frames(places))
    leading = eigenvalues[:, 0]
    numbers = torch.stack([leading.abs(), torch.rad2deg(leading.angle()).abs(), amplitude], 1)
    found = [FixedPoint(*each) for each in numbers.tolist()]
    known = [value if value > -torch.inf else None for value in exponents.tolist()]
    return Attractor(seed, known, tuple(sorted(found, key=lambda point: point.modulus)))


def _visited(closed: ClosedLoop, prompts: torch.Tensor, settle: int) -> torch.Tensor:
    """Points that closed loops come through, and others between and around them: starts for Newton's
    method, (B, n)."""
    points = closed.begin(prompts)
    passed = []
    for number in range(settle):
        points = closed(points)
        if number >= settle // 2:
            passed.append(points)
    every = torch.cat(passed)
    count = max(8, min(STARTS, START_NUMBERS // every.shape[1]))
    random = torch.Generator().manual_seed(0)
    chosen = every[torch.randint(len(every), (count,), generator=random)]
    middle = every.mean(0)
    scale = 1.5 * torch.rand(count, 1, generator=random, dtype=every.dtype)
    return torch.cat([middle[None], middle + scale * (chosen - middle)])


def _draw(run: Run, examination: Examination, found: Probe, read: tuple[Known, Known]) -> list[Path]:
    """The figures."""
    folder = run.folder / "figures"
    figures = {folder / "belief.png": lambda: plots.belief(found, examination.known_test, *read)}
    if (loops := found.dynamics) is not None:
        figures[folder / "dynamics.png"] = lambda: plots.dynamics(loops, found.median_seed)
    return [
        path
        for path, figure in figures.items()
        if could_make(path, lambda f=figure, p=path: style.save(f(), p))
    ]


def _track(run: Run, found: Probe, made: Sequence[Path], track: Mode | None) -> None:
    """Leave the numbers and the figures in the run's own W&B run, unless it is not tracked."""
    description = read_config(run.folder)
    mode = resolve_mode(track, description.track)
    if mode == "disabled":
        return
    step = steps_taken(run.folder / CHECKPOINT)
    tracker = tracker_of(mode, about_run(description))
    with lock(run.folder), tracked(tracker, run.folder, to_dict(run.config)):
        tracker.media(step, {f"figures/{path.stem}": path for path in made})
        log_probe(found, step, tracker)


def log_probe(found: Probe, step: int, tracker: Tracker) -> None:
    """Leave what was found in W&B: a table of the members, and values to compare runs by."""
    names = list(found.meanings)
    rows: list[list[Any]] = [[m.seed, *(m.readout.r2[name] for name in names)] for m in found.members]
    columns = ["seed", *(f"r2 {name}" for name in names)]
    if (dynamics := found.dynamics) is not None:
        columns += ["drift", *long_loops.VERDICTS]
        for row, loop in zip(rows, dynamics.members, strict=True):
            row += [loop.drift, *loop.verdicts.values()]
    tracker.table(step, "probe/members", columns, rows)
    tracker.summary(summary({f"probe/{name}": found.values(name) for name in names}))
