"""What a trained net knows, beside what can be known, and what its long loops do."""
