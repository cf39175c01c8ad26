"""Finished runs side by side: options, scores, and by how much they are apart."""
