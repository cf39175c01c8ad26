"""How long training steps and generated frames take: the fused engine beside PyTorch and JAX, on this
machine."""

from framegen.studies.bench.run import bench
from framegen.studies.bench.table import print_tables

__all__ = ["bench", "print_tables"]
