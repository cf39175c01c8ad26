"""What a model is worth: its errors beside those of the references and of the optimum."""
