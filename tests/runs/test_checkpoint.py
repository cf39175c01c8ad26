import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from framegen.config.models import ConvRecurrent, Model, Recurrent
from framegen.config.training import Training
from framegen.data.clips import TensorClips
from framegen.machine import files
from framegen.machine.errors import UserError
from framegen.models import build
from framegen.runs import checkpoint
from framegen.training.engine import TorchEngine
from tests.conftest import SMALL_CONFIG, replaced, sparse

Runner = Callable[..., tuple[int, str, str]]


def test_a_checkpoint_alone_rebuilds_its_model(small_run: Path, tmp_path: Path) -> None:
    copy = shutil.copy(small_run / "checkpoint.safetensors", tmp_path / "elsewhere.safetensors")
    saved = checkpoint.load(copy)
    assert saved.config == SMALL_CONFIG
    assert saved.frame_shape == (1, 2, 2)
    assert not saved.models[0].training
    again = checkpoint.load(small_run)
    frames = torch.rand(2, 5, 1, 2, 2)
    assert torch.equal(saved.models[0](frames)[0], again.models[0](frames)[0])


@pytest.mark.parametrize(
    "model",
    [
        Recurrent("tanh"),
        Recurrent("lstm"),
        Recurrent("mingru"),
        ConvRecurrent("predrnn", 3, 2, 3, 1, "motion"),
    ],
    ids=["tanh", "lstm", "mingru", "predrnn"],
)
def test_what_is_saved_comes_back_bit_by_bit(model: Model, tmp_path: Path) -> None:
    clips = TensorClips(torch.rand(3, 5, 1, 2, 2), torch.rand(3, 5, 1, 2, 2))
    ours, theirs = (
        TorchEngine(
            [build(model, (1, 2, 2), seed + k) for k in range(2)], clips, Training(batch_size=1), True
        )
        for seed in (0, 2)
    )
    ours.run(torch.tensor([[0], [2]]), [0.01])
    path, place = tmp_path / "resume.safetensors", checkpoint.Place((0, 1), 1, 4.5, {"metrics.jsonl": 9})
    config = replace(SMALL_CONFIG, seeds=(0, 1))
    checkpoint.save_progress(path, ours.state_dict(), config, place)
    tensors, found = checkpoint.load_progress(path, config, 5)
    theirs.load_state_dict(tensors)
    assert found == place
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


def _read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    tensors, metadata = files.load_tensors(path)
    return tensors, {name: json.loads(text) for name, text in metadata.items()}


def _flipped(path: Path) -> None:
    """One bit of one weight."""
    content = bytearray(path.read_bytes())
    content[-3] ^= 0x10
    path.write_bytes(content)


def _undigested(path: Path) -> None:
    from safetensors.torch import load_file, save_file

    save_file(load_file(path), path)


def _about(**changes: object) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        weights, metadata = _read(path)
        files.save_tensors(path, weights, {**metadata, "about": {**metadata["about"], **changes}})

    return damage


def _enormous(path: Path) -> None:
    weights, metadata = _read(path)
    metadata["config"]["model"] |= {"hidden_size": 4096, "num_layers": 32}
    metadata["config"]["seeds"] = list(range(4096))
    files.save_tensors(path, weights, metadata)


def _other_shape(path: Path) -> None:
    weights, metadata = _read(path)
    weights["head.bias"] = torch.zeros(9)
    files.save_tensors(path, weights, metadata)


def _not_finite(path: Path) -> None:
    weights, metadata = _read(path)
    files.save_tensors(path, {name: value / 0 for name, value in weights.items()}, metadata)


def _no_config(path: Path) -> None:
    files.save_tensors(path, files.load_tensors(path)[0], {})


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-20]), "truncated"),
        (lambda path: path.write_bytes(path.read_bytes()[:30]), "truncated"),
        (lambda path: path.write_bytes(b""), "truncated"),
        (
            lambda path: path.unlink(),
            "no such file, so there is no trained model; ",
        ),
        (lambda path: torch.save({"a": torch.ones(1)}, path), "pickle"),
        (lambda path: path.write_bytes(b"\x80\x04evil"), "pickle"),
        (_other_shape, "head.bias has shape"),
        (_no_config, "not a framegen checkpoint"),
        (_not_finite, "not finite"),
        (_about(frame_shape=[1, -2, 2]), "frames have the shape"),
        (_about(frame_shape=[1, 10**9, 1]), "frames have the shape"),
        (_about(shown=5), "names seeds"),
        (_about(step="1"), "step"),
        (_flipped, "SHA-256"),
        (_undigested, "no digest"),
        (_enormous, "more than a machine holds"),
        (sparse, "no file of framegen is that large"),
        (replaced(os.mkfifo), "not a regular file"),
        (replaced(lambda path: path.symlink_to("/dev/zero")), "not a regular file"),
    ],
)
@pytest.mark.parametrize("command", ["evaluate", "generate"])
def test_a_bad_checkpoint_is_named_in_one_line(
    command: str,
    damage: Callable[[Path], object],
    reason: str,
    framegen: Runner,
    small_run: Path,
    tmp_path: Path,
) -> None:
    run = _damaged(small_run, tmp_path, damage)
    rest = ["--num-frames", "3", "--out", str(tmp_path / "a.gif")] if command == "generate" else []
    code, out, err = framegen(command, run, *rest)
    assert (code, out) == (1, "")
    assert len(err.splitlines()) == 1
    assert str(run / "checkpoint.safetensors") in err
    assert reason in err
    assert not (tmp_path / "a.gif").exists()


def test_a_header_whose_length_begins_like_a_pickle_is_read(tmp_path: Path) -> None:
    for padding in range(300):
        files.save_tensors(tmp_path / "a.safetensors", {"a": torch.ones(2)}, {"text": "x" * padding})
        if (tmp_path / "a.safetensors").read_bytes()[0] == 0x80:
            break
    else:
        raise AssertionError("no such length was met")
    assert files.load_tensors(tmp_path / "a.safetensors")[1] == {"text": json.dumps("x" * padding)}


def test_a_folder_in_a_files_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.safetensors").mkdir()
    with pytest.raises(UserError, match=r"checkpoint.safetensors: is not a regular file"):
        checkpoint.load(tmp_path)


def test_a_file_that_is_replaced_while_it_is_read_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = tmp_path / "file", tmp_path / "other"
    contents = {file: {"a": torch.full((3,), float(n))} for n, file in enumerate((path, other), 1)}
    for file, content in contents.items():
        files.save_tensors(file, content, {"number": file.name})

    def then_replaced(read: Callable[..., Any], first: bool) -> Callable[..., Any]:
        def hooked(*arguments: Any, **options: Any) -> Any:
            if first and other.exists():  # between the header's opening and the tensors'
                other.replace(path)
            found = read(*arguments, **options)
            if other.exists():
                other.replace(path)
            return found

        return hooked

    monkeypatch.setattr(
        torch.UntypedStorage, "from_file", then_replaced(torch.UntypedStorage.from_file, True)
    )
    monkeypatch.setattr(Path, "read_bytes", then_replaced(Path.read_bytes, False))
    for name, number in (("file", 1.0), ("other", 2.0)):
        tensors, metadata = files.load_tensors(path)
        assert metadata == {"number": f'"{name}"'}
        assert tensors["a"].tolist() == [number] * 3
    assert not other.exists(), "it was replaced between the two"
