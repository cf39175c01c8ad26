"""Where a run lies: it is found, with its data, from any folder, and wherever the whole is moved."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from framegen.commands.training import resume, train
from framegen.config.config import Config
from framegen.config.film import Film
from framegen.config.models import ConvRecurrent
from framegen.config.training import Training
from framegen.data.films.importing import import_films
from framegen.runs.folder import _changes, read_config  # pyright: ignore[reportPrivateUsage]
from framegen.runs.run import load
from tests.conftest import SMALL_CONFIG
from tests.data.films import encode, scene

Runner = Callable[..., tuple[int, str, str]]
FILM = Config(
    Film("short", num_frames=8, context=4, max_val_clips=2, max_test_clips=2),
    ConvRecurrent(hidden_size=2, num_layers=1),
    Training(epochs=1, batch_size=4, clips_per_epoch=4, media_every=0, device="cpu"),
    "clips",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a light's run and a film's were trained, by paths that a user types. Read only."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        encode(Path("short.mp4"), np.concatenate([scene(seed, 30) for seed in range(4)]))
        import_films(["short.mp4"], "short", 16, show=False)
        for name, config in {"light": SMALL_CONFIG, "film": FILM}.items():
            train(config, name, "disabled", show=False, draw=False)
    return folder


@pytest.fixture
def work(made: Path, tmp_path: Path) -> Path:
    """The same folder, moved as a whole."""
    return Path(shutil.copytree(made, tmp_path / "work"))


def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "elsewhere"


@pytest.mark.parametrize(("name", "evaluated"), [("light", False), ("film", True)])
def test_a_run_is_used_from_another_folder_with_its_own_data(
    name: str, evaluated: bool, work: Path, tmp_path: Path, framegen: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = _elsewhere(tmp_path, monkeypatch)
    run = Path("..") / "work" / "runs" / name
    for command in [["generate", run, "--out", "a.npy"]] + [["evaluate", run]] * evaluated:
        code, _, err = framegen(*command)
        assert code == 0, err
    assert [path.name for path in here.iterdir()] == ["a.npy"]
    file = load(run).data.file
    assert file is not None
    assert file.is_relative_to(work / "data")


def test_a_training_goes_on_after_the_folder_was_moved(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = _elsewhere(tmp_path, monkeypatch)
    (work / "runs" / "light" / "results.json").unlink()
    resume(work / "runs" / "light", show=False, draw=False)
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("name", ["light", "film"])
def test_a_run_that_was_moved_alone_says_what_is_missing(
    name: str, work: Path, tmp_path: Path, framegen: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = _elsewhere(tmp_path, monkeypatch)
    run = Path(shutil.move(work / "runs" / name, here / "alone"))
    data = tmp_path / "data"  # what ../../data is now
    for command in (["generate", run, "--out", "a.npy"], ["evaluate", run]):
        code, _, err = framegen(*command)
        assert code == 1
        (line,) = err.splitlines()
        assert line.startswith(f"framegen: {data}: ")
        assert f"data_dir in {run / 'config.json'}" in line
    assert not data.exists()
    assert [path.name for path in here.iterdir()] == ["alone"]
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, "data_dir": str(work / "data")}))
    code, _, err = framegen("generate", run, "--out", "a.npy")
    assert code == 0, err


def test_a_run_from_before_paths_were_kept_so_is_found_beside_its_data(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its data_dir begins where framegen was started: where the folder of runs lies, or where one stands."""
    path = work / "runs" / "light" / "config.json"
    config = json.loads(path.read_text())
    del config["data_dir_from"]
    path.write_text(json.dumps({**config, "data_dir": "data"}))
    _elsewhere(tmp_path, monkeypatch)
    assert read_config(path.parent).data_dir == work / "data"
    shutil.move(path.parent, tmp_path / "elsewhere" / "light")
    assert read_config(Path("light")).data_dir == Path("data")


def test_data_named_by_a_whole_path_stay_there(tmp_path: Path, small_run: Path) -> None:
    before = read_config(small_run).data_dir
    moved = shutil.copytree(small_run, tmp_path / "far" / "small")
    assert read_config(moved).data_dir == before
    assert before.is_absolute()


def test_uncommitted_changes_hold_new_files_too(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        return subprocess.run(
            ["git", *who, *words], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout

    (tmp_path / "framegen").mkdir()
    (tmp_path / "framegen" / "old.py").write_text("a = 1\n")
    (tmp_path / ".gitignore").write_text("*.pyc\n")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "one")
    commit = git("rev-parse", "HEAD").strip()
    assert _changes(tmp_path) == (commit, "")
    (tmp_path / "framegen" / "old.py").write_text("a = 2\n")
    for name in ("my net.py", "left.pyc"):
        (tmp_path / "framegen" / name).write_text("b = 3\n")
    (tmp_path / "holiday.mp4").write_text("c")
    again, diff = _changes(tmp_path)
    assert again == commit
    assert diff is not None
    assert "-a = 1\n+a = 2" in diff
    assert "+b = 3" in diff
    assert "my net.py" in diff
    assert not {"left.pyc", "holiday.mp4"} & set(re.findall(r"[\w.]+", diff))
    assert git("status", "--short").count("??") == 2  # and git's index is as it was
    assert _changes(tmp_path / "framegen" / "none") == (None, None)
