import json
import math
import os
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from wandb.sdk.launch.sweeps.utils import create_sweep_command_args
from wandb.util import get_core_path

from framegen.commands import training
from framegen.commands.training import Enough
from framegen.config.experiments import configure
from framegen.config.reading import parse_train
from framegen.config.training import Training
from framegen.evaluation.results import Session, read_clip_errors
from framegen.machine.errors import OptionError, UserError
from framegen.machine.files import load_tensors, save_tensors
from framegen.runs.folder import read_config, write_config
from framegen.runs.metrics import MEMBERS, METRICS, MetricsFiles, read_metrics
from framegen.runs.tracking import Tracker
from framegen.runs.weights_and_biases import resolve_mode
from framegen.training.loop import Epoch
from tests.conftest import CLOCKS, SMALL_CONFIG, rows_of, smallest
from tests.forked import FRAMEGEN, UNDRAWN, Forked


def read_records(folder: Path) -> list[dict[str, Any]]:
    """What W&B wrote for the one run in `folder`."""
    (file,) = folder.glob("wandb/offline-run-*/*.wandb")
    return records_of(file)


def records_of(file: Path) -> list[dict[str, Any]]:
    command = [get_core_path(), "leet", "inspect", "--no-observability", "--json", "--run-file", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def summary_of(records: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for record in records:
        if record["type"] == "summary":
            found |= record["summary"].get("update", {})
    return found


PROGRAM = """
import sys; from pathlib import Path; from dataclasses import replace
from framegen.commands.training import train; from tests.conftest import SMALL_CONFIG
seen = replace(SMALL_CONFIG, training=replace(SMALL_CONFIG.training, media_every=1))
for name, config in {"seen": seen, "three": replace(SMALL_CONFIG, seeds=(2, 0, 5))}.items():
    folder = Path(sys.argv[1]) / name
    log = lambda epoch: epoch.log(own=10 * epoch.number)
    train(config, name, "offline", folder / "runs", folder / "data", show=False, on_epoch=log)
"""


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one net and one of three, tracked offline in a process of their own, as a user makes them."""
    folder = tmp_path_factory.mktemp("tracked")
    Forked(PROGRAM, folder).succeeded()
    return folder


@pytest.fixture(scope="module")
def tracked(both: Path) -> Path:
    return both / "seen" / "runs"


def test_a_population_is_one_run_with_bands_and_a_table_of_its_members(both: Path) -> None:
    runs = both / "three" / "runs"
    records = read_records(runs)  # of the one run that is there
    history = [record["history"]["item"] for record in records if record["type"] == "history"]
    keys = {name.split(".")[0] for item in history for name in item}
    assert {
        f"{name}{end}"
        for name in ("train/loss", "val/mse", "val/skill")
        for end in ("", "_sd", "_min", "_max")
    } <= keys
    assert {"test/members", "figures/members"} <= keys
    (table,) = runs.glob("wandb/**/media/table/test/members*.json")
    content = json.loads(table.read_text())
    members = json.loads((runs / "three" / "results.json").read_text())["members"]
    assert content["columns"][:3] == ["seed", "mse", "mse_se"]
    assert [row[:2] for row in content["data"]] == [
        [member["seed"], member["one_step"]["mse"]] for member in members
    ]


def test_offline_files_hold_the_whole_run(tracked: Path) -> None:
    records = read_records(tracked)
    (run,) = (record["run"] for record in records if record["type"] == "run" and "config" in record["run"])
    config = run["config"]["update"]
    assert config["task"]["num_clips"] == 40
    assert config["model"]["hidden_size"] == 5
    assert config["parameters"] == 79
    assert (run["display_name"], run["run_group"], run["tags"]) == ("seen", "video", ["orbit", "recurrent"])
    history = [record["history"]["item"] for record in records if record["type"] == "history"]
    logged = [{name: value for name, value in item.items() if not name.startswith("_")} for item in history]
    values: list[dict[str, Any]] = []
    for row in logged:
        if row.keys() == {"step", "own"}:  # told after the epoch's values
            values[-1] |= row
        elif "train/loss" in row or "val/mse" in row:
            values.append({name: value for name, value in row.items() if name not in CLOCKS})
    assert values == rows_of(tracked / "seen")
    assert [row["own"] for row in values if "val/mse" in row] == [10, 20]
    assert any(set(CLOCKS) <= set(item) for item in history)
    keys = {name.split(".")[0] for row in logged for name in row}
    assert {
        "media/video",
        "media/filmstrip",
        "figures/generated",
        "test/one_step",
        "test/closed_loop",
        "test/horizon",
        "figures/spatial",
        "figures/loss",
    } <= keys
    artifacts = {
        record["artifact"]["name"]: record["artifact"]["type"]
        for record in records
        if record["type"] == "artifact"
    }
    assert sorted(artifacts.values()) == ["clips", "dataset", "model", *["run_table"] * 6]
    assert (artifacts["video"], artifacts["video-clips"]) == ("model", "clips")
    (model,) = (record["artifact"] for record in records if record.get("artifact", {}).get("name") == "video")
    assert "seen" in model["aliases"]
    assert json.loads(model["metadata"])["step"] == rows_of(tracked / "seen")[-1]["step"]
    summary = summary_of(records)
    skills = [row["val/skill"] for row in values if "val/skill" in row]
    assert summary["val/skill"] == {"min": min(skills), "max": max(skills), "last": skills[-1]}
    results = json.loads((tracked / "seen" / "results.json").read_text())
    assert summary["test/skill"] == pytest.approx(results["one_step"]["model"]["skill"])
    for metric in ("mse", "excess"):
        expected = results["closed_loop"]["predictors"]["model"][metric]
        assert summary[f"test/closed_loop_{metric}"] == pytest.approx(expected)


def test_every_test_clip_has_a_row_of_its_errors(tracked: Path) -> None:
    kept = read_clip_errors(tracked / "seen")
    for part, name, key in (("one_step", "model", 0), ("closed_loop", "optimum", "optimum")):
        (table,) = tracked.glob(f"wandb/offline-run-*/files/media/table/test/errors_{part}*.json")
        content = json.loads(table.read_text())
        assert [row[0] for row in content["data"]] == list(range(8))
        column = content["columns"].index(name)
        assert [row[column] for row in content["data"]] == pytest.approx(kept[part][key].tolist())


def test_test_clips_stand_side_by_side_as_films(tracked: Path) -> None:
    """In a table whose cells are the files of the run's folder, and as an artifact that names its model."""
    artifacts = [record["artifact"] for record in read_records(tracked) if record["type"] == "artifact"]
    (table,) = (each for each in artifacts if "testclips" in each["name"])
    contents = {Path(entry["path"]).name: entry["local_path"] for entry in table["manifest"]["contents"]}
    content = json.loads(Path(contents["clips.table.json"]).read_text())
    assert content["columns"] == ["clip", "mse", "truth", "generated", "error", "optimum"]
    films = sorted((tracked / "seen" / "clips").iterdir())
    shown = [Path(cell["path"]).name for row in content["data"] for cell in row[2:]]
    assert sorted(shown) == [film.name for film in films]
    for film in films:
        assert Path(contents[film.name]).read_bytes() == film.read_bytes()
    (clips,) = (each for each in artifacts if each["type"] == "clips")
    assert sorted(Path(entry["path"]).name for entry in clips["manifest"]["contents"]) == sorted(shown)
    (model,) = (each for each in artifacts if each["type"] == "model")
    assert json.loads(clips["metadata"])["model_sha256"] == json.loads(model["metadata"])["sha256"]


def test_media_lie_whole_in_the_runs_folder(tracked: Path) -> None:
    (media,) = tracked.glob("wandb/offline-run-*/files/media")
    assert {path.suffix for path in media.rglob("*") if path.is_file()} == {".png", ".gif", ".json"}
    assert {path.name for path in tracked.iterdir()} == {"seen", "wandb"}


def test_the_option_beats_the_environment_beats_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    assert resolve_mode("disabled") == "disabled"
    assert resolve_mode(None) == "online"
    monkeypatch.setenv("WANDB_MODE", "dryrun")
    assert resolve_mode(None) == "offline"
    monkeypatch.setenv("WANDB_MODE", "sometimes")
    with pytest.raises(UserError, match="--track of: is none of online, offline, disabled"):
        resolve_mode("of")  # pyright: ignore[reportArgumentType]
    with pytest.raises(UserError, match="WANDB_MODE=sometimes"):
        resolve_mode(None)
    monkeypatch.delenv("WANDB_MODE")
    assert resolve_mode(None) == "offline"
    monkeypatch.setenv("WANDB_SWEEP_ID", "abc")
    assert resolve_mode(None) == "online"
    assert resolve_mode("offline") == "offline"


def test_a_run_takes_the_id_that_an_agent_gives_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_RUN_ID", "agent-7")
    ids = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        write_config(tmp_path / name, SMALL_CONFIG, "online", tmp_path)
        ids.append(read_config(tmp_path / name).wandb_id)
    assert ids[0] == "agent-7"
    assert ids[1].startswith("second-")  # the agent named one run


def test_what_an_agent_types_and_the_environment_says_is_taken(tmp_path: Path) -> None:
    given = ("data", "cache", "artifact")
    said = {f"WANDB_{name.upper()}_DIR": str(tmp_path / "own" / name) for name in given}
    said |= {"WANDB_NAME": "mine", "WANDB_RUN_GROUP": "ours", "WANDB_TAGS": "a, b", "WANDB_NOTES": "why"}
    options = "--learning_rate=0.02 --hidden_size=8 --epochs=1 --num_clips=20 --num_val_clips=2 "
    options += "--num_test_clips=2 --num_frames=12 --media_every=0"
    command = ["train", "video", *options.split(), "--track", "offline"]
    Forked(UNDRAWN, *command, folder=tmp_path, environment={**os.environ, **said}).succeeded()
    assert [path.name for path in (tmp_path / "own" / "data").iterdir()] == ["artifacts"]
    assert not (tmp_path / "runs" / "wandb" / "data").exists()
    records = read_records(tmp_path / "runs")
    (run,) = (record["run"] for record in records if record["type"] == "run" and "config" in record["run"])
    assert (run["display_name"], run["run_group"], run["notes"]) == ("mine", "ours", "why")
    assert {"a", "b", "orbit"} <= set(run["tags"])
    assert run["job_type"] == "train"
    config = run["config"]["update"]
    assert (config["training"]["learning_rate"], config["model"]["hidden_size"]) == (0.02, 8)


@pytest.mark.parametrize("key", [None, "a" * 40], ids=["no key", "no server"])
def test_online_that_cannot_be_had_is_answered_soon_and_leaves_nothing(
    key: str | None, tmp_path: Path
) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WANDB")}
    environment |= {
        "HOME": str(tmp_path),
        "WANDB_BASE_URL": "http://127.0.0.1:9",
        **({"WANDB_API_KEY": key} if key else {}),
    }
    command = ["train", "--track", "online", "--engine", "torch", *smallest(tmp_path)]
    began = time.monotonic()
    done = Forked(FRAMEGEN, *command, environment=environment).ended()
    assert time.monotonic() - began < 30  # the promise is 15 s; a loaded machine gets twice that
    assert done.returncode == 1
    assert "--track offline" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["wandb"]


class _Dying:
    """A W&B run whose service process has died."""

    def log(self, _row: object) -> None:
        raise ConnectionResetError("gone")


def test_a_tracking_that_breaks_off_never_stops_a_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], small_run: Path
) -> None:
    monkeypatch.setattr("framegen.runs.weights_and_biases.start", lambda *_: _Dying())
    monkeypatch.setattr(training, "draw_run", lambda *_: [small_run / "figures" / "loss.png"])
    run = training.train(SMALL_CONFIG, "run", "online", tmp_path / "runs", tmp_path / "data", show=False)
    assert rows_of(run.folder) == rows_of(small_run)
    assert capsys.readouterr().err.count("W&B broke off") == 1


