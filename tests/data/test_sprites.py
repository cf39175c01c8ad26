"""What of a sprite's world is seen, by option; an option at its default changes nothing."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from framegen.config.tasks import Sprites
from framegen.data import sprites
from framegen.data.kept import data_file
from framegen.data.loading import load_data
from framegen.machine.errors import OptionError

FEW: dict[str, Any] = {"num_clips": 16, "num_val_clips": 2, "num_test_clips": 60}
WORLD = Sprites(size=12, num_frames=40, reach=1, noise=0.05, **FEW)
AWAY = replace(WORLD, away=5)


def test_clips_from_before_an_option_stay_what_they_were_and_keep_their_files() -> None:
    assert data_file(Sprites(), Path("data")).name == "sprites-32x32-43d2c3a3.safetensors"
    made = sprites.sample(replace(WORLD, bar=4), "test")
    assert hashlib.sha256(made.numpy().tobytes()).hexdigest()[:16] == "155fef56189dfa36"


def test_an_eye_closes_for_up_to_so_many_frames_and_the_world_goes_on() -> None:
    seen, made, plain = (
        sprites.awake(AWAY, "test"),
        sprites.sample(AWAY, "test"),
        sprites.sample(WORLD, "test"),
    )
    assert seen[:, 0].all()
    assert torch.equal(made[seen], plain[seen])
    assert not made[~seen].any()
    lengths = np.concatenate([np.diff(np.flatnonzero(each)) for each in seen.numpy()]) - 1
    assert np.unique(lengths).tolist() == [0, 1, 2, 3, 4, 5]
    counts = np.bincount(lengths)
    assert (abs(counts[1:] / counts[1:].sum() - 0.2) < 0.08).all()  # each length is as probable
    assert abs(counts[1:].sum() / counts.sum() - 1 / 8) < 0.03


def test_nothing_is_asked_of_frames_that_show_nothing(tmp_path: Path) -> None:
    data, seen = load_data(AWAY, tmp_path), sprites.awake(AWAY, "test")
    inputs, targets = data.test.batch(slice(None))
    assert not inputs.isnan().any()
    assert torch.equal(targets.isnan().flatten(2).all(2), ~seen[:, 1:])
    assert torch.equal(targets.isnan().flatten(2).any(2), ~seen[:, 1:])
    assert data.asked is not None
    assert torch.equal(data.asked, seen)


def test_several_things_have_a_channel_and_a_course_each() -> None:
    one, made = sprites.sample(WORLD, "test"), sprites.sample(replace(WORLD, things=2), "test")
    assert made.shape == (60, 40, 3, 12, 12)
    covered = (made > 127).flatten(3).sum(3).double()  # (N, T, 3)
    assert one.shape == (60, 40, 1, 12, 12)
    assert (covered[..., 2] == 0).all()
    assert (covered[..., :2] > 5).all()
    _, shape, places = sprites.paths(replace(WORLD, things=3, num_test_clips=2000), "test")
    assert shape.shape == (6000,)
    assert 0.6 < (shape[0::3] != shape[1::3]).double().mean() < 0.9
    steps = (places.diff(dim=1) + 6) % 12 - 6
    together = (steps[0::3] == steps[1::3]).all(2).double().mean().item()
    assert abs(together - 1 / 9) < 0.02


def test_whatever_hid_it_the_frames_out_of_sight_are_counted() -> None:
    behind = replace(AWAY, bar=8)
    for world in (AWAY, behind, replace(behind, things=2), replace(AWAY, view=7, bar=2, things=3)):
        _, shape, places = sprites.paths(world, "test")
        open_, found = sprites.awake(world, "test"), sprites.unseen(world, "test")
        assert found.max() > 3
        for clip in range(20):
            counted = np.zeros((world.things, world.num_frames), int)
            for thing in range(world.things):
                gone, ever, which = 0, False, clip * world.things + thing
                for time, place in enumerate(places[which].tolist()):
                    frame = np.roll(sprites.shapes(world)[shape[which]].numpy(), place, (0, 1)).astype(int)
                    frame = frame[: world.side, : world.side]
                    left = (world.side - world.bar) // 2
                    frame[:, left : left + world.bar] = 0
                    in_sight = frame.any() and bool(open_[clip, time])
                    counted[thing, time] = gone if in_sight and ever else 0
                    gone, ever = (0 if in_sight else gone + 1), ever or in_sight
            assert found[clip].tolist() == counted.max(0).tolist()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"away": 3, "noise": 0.3}, "--away 3: with --noise 0.3"),
        ({"pan": 2}, "--view 16 opens one"),
        ({"told": False}, "--view 16 opens one"),
        ({"view": 6, "told": False, "away": 2}, "leave out --away"),
        ({"view": 6, "bar": 6}, "--view"),
        ({"things": 4}, "--things 4"),
    ],
)
def test_what_cannot_be_known_exactly_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        replace(WORLD, **options)
