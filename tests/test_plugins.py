"""Models and tasks outside the package: docs/extend.md works, and only what is named is imported."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

import framegen
from framegen.config.config import Config, from_json, kind_of, to_dict
from framegen.config.experiments import EXPERIMENTS, configure
from framegen.machine import files, plugins
from framegen.runs.run import load
from framegen.studies.pool import workers
from tests.forked import Forked

Runner = Callable[..., tuple[int, str, str]]

ROOT = Path(__file__).parents[1]
EXTEND = (ROOT / "docs" / "extend.md").read_text()
SHORT = ["--epochs", "1", "--num-clips", "20", "--track", "disabled"]


def _blocks(language: str, page: str = EXTEND) -> list[str]:
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", page, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page's my_world.py in it."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "my_world.py").write_text(_blocks("python")[0])
    return folder


@pytest.fixture(autouse=True)
def _nothing_stays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    plugins.named.clear()
    monkeypatch.setattr(sys, "path", [*sys.path])
    known = set(EXPERIMENTS)
    yield
    plugins.named.clear()
    for name in EXPERIMENTS.keys() - known:
        del EXPERIMENTS[name]
    for name in ("my_world", "delay"):
        sys.modules.pop(name, None)


def _commands() -> list[list[str]]:
    """The page's commands, the trainings made short."""
    found = [shlex.split(line.removeprefix("uv run ")) for line in _blocks("sh")[0].splitlines()]
    return [words[1:] + (SHORT if "train" in words else []) for words in found]