def test_rows_behind_the_resume_point_are_cut_off(tmp_path: Path) -> None:
    first = MetricsFiles(tmp_path, {})
    with first:
        first.add(METRICS, {"step": 1, "a": 1.0})
        first.add(MEMBERS, {"epoch": 1, "seed": 0})
        lengths = first.flush()
        first.add(METRICS, {"step": 2, "a": 2.0})
        first.add(MEMBERS, {"epoch": 2, "seed": 0})
    assert len(rows_of(tmp_path)) == 2
    with (second := MetricsFiles(tmp_path, lengths)):
        second.add(METRICS, {"step": 2, "a": 3.0})
    assert read_metrics(tmp_path).members == [{"epoch": 1, "seed": 0}]
    assert rows_of(tmp_path) == [{"step": 1, "a": 1.0}, {"step": 2, "a": 3.0}]


def test_what_is_not_finite_leaves_its_row_and_not_the_run(tmp_path: Path) -> None:
    with (files := MetricsFiles(tmp_path, {})):
        for step, value in enumerate((math.nan, math.inf, -math.inf, 0.5)):
            files.add(METRICS, {"step": step, "epoch": step, "val/mse": value, "val/bits": 2.0})
            files.add(MEMBERS, {"epoch": step, "seed": 0, "val/mse": value})
    metrics = read_metrics(tmp_path)
    assert [row.get("val/mse") for row in metrics.epochs] == [None, None, None, 0.5]
    assert [row.get("val/mse") for row in metrics.members] == [None, None, None, 0.5]
    assert all(row["val/bits"] == 2.0 for row in metrics.epochs)


