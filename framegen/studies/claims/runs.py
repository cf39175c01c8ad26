"""The runs that the claims are made from, and how their numbers are said."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from framegen.evaluation.metrics import spread
from framegen.evaluation.results import Results, read_results

HIDDEN_SIZES = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class Runs:
    """The runs that claims are made from: their folder, and by name what comes after `framegen train`."""

    folder: Path
    arguments: dict[str, list[str]]

    def results(self, name: str) -> Results:
        return read_results(self.folder / name)

    def command(self, name: str) -> str:
        return " ".join(["framegen train", *self.arguments[name]])

    def picture(self, name: str) -> Path:
        return self.folder / f"{name}.png"


def planned(seeds: int) -> dict[str, list[str]]:
    """All runs that the claims need, by name: what comes after `framegen train`.

    Args:
        seeds: nets a run where the fused engine trains them; at least 2. PyTorch takes 100 times as long a
        net, so it
            trains fewer, the slowest of them with larger batches.
    """
    four, three, two = (f"--seeds {min(seeds, count)}" for count in (4, 3, 2))
    many = f"--seeds {seeds}"
    speeds = "--period 40 --speeds 1 2 3 4 5 6 7 8"
    lines = {
        "video": f"video {many}",
        "relu": f"video-relu {many}",
        "mlp": f"video-mlp {four}",
        "gru": f"video-gru --batch-size 20 {two}",
        "lstm": f"video-gru --cell lstm {three}",
        "speeds": f"video-speeds {many}",
        "speeds-mlp": f"video-mlp {speeds} {four}",
        "speeds-gru": f"video-speeds-gru --batch-size 20 {two}",
        "speeds-lstm": f"video-speeds-gru --cell lstm {three}",
        **{f"hidden-{size}": f"video --hidden-size {size} {many}" for size in HIDDEN_SIZES},
        "layers-1": f"video --batch-size 20 {many}",
        **{f"layers-{layers}": f"video --num-layers {layers} --batch-size 20 {two}" for layers in (2, 3)},
        "sine-lag": f"sine-lag {many}",
        "sine-next": f"sine-next {many}",
    }
    return {name: line.split() for name, line in lines.items()}


def skills_of(results: Results, part: str = "one_step") -> list[float]:
    return [value for value in results.values(part, "skill") if value is not None]


def above(better: Sequence[float], worse: Sequence[float]) -> bool:
    """Whether the first mean lies above the second by more than two standard errors of their difference over
    seeds."""
    variances = (statistics.variance(values) / len(values) for values in (better, worse))
    return statistics.fmean(better) - statistics.fmean(worse) > 2 * math.sqrt(sum(variances))


def spread_text(values: Sequence[float], digits: int = 3) -> str:
    found = spread(values)
    return f"{found.mean:.{digits}f} ± {found.sd:.{digits}f}"


NEEDS: dict[int, list[str]] = {
    1: ["video", "mlp", "lstm", "gru", "speeds", "speeds-mlp", "speeds-lstm", "speeds-gru"],
    2: ["video", "relu"],
    3: ["video", *(f"hidden-{size}" for size in HIDDEN_SIZES), "layers-1", "layers-2", "layers-3"],
    4: ["video"],
    5: ["video"],
    6: ["video"],
    7: ["sine-lag", "sine-next"],
    8: ["video"],
}
"""The runs that each claim is made from."""
