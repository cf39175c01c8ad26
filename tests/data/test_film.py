"""The clips of a data set of films: every window of its shots, cut from the memory map."""

import pickle
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from framegen.commands.training import train
from framegen.config.config import Config, from_json, to_dict
from framegen.config.film import Film
from framegen.config.models import Recurrent
from framegen.config.training import Training
from framegen.data.clips import evenly
from framegen.data.film import Windows
from framegen.data.films.dataset import frames_of, read_manifest
from framegen.data.films.importing import import_films
from framegen.data.loading import determine, load_data
from framegen.evaluation import references
from framegen.machine.errors import OptionError, UserError
from framegen.machine.files import json_text
from framegen.models.baselines import MeanFrame
from framegen.runs.tracking import Tracker
from tests.data.films import encode, scene

LENGTHS = (25, 12, 9, 30, 26, 28)
TASK = Film("set", num_frames=10, context=5)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of one film with a shot of each length. Read only."""
    root = tmp_path_factory.mktemp("films")
    shots = [scene(n, length) for n, length in enumerate(LENGTHS)]
    path = encode(root / "a.mp4", np.concatenate(shots))
    import_films([path], "set", 16, data_dir=root / "data", show=False)
    return root / "data"


def _windows(task: Film, data_dir: Path) -> Windows:
    train = load_data(task, data_dir).train
    assert isinstance(train, Windows)
    return train


def test_training_clips_are_all_windows_and_none_crosses_a_shot(data_dir: Path) -> None:
    """Against going through the shots one by one."""
    manifest = read_manifest(data_dir / "set")
    rows = np.array(frames_of(data_dir / "set" / "train.npy"))
    shots = [shot for shot in manifest.shots if shot.split == "train"]
    expected = [
        rows[shot.row + offset : shot.row + offset + 10]
        for shot in shots
        for offset in range(shot.frames - 9)
    ]
    clips = _windows(TASK, data_dir)
    assert len(clips) == len(expected)
    inputs, targets = clips.batch(slice(0, len(clips)))
    assert inputs.dtype == torch.float32
    assert inputs.shape == targets.shape == (len(expected), 9, 3, 8, 16)
    whole = torch.from_numpy(np.stack(expected)).float() / 255
    assert torch.equal(inputs, whole[:, :-1])
    assert torch.equal(targets, whole[:, 1:])
    order = torch.randperm(len(clips), generator=torch.Generator().manual_seed(0))
    assert torch.equal(clips.batch(order)[0], inputs[order])
    assert torch.equal(clips.batch(slice(3, 9, 2))[1], targets[3:9:2])


@pytest.mark.parametrize("fitted", [1000, 40])
def test_references_know_the_film_as_it_is_whatever_training_makes_of_it(
    fitted: int, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mean frame is that of the windows' own pixels, and no reference changes with what is trained on."""
    monkeypatch.setattr(references, "FITTED", fitted)
    short = replace(TASK, num_frames=6)
    turned = replace(short, flip=True, flip_vertical=True, reverse=True)
    for task in (short, replace(short, crop=2)):
        windows = _windows(replace(task, crop=0), data_dir).frames(slice(None)).double() / 255
        assert 40 < len(windows) < 1000
        chosen = windows[evenly(len(windows), fitted)][:, 1:]
        middle = slice(1, -1) if task.crop else slice(None)
        expected = chosen.mean((0, 1))[:, middle, middle]
        found = [
            references.fit_references(each, load_data(each, data_dir))
            for each in (task, replace(turned, crop=task.crop))
        ]
        for each in found:
            mean = each["mean frame"]
            assert isinstance(mean, MeanFrame)
            torch.testing.assert_close(mean.mean, expected.float())
        frames = load_data(task, data_dir).test.batch(slice(None))[0]
        for name, ours in found[0].items():
            assert torch.equal(ours(frames)[0], found[1][name](frames)[0]), name


def test_mirrored_windows_are_clips_behind_the_others(data_dir: Path) -> None:
    plain, both = _windows(TASK, data_dir), _windows(replace(TASK, flip=True), data_dir)
    count = len(plain)
    assert len(both) == 2 * count
    inputs, _ = plain.batch(slice(0, count))
    assert torch.equal(both.batch(slice(0, count))[0], inputs)
    assert torch.equal(both.batch(slice(count, 2 * count))[0], inputs.flip(-1))
    assert not torch.equal(inputs, inputs.flip(-1))


def test_clips_run_backwards_and_stand_on_their_heads_too(data_dir: Path) -> None:
    plain = _windows(TASK, data_dir)
    every = _windows(replace(TASK, flip=True, flip_vertical=True, reverse=True), data_dir)
    count = len(plain)
    frames = plain.frames(slice(0, count))
    assert len(every) == 8 * count
    for variant in range(8):
        expected = frames
        for digit, axis in enumerate((-1, -2, 1)):
            expected = expected.flip(axis) if variant >> digit & 1 else expected
        assert torch.equal(every.frames(slice(variant * count, (variant + 1) * count)), expected)


