import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import fields, replace
from importlib.metadata import version
from inspect import Parameter, signature
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import torch
from rich.console import Console

from framegen.__main__ import COMMANDS, at
from framegen.commands import evaluation, training
from framegen.config.experiments import EXPERIMENTS, PARTS
from framegen.evaluation.results import read_results
from framegen.machine.progress import say
from framegen.report import draw
from framegen.report.figures import style
from framegen.report.tables import print_results
from tests.conftest import smallest

Runner = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("words", [["--help"], [], ["help"], ["data"]])
def test_help_names_every_command_on_one_screen(words: list[str], framegen: Runner) -> None:
    code, out, _ = framegen(*words)
    lines = out.splitlines()
    assert code == 0
    assert len(lines) <= 24 - 2  # of 24 of a terminal one shows the command, and one the prompt
    assert max(map(len, lines)) <= 80
    for command in COMMANDS:
        assert (
            any(re.match(r"  " + command.replace("data ", r".*\b"), line) for line in lines) or command in out
        )


COMMAND = r"usage:|  (uv run )?framegen "
"""How a line begins that is to be pasted, and so is not folded."""


@pytest.mark.parametrize("command", ["", *(name for name in COMMANDS if "resume" not in name)])
def test_help_has_no_line_longer_than_the_terminal_and_no_none(
    command: str, framegen: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    out = framegen(*command.split(), "--help")[1]
    assert max(len(line) for line in out.splitlines() if not re.match(COMMAND, line)) <= 60
    assert not re.search(r"\bNone\b|\(default: (none)?\)", out)


def test_the_experiments_are_listed(framegen: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    code, out, _ = framegen("experiments")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 60
    said = " ".join(out.split())
    for name, config in EXPERIMENTS.items():
        assert re.search(rf"^  {name} ", out, re.MULTILINE)
        assert config.description.split()[-1] in said


def test_the_version_is_told(framegen: Runner) -> None:
    assert framegen("--version")[:2] == (0, f"framegen {version('framegen')}\n")


def test_help_of_a_command_may_stand_before_it(framegen: Runner) -> None:
    assert framegen("help", "generate") == framegen("generate", "--help")


@pytest.mark.parametrize("columns", [80, 50])
def test_help_is_in_words_and_says_what_matters_first(
    columns: int, framegen: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    short, whole = (framegen("train", "video", asked)[1] for asked in ("--help", "--help-all"))
    options = [set(re.findall(r"^[│ ] (--[a-z][\w-]+)", out, re.MULTILINE)) for out in (short, whole)]
    named = {
        f"--{each.name.replace('_', '-')}"
        for part in PARTS
        for each in fields(getattr(EXPERIMENTS["video"], part))
    }
    assert len(options[0]) == 10
    assert options[0] < options[1] >= named
    for out in (short, whole):
        assert "[EXPERIMENT]" in out
        text = " ".join(out.replace("│", "").split())
        assert "on top. Epochs, clips an epoch and pictures follow." in text
        assert not re.search(r"INT|FLOAT|STR|None|False|default: \)", text)
    monkeypatch.setenv("COLUMNS", "200")
    known = set(re.findall(r"\w+", framegen("train", "video", "--help-all")[1]))
    assert set(re.findall(r"\w+", whole)) <= known  # no word is broken


def test_something_is_said_before_anything_is_imported() -> None:
    program = (
        "import os, sys, framegen.__main__ as main;"
        "main._run = lambda words: print({'rich', 'tyro', 'pydantic', 'torch'} & {*sys.modules},"
        " os.environ['OMP_WAIT_POLICY']); main.main()"
    )
    command = [sys.executable, "-c", program, "train"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert (done.stdout, done.stderr) == ("set() passive\n", "loading PyTorch ...\n")


@pytest.mark.parametrize("words", ["--help", "data list", "data import --help"])
def test_help_and_lists_import_no_torch(words: str) -> None:
    program = (
        "import sys, contextlib, framegen.__main__ as main\n"
        f"sys.argv = ['framegen', *{words.split()}]\n"
        "with contextlib.suppress(SystemExit): main.main()\n"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=True)


@pytest.mark.parametrize("command", ["train", "evaluate", "generate", "draw", "play"])
def test_each_command_explains_its_options(command: str, framegen: Runner) -> None:
    code, out, _ = framegen(command, "--help-all")
    assert code == 0
    assert "--runs-dir" in out


@pytest.mark.parametrize("command", [name for name, row in COMMANDS.items() if "options:" in row[0]])
def test_an_option_is_called_as_in_python_and_has_the_same_default(command: str) -> None:
    options, function = (at(place) for place in COMMANDS[command][:2])
    known = dict(signature(function).parameters)
    more = get_type_hints(get_args(known.pop("options").annotation)[0]) if "options" in known else {}
    assert isinstance(options, type)
    for field in fields(options):
        assert field.name in {**known, **more}
        if field.name in known and known[field.name].default is not Parameter.empty:
            assert str(field.default) == str(known[field.name].default), field.name


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_each_experiment_shows_its_own_defaults(name: str, framegen: Runner) -> None:
    code, out, _ = framegen("train", name, "--help-all")
    assert code == 0
    options = " ".join(out.split())
    assert f"(default: {EXPERIMENTS[name].training.epochs})" in options
    for option, default in vars(EXPERIMENTS[name].model).items():
        assert f"--{option.replace('_', '-')}" in options
        said = {True: "on", False: "off"}[default] if isinstance(default, bool) else default
        assert f"(default: {said})" in options


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["trian"], "did you mean train?"),
        (["train", "vidoe"], "did you mean video?"),
        (["train", "a\nb\x1b[2J"], r"framegen: a\nb\x1b[2J: no such experiment"),
        (["train", "--epohcs", "3"], "did you mean --epochs?"),
        (["train", "--lr", "0.1"], "--lr: no such option; did you mean --learning-rate?"),
        (["train", "--hidden=4"], "did you mean --hidden-size?"),
        (["train", "--batch-length", "4"], "did you mean --batch-size"),
        (["train", "sine"], "did you mean sine-lag, sine-next?"),
        (["--seeds", "4", "train", "video"], "--seeds: options come after the command"),
        (["experiments", "video"], "video: is one too many"),
        (["train", "--cell", "gruu"], "gru"),
        (["train", "sine-lag", "--noise", "0.1"], "--noise"),
        (["train", "video-mlp", "--cell", "gru"], "--cell"),
        (["train", "--batch-size", "2000"], "--batch-size 2000: larger than the 1000"),
        (["train", "--num-frames", "0"], "--num-frames 0"),
        (["train", "--seeds", "9" * 30], "must lie between 1 and 4096"),
        (["train", "--hidden-size", "-5"], "--hidden-size -5"),
        (["train", "--epochs", "many"], "many"),
        (["train", "sine-lag", "--lag", "21"], "--lag 21: is longer than the window"),
        (["generate", "run"], "--out"),
        (["generate", "run", "--prompt", "a.png", "b.png", "--out", "c.gif"], "b.png: is one too many"),
        (["train", "--data", "films"], "framegen continue FILM"),
        (["train", "--name", "wandb"], "--name wandb: is a folder of framegen's own"),
        (["train", "video", "--video=a.mp4"], "framegen continue FILM"),
    ],
)
def test_a_wrong_option_is_answered_with_the_way_out(
    arguments: list[str], answer: str, framegen: Runner
) -> None:
    code, out, err = framegen(*arguments)
    assert code == 2
    assert answer in out + err
    assert "Traceback" not in out + err


@pytest.mark.parametrize(
    "command",
    [
        ["evaluate"],
        ["draw"],
        ["play"],
        ["generate", "--num-frames", "3", "--out", "a.gif"],
        ["train", "--resume"],
    ],
)
def test_a_run_that_does_not_exist_is_named_beside_those_that_do(
    command: list[str], framegen: Runner, small_run: Path
) -> None:
    code, _, err = framegen(*command, "nosuch", "--runs-dir", small_run.parent)
    assert code == 1
    assert err.startswith("framegen: nosuch: no such run")
    assert "small" in err
    assert str(small_run.parent.resolve()) in err
    assert "--runs-dir" in err


@pytest.mark.parametrize("command", [["train", "--resume"], ["evaluate"], ["draw"]])
def test_a_folder_without_a_run_is_named_with_the_runs_in_it(
    command: list[str], framegen: Runner, small_run: Path, tmp_path: Path
) -> None:
    for folder, held in (tmp_path, "no run is there"), (small_run.parent, str(small_run)):
        code, _, err = framegen(*command, folder)
        assert code == 1
        assert f"{folder}: is not a run folder" in err
        assert held in err
        assert "--resume" not in err


def test_an_empty_argument_is_no_folder(framegen: Runner) -> None:
    for arguments in (["train", ""], ["train", "--runs-dir="], ["continue", ""]):
        code, _, err = framegen(*arguments)
        assert code == 2
        assert "an argument is empty" in err
        assert len(err.splitlines()) == 1


@pytest.mark.parametrize("arguments", [["train", "x" * 5000], ["train", "clips", "--dataset", "x" * 5000]])
def test_a_name_that_is_too_long_is_answered_in_one_line(arguments: list[str], framegen: Runner) -> None:
    code, _, err = framegen(*arguments)
    assert code == 1
    assert "File name too long" in err
    assert len(err.splitlines()) == 1


def test_closed_streams_stop_nothing(tmp_path: Path) -> None:
    program = (
        "import os, sys; from framegen.__main__ import prepare_streams; prepare_streams();"
        "from framegen.machine.progress import say;"
        "say('into nothing', True); print(sys.stderr.isatty());"
        "sys.exit(os.open('file', os.O_CREAT) < 3)"
    )
    closed = ["sh", "-c", 'exec "$0" -c "$1" <&- >&- 2>&-', sys.executable, program]
    subprocess.run(closed, cwd=tmp_path, timeout=60, check=True)


def test_what_an_encoding_lacks_is_shown_all_the_same(
    framegen: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(written := BytesIO(), "ascii"))
    assert framegen("data", "list", "--data-dir", "\udcff\u00fc")[0] == 0
    sys.stdout.flush()
    assert written.getvalue().startswith(rb"\udcff\xfc: holds no films")


def test_a_table_stays_whole_where_an_encoding_lacks_letters(
    framegen: Runner, small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(written := BytesIO(), "ascii"))
    assert framegen("compare", small_run, shutil.copytree(small_run, tmp_path / "twin"))[0] == 0
    sys.stdout.flush()
    tables = re.findall(r"((?:^[|+].*\n)+)", written.getvalue().decode(), re.MULTILINE)
    assert len(tables) == 2
    assert "+- clips" in tables[1]
    for table in tables:
        assert len(set(map(len, table.splitlines()))) == 1


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"task": 1}'])
def test_a_damaged_config_is_named(content: str, framegen: Runner, small_run: Path, tmp_path: Path) -> None:
    shutil.copytree(small_run, tmp_path / "run")
    (tmp_path / "run" / "config.json").write_text(content)
    code, _, err = framegen("train", "--resume", tmp_path / "run")
    assert code == 1
    assert str(tmp_path / "run" / "config.json") in err
    assert len(err.splitlines()) == 1


