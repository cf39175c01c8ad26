"""Every knob of framegen: frozen dataclasses that check themselves. Nothing here imports torch, so that
`--help` and a wrong option answer at once."""
