"""Pictures of what is not seen: the event that they show is one, and a copy is the memory moved."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from framegen.config.config import Config
from framegen.config.models import MovingMemory
from framegen.config.tasks import Sprites
from framegen.data.loading import load_data
from framegen.machine.errors import UserError
from framegen.models import build
from framegen.report import hiding
from framegen.report.figures import style
from framegen.runs.run import Run

WORLD = Sprites(
    size=8, bar=5, reach=1, noise=0.05, num_frames=20, num_clips=10, num_val_clips=2, num_test_clips=30
)


def _run(task: Sprites, model: MovingMemory, folder: Path) -> Run:
    data = load_data(task, folder)
    run = Run(folder / "run", Config(task, model), {0: build(model, data.frame_shape, 0)}, 0)
    run.data = data
    return run


def test_the_usual_time_out_of_sight_is_shown(tmp_path: Path) -> None:
    run = _run(WORLD, MovingMemory(1), tmp_path)
    event, unseen = hiding.usual_event(run), run.data.unseen
    assert unseen is not None
    assert unseen[event.clip, list(event.frames)].max() >= unseen[unseen > 0].median()
    for name, figure in (("world", hiding.world), ("velocities", hiding.velocities)):
        assert style.save(figure(run), tmp_path / f"{name}.png").stat().st_size > 10_000


def test_around_a_window_stands_the_world_that_it_does_not_show(tmp_path: Path) -> None:
    task = replace(WORLD, bar=0, view=4, noise=0.01)
    run = _run(task, MovingMemory(1), tmp_path)
    event = hiding.usual_event(run)
    for seen, there in zip(hiding._seen(run, event), hiding._there(run, event), strict=True):
        assert seen.picture is not None
        assert there.picture is not None
        assert there.window == 0.5
        apart = there.picture[2:6, 2:6].astype(int) - seen.picture
        assert np.abs(apart).max() < 16


def test_where_nothing_comes_back_it_is_said(tmp_path: Path) -> None:
    run = _run(WORLD, MovingMemory(1), tmp_path)
    run.data = replace(run.data, unseen=torch.zeros(30, 20, dtype=torch.int64))
    with pytest.raises(UserError, match="nothing comes back into sight within 14 frames"):
        hiding.world(run)
