"""The pictures of runs/example, made anew: python -m tests.example.

Of what takes hours, or a film that is not kept here, the pictures stay as they are: permanence.png, film.png,
velocities.png, play-memory.png.
"""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import framegen
from framegen.config.experiments import configure
from framegen.data.loading import load_data
from framegen.report import hiding
from framegen.report.figures import style
from framegen.runs.run import Run
from tests.live.browser import chromium

EXAMPLE = Path(__file__).parents[1] / "runs" / "example"
DRAWN = "data.png", "neuron.png", "spatial.png", "temporal.png", "horizon.png"
"""Of the net in runs/example/video-1, by `framegen draw`."""
KEPT = "config.json", "checkpoint.safetensors", "results.json"
"""What drawing them again needs of its run."""

NOWHERE = {"machine": {}, "commit": None, "uncommitted_diff": None}
DATA = {"data_dir": "../../../data"}
"""Its data, as in every run here: data/ of the checkout, where they are made when they are needed."""


def keep(run: Path) -> None:
    """Keep those files; config.json without what is true of one machine and one checkout alone."""
    folder = EXAMPLE / run.name
    folder.mkdir(exist_ok=True)
    for name in KEPT:
        shutil.copy(run / name, folder / name)
    config = json.loads((run / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | NOWHERE | DATA, indent=2) + "\n")


def draw_worlds(folder: Path) -> None:
    """What is there and what is seen of it, in each world that hides something; no net is trained for it."""
    for name in ("sprites-bar", "sprites-hidden", "sprites-away", "sprites-window"):
        few = {"num_clips": 10, "num_val_clips": 2, "num_test_clips": 60}
        config = configure(name, options=few)
        run = Run(folder / name, config, {}, 0)
        run.data = load_data(config.task, folder)
        style.save(hiding.world(run), EXAMPLE / f"{name}.png")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        sys.argv = ["framegen", "train"]  # what a run says of how it was made: the README's command
        run = framegen.train("video", name="video-1", track="disabled")
        keep(run.folder)
        for name in DRAWN:
            shutil.copy(run.folder / "figures" / name, EXAMPLE / name)
        shutil.copy(run.folder / "generated.gif", EXAMPLE / "generated.gif")
        with chromium() as browser:
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(framegen.play(run.folder).resolve().as_uri())
            page.keyboard.press("t")  # the tour begins with one neuron
            page.wait_for_timeout(1500)  # until it has scrolled there
            page.screenshot(path=EXAMPLE / "play.png")
        many = framegen.train("video", seeds=64, track="disabled")
        shutil.copy(many.folder / "figures" / "members.png", EXAMPLE / "members.png")
        sine = framegen.train("sine-lag", track="disabled")
        shutil.copy(sine.folder / "figures" / "training.gif", EXAMPLE / "sine-training.gif")
        draw_worlds(Path(folder))


if __name__ == "__main__":
    main()
