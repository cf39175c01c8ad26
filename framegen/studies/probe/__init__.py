"""Probes of a trained net: its knowledge beside the optimal observer's, and its long loops."""
