"""How a model is trained: one loop, two engines."""
