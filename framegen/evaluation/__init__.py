"""A model's errors beside those of the references and of the optimum."""
