"""A search for the best options of an experiment."""