def test_crops_lie_in_the_middle_and_in_each_corner(data_dir: Path) -> None:
    plain = _windows(TASK, data_dir).batch(slice(0, 7))[0]
    data = load_data(replace(TASK, crop=4, flip=True), data_dir)
    count = len(_windows(TASK, data_dir))
    assert len(data.train) == 10 * count
    assert data.frame_shape == (3, 4, 12)
    places = [(2, 2), (0, 0), (0, 4), (4, 0), (4, 4)]
    for variant in range(10):
        top, left = places[variant // 2]
        cut = plain[..., top : top + 4, left : left + 12]
        clips = data.train.batch(torch.arange(7) + variant * count)[0]
        assert torch.equal(clips, cut.flip(-1) if variant % 2 else cut)
    assert data.test_frames is not None
    uncropped = load_data(TASK, data_dir).test_frames
    assert uncropped is not None
    assert torch.equal(data.test_frames, uncropped[..., 2:6, 2:14])


def test_validation_and_test_clips_are_spread_over_their_shots(data_dir: Path) -> None:
    data = load_data(replace(TASK, max_val_clips=3, max_test_clips=1000), data_dir)
    manifest = read_manifest(data_dir / "set")
    rows = torch.from_numpy(np.array(frames_of(data_dir / "set" / "test.npy")))
    assert manifest.frames("test") == 28
    assert len(data.test) == 19
    assert data.test_frames is not None
    assert torch.equal(data.test_frames, rows.unfold(0, 10, 1).movedim(-1, 1))
    assert torch.equal(data.test.batch(slice(0, 19))[1], data.test_frames[:, 1:] / 255)
    assert (len(data.val), data.context, data.file) == (3, 5, data_dir / "set" / "manifest.json")
    val = torch.from_numpy(np.array(frames_of(data_dir / "set" / "val.npy")))
    first_and_last = data.val.batch(torch.tensor([0, 2]))[0]
    assert torch.equal(first_and_last[0], val[:9] / 255)
    assert torch.equal(first_and_last[1], val[-10:-1] / 255)


def test_windows_go_to_a_worker_without_their_frames(data_dir: Path) -> None:
    clips = _windows(TASK, data_dir)
    clips.batch(slice(0, 2))
    content = pickle.dumps(clips)
    assert len(content) < 5000
    assert torch.equal(pickle.loads(content).batch(slice(0, 2))[0], clips.batch(slice(0, 2))[0])


def test_a_run_is_bound_to_its_films(data_dir: Path, tmp_path: Path) -> None:
    bound = determine(TASK, data_dir)
    assert isinstance(bound, Film)
    assert len(bound.digest) == 64
    assert len(load_data(bound, data_dir).train) == len(load_data(TASK, data_dir).train)
    config = Config(bound, Recurrent())
    assert from_json(json_text(to_dict(config)), "here") == config
    other = encode(tmp_path / "b.mp4", scene(50, 80))
    import_films([other], "set", 16, data_dir=tmp_path / "data", show=False)
    with pytest.raises(UserError, match="is not the data set that the run began with"):
        load_data(bound, tmp_path / "data")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dataset": ""}, "no such data set.*there are set.*framegen data import"),
        ({"dataset": "sett"}, "sett: no such data set"),
        ({"num_frames": 30}, "--num-frames 30: the longest shot of set's .* split has .* frames"),
        ({"crop": 8}, "--crop 8: nothing is left"),
    ],
)
def test_what_a_data_set_cannot_give_is_said(change: dict[str, int], reason: str, data_dir: Path) -> None:
    with pytest.raises(UserError, match=reason):
        load_data(replace(TASK, **change), data_dir)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Film(num_frames=1),
        lambda: Film(num_frames=10),
        lambda: Film(context=0),
        lambda: Film(crop=-1),
        lambda: Film(max_test_clips=0),
    ],
)
def test_impossible_options_are_refused(make: Callable[[], Film]) -> None:
    with pytest.raises(OptionError, match="--"):
        make()


def test_a_net_is_trained_on_films_and_keeps_their_digest(data_dir: Path, tmp_path: Path) -> None:
    used = []

    class Files(Tracker):
        def file(self, name: str, kind: str, path: Path, metadata: Mapping[str, object]) -> None:
            used.append((name, kind, path))

    training = Training(epochs=1, batch_size=10, media_every=0, device="cpu", engine="torch")
    config = Config(replace(TASK, max_test_clips=4), Recurrent(), training, "clips")
    run = train(config, "a", Files(), tmp_path / "runs", data_dir, show=False, draw=False)
    assert isinstance(run.config.task, Film)
    assert run.config.task.digest == getattr(determine(TASK, data_dir), "digest", None)
    assert not run.results.has_skill
    assert run.results.closed_loop is not None
    assert used[0] == ("set", "dataset", data_dir / "set" / "manifest.json")  # by the data set's own name
