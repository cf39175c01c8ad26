"""What comes back into sight: counted by hand, and nobody foresees it better than the optimum."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from framegen.config.tasks import Sprites
from framegen.data import sprites
from framegen.data.clips import Data
from framegen.data.kept import hidden
from framegen.data.loading import load_data
from framegen.evaluation.metrics import numbers
from framegen.evaluation.permanence import FEWEST, LONGEST, permanence
from framegen.evaluation.references import COPY_LAST, ONE_FRAME, OPTIMUM, fit_references
from framegen.evaluation.results import Results
from framegen.evaluation.scores import all_errors, evaluate
from framegen.models.baselines import CopyLast
from framegen.tables import cell, overview

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


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Data, dict[int | str, Tensor], Results]:
    """The errors of copying as the only net, and of the references; and the results."""
    data = load_data(WORLD, tmp_path_factory.mktemp("data"))
    models, references = {0: CopyLast()}, fit_references(WORLD, data)
    errors = all_errors(models, WORLD, data, references)
    squared = {name: each["one_step"]["squared"] for name, each in errors.items()}
    return data, squared, evaluate(models, WORLD, data, references, errors=errors)


def test_the_error_is_that_of_the_frames_in_which_it_comes_back(measured: Any) -> None:
    data, _, results = measured
    found = results.permanence
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


def test_memory_is_what_is_known_of_a_return_beyond_what_one_frame_shows(measured: Any) -> None:
    data, known, results = measured
    found = results.permanence
    assert found is not None
    assert data.unseen is not None
    unseen = data.unseen[:, 1:].clamp(max=LONGEST)
    for place, count in enumerate(found.frames):
        assert (found.memory[ONE_FRAME][place], found.memory[OPTIMUM][place]) == (0, 1)
        worst, own, best = (known[name][unseen == count].sum() for name in (ONE_FRAME, COPY_LAST, OPTIMUM))
        expected = ((worst - own) / (worst - best)).item()
        assert found.memory[COPY_LAST][place] == pytest.approx(expected)
    assert found.members == [found.memory["model"]] == [found.memory[COPY_LAST]]
    # Of what was hidden for longer than it looks back an observer knows nothing.
    assert found.frames[0] >= 2
    two, eight = (numbers(found.memory[f"observer, {n} frames"])[0] for n in (2, 8))
    assert abs(two) < 0.1
    assert 0.9 < eight < 1.1
    assert found.frames[-1] <= LONGEST == 12


def test_where_memory_is_hardly_worth_anything_no_memory_skill_is_told(measured: Any) -> None:
    data, known, _ = measured
    unseen = data.unseen[:, 1:].clamp(max=LONGEST)
    rare = int(unseen.flatten().bincount()[1:].argmax()) + 1
    squared = {name: each.clone() for name, each in known.items()}
    noise = torch.randn(squared[OPTIMUM].shape, generator=torch.Generator().manual_seed(0)).double()
    worthless = known[ONE_FRAME] + 1e-3 * noise  # now a bit more, now a bit less
    squared[OPTIMUM] = torch.where(unseen == rare, worthless, known[OPTIMUM])
    found = permanence(squared, data, 0)
    assert found is not None
    told = dict(zip(found.frames, found.memory["model"], strict=True))
    assert told.pop(rare) is None
    assert None not in told.values()


def test_memory_of_all_returns_stands_beside_skill(measured: Any) -> None:
    """And its standard error is that of drawing other clips."""
    data, known, results = measured
    scores = results.one_step
    assert (scores[ONE_FRAME]["memory"], scores[OPTIMUM]["memory"]) == (0, 1)
    two, eight = (scores[f"observer, {n} frames"] for n in (2, 8))
    assert abs(two["memory"] or 1) < 0.1 < 0.9 < (eight["memory"] or 0)
    assert (two["skill"] or 0) > 0.5  # to which memory is all the same
    assert {"memory", "memory_se"} < set(results.convention)
    assert data.unseen is not None
    back = data.unseen[:, 1:] > 0
    drawn = torch.randint(150, (4000, 150), generator=torch.Generator().manual_seed(0))
    names = ONE_FRAME, COPY_LAST, OPTIMUM
    worst, own, best = ((known[name] * back).sum(1)[drawn].mean(1) for name in names)
    bootstrap = ((worst - own) / (worst - best)).std().item()
    assert scores["model"]["memory_se"] == pytest.approx(bootstrap, rel=0.1)
    columns, rows = overview(results)[1:]
    assert rows["this model"][columns.index("memory,\n1 step")] == cell("memory", scores["model"])


def test_without_a_bar_there_is_nothing_to_come_back(tmp_path: Path) -> None:
    world = Sprites(size=12, num_frames=4, context=2, num_clips=16, num_val_clips=2, num_test_clips=2)
    data = load_data(world, tmp_path)
    assert data.unseen is None
    assert permanence({}, data, 0) is None
    results = evaluate({0: CopyLast()}, world, data, fit_references(world, data))
    assert results.permanence is None
    assert "memory" not in results.convention | results.one_step["model"]
    assert torch.equal(sprites.unseen(world, "test"), torch.zeros(2, 4, dtype=torch.int64))
