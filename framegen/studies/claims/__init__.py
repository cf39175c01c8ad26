"""The article's claims and some of ours, each as an experiment: which runs it needs, and what they found."""

from framegen.studies.claims.belief import BELIEF
from framegen.studies.claims.bits import BITS
from framegen.studies.claims.generation import GENERATION, LENGTH
from framegen.studies.claims.learning import ACTIVATION, MEMORY, WIDTH_AND_DEPTH
from framegen.studies.claims.parallel import PARALLEL
from framegen.studies.claims.permanence import PERMANENCE
from framegen.studies.claims.running_on import RUNNING_ON
from framegen.studies.claims.runs import Claim
from framegen.studies.claims.views import DRAWINGS, SINES

CLAIMS: dict[int, Claim] = dict(
    enumerate(
        (
            MEMORY,
            ACTIVATION,
            WIDTH_AND_DEPTH,
            GENERATION,
            LENGTH,
            PARALLEL,
            SINES,
            DRAWINGS,
            RUNNING_ON,
            BELIEF,
            PERMANENCE,
            BITS,
        ),
        start=1,
    )
)
"""By the number under which the report and `--claims` know them."""
