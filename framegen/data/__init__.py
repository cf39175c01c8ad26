"""Inputs and targets: each file makes the data of one kind of task."""
