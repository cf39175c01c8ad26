"""Moving MNIST against a direct writing-down of the protocol, and its files."""

import gzip
import hashlib
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from framegen.config.tasks import MovingMNIST
from framegen.data import moving_mnist
from framegen.data.clips import to_float
from framegen.data.digits import load_digits
from framegen.data.loading import load_data
from framegen.data.moving_mnist import BouncingClips, tracks
from framegen.evaluation.references import optimal_predictor
from framegen.machine.errors import UserError

SMALL = MovingMNIST(size=16, digits="sklearn", num_clips=12, num_val_clips=3, num_test_clips=4)
REAL = replace(SMALL, size=64, digits="mnist")


def _clips(config: MovingMNIST, split: str = "train") -> BouncingClips:
    return BouncingClips(config, split, 12, load_digits(config, Path("nowhere"))[split])


def _write_idx(path: Path, pictures: np.ndarray) -> None:
    content = np.array([2051, *pictures.shape], ">i4").tobytes() + pictures.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def _pictures(number: int, seed: int = 0) -> np.ndarray:
    """No two are equal."""
    return np.random.default_rng(seed).integers(0, 256, (number, 28, 28), np.uint8)


def test_a_digit_flies_as_in_the_original_generator() -> None:
    random = np.random.default_rng(3)
    start, angle = random.random((50, 2)), random.random(50) * 2 * math.pi
    bounces = 0
    for way, (y, x), theta in zip(tracks(start, angle, 20, 0.1), start, angle, strict=True):
        v_y, v_x = math.sin(theta), math.cos(theta)
        for place in way:
            y, x = y + v_y * 0.1, x + v_x * 0.1
            if x <= 0 or x >= 1:
                x, v_x, bounces = max(0, min(1, x)), -v_x, bounces + 1
            if y <= 0 or y >= 1:
                y, v_y, bounces = max(0, min(1, y)), -v_y, bounces + 1
            np.testing.assert_allclose(place, (y, x), atol=1e-12)
    assert bounces > 50


def test_frames_show_the_brighter_pixel_of_the_digits_at_their_places() -> None:
    clips = _clips(replace(SMALL, num_digits=3))
    pictures, places = (each.numpy() for each in clips.scenes(slice(0, 2)))
    inputs, targets = clips.batch(slice(0, 2))
    frames = torch.cat([inputs, targets[:, -1:]], 1)
    assert torch.equal(inputs[:, 1:], targets[:, :-1])
    for clip in range(2):
        for t in range(20):
            expected = np.zeros((16, 16))
            for digit in range(3):
                row, column = places[clip, digit, t]
                for i in range(7):
                    for j in range(7):
                        value = pictures[clip, digit, i, j] / 255
                        expected[row + i, column + j] = max(expected[row + i, column + j], value)
            np.testing.assert_allclose(frames[clip, t, 0], expected, atol=1e-6)


def test_places_are_whole_pixels_of_the_room_and_reach_every_edge() -> None:
    config = replace(SMALL, size=64)
    _, places = _clips(config).scenes(torch.arange(300))
    assert config.digit_size == 28
    assert places.dtype == torch.int64
    assert (places.amin((0, 1, 2)).tolist(), places.amax((0, 1, 2)).tolist()) == ([0, 0], [36, 36])
    moved = places.diff(dim=2).abs()
    assert moved.max() == 4  # 3.6 pixels, cut
    assert moved.double().square().sum(-1).max() <= (3.6 + math.sqrt(2)) ** 2


def test_a_clip_is_a_function_of_its_number_alone() -> None:
    clips = _clips(SMALL)
    every = clips.frames(slice(None))
    order = torch.tensor([7, 0, 11, 7])
    assert torch.equal(clips.frames(order), every[order])
    assert torch.equal(_clips(SMALL).frames(slice(3, 5)), every[3:5])
    fresh = clips.frames(torch.tensor([12, 999]))
    others = [
        _clips(SMALL, "val").frames(slice(None)),
        _clips(replace(SMALL, data_seed=1)).frames(slice(None)),
    ]
    contents = [clip.numpy().tobytes() for part in (every, fresh, *others) for clip in part]
    assert len(set(contents)) == len(contents)


@pytest.mark.parametrize(
    "change",
    [{"num_digits": 1}, {"step": 0.2}, {"data_seed": 5}, {"size": 20}, {"num_frames": 9, "context": 4}],
)
def test_each_option_changes_the_clips(change: dict[str, int]) -> None:
    ours, theirs = _clips(SMALL).frames(slice(None)), _clips(replace(SMALL, **change)).frames(slice(None))
    assert ours.shape != theirs.shape or not torch.equal(ours, theirs)