class _Told(Tracker):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []
        self.ended: list[bool] = []
        self.tables: dict[str, int] = {}

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self.rows.append({"step": step, **values})

    def table(self, step: int, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        self.tables[name] = len(rows)

    def finish(self, well: bool) -> None:
        self.ended.append(well)


def test_a_tracker_of_ones_own_is_told_of_a_run_in_wandbs_place(tmp_path: Path) -> None:
    def on_epoch(epoch: Epoch) -> None:
        epoch.log(norm=2.5, gone=math.nan)
        with pytest.raises(OptionError, match=r"epoch.log: val/mse is a name of the epoch's own"):
            epoch.log(**{"val/mse": 0.0})
        if epoch.number == 1:
            raise Enough

    told, places = _Told(), (tmp_path / "runs", tmp_path / "data")
    folder = training.train(SMALL_CONFIG, "a", told, *places, show=False, on_epoch=on_epoch).folder
    training.resume(folder, told, show=False, draw=False, on_epoch=on_epoch)
    epochs = read_metrics(folder).epochs
    assert [row["norm"] for row in epochs] == [2.5, 2.5]
    assert not any("gone" in row for row in epochs)
    whole = [row for row in told.rows if row.keys() != {"step", "norm"}]
    assert [{**row, "norm": 2.5} if "epoch" in row else row for row in whole] == [
        json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()
    ]
    assert told.ended == [True, True]
    assert read_config(folder).track == "disabled"  # what the command line goes on with
    assert not (tmp_path / "runs" / "wandb").exists()


def test_a_stream_is_one_clip_one_step_ahead_and_others_closed_loop(tmp_path: Path) -> None:
    told = _Told()
    windows = {"num_windows": 5, "num_val_windows": 2, "num_test_windows": 3, "epochs": 1, "media_every": 0}
    config = configure("sine-next", None, windows)
    training.train(config, "a", told, tmp_path / "runs", tmp_path / "data", show=False, draw=False)
    assert (told.tables["test/errors_one_step"], told.tables["test/errors_closed_loop"]) == (1, 20)


def test_a_training_that_another_engine_went_on_with_says_so(tmp_path: Path) -> None:
    def enough(_: Epoch) -> None:
        raise Enough

    places = tmp_path / "runs", tmp_path / "data"
    run = training.train(SMALL_CONFIG, "a", "disabled", *places, show=False, on_epoch=enough)
    path = run.folder / "resume.safetensors"
    tensors, texts = load_tensors(path)
    place = json.loads(texts["place"])
    assert place["sessions"] == [{"step": 0, "device": "cpu", "engine": "torch", "processes": 1}]
    place["sessions"][0]["processes"] = 2  # as torchrun leaves it
    save_tensors(path, tensors, {"config": json.loads(texts["config"]), "place": place})
    facts = training.resume(run.folder, show=False, draw=False).results.training
    assert facts is not None
    assert facts.processes == 1
    assert facts.earlier == [Session(0, "cpu", "torch", 2)]


def test_a_bar_on_a_terminal_and_lines_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(SMALL_CONFIG, training=Training(epochs=2, media_every=0))

    def shown(name: str) -> str:
        training.train(config, name, "disabled", tmp_path / "runs", tmp_path / "data", draw=False)
        return capsys.readouterr().err

    assert "\nepoch 1/2  loss 0." in shown("plain")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    bar = shown("bar")
    assert "epoch 2/2" in bar
    assert "val skill" in bar
    assert "left" in bar


PAGE = (Path(__file__).parents[2] / "docs" / "tracking.md").read_text()


@pytest.mark.parametrize("compiled", [True, False])
def test_a_sweep_of_wandbs_own_types_what_train_takes(compiled: bool) -> None:
    """As its agent does: what the YAML says, with the values that the server chose."""
    (text,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    sweep = yaml.safe_load(text)
    chosen = {"learning_rate": 0.02, "hidden_size": 8, "cell": "gru", "compile": compiled, "epochs": 60}
    assert set(chosen) == set(sweep["parameters"])
    typed = create_sweep_command_args({"args": {name: {"value": value} for name, value in chosen.items()}})
    command = [
        word for each in sweep["command"] for word in (typed[each[2:-1]] if each.startswith("${") else [each])
    ]
    assert command[:5] == ["uv", "run", "framegen", "train", "video"]
    _, config = parse_train("video", command[5:])
    assert config == configure("video", None, chosen)
