"""Whether two versions of the code train the same: see "Results stay identical" in CONTRIBUTING.md.

python -m tests.identical FOLDER trains five runs into FOLDER; with two folders it compares them.
"""

import sys
from pathlib import Path

import torch

from framegen.commands.training import train
from framegen.runs.run import load
from tests.conftest import rows_of

TRAININGS = {
    "population": ("video", {"seeds": 4}),
    "gru": ("video-gru", {"epochs": 2}),
    "layers": ("video", {"num_layers": 2, "epochs": 2}),
    "lag": ("sine-lag", {}),
    "next": ("sine-next", {}),
}


def make(folder: Path) -> None:
    """Train all of them."""
    for name, (experiment, options) in TRAININGS.items():
        train(experiment, name, "disabled", folder, folder / "data", draw=False, **options)


def differences(one: Path, other: Path) -> list[str]:
    """What differs, a line each: weights by bits, metrics but for what a clock or the machine decides."""
    found = []
    for name in TRAININGS:
        first, second = (load(folder / name).models for folder in (one, other))
        if first.keys() != second.keys():
            found.append(f"{name}: other seeds")
            continue
        for seed, model in first.items():
            left, right = model.state_dict(), second[seed].state_dict()
            same = left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)
            if not same:
                found.append(f"{name}, seed {seed}: other weights")
        if rows_of(one / name) != rows_of(other / name):
            found.append(f"{name}: another metrics.jsonl")
    return found


if __name__ == "__main__":
    match [Path(argument) for argument in sys.argv[1:]]:
        case [folder]:
            make(folder)
        case [one, other]:
            sys.exit("\n".join(differences(one, other)) or 0)
        case _:
            sys.exit(__doc__)
