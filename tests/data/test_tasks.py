import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from framegen.config.tasks import Orbit, Sine
from framegen.data import orbit, sine
from framegen.data.kept import data_file
from framegen.data.loading import load_data
from framegen.machine.errors import UserError
from framegen.models.baselines import AutoRegression
from tests.conftest import SMALL, tensors


def test_render_is_the_formula_pixel_by_pixel() -> None:
    config, phase = Orbit(size=3, light_width=0.5), 1.1
    width = 0.5 * math.sqrt(2 / 3)
    for row in range(3):
        for column in range(3):
            x, y = (2 * column + 1) / 3 - 1, (2 * row + 1) / 3 - 1
            squared = (x - 0.7 * math.cos(phase)) ** 2 + (y - 0.7 * math.sin(phase)) ** 2
            expected = 0.2 + 0.6 * math.exp(-squared / (2 * width**2))
            assert orbit.render(config, torch.tensor(phase).double())[0, row, column].item() == pytest.approx(
                expected
            )


def test_a_bar_hides_a_part_of_the_same_clips_and_files_from_before_it_keep_their_names() -> None:
    config = replace(SMALL, size=4)
    whole, part = (orbit.sample(each, "test") for each in (config, replace(config, bar=2)))
    assert not part[..., 1:3].any()
    assert torch.equal(part[..., [0, 3]], whole[..., [0, 3]])
    assert data_file(Orbit(), Path("data")).name == "orbit-2x2-2d3506ea.safetensors"
    assert data_file(Orbit(bar=1), Path("data")).name != data_file(Orbit(), Path("data")).name


def test_clips_turn_at_the_speeds_asked_for_in_both_directions() -> None:
    config = Orbit(noise=0.0, period=16, speeds=(1, 3), num_clips=200, num_frames=17, size=8)
    clips = orbit.sample(config, "train").double() / 255
    centred = clips - clips.mean((3, 4), keepdim=True)
    axis = torch.linspace(-1, 1, 8).double()
    angle = torch.atan2((centred * axis[:, None]).sum((2, 3, 4)), (centred * axis).sum((2, 3, 4)))  # (N, T)
    turn = torch.remainder(angle.diff(dim=1) + math.pi, 2 * math.pi) - math.pi
    speeds = (turn.mean(1) * 16 / (2 * math.pi)).round()
    assert set(speeds.tolist()) == {-3.0, -1.0, 1.0, 3.0}


def test_clips_are_a_function_of_the_seed_and_splits_differ() -> None:
    train, again = orbit.sample(SMALL, "train"), orbit.sample(SMALL, "train")
    assert torch.equal(train, again)
    others = [
        orbit.sample(SMALL, "val"),
        orbit.sample(SMALL, "test"),
        orbit.sample(replace(SMALL, data_seed=1), "train"),
    ]
    clips = [clip.numpy().tobytes() for split in (train, *others) for clip in split]
    assert len(set(clips)) == len(clips)


@pytest.mark.parametrize(
    "change", [{"noise": 0.2}, {"speeds": (2,)}, {"period": 9}, {"light_width": 0.3}, {"data_seed": 5}]
)
def test_each_option_of_orbit_changes_the_clips(change: dict[str, object]) -> None:
    assert not torch.equal(orbit.sample(SMALL, "train"), orbit.sample(replace(SMALL, **change), "train"))


@pytest.mark.parametrize("size", [16, 64])
def test_higher_resolutions(size: int, tmp_path: Path) -> None:
    data = load_data(Orbit(size=size, num_clips=3, num_val_clips=2, num_test_clips=1, num_frames=6), tmp_path)
    assert tensors(data.train).inputs.shape == tensors(data.train).targets.shape == (3, 5, 1, size, size)
    assert tensors(data.val).inputs.shape[0] == 2
    assert data.test_frames is not None
    assert data.test_frames.shape == (1, 6, 1, size, size)


@pytest.mark.parametrize(
    ("change", "train", "val", "test"),
    [
        ({}, (40, 23), (6, 23), (8, 23)),
        ({"num_clips": 7}, (7, 23), (6, 23), (8, 23)),
        ({"num_val_clips": 7}, (40, 23), (7, 23), (8, 23)),
        ({"num_test_clips": 7}, (40, 23), (6, 23), (7, 23)),
        ({"num_frames": 7}, (40, 6), (6, 6), (8, 6)),
    ],
)
def test_options_of_the_size_of_orbit(
    change: dict[str, int], train: object, val: object, test: object, tmp_path: Path
) -> None:
    data = load_data(replace(SMALL, **change), tmp_path)
    assert [tuple(tensors(split).inputs.shape[:2]) for split in (data.train, data.val, data.test)] == [
        train,
        val,
        test,
    ]


