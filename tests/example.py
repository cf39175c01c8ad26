"""The pictures of runs/example, made anew: python -m tests.example.

Of what takes hours, or a film that is not kept here, the pictures stay as they are: permanence.png, film.png.
"""

import os
import shutil
import tempfile
from pathlib import Path

import framegen
from tests.live.browser import chromium

EXAMPLE = Path(__file__).parents[1] / "runs" / "example"
DRAWN = "data.png", "neuron.png", "spatial.png", "temporal.png", "horizon.png"
"""Of the net in runs/example/video-1, by `framegen draw`."""
KEPT = "config.json", "checkpoint.safetensors", "results.json"
"""What drawing them again needs of its run."""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        run = framegen.train("video", name="video-1", track="disabled")
        for name in KEPT:
            shutil.copy(run.folder / name, EXAMPLE / run.folder.name / name)
        for name in DRAWN:
            shutil.copy(run.folder / "figures" / name, EXAMPLE / name)
        shutil.copy(run.folder / "generated.gif", EXAMPLE / "generated.gif")
        with chromium() as browser:
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(framegen.play(run).resolve().as_uri())
            page.screenshot(path=EXAMPLE / "play.png")
        many = framegen.train("video", seeds=64, track="disabled")
        shutil.copy(many.folder / "figures" / "members.png", EXAMPLE / "members.png")
        sine = framegen.train("sine-lag", track="disabled")
        shutil.copy(sine.folder / "figures" / "training.gif", EXAMPLE / "sine-training.gif")


if __name__ == "__main__":
    main()
