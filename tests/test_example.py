"""The README's pictures are those that the code draws, and its net can be used where it lies."""

import shutil
import subprocess
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

import framegen
from framegen.machine.files import read_json
from tests.example import DRAWN, EXAMPLE, KEPT, NOWHERE

LEVELS, SHARE = 40, 1e-4
"""By so many levels of 255 this share of a picture's values may differ: the smallest arrow is more."""


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's run where it lies in a fresh clone."""
    root = tmp_path_factory.mktemp("clone")
    run = root / "runs" / "example" / "video-1"
    run.mkdir(parents=True)
    (root / "data").mkdir()
    for name in KEPT:
        shutil.copy(EXAMPLE / "video-1" / name, run)
    return run


def test_what_lies_in_runs_example_is_what_is_drawn_now(clone: Path) -> None:
    made = framegen.draw(clone)
    assert {path.name for path in made} >= {*DRAWN, "generated.gif"}
    for path in made:
        if path.name in (*DRAWN, "generated.gif"):
            drawn, kept = (iio.imread(place).astype(float) for place in (path, EXAMPLE / path.name))
            assert drawn.shape == kept.shape, path.name
            apart = (np.abs(drawn - kept) > LEVELS).mean()
            assert apart < SHARE, f"{path.name}: python -m tests.example makes it anew"


@pytest.mark.usefixtures("undrawn")
def test_a_fresh_clone_can_use_its_net_and_stays_as_it_was(clone: Path) -> None:
    """What is made beside it is ignored by git; what is measured again is the same, within rounding."""
    assert framegen.play(clone).exists()
    measured, kept = (framegen.evaluate(clone).results, framegen.load(EXAMPLE / "video-1").results)
    for name in KEPT[:2]:
        assert (clone / name).read_bytes() == (EXAMPLE / "video-1" / name).read_bytes(), name
    for name, scores in kept.one_step.items():
        assert measured.one_step[name]["mse"] == pytest.approx(scores["mse"], rel=1e-4), name
    made = {path.relative_to(clone.parents[2]) for path in clone.rglob("*") if path.is_file()}
    asked = [str(path) for path in made if path.name not in KEPT]
    git = ["git", "-C", str(EXAMPLE.parents[1]), "check-ignore", *asked]
    assert {*subprocess.run(git, capture_output=True, check=True, text=True).stdout.split()} == {*asked}


def test_it_says_nothing_of_a_machine() -> None:
    config = read_json(EXAMPLE / "video-1" / "config.json", dict)
    assert config["command"] == ["framegen", "train"]
    assert {name: config[name] for name in NOWHERE} == NOWHERE