def test_train_from_the_shell_ends_in_a_table_paths_and_the_next_command(
    framegen: Runner, tmp_path: Path
) -> None:
    code, out, _ = framegen("train", "video-gru", *smallest(tmp_path), "--hidden-size", "3", "--name", "mine")
    assert code == 0
    run = tmp_path / "runs" / "mine"
    for word in ("this model", "copy last", "mean frame", "linear", "optimum", str(run / "generated.gif")):
        assert word in out
    following = next(
        line for line in out.splitlines() if line.startswith("Next: uv run framegen ")
    ).removeprefix("Next: uv run framegen ")
    assert str(run) in following
    config = json.loads((run / "config.json").read_text())
    assert (config["model"]["hidden_size"], config["model"]["cell"], config["experiment"]) == (
        3,
        "gru",
        "video-gru",
    )
    made = [run / "generated.gif", *(run / "figures").iterdir()]
    assert len(made) > 5
    assert all(path.stat().st_size > 5000 for path in made)


def test_two_layers_and_no_memory_are_drawn_too(
    framegen: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draw, "write_continuations", lambda *_: None)  # alike for all nets
    small = [*smallest(tmp_path), "--num-frames", "3"]
    assert framegen("train", "video", "--num-layers", "2", "--name", "two", *small)[0] == 0
    assert framegen("train", "video-mlp", "--name", "mlp", *small)[0] == 0
    assert framegen("train", "video", "--hidden-size", "80", "--name", "wide", *small)[0] == 0
    figures = {
        name: {path.name for path in (tmp_path / "runs" / name / "figures").iterdir()}
        for name in ("two", "mlp", "wide")
    }
    assert {"spatial.png", "temporal.png"} <= figures["two"]
    assert {"spatial.png", "temporal.png"} <= figures["mlp"]
    assert "hidden.png" not in figures["mlp"]
    assert "spatial.png" not in figures["wide"]