@pytest.mark.parametrize(
    ("change", "train", "val", "test"),
    [
        ({}, (75, 20), (1, 2000), (1, 3000)),
        ({"window": 10}, (75, 10), (1, 1000), (1, 1500)),
        ({"num_windows": 5}, (5, 20), (1, 600), (1, 1600)),
        ({"num_val_windows": 5}, (75, 20), (1, 1600), (1, 2600)),
        ({"num_test_windows": 5}, (75, 20), (1, 2000), (1, 2100)),
    ],
)
def test_options_of_the_size_of_sine(
    change: dict[str, int], train: object, val: object, test: object, tmp_path: Path
) -> None:
    data = load_data(Sine(**change), tmp_path)
    assert [tuple(tensors(split).inputs.shape[:2]) for split in (data.train, data.val, data.test)] == [
        train,
        val,
        test,
    ]


def test_the_next_frame_is_the_target_and_the_file_is_used_again(tmp_path: Path) -> None:
    data = load_data(SMALL, tmp_path)
    path = data_file(SMALL, tmp_path)
    assert path is not None
    written = path.stat().st_mtime_ns
    again = load_data(SMALL, tmp_path)
    assert path.stat().st_mtime_ns == written
    assert torch.equal(tensors(data.train).inputs, tensors(again.train).inputs)
    assert torch.equal(tensors(data.train).inputs[:, 1:], tensors(data.train).targets[:, :-1])
    assert torch.equal(tensors(data.train).inputs, orbit.sample(SMALL, "train")[:, :-1])
    inputs, _ = data.train.batch(slice(2))
    assert inputs.dtype == torch.float32
    assert 0 <= inputs.min() < inputs.max() <= 1


def test_a_damaged_data_file_is_named_and_not_used(tmp_path: Path) -> None:
    load_data(SMALL, tmp_path)
    path = data_file(SMALL, tmp_path)
    assert path is not None
    content = bytearray(path.read_bytes())
    content[-7] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"{path}.*damaged"):
        load_data(SMALL, tmp_path)
    path.write_bytes(content[:-100])
    with pytest.raises(UserError, match=rf"{path}.*truncated"):
        load_data(SMALL, tmp_path)


def test_a_foreign_data_file_is_named_and_not_used(tmp_path: Path) -> None:
    other = replace(SMALL, data_seed=1)
    load_data(other, tmp_path)
    theirs, ours = data_file(other, tmp_path), data_file(SMALL, tmp_path)
    assert theirs is not None
    assert ours is not None
    theirs.rename(ours)
    with pytest.raises(UserError, match=f"{ours}.*not the data set"):
        load_data(SMALL, tmp_path)


@pytest.mark.parametrize("lag", [1, -1, 7])
def test_sine_windows_are_the_articles(lag: int, tmp_path: Path) -> None:
    data = load_data(Sine(lag=lag), tmp_path)
    inputs, targets = data.train.batch(slice(None))
    assert inputs.shape == (75, 20, 1, 1, 1)
    for window in (0, 1, 74):
        points = np.linspace(window * np.pi, (window + 1) * np.pi, 21)
        np.testing.assert_allclose(inputs[window].flatten(), np.sin(points[:20]), atol=1e-6)
        np.testing.assert_allclose(
            targets[window].flatten(), np.sin(points[:20] - lag * np.pi / 20), atol=1e-6
        )
        if lag == -1:
            np.testing.assert_allclose(targets[window].flatten(), np.sin(points[1:]), atol=1e-6)
    assert (data.test_frames is not None) == (lag == -1)


def test_sine_splits_follow_each_other(tmp_path: Path) -> None:
    config = Sine(num_windows=4, num_val_windows=3, num_test_windows=2)
    data = load_data(config, tmp_path)
    assert data.val.burn_in == 4 * 20
    assert tensors(data.val).inputs.shape[1] == data.test.burn_in == 7 * 20
    assert tensors(data.test).inputs.shape[1] == 9 * 20
    assert torch.equal(tensors(data.val).inputs[0, : 4 * 20], tensors(data.train).inputs.flatten(0, 1))


@pytest.mark.parametrize("lag", [1, -1, 5, -20])
def test_two_samples_determine_the_sine(lag: int) -> None:
    config = Sine(lag=lag)
    model = AutoRegression(sine.optimal_weights(config), torch.zeros(1))
    predictions, _ = model(sine.samples(config, 13, 100))
    torch.testing.assert_close(
        predictions[:, 1:], sine.samples(config, 13 - lag, 100)[:, 1:], atol=1e-5, rtol=0
    )
