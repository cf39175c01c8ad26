"""How long training steps and generated frames take: the fused engine beside PyTorch and JAX."""
