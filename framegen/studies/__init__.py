"""Many runs at once: the article's claims, searches, probes."""
