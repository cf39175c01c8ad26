"""The pictures that the README shows are those that the code draws."""

import shutil
from pathlib import Path

import imageio.v3 as iio
import numpy as np

import framegen
from framegen.machine.files import read_json
from tests.example import DRAWN, EXAMPLE, KEPT, NOWHERE

LEVELS, SHARE = 40, 1e-4
"""By so many levels of 255 this share of a picture's values may differ: the smallest arrow is more."""


def test_what_lies_in_runs_example_is_what_is_drawn_now(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "video-1"
    run.mkdir(parents=True)
    (tmp_path / "data").mkdir()
    for name in KEPT:
        shutil.copy(EXAMPLE / "video-1" / name, run)
    made = framegen.draw(run)
    assert {path.name for path in made} >= {*DRAWN, "generated.gif"}
    for path in made:
        if path.name in (*DRAWN, "generated.gif"):
            drawn, kept = (iio.imread(place).astype(float) for place in (path, EXAMPLE / path.name))
            assert drawn.shape == kept.shape, path.name
            apart = (np.abs(drawn - kept) > LEVELS).mean()
            assert apart < SHARE, f"{path.name}: python -m tests.example makes it anew"


def test_it_says_nothing_of_a_machine() -> None:
    config = read_json(EXAMPLE / "video-1" / "config.json", dict)
    assert config["command"] == ["framegen", "train"]
    assert {name: config[name] for name in NOWHERE} == NOWHERE