def test_a_whole_run_at_64x64(framegen: Runner, tmp_path: Path) -> None:
    small = [*smallest(tmp_path), "--size", "64", "--num-clips", "10", "--num-frames", "6"]
    assert framegen("train", "video-gru", "--name", "large", *small)[0] == 0
    assert (tmp_path / "runs" / "large" / "generated.gif").exists()


def test_a_runs_folder_that_cannot_be_made_is_named(framegen: Runner, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = framegen(
        "train", "--runs-dir", tmp_path / "file" / "runs", "--data-dir", tmp_path / "data"
    )
    assert code == 1
    assert str(tmp_path / "file" / "runs") in err


@pytest.mark.parametrize("content", ["", "{", "[]", "3", '{"one_step": 1}'])
def test_damaged_results_are_named_by_draw_and_mended_by_evaluate(
    content: str, framegen: Runner, small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "draw_run", lambda *_: [])
    shutil.copytree(small_run, tmp_path / "run")
    path = tmp_path / "run" / "results.json"
    path.write_text(content)
    code, _, err = framegen("draw", tmp_path / "run")
    assert code == 1
    assert "framegen evaluate" in err
    assert len(err.splitlines()) == 1
    assert framegen("evaluate", tmp_path / "run")[0] == 0
    assert "one_step" in json.loads(path.read_text())


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.unlink(), "no such file"),
        (lambda path: path.write_text("3\n"), "is damaged: 0"),
        (lambda path: path.write_bytes(b"\xff\n"), "is damaged"),
        (lambda path: path.write_text('{"step": NaN}\n'), "line 1 has a value that is not finite"),
        (lambda path: path.write_text('{"epoch": 1}\n'), "line 1 has no step"),
        (lambda path: path.write_text(""), "no value of train/loss"),
        (lambda path: path.write_text("[" * 10_000 + "\n"), "recursion limit"),
    ],
)
def test_without_its_metrics_a_run_is_drawn_all_but_its_curve(
    damage: Callable[[Path], object],
    reason: str,
    framegen: Runner,
    small_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def save(_: object, path: Path, *_more: bool) -> Path:  # a figure that is made need not be painted
        path.parent.mkdir(exist_ok=True)
        path.touch()
        return path

    monkeypatch.setattr(style, "save", save)
    if reason != "no such file":  # nor need the others be made each time
        for figure in ("_horizon", "_pictures", "_trajectories", "neuron"):
            monkeypatch.setattr(draw, figure, lambda *_: None)
        for figure in ("spatial_view", "temporal_view"):
            monkeypatch.setattr(draw.network, figure, lambda *_: None)
        data = [tmp_path / "run" / "figures" / name for name in ("data.png", "data.gif")]
        monkeypatch.setattr(draw, "_draw_data", lambda *_: [save(None, path) for path in data])
        monkeypatch.setattr(draw, "write_continuations", lambda _, outs: [save(None, out) for out in outs])
    run = Path(shutil.copytree(small_run, tmp_path / "run"))
    shutil.rmtree(run / "figures")
    damage(run / "metrics.jsonl")
    code, out, err = framegen("draw", run)
    assert code == 0
    assert len(out.split()) > 5
    assert all(Path(path).exists() for path in out.split())
    (line,) = err.splitlines()
    assert line.startswith(f"{run / 'figures' / 'loss.png'}: was not drawn ({run / 'metrics.jsonl'}")
    assert reason in line
    names = {path.name for path in (run / "figures").iterdir()}
    assert names == {path.name for path in (small_run / "figures").iterdir()} - {"loss.png"}


def test_nothing_drawn_is_no_success(
    framegen: Runner, small_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "draw_run", lambda *_: [])
    code, out, err = framegen("draw", small_run)
    assert (code, out) == (1, "")
    assert "no picture could be made" in err


def test_a_finished_run_is_not_trained_again(framegen: Runner, small_run: Path) -> None:
    before = (small_run / "results.json").stat().st_mtime_ns
    code, _, err = framegen("train", "--resume", small_run)
    assert code == 0
    assert "is finished already" in err
    assert (small_run / "results.json").stat().st_mtime_ns == before


def test_pictures_that_a_killed_run_did_not_make_are_made_by_a_resume(
    framegen: Runner, small_run: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(small_run, tmp_path / "run"))
    gone = [run / "generated.gif", run / "figures" / "filmstrip.png", run / "figures" / "horizon.png"]
    whole = {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != ".lock"}
    for path in gone:
        path.unlink()
    kept = run / "figures" / "loss.png"
    kept.write_bytes(b"kept")
    code, _, err = framegen("train", "--resume", run)
    assert code == 0, err
    assert "is finished already; 3 missing pictures made" in err
    assert kept.read_bytes() == b"kept"
    assert all(path.read_bytes() == whole[path] for path in whole if path != kept)


@pytest.mark.parametrize("processes", ["1", "2"])
def test_what_nobody_foresaw_is_a_line_with_the_place_of_its_traceback(
    processes: str, framegen: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise ValueError("of \x1b[31m it\nmore")

    monkeypatch.setattr(training, "resume", fail)
    monkeypatch.setattr(training, "together", lambda lead: lead())
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("WORLD_SIZE", processes)
    code, out, err = framegen("train", "--resume", "x")
    (saved,) = tmp_path.iterdir()
    line = r"framegen: ValueError: of \x1b[31m it: this is a fault of framegen; its traceback is in "
    assert (code, out, err) == (1, "", f"{line}{saved}; please report it\n")
    assert "in fail" in saved.read_text()
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    code, _, err = framegen("train", "--resume", "x")
    assert (code, err.endswith("; its traceback could not be saved; please report it\n")) == (1, True)


def test_a_full_gpu_is_a_line_with_the_way_out(framegen: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise torch.OutOfMemoryError(
            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 80 GiB.\nMore"
        )

    monkeypatch.setattr(training, "resume", fail)
    code, out, err = framegen("train", "--resume", "x")
    assert (code, out) == (1, "")
    assert err.startswith(
        "framegen: CUDA out of memory. Tried to allocate 2.00 GiB: a smaller --batch-size or"
    )
    assert len(err.splitlines()) == 1


@pytest.mark.usefixtures("undrawn")
def test_a_name_tells_a_terminal_nothing(framegen: Runner, small_run: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"\x1b]0;owned\x07caf\xe9two\nlines")
    run = Path(shutil.copytree(small_run, tmp_path / name))
    other = Path(shutil.copytree(small_run, tmp_path / f"{name}2"))
    for words in (
        ["evaluate", run],
        ["draw", run],
        ["play", run],
        ["compare", run, other],
        ["generate", run, "--num-frames", 2, "--out", run / "o.npy"],
        ["train", "--resume", run],
        ["data", "list", "--data-dir", run],
        ["generate", run / "none", "--out", "o.gif"],
    ):
        _, *streams = framegen(*words)
        said = "".join(streams)
        assert all(part in said for part in ("owned", "caf", "two", "lines"))
        assert all(letter.isprintable() or letter == "\n" for letter in said), said
        assert "two\nlines" not in said


def test_a_model_that_learned_nothing_but_the_mean_is_told_so(
    small_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = read_results(small_run)
    mean = results.one_step["mean frame"]
    for model, told in ((mean, True), ({**mean, "mse": 0.5 * (mean["mse"] or 0)}, False)):
        print_results(replace(results, one_step={**results.one_step, "model": model}), Console(width=80))
        assert ("has not learned to predict" in " ".join(capsys.readouterr().out.split())) == told


def test_progress_that_nobody_reads_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        say("one", True)
        say("two", True)
