"""The claim that the steps of a recurrent net follow one another."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from framegen.config.tasks import Orbit
from framegen.config.training import Engine
from framegen.data import orbit
from framegen.data.clips import to_float
from framegen.models.kernels.fused import compiled
from framegen.models.nets.mingru import MinGRU, scan_by_doubling, scan_by_steps
from framegen.models.nets.recurrent import RecurrentNet
from framegen.report.figures import comparisons, style
from framegen.report.figures.comparisons import Line, Panel
from framegen.runs import checkpoint
from framegen.studies.claims import newton
from framegen.studies.claims.rules import doubt, share
from framegen.studies.claims.runs import Claim, Finding, Runs, skills_of, spread_text

NEWTON_SEEDS = 16
"""Nets whose states are computed both ways."""
SAME = 1e-4
"""Between states that are called the same."""
LENGTH = 10_000
"""Frames on which the ways are compared."""
CAPTION = (
    "Above: the time, medians of five. Middle: the same for a cell whose recurrence is linear, beside a GRU "
    "of 32 units. Below: Newton's iterations in random nets, from calm to chaos."
)
NEWTON, SCAN = "Newton, parallel scan", "minGRU, parallel scan"
LOOP = "minGRU, one after another"

Times = Mapping[str, Mapping[int, float]]
"""Milliseconds by way and by length."""


@dataclass(frozen=True)
class _OtherCell:
    """The result of a cell whose recurrence is linear."""

    times: Times
    difference: float
    """The largest between the states of the scan and of the loop."""


def _parallel(runs: Runs) -> Finding:
    saved = checkpoint.load(runs.folder / "video")
    assert isinstance(saved.config.task, Orbit)
    models = [model for model in saved.models.values() if isinstance(model, RecurrentNet)][:NEWTON_SEEDS]
    clip = to_float(orbit.sample(replace(saved.config.task, num_frames=LENGTH, num_test_clips=1), "test"))[0]
    solutions = [newton.hidden_states(model, clip) for model in models]
    apart = [_apart(s.hidden, m, clip) for s, m in zip(solutions, models, strict=True)]
    iterations = [len(solution.changes) for solution in solutions]
    times = measure(_ways(models[0], saved.config.training.engine), clip)
    other = _other_cell(runs, clip)
    gains = [0.1 * k for k in range(4, 17)]
    random = torch.rand(500, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    needed = newton.iterations_by_gain(gains, random)
    panels = [
        _timed("Time for all hidden states of a 4-5-4 net", times),
        _timed("Another cell: two layers of 32 minGRU units", other.times),
        _failing(gains, needed),
    ]
    picture = style.save(comparisons.line_plot(panels), runs.picture("parallel"))
    longest = {name: by_length[len(clip)] for name, by_length in times.items()}
    parallel = longest.pop(NEWTON)
    slower = ", ".join(f"{parallel / each:.3g} times that of {name}" for name, each in longest.items())
    same = share(each < SAME for each in apart)
    return Finding(
        f"On {len(clip)} frames {spread_text(iterations, 1)} iterations, over {len(models)} seeds, give the "
        f"states of {same.part:.0%} of the nets to {SAME:g} (median difference "
        f"{statistics.median(apart):.0e}). On this CPU that takes {parallel:.3g} ms, {slower}. "
        f"{_said(runs, other)}{doubt(same)}",
        # That the states can be had in parallel refutes the claim; that this is slower leaves a part of it.
        "holds"
        if not same.above
        else "holds in part"
        if parallel > min(longest.values())
        else "does not hold",
        [(picture, CAPTION)],
        {
            "parallel/iterations": statistics.fmean(iterations),
            "parallel/difference": statistics.median(apart),
            "parallel/mingru_difference": other.difference,
            "parallel/mingru_skill": statistics.fmean(skills_of(runs.results("mingru"))),
        },
        ["framegen reproduce --claims 6"],
    )


PARALLEL = Claim(
    "Whether the steps of an RNN must be computed one after another",
    "The hidden state passes from step to step, so the article calls parallel computation impossible. "
    "Newton's method solves for all states at once, with a parallel scan over time (DEER, Lim et al. "
    "2024). Or the cell is changed: the gates of a minGRU (Feng et al. 2024) see the input alone, so its "
    "recurrence is linear in the state, and one scan gives all states, without iterations. The claim does "
    "not hold if Newton's method gives the states of most nets, no slower than step by step; it holds in "
    "part if this is slower. Each kind of net trains at one learning rate, which was not tuned for it.",
    ["video", "gru", "mingru"],
    _parallel,
)


@torch.inference_mode()
def _apart(hidden: Tensor, model: RecurrentNet, clip: Tensor) -> float:
    """The largest difference of states (T, hidden_size) from those that the net itself has of a clip."""
    return (hidden - model.hidden_states(clip[None])[0]).abs().max().item()


def _ways(model: RecurrentNet, engine: Engine) -> dict[str, Callable[[Tensor], object]]:
    """How the hidden states of a plain net can be had of a clip (T, C, H, W)."""
    fast = compiled(model, engine)
    ways: dict[str, Callable[[Tensor], object]] = {
        "PyTorch, one after another": lambda clip: model.hidden_states(clip[None]),
        NEWTON: lambda clip: newton.hidden_states(model, clip),
    }
    if fast is not model:
        ways["fused engine, one after another"] = lambda clip: fast(clip[None])
    return ways


@torch.inference_mode()
def measure(ways: Mapping[str, Callable[[Tensor], object]], frames: Tensor) -> dict[str, dict[int, float]]:
    """Milliseconds that each way takes for each length: medians of five, in turn.

    Args:
        frames: one clip (T, C, H, W); its first 10, 100, … T frames are the lengths.
    """
    times: dict[str, dict[int, float]] = {name: {} for name in ways}
    length = 10
    while length <= len(frames):
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(5):
            for name, way in ways.items():
                started = time.perf_counter()
                way(frames[:length])
                taken[name].append((time.perf_counter() - started) * 1000)
        for name, values in taken.items():
            times[name][length] = statistics.median(values)
        length *= 10
    return times


@torch.inference_mode()
def _other_cell(runs: Runs, clip: Tensor) -> _OtherCell:
    """All states of the first minGRU, by the loop and by the scan, beside those of the first GRU."""
    model, gru = (
        next(iter(checkpoint.load(runs.folder / name).models.values())) for name in ("mingru", "gru")
    )
    assert isinstance(model, RecurrentNet)
    assert isinstance(gru, RecurrentNet)
    net = model.rnn
    assert isinstance(net, MinGRU)
    ways: dict[str, Callable[[Tensor], object]] = {
        "GRU, one after another": lambda frames: gru.hidden_states(frames[None]),
        LOOP: lambda frames: linear_states(net, frames, scan_by_steps),
        SCAN: lambda frames: linear_states(net, frames, scan_by_doubling),
    }
    one, other = (linear_states(net, clip, way) for way in (scan_by_steps, scan_by_doubling))
    return _OtherCell(measure(ways, clip), (one - other).abs().max().item())


def linear_states(net: MinGRU, frames: Tensor, scan: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Tensor:
    """The last layer's states of one clip (T, C, H, W), by that scan: (T, hidden_size)."""
    hidden = frames.flatten(1)[:, None]  # (T, 1, C * H * W)
    for layer in net.layers:
        gate, candidate = layer(hidden).chunk(2, -1)
        hidden = scan(gate.sigmoid(), candidate, hidden.new_zeros(1, net.hidden_size))
    return hidden[:, 0]


