"""Many runs at once: the article's claims, the benchmark."""