@pytest.mark.usefixtures("undrawn")
def test_each_command_of_the_page_runs(
    folder: Path, framegen: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.delenv("UV_RUN_RECURSION_DEPTH", raising=False)
    said = {}
    for words in _commands():
        sys.modules.pop("my_world", None)
        code, out, err = framegen(*words)
        assert code == 0, f"{words}: {out}{err}"
        said[words[2]] = out
    assert json.loads((folder / "runs" / "swing-1" / "config.json").read_text())["model"] == {
        "kind": "my_world:Echo",
        "density": 0,
        "units": 30,
    }
    assert "Next: framegen --import my_world.py generate runs/" in said["train"]
    assert "optimum" in said["evaluate"]
    assert (folder / "swing.gif").stat().st_size > 0
    # Another process knows nothing of it.
    done = Forked("import framegen; framegen.load('runs/swing-1')", folder=folder).ended()
    wanted = (
        "holds a task my_world:Swing, which is not framegen's; name its file: framegen --import my_world.py"
    )
    assert wanted in done.stderr


@pytest.mark.usefixtures("undrawn")
def test_ones_own_net_is_measured_on_a_world_that_hides(
    tmp_path: Path, framegen: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (page,) = _blocks("python", (ROOT / "docs" / "memory.md").read_text())
    Path("delay.py").write_text(page)
    words = "--import delay.py train bar-delay --size 8 --bar 5 --reach 1 --num-test-clips 40 --name delay"
    small = [*SHORT, "--batch-size", "4", "--clips-per-epoch", "8", "--num-val-clips", "2"]
    code, out, err = framegen(*words.split(), *small)
    assert code == 0, err
    assert "memory" in out
    net = load("runs/delay").model
    frames = torch.rand(2, 12, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    later = torch.cat([torch.zeros_like(frames[:, :4]), frames[:, 4:]], 1)
    assert torch.equal(net(frames)[0][:, -1], net(later)[0][:, -1])  # the last eight frames, and no more


def test_experiments_of_a_file_are_listed(folder: Path, framegen: Runner) -> None:
    code, out, _ = framegen("experiments", "--import", folder / "my_world.py")
    assert code == 0
    assert "an echo-state net" in out


def test_help_may_stand_beside_an_import(folder: Path, framegen: Runner) -> None:
    given = "--import", folder / "my_world.py"
    screen = framegen("--help")[1]
    for words in (("--help", *given), (*given, "--help"), given, (*given, "data", "--help")):
        assert framegen(*words)[:2] == (0, screen)


def test_help_shows_every_option_of_ones_own_and_examples_that_work(folder: Path, framegen: Runner) -> None:
    file = folder / "my_world.py"
    code, out, _ = framegen("--import", file, "train", "swing", "--help")
    assert code == 0
    for part in ("task", "model"):
        own = vars(type(getattr(EXPERIMENTS["swing"], part)))["__annotations__"]
        assert own
        for name in own:
            assert f"--{name.replace('_', '-')}" in out
    assert f"framegen --import {file} train swing --epochs 30" in out


def test_a_fault_in_ones_own_file_is_told_with_its_line(
    folder: Path, framegen: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (folder / "my_world.py").read_text()
    line = next(number for number, each in enumerate(text.splitlines(), 1) if "super().__init__()" in each)
    broken = text.replace("super().__init__()", "super().__init__(); {}['sigmoid']", 1)
    (tmp_path / "faulty.py").write_text(broken)
    monkeypatch.chdir(tmp_path)
    code, _, err = framegen("--import", "faulty.py", "train", "swing", *SHORT)
    assert code == 1
    assert err.splitlines()[-1].startswith(
        f"framegen: faulty.py, line {line}: KeyError: 'sigmoid'; its traceback"
    )
    sys.modules.pop("faulty")


@pytest.mark.parametrize(
    "kind",
    ["os:system", "../evil:X", "antigravity:x", "evil:Evil", "evil.X", "", ["evil:Evil"], None],
    ids=str,
)
@pytest.mark.parametrize("part", ["task", "model"])
def test_what_a_run_says_is_never_imported(
    part: str,
    kind: object,
    small_run: Path,
    framegen: Runner,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "evil.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    run = Path(shutil.copytree(small_run, tmp_path / "run"))
    config = json.loads((run / "config.json").read_text())
    config[part]["kind"] = kind
    (run / "config.json").write_text(json.dumps(config))
    weights, texts = files.load_tensors(run / "checkpoint.safetensors")
    metadata = {name: json.loads(text) for name, text in texts.items()}
    metadata["config"][part]["kind"] = kind
    files.save_tensors(run / "checkpoint.safetensors", weights, metadata)
    before = set(sys.modules)
    for words in (["evaluate", run], ["train", "--resume", run], ["generate", run, "--out", "a.gif"]):
        code, out, err = framegen(*words)
        assert (code, out, err.count("\n")) == (1, "", 1), out + err
        assert f"holds a {part} " in err
    assert not {"evil", "antigravity"} & (set(sys.modules) - before)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("missing.py", None, "there is no such file"),
        ("no_such.module", None, "ModuleNotFoundError: No module named 'no_such'"),
        ("broken.py", "def", "SyntaxError: invalid syntax (broken.py, line 1)"),
        ("raises.py", "import framegen\n1 / 0", "ZeroDivisionError: division by zero (line 2)"),
        ("leaves.py", "import sys\n\nsys.exit('enough')", "SystemExit: enough (line 3)"),
        ("random.py", "", "a module random is here already"),
        ("torch.py", "", "a module torch is here already"),
        (
            "taken.py",
            "from framegen import *\nregister(Recurrent, print, experiments={'video': EXPERIMENTS['video']})",
            "video: is an experiment of framegen's own; choose another name (line 2)",
        ),
    ],
    ids=lambda value: str(value)[:12],
)
def test_a_file_that_cannot_be_imported_is_a_line(
    name: str,
    text: str | None,
    reason: str,
    framegen: Runner,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path(name).write_text(text)
    code, out, err = framegen("train", f"--import={name}")
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert err.startswith(f"framegen: --import {name}: ")
    assert reason in err


def test_import_without_a_name_is_a_line(framegen: Runner) -> None:
    assert framegen("train", "--import")[::2] == (2, "framegen: --import: names no file and no module\n")


@dataclass(frozen=True)
class Recurrent(framegen.Model):
    """Named like one of framegen's."""

    hidden_size: str = ""


def test_a_class_named_like_one_of_framegens_shadows_nothing(small_run: Path) -> None:
    assert isinstance(framegen.load(small_run).config.model, framegen.Recurrent)
    config = Config(framegen.Orbit(), Recurrent())
    assert to_dict(config)["model"]["kind"] == "tests.test_plugins:Recurrent"
    assert from_json(json.dumps(to_dict(config)), "here") == config


@pytest.mark.parametrize("name", ["__main__", "__mp_main__"])
def test_a_program_calls_its_kinds_as_whoever_imports_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, sys.modules["__main__"])
    monkeypatch.setattr(sys.modules[name], "__file__", "/somewhere/my_world.py", raising=False)
    monkeypatch.setattr(Recurrent, "__module__", name)
    assert kind_of(Recurrent) == "my_world:Recurrent"
    monkeypatch.delattr(sys.modules[name], "__file__")  # a notebook
    assert kind_of(Recurrent) == f"{name}:Recurrent"


def test_processes_of_a_search_know_it_too(
    folder: Path, framegen: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugins.import_plugin(str(folder / "my_world.py"))
    with workers(1) as pool:
        assert pool.submit(configure, "swing").result(100) == EXPERIMENTS["swing"]


@pytest.mark.parametrize("broken", [False, True])
def test_an_installed_package_is_imported_by_its_entry_point(
    broken: bool, framegen: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"my_package_{broken}"
    (tmp_path / f"{name}.py").write_text(
        "1 / 0" if broken else _blocks("python")[0].replace('"swing', '"installed-swing')
    )
    facts = tmp_path / f"{name}-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    group = _blocks("toml")[0].strip().splitlines()[0].replace("project.entry-points.", "").replace('"', "")
    (facts / "entry_points.txt").write_text(f"{group}\nmy-world = {name}\n")
    monkeypatch.syspath_prepend(tmp_path)
    plugins.import_installed.cache_clear()
    code, out, err = framegen("experiments")
    assert code == 0
    assert ("installed-swing" in out) is not broken
    if broken:
        assert (
            f"{name}: an installed plug-in was left out: ZeroDivisionError: division by zero (line 1)" in err
        )


@pytest.mark.parametrize(("depth", "begin"), [("1", "uv run framegen"), (None, "framegen")])
def test_printed_commands_are_those_that_work_here(
    depth: str | None, begin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UV_RUN_RECURSION_DEPTH", raising=False)
    if depth:
        monkeypatch.setenv("UV_RUN_RECURSION_DEPTH", depth)
    assert plugins.command("draw", Path("my runs/a")) == f"{begin} draw 'my runs/a'"
    plugins.named.append("my world.py")
    assert plugins.command("draw", "a") == f"{begin} --import 'my world.py' draw a"


TRAIN_THEN = """
import sys
from framegen.__main__ import main
from framegen.commands import evaluation
evaluation.draw_run = lambda *_: []  # the training has drawn all
for line in sys.argv[1:]:
    sys.argv = ["framegen", *line.split()]
    main()
"""


@pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not here")
def test_a_wheel_in_another_folder_takes_every_command(folder: Path, tmp_path: Path) -> None:
    def run(*words: object) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("UV_RUN")}
        done = subprocess.run(
            list(map(str, words)), cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("uv", "build", "--wheel", "--offline", "--out-dir", tmp_path, ROOT)
    run(sys.executable, "-m", "venv", "--without-pip", "venv")
    python = tmp_path / "venv" / "bin" / "python"
    run("uv", "pip", "install", "--offline", "--no-deps", "--python", python, *tmp_path.glob("*.whl"))
    (packages,) = tmp_path.glob("venv/lib/*/site-packages")
    (packages / "others.pth").write_text(str(Path(pytest.__file__).parents[1]))
    shutil.copy(folder / "my_world.py", tmp_path)
    train, *others = (" ".join(words) for words in _commands() if "gru" not in words)
    out = run(python.parent / "framegen", *train.split())
    assert "Next: framegen --import my_world.py generate runs/" in out
    shutil.copytree(tmp_path / "runs" / "swing-1", tmp_path / "runs" / "gru")
    others.append(" ".join(_commands()[-1]))
    run(python, "-c", TRAIN_THEN, *others)
    assert (tmp_path / "swing.gif").exists()
    assert not list(tmp_path.glob("framegen"))
