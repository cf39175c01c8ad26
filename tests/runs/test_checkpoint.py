import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from framegen import files
from framegen.config.models import Recurrent
from framegen.config.training import Training
from framegen.data.clips import Clips
from framegen.errors import UserError
from framegen.models import build
from framegen.runs import checkpoint
from framegen.training.engine import TorchEngine
from tests.conftest import SMALL_CONFIG

Runner = Callable[..., tuple[int, str, str]]


def test_a_checkpoint_alone_rebuilds_its_model(small_run: Path, tmp_path: Path) -> None:
    copy = shutil.copy(small_run / "checkpoint.safetensors", tmp_path / "elsewhere.safetensors")
    saved = checkpoint.load(copy)
    assert saved.config == SMALL_CONFIG
    assert saved.frame_shape == (1, 2, 2)
    assert not saved.model.training
    again = checkpoint.load(small_run)
    frames = torch.rand(2, 5, 1, 2, 2)
    assert torch.equal(saved.model(frames)[0], again.model(frames)[0])


def test_what_is_saved_comes_back_bit_by_bit(tmp_path: Path) -> None:
    for cell in ("tanh", "lstm"):
        clips = Clips(torch.rand(3, 5, 1, 2, 2), torch.rand(3, 5, 1, 2, 2))
        ours, theirs = (
            TorchEngine(
                [build(Recurrent(cell), (1, 2, 2), seed + k) for k in range(2)], clips, Training(), True
            )
            for seed in (0, 2)
        )
        ours.run(torch.tensor([[0], [2]]), [0.01])
        path = tmp_path / f"{cell}.safetensors"
        checkpoint.save_progress(path, ours, checkpoint.Place(1, 123, 4.5))
        assert checkpoint.load_progress(path, theirs) == checkpoint.Place(1, 123, 4.5)
        # Whatever they were, from here on they are the same.
        order = torch.tensor([[1], [0]])
        assert all(
            torch.equal(a, b) for a, b in zip(ours.run(order, [0.01]), theirs.run(order, [0.01]), strict=True)
        )
        for one, other in zip(ours.models, theirs.models, strict=True):
            for a, b in zip(one.parameters(), other.parameters(), strict=True):
                assert torch.equal(a, b)


def _damaged(run: Path, tmp_path: Path, damage: Callable[[Path], object]) -> Path:
    shutil.copytree(run, tmp_path / "run")
    damage(tmp_path / "run" / "checkpoint.safetensors")
    return tmp_path / "run"


def _other_shape(path: Path) -> None:
    weights, metadata = files.load(path)
    weights["head.bias"] = torch.zeros(9)
    files.save(path, weights, metadata)


def _not_finite(path: Path) -> None:
    weights, metadata = files.load(path)
    files.save(path, {name: value / 0 for name, value in weights.items()}, metadata)


def _odd_frames(path: Path) -> None:
    weights, metadata = files.load(path)
    files.save(path, weights, {**metadata, "frame_shape": [1, -2, 2]})


def _no_config(path: Path) -> None:
    files.save(path, files.load(path)[0], {})


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-20]), "truncated"),
        (lambda path: path.write_bytes(path.read_bytes()[:30]), "truncated"),
        (lambda path: path.write_bytes(b""), "truncated"),
        (lambda path: path.unlink(), "no such file"),
        (lambda path: torch.save({"a": torch.ones(1)}, path), "pickle"),
        (lambda path: path.write_bytes(b"\x80\x04evil"), "pickle"),
        (_other_shape, "head.bias has shape"),
        (_no_config, "not a framegen checkpoint"),
        (_not_finite, "not finite"),
        (_odd_frames, "frames have the shape"),
    ],
    ids=[
        "truncated",
        "header only",
        "empty",
        "missing",
        "torch.save",
        "pickle",
        "other shape",
        "no config",
        "not finite",
        "odd frames",
    ],
)
@pytest.mark.parametrize("command", ["evaluate", "draw", "generate"])
def test_a_bad_checkpoint_is_named_in_one_line(
    command: str,
    damage: Callable[[Path], object],
    reason: str,
    framegen: Runner,
    small_run: Path,
    tmp_path: Path,
) -> None:
    run = _damaged(small_run, tmp_path, damage)
    rest = ["--frames", "3", "--out", str(tmp_path / "a.gif")] if command == "generate" else []
    code, out, err = framegen(command, run, *rest)
    assert (code, out) == (1, "")
    assert len(err.splitlines()) == 1
    assert str(run / "checkpoint.safetensors") in err
    assert reason in err
    assert not (tmp_path / "a.gif").exists()


def test_a_header_whose_length_begins_like_a_pickle_is_read(tmp_path: Path) -> None:
    for padding in range(300):
        files.save(tmp_path / "a.safetensors", {"a": torch.ones(2)}, {"text": "x" * padding})
        if (tmp_path / "a.safetensors").read_bytes()[0] == 0x80:
            break
    else:
        raise AssertionError("no such length was met")
    assert files.load(tmp_path / "a.safetensors")[1] == {"text": "x" * padding}


def test_a_folder_in_a_files_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.safetensors").mkdir()
    with pytest.raises(UserError, match=r"checkpoint.safetensors"):
        checkpoint.load(tmp_path)
