"""The rules by which claims are judged.

They ask for a share of all nets that are made in one way, of which the seeds at hand are a sample: more seeds
make the answer surer, not another one. The best or the worst seed decides nothing.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["holds", "holds in part", "does not hold"]
SURE = 1.96
"""Standard errors on either side: an interval of 95 %."""
MOST = 1 / 2
BETTER = 3 / 4
"""Share of all pairs of two kinds of nets from which on one kind is called better."""


@dataclass(frozen=True)
class Share:
    """A part of all nets, as it is told from some of them."""

    part: float
    """The share among the trained nets, in [0, 1]."""
    nets: int
    threshold: float = MOST

    @property
    def above(self) -> bool:
        return self.part > self.threshold

    @property
    def interval(self) -> tuple[float, float]:
        """Where the part of all nets lies, by Wilson's score interval (1927) of 95 %."""
        spread = SURE**2 / self.nets
        middle = (self.part + spread / 2) / (1 + spread)
        wide = math.sqrt(self.part * (1 - self.part) * spread + spread**2 / 4) / (1 + spread)
        return middle - wide, middle + wide

    @property
    def close(self) -> bool:
        """Whether other seeds could well tell another thing."""
        low, high = self.interval
        return low <= self.threshold <= high


def share(met: Iterable[bool]) -> Share:
    """The share of nets for which something is true, from its truth for each."""
    found = list(met)
    return Share(sum(found) / len(found), len(found))


def better(one: Sequence[float], other: Sequence[float]) -> Share:
    """In which share of all pairs the first kind's net has the higher value; where both have the same, half
    (Mann and Whitney, 1947). As sure as the kind with fewer nets makes it."""
    pairs = [(a > b) + (a == b) / 2 for a in one for b in other]
    return Share(sum(pairs) / len(pairs), min(len(one), len(other)), BETTER)


def compared(one: Sequence[float], other: Sequence[float]) -> str:
    """How the first kind lies to the second."""
    if better(one, other).above:
        return "better than"
    return "worse than" if better(other, one).above else "about as good as"


def judge(shares: Sequence[Share]) -> Verdict:
    """A claim holds where all of them are above their thresholds, and in part where some are."""
    if all(each.above for each in shares):
        return "holds"
    return "holds in part" if any(each.above for each in shares) else "does not hold"


def graded(most: Share, some: Share) -> Verdict:
    """A claim holds where the first is above its threshold, and in part where the second is."""
    if most.above:
        return "holds"
    return "holds in part" if some.above else "does not hold"


def doubt(*shares: Share) -> str:
    """The words after a verdict, where other seeds could turn it."""
    close = [each for each in shares if each.close]
    if not close:
        return ""
    parts = ", ".join(f"{each.part:.0%} of {each.nets} against {each.threshold:.0%}" for each in close)
    return f" Other seeds could turn the verdict, so close is it, or so few are they: {parts}."
