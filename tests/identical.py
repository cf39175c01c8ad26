"""Whether two versions of the code compute the same: see "Results stay identical" in CONTRIBUTING.md.

python -m tests.identical FOLDER trains, measures, generates, probes and searches into FOLDER, and prints a
digest of each result; with two folders it compares them.
"""

import hashlib
import json
import sys
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

import framegen
from tests.conftest import rows_of
from tests.data.films import encode, scene

FEW: dict[str, Any] = {"num_clips": 200, "num_val_clips": 10, "num_test_clips": 20}
TINY = {**FEW, "size": 8, "hidden_size": 4, "num_layers": 2, "patch": 2, "epochs": 2, "clips_per_epoch": 32}
TRAININGS: dict[str, tuple[str, dict[str, Any]]] = {
    "population": ("video", {**FEW, "seeds": 4, "epochs": 20}),
    "gru": ("video-gru", {**FEW, "epochs": 2}),
    "layers": ("video", {**FEW, "num_layers": 2, "epochs": 2}),
    "lag": ("sine-lag", {"epochs": 2}),
    "next": ("sine-next", {"epochs": 2}),
    "closed-loop": ("video", {**FEW, "closed_loop": 10, "epochs": 2}),
    "density": ("video", {**FEW, "density": 2, "epochs": 2}),
    "convgru": ("sprites-bar-convgru", {**TINY, "bar": 3, "reach": 1}),
    "minconvgru": ("drift-convgru", {**TINY, "reach": 1, "cell": "minconvgru", "answer": "motion"}),
    "predrnn": ("moving-mnist-predrnn", {**TINY, "size": 16, "digits": "sklearn"}),
}
QUIET: dict[str, Any] = {"media_every": 0, "device": "cpu"}
FILM: dict[str, Any] = {"epochs": 2, "clips_per_epoch": 16, "num_frames": 8, "context": 4, "hidden_size": 2}
SPACE = {"learning_rate": framegen.Range(1e-3, 1e-1), "cell": ["tanh", "relu"]}
CLOCKS = {f"/training/{name}" for name in ("device", "seconds", "clips_per_second", "waiting", "peak_memory")}
"""Of results.json, what no two trainings share."""


def make(folder: Path) -> None:
    """Make all that is compared."""
    places: dict[str, Any] = {"runs_dir": folder, "data_dir": folder / "data", "track": "disabled"}
    for name, (experiment, options) in TRAININGS.items():
        framegen.train(experiment, name, draw=False, **places, **QUIET, **options)
    framegen.probe(folder / "population", 60, "disabled", draw=False)
    framegen.generate(folder / "convgru", 10, folder / "generated.npy", device="cpu")
    drawn = {"sample": True, "futures": 2, "sample_seed": 1}
    framegen.generate(folder / "density", 10, folder / "sampled.npy", device="cpu", **drawn)
    film = folder / "scene.mp4"  # x264 makes other bytes with another number of threads
    encode(film, np.concatenate([scene(seed, 24, (36, 48)) for seed in range(4)]), options={"threads": "1"})
    out = folder / "continued.gif"
    run = framegen.continue_films(film, 0.5, None, 32, out=out, **places, **QUIET, **FILM).run
    np.save(folder / "continued.npy", framegen.continue_film(run, film, 0.5).numpy())
    framegen.search("video", SPACE, 2, name="search", epochs=2, **places, **QUIET, **FEW)


def results(folder: Path) -> dict[str, list[str]]:
    """By its name, each result that was made, a line each value."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("[!.]*")):
        name = str(path.relative_to(folder))
        match path.name:
            case "checkpoint.safetensors":
                found[f"{path.parent.relative_to(folder)}/weights"] = list(_weights(path.parent))
            case "metrics.jsonl":
                found[name] = list(map(str, rows_of(path.parent)))
            case "members.jsonl":
                found[name] = path.read_text().splitlines()
            case "results.json" | "probe.json" | "trials.json":
                values = leaves(json.loads(path.read_text()))
                found[name] = [f"{place}: {value}" for place, value in values]
            case _ if path.suffix in (".npy", ".gif", ".png"):
                found[name] = [hashlib.sha256(path.read_bytes()).hexdigest()]
    return found


def _weights(run: Path) -> Iterator[str]:
    """The weights of a run's nets, a line each tensor."""
    for seed, model in framegen.load(run).models.items():
        for name, tensor in model.state_dict().items():
            digest = hashlib.sha256(tensor.numpy().tobytes()).hexdigest()
            yield f"seed {seed}, {name} {tensor.dtype} {tuple(tensor.shape)}: {digest}"


def leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested dicts and lists with their places, but for what a clock or the machine decides."""
    if isinstance(value, dict | list | tuple):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, f"{place}/{key}")
    elif place not in CLOCKS:
        yield place, value


def differences(one: Path, other: Path) -> list[str]:
    """What differs, a line each result: its name, and the first values that are not the same."""
    left, right = results(one), results(other)
    found = [f"{name}: in one folder alone" for name in sorted(left.keys() ^ right.keys())]
    for name in sorted(left.keys() & right.keys()):
        pairs = zip_longest(left[name], right[name])
        if first := next((pair for pair in pairs if pair[0] != pair[1]), None):
            found.append(f"{name}: {first[0]} | {first[1]}")
    return found


if __name__ == "__main__":
    match [Path(argument) for argument in sys.argv[1:]]:
        case [folder]:
            make(folder)
            for name, lines in results(folder).items():
                print(hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16], name)
        case [one, other]:
            sys.exit("\n".join(differences(one, other)) or 0)
        case _:
            sys.exit(__doc__)
