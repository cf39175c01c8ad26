"""The nets that are trained, and what they are made of."""
