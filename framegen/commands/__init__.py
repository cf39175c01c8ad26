"""The commands: everything that is done with a run or a film."""
