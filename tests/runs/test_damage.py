"""Whatever is wrong with a file of a run: one line that names it, and nothing is lost."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from framegen.commands.training import resume, train
from framegen.machine import files
from framegen.machine.errors import OptionError, UserError
from framegen.runs.folder import create
from framegen.runs.run import load
from framegen.training.loop import Epoch
from tests.conftest import CLOCKS, SMALL_CONFIG, replaced, rows_of, sparse

Runner = Callable[..., tuple[int, str, str]]
DEEP = "[" * 100_000


@pytest.fixture
def run(small_run: Path, tmp_path: Path) -> Path:
    """A copy of a finished run that may be damaged."""
    return Path(shutil.copytree(small_run, tmp_path / "run"))


def _set(*places: str | int, value: object) -> Callable[[Path], None]:
    """Put another value at a place of a JSON file."""

    def damage(path: Path) -> None:
        content = part = json.loads(path.read_text())
        for place in places[:-1]:
            part = part[place]
        part[places[-1]] = value
        path.write_text(json.dumps(content))

    return damage


ANY_JSON: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_text(""),
    "half": lambda path: path.write_text(path.read_text()[:100]),
    "list": lambda path: path.write_text("[]"),
    "deep": lambda path: path.write_text(DEEP),
    "long number": lambda path: path.write_text('{"task": ' + "9" * 5000 + "}"),
    "no text": lambda path: path.write_bytes(b"\xff\xfe"),
    "folder": replaced(Path.mkdir),
    "pipe": replaced(os.mkfifo),
    "endless": replaced(lambda path: path.symlink_to("/dev/zero")),
    "sparse": sparse,
}
CONFIG: dict[str, Callable[[Path], object]] = {
    "task is text": _set("task", value="abc"),
    "unknown kind": _set("model", "kind", value="Transformer"),
    "float": _set("model", "hidden_size", value=5.0),
    "boolean": _set("training", "epochs", value=True),
    "too many": _set("seeds", value=list(range(5000))),
    "too large": _set("model", "hidden_size", value=10**9),
    "huge net": _set(
        "model", value={"kind": "Recurrent", "cell": "lstm", "hidden_size": 4096, "num_layers": 32}
    ),
    "NUL": _set("data_dir", value="a\0b"),
    "long path": _set("data_dir", value="a" * 10_000),
    "tracking": _set("track", value="sometimes"),
}
RESULTS: dict[str, Callable[[Path], object]] = {
    "text": _set("median_seed", value="0"),
    "nobody's seed": _set("median_seed", value=17),
    "no members": _set("members", value=[]),
    "NaN": _set("one_step", "model", "mse", value=float("nan")),
    "infinite": _set("members", 0, "one_step", "mse", value=float("inf")),
    "unknown": _set("members", 0, "colour", value=3),
    "curve": _set("closed_loop", "per_horizon", value=3),
}


def _one_line(err: str, path: Path) -> None:
    (line,) = [line for line in err.splitlines() if "making or reading" not in line]
    assert line.startswith(f"framegen: {path}") or str(path) in line


@pytest.mark.parametrize("damage", ANY_JSON | CONFIG)
def test_a_damaged_config_is_named(damage: str, framegen: Runner, run: Path) -> None:
    (run / "results.json").unlink()
    before = (run / "resume.safetensors").read_bytes()
    (ANY_JSON | CONFIG)[damage](run / "config.json")
    code, _, err = framegen("train", "--resume", run)
    assert code == 1
    _one_line(err, run)
    assert (run / "resume.safetensors").read_bytes() == before


@pytest.mark.parametrize("damage", ANY_JSON | RESULTS)
def test_damaged_results_are_named_with_the_way_out(damage: str, framegen: Runner, run: Path) -> None:
    (ANY_JSON | RESULTS)[damage](run / "results.json")
    code, _, err = framegen("draw", run)
    assert code == 1
    _one_line(err, run / "results.json")
    assert f"framegen evaluate {run}" in err


def _place(**changes: object) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        tensors, texts = files.load_tensors(path)
        metadata = {name: json.loads(text) for name, text in texts.items()}
        files.save_tensors(path, tensors, {**metadata, "place": {**metadata["place"], **changes}})

    return damage


def _tensor(name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        tensors, texts = files.load_tensors(path)
        metadata: dict[str, Any] = {key: json.loads(text) for key, text in texts.items()}
        files.save_tensors(path, {**tensors, name: change(tensors[name])}, metadata)

    return damage


def _other_population(path: Path) -> None:
    tensors, texts = files.load_tensors(path)
    config = json.loads(texts["config"])
    config["training"]["seed"] = 8
    files.save_tensors(path, tensors, {"place": json.loads(texts["place"]), "config": config})


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_flip, "SHA-256"),
        (_place(step=10**9), "cannot have been"),
        (_place(step=-1), "cannot have been"),
        (_place(step=1.0), "step: Input should be a valid integer"),
        (_place(seconds="1"), "seconds"),
        (_place(seeds=[3]), "cannot have been"),
        (_place(lengths={"metrics.jsonl": -4}), "cannot have been"),
        (_tensor("adam.mean", lambda t: t * torch.nan), "not finite"),
        (_tensor("adam.variance", lambda t: t + torch.inf), "not finite"),
        (_tensor("adam.variance", lambda t: -t - 1), "Adam's state does not fit"),
        (_tensor("adam.mean", lambda t: t[:, 1:]), "Adam's state does not fit"),
        (_tensor("model.head.weight", lambda t: t.mT), "head.weight has shape"),
        (_tensor("adam.step", lambda t: t - 99), "how many steps"),
        (_other_population, "another config"),
    ],
)
def test_a_damaged_resume_file_is_named_and_left_alone(
    damage: Callable[[Path], None], reason: str, framegen: Runner, run: Path
) -> None:
    (run / "results.json").unlink()
    path = run / "resume.safetensors"
    damage(path)
    before, checkpoint = path.read_bytes(), (run / "checkpoint.safetensors").read_bytes()
    code, _, err = framegen("train", "--resume", run)
    assert code == 1
    assert err.splitlines()[-1].startswith(f"framegen: {path}")
    assert reason in err
    assert (path.read_bytes(), (run / "checkpoint.safetensors").read_bytes()) == (before, checkpoint)


def test_killed_before_the_first_step_was_saved_it_begins_anew(small_run: Path, run: Path) -> None:
    """The checkpoint of step 0 is there, what resuming needs is not."""
    config = replace(SMALL_CONFIG, training=replace(SMALL_CONFIG.training, epochs=2))
    places = run.parent / "runs", run.parent / "data"
    initial = train(config, "first", "disabled", *places, show=False, draw=False).folder
    tensors, texts = files.load_tensors(initial / "checkpoint.safetensors")
    metadata = {name: json.loads(text) for name, text in texts.items()}
    metadata["about"]["step"] = 0
    files.save_tensors(initial / "checkpoint.safetensors", tensors, metadata)
    (initial / "resume.safetensors").unlink()
    (initial / "results.json").unlink()
    again = resume(initial, show=False, draw=False)
    assert rows_of(again.folder) == rows_of(small_run)


def test_killed_as_it_began_a_name_is_free_again(tmp_path: Path) -> None:
    folder = create(tmp_path, "video", "mine")
    (folder / ".config.1234.tmp.json").write_text("{")
    (folder / ".lock").touch()
    assert create(tmp_path, "video", "mine") == folder
    (folder / "config.json").write_text("{}")
    with pytest.raises(UserError, match="exists already"):
        create(tmp_path, "video", "mine")


def test_killed_while_an_epoch_is_drawn_the_resumed_run_draws_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from framegen.commands import training

    config = replace(SMALL_CONFIG, training=replace(SMALL_CONFIG.training, media_every=1))
    draw_epoch = training.draw_epoch

    def killed(run, epoch, windows):
        (run.folder / "media").mkdir(exist_ok=True)
        (run.folder / "media" / ".epoch-002.77.tmp.gif").write_bytes(b"half a picture")
        if epoch == 2:
            raise KeyboardInterrupt
        return draw_epoch(run, epoch, windows)

    monkeypatch.setattr(training, "draw_epoch", killed)
    with pytest.raises(KeyboardInterrupt):
        train(config, "run", "disabled", tmp_path / "runs", tmp_path / "data", show=False, draw=False)
    monkeypatch.undo()
    run = resume(tmp_path / "runs" / "run", show=False, draw=False).folder
    made = {path.name for path in (run / "media").iterdir()}
    assert made == {f"epoch-00{epoch}.{kind}" for epoch in (1, 2) for kind in ("gif", "png")}


def test_a_run_is_opened_by_text_too(small_run: Path) -> None:
    run = load(str(small_run))
    assert run.results.median_seed == run.shown
    metrics = run.metrics()
    assert len(metrics.steps) == 8
    assert [set(row) for row in metrics.epochs] == [{"step", "epoch", "val/mse", "val/skill", *CLOCKS}] * 2


@pytest.mark.parametrize("gone", ["config.json", "the folder"])
@pytest.mark.parametrize("epoch", [1, 2])
def test_a_run_that_is_removed_while_it_is_trained_is_not_made_anew(
    gone: str, epoch: int, tmp_path: Path
) -> None:
    def remove(at: Epoch) -> None:
        if at.number == epoch:
            (tmp_path / "run" / "config.json").unlink() if gone == "config.json" else shutil.rmtree(
                tmp_path / "run"
            )

    with pytest.raises(UserError, match=r"run/(config.json: was removed|metrics.jsonl: cannot be written)"):
        train(SMALL_CONFIG, "run", "disabled", tmp_path, tmp_path / "data", show=False, on_epoch=remove)
    assert (tmp_path / "run").exists() == (gone == "config.json")
    assert not (tmp_path / "run" / "results.json").exists()
    assert not (tmp_path / "run" / "figures").exists()


def test_a_run_lies_where_no_name_is_text_and_a_data_set_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = tmp_path / os.fsdecode(b"caf\xe9")
    monkeypatch.setattr(sys, "argv", ["framegen", "train", "--runs-dir", str(runs)])
    run = train(SMALL_CONFIG, "run", "disabled", runs, tmp_path / "data", show=False, draw=False)
    assert json.loads((run.folder / "config.json").read_text())["command"][-1].endswith(r"caf\udce9")
    assert resume(run.folder, show=False, draw=False).config == SMALL_CONFIG
    with pytest.raises(OptionError, match="is no UTF-8"):
        train(SMALL_CONFIG, "two", "disabled", tmp_path, runs, show=False)
    assert not (tmp_path / "two").exists()


@pytest.mark.parametrize(
    "inside",
    [
        ("one_step", "model", "mse"),
        ("closed_loop", "per_horizon", "model", "mse", 0),
        ("members", 0, "validation_mse"),
        ("training", "seconds"),
    ],
    ids=str,
)
def test_a_number_that_no_float_holds_is_no_traceback(
    inside: tuple[str | int, ...], run: Path, framegen: Runner
) -> None:
    path, other = run / "results.json", run.with_name("other")
    _set(*inside, value=1.25e300)(path)
    path.write_text(path.read_text().replace("1.25e+300", "1e400"))
    shutil.copytree(run, other)
    for words in (["compare", run, other, "--out", run / "o.png"], ["draw", run], ["play", run]):
        code, _, err = framegen(*words)
        assert (code in (0, 1), "fault of framegen" in err) == (True, False), err