def test_the_data_are_what_the_config_says(tmp_path: Path) -> None:
    data = load_data(replace(SMALL, context=7), tmp_path)
    assert (len(data.train), len(data.val), len(data.test), data.context) == (12, 3, 4, 7)
    assert data.test_frames is not None
    assert torch.equal(to_float(data.test_frames[:, :-1]), data.test.batch(slice(None))[0])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["{}", "{}.gz", "MNIST/raw/{}", "MNIST/raw/{}.gz"])
def test_mnist_is_read_where_it_lies_and_no_digit_is_in_two_splits(tmp_path: Path, place: str) -> None:
    pictures, test = _pictures(24), _pictures(6, seed=1)
    _write_idx(tmp_path / place.format("train-images-idx3-ubyte"), pictures)
    alone = load_digits(REAL, tmp_path)
    assert torch.equal(torch.cat([alone["train"], alone["test"], alone["val"]]), torch.from_numpy(pictures))
    assert [len(alone[split]) for split in ("train", "test", "val")] == [19, 3, 2]
    _write_idx(tmp_path / place.format("t10k-images-idx3-ubyte"), test)
    both = load_digits(REAL, tmp_path)
    assert torch.equal(torch.cat([both["train"], both["val"]]), torch.from_numpy(pictures))
    assert torch.equal(both["test"], torch.from_numpy(test))


def test_the_digits_of_scikit_learn_are_shared_out_and_made_as_large_as_asked_for() -> None:
    splits = load_digits(replace(SMALL, size=32), Path("nowhere"))
    assert {name: tuple(each.shape) for name, each in splits.items()} == {
        "train": (1348, 14, 14),
        "val": (149, 14, 14),
        "test": (300, 14, 14),
    }
    contents = {name: {p.numpy().tobytes() for p in each} for name, each in splits.items()}
    assert not contents["train"] & contents["test"]
    assert not contents["val"] & contents["test"]
    assert max(int(each.max()) for each in splits.values()) == 255


def test_without_mnist_a_line_names_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--digits sklearn") as raised:
        load_data(REAL, tmp_path)
    assert str(tmp_path) in str(raised.value)


def test_without_scikit_learn_a_line_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(UserError, match="--extra digits"):
        load_digits(SMALL, Path("nowhere"))


@pytest.mark.parametrize(("kept", "added"), [(-100, b""), (None, b"x"), (0, b""), (10, b""), (0, b"x" * 99)])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_damaged_file_of_mnist_is_named(
    tmp_path: Path, kept: int | None, added: bytes, ending: str
) -> None:
    path = tmp_path / f"train-images-idx3-ubyte{ending}"
    _write_idx(path, _pictures(20))
    path.write_bytes(path.read_bytes()[:kept] + added)
    with pytest.raises(UserError, match="train-images-idx3-ubyte"):
        load_digits(REAL, tmp_path)


@pytest.fixture
def public(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, np.ndarray]:
    """A file like the public one, and what it holds."""
    _write_idx(tmp_path / "train-images-idx3-ubyte", _pictures(24))
    path = tmp_path / "MovingMNIST" / "mnist_test_seq.npy"
    path.parent.mkdir()
    frames = np.random.default_rng(0).integers(0, 256, (20, 6, 64, 64), np.uint8)
    np.save(path, frames)
    monkeypatch.setattr(moving_mnist, "PUBLIC_MD5", hashlib.md5(path.read_bytes()).hexdigest())
    return path, frames


def test_the_public_file_is_the_test_set_clip_by_clip(
    public: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    _, frames = public
    data = load_data(REAL, tmp_path)
    assert data.test_frames is not None
    assert len(data.test) == len(data.test_frames) == 4  # as many as the config says
    assert np.array_equal(data.test_frames[:, :, 0].numpy(), frames.transpose(1, 0, 2, 3)[:4])
    inputs, targets = data.test.batch(slice(1, 3))
    assert np.array_equal(inputs[:, :, 0].numpy() * 255, frames.transpose(1, 0, 2, 3)[1:3, :-1])
    assert np.array_equal(targets[:, :, 0].numpy() * 255, frames.transpose(1, 0, 2, 3)[1:3, 1:])
    assert len(load_data(replace(REAL, num_test_clips=100), tmp_path).test) == 6
    assert optimal_predictor(REAL, data) is None  # nobody knows its digits


def test_a_public_file_of_another_content_is_named(public: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    path, _ = public
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"mnist_test_seq\.npy.*MD5"):
        load_data(REAL, tmp_path)


@pytest.mark.parametrize("change", [{"num_frames": 15}, {"size": 48}, {"num_digits": 1}, {"step": 0.2}])
def test_the_public_file_is_left_aside_where_clips_are_made_otherwise(
    public: tuple[Path, np.ndarray], tmp_path: Path, change: dict[str, int]
) -> None:
    task = replace(REAL, **change)
    assert optimal_predictor(task, load_data(task, tmp_path)) is not None