def _said(runs: Runs, other: _OtherCell) -> str:
    """The other cell's gain, and its price."""
    longest = {name: by_length[LENGTH] for name, by_length in other.times.items()}
    skills = {name: spread_text(skills_of(runs.results(name))) for name in ("mingru", "gru", "video")}
    return (
        f"A minGRU's states come out of one scan, at most {other.difference:.0e} from the loop's: in "
        f"{longest[SCAN]:.3g} ms, where its loop takes {longest[LOOP]:.3g}. Its skill is {skills['mingru']}, "
        f"that of a GRU {skills['gru']}, that of the 4-5-4 RNN {skills['video']}."
    )


def _timed(title: str, times: Times) -> Panel:
    """The time that each way takes over the length."""
    lines = {name: Line(list(by_length), [list(by_length.values())]) for name, by_length in times.items()}
    return Panel(title, "frames in a sequence", "milliseconds", lines, log_x=True, log_y=True)


def _failing(gains: list[float], needed: list[list[int]]) -> Panel:
    """Newton's iterations over the gain of random nets."""
    return Panel(
        "Newton's method on random nets of 16 units, 500 frames",
        "gain of the recurrent weights (chaos above 1 without input)",
        f"iterations, {newton.MAX_ITERATIONS}: not converged",
        {"five random nets: mean, lowest to highest": Line(gains, needed)},
    )
