"""What comes back into sight: counted by hand, and nobody foresees it better than the optimum."""

from pathlib import Path

import numpy as np
import pytest
import torch

from framegen.config.tasks import Sprites
from framegen.data import sprites
from framegen.data.kept import hidden
from framegen.data.loading import load_data
from framegen.evaluation.clip_errors import one_step_errors
from framegen.evaluation.metrics import numbers
from framegen.evaluation.permanence import FEWEST, LONGEST, permanence
from framegen.evaluation.references import COPY_LAST, OPTIMUM, fit_references

WORLD = Sprites(size=12, bar=8, reach=1, num_frames=16, num_clips=40, num_val_clips=2, num_test_clips=150)


def _counted_by_hand(clip: int) -> list[int]:
    _, shape, places = sprites.paths(WORLD, "test")
    mask, covered = sprites.shapes(WORLD)[shape[clip]].numpy(), hidden(WORLD.size, WORLD.bar).numpy()
    found, gone, ever = [], 0, False
    for place in places[clip].tolist():
        in_sight = bool((np.roll(mask, place, (0, 1)) & ~covered).any())
        found.append(gone if in_sight and ever else 0)
        gone, ever = (0 if in_sight else gone + 1), ever or in_sight
    return found


def test_frames_out_of_sight_are_counted_until_it_comes_back() -> None:
    unseen = sprites.unseen(WORLD, "test")
    assert unseen.max() > 2
    for clip in range(40):
        assert unseen[clip].tolist() == _counted_by_hand(clip)


def test_the_error_is_that_of_the_frames_in_which_it_comes_back(tmp_path: Path) -> None:
    data = load_data(WORLD, tmp_path)
    references = fit_references(WORLD, data)
    found = permanence(
        {name: one_step_errors(each, data.test)["squared"] for name, each in references.items()}, data
    )
    assert found is not None
    assert data.test_frames is not None
    assert data.unseen is not None
    frames, unseen = data.test_frames.double() / 255, data.unseen[:, 1:].clamp(max=LONGEST)
    squared = (frames[:, 1:] - frames[:, :-1]).square().sum((2, 3, 4))
    for place, count in enumerate(found.frames):
        back = squared[unseen == count]
        assert found.events[place] == len(back) >= FEWEST
        assert found.squared_error[COPY_LAST][place] == pytest.approx(back.mean().item(), rel=1e-5)
        margin = 2 * numbers(found.standard_error[OPTIMUM])[place]
        means = {name: numbers(errors)[place] for name, errors in found.squared_error.items()}
        assert all(mean + margin > means[OPTIMUM] for mean in means.values())
    optimum, copying = (numbers(found.squared_error[name])[0] for name in (OPTIMUM, COPY_LAST))
    assert optimum < 0.95 * copying


def test_without_a_bar_there_is_nothing_to_come_back(tmp_path: Path) -> None:
    world = Sprites(size=12, num_frames=4, context=2, num_clips=16, num_val_clips=2, num_test_clips=2)
    data = load_data(world, tmp_path)
    assert data.unseen is None
    assert permanence({}, data) is None
    assert torch.equal(sprites.unseen(world, "test"), torch.zeros(2, 4, dtype=torch.int64))
