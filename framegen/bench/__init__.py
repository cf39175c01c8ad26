"""How long training steps and generated frames take: the fused engine beside PyTorch and JAX, on this machine."""

from framegen.bench.run import bench
from framegen.bench.table import print_tables

__all__ = ["bench", "print_tables"]
