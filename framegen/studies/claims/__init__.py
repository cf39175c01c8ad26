"""The article's claims, each as an experiment: which runs it needs, and what they found."""

from collections.abc import Callable

from framegen.report.page import Claim
from framegen.studies.claims.learning import activation, memory, width_and_depth
from framegen.studies.claims.running import generation, length, parallel_in_time
from framegen.studies.claims.runs import NEEDS, Runs, planned
from framegen.studies.claims.views import drawings, sines

__all__ = ["CLAIMS", "NEEDS", "Runs", "planned"]

CLAIMS: dict[int, Callable[[Runs], Claim]] = {
    1: memory,
    2: activation,
    3: width_and_depth,
    4: generation,
    5: length,
    6: parallel_in_time,
    7: sines,
    8: drawings,
}
