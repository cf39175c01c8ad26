"""Whatever the README and the pages of docs/ tell their reader to type works: each command and each piece of
Python, in a short form. Their links lead somewhere, and they stay short."""

import re
import shlex
import tomllib
from collections.abc import Callable
from dataclasses import fields, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from framegen.commands import evaluation, training
from framegen.config.experiments import BUILT_IN, EXPERIMENTS
from framegen.config.options import Compare, Reproduce
from framegen.config.reading import parse, parse_train, read_train
from framegen.studies.search.space import read_search
from tests.conftest import SMALL, SMALL_CONFIG
from tests.data.films import encode, scene

Runner = Callable[..., tuple[int, str, str]]

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PAGES = {path: path.read_text() for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]}
README, TEXT = PAGES[ROOT / "README.md"], "\n".join(PAGES.values())
SHORT = {
    "num_clips": 64,
    "num_val_clips": 6,
    "num_test_clips": 8,
    "num_frames": 24,
    "num_windows": 5,
    "num_val_windows": 2,
    "num_test_windows": 2,
}
NOT_RUN = {
    "uv run --group dev pytest": "this test would run itself",
    "uv run framegen reproduce": "takes minutes",
    **{
        f"uv run framegen reproduce --claims {claims}": "takes a minute"
        for claims in ("1", "11", "5", "5 6", "6")
    },
    "uv run --group bench python -m benchmarks": "takes minutes",
    "uv run --group bench python -m benchmarks --device cuda": "needs a GPU",
    "uv run framegen train --track online": "needs an account",
    "uv run wandb login": "needs an account",
    "uv run wandb sync runs/wandb/offline-run-*": "needs an account",
    "uv run wandb leet runs/wandb": "waits for keys",
    "uv run wandb sweep sweep.yaml": "needs a server",
    **dict.fromkeys(
        (
            "uv venv",
            "uv pip install --torch-backend cpu -e .",
            "uv sync --group dev --extra search",
        ),
        "changes the environment",
    ),
    "uv cache clean": "empties the machine's cache",
    "uv run torchrun --nproc-per-node 2 -m framegen train video-gru": "starts processes of its own",
    **dict.fromkeys(
        re.findall(r"^    (uv run framegen .*--name (?:convgru|predrnn|minconvgru|mlp))$", TEXT, re.M),
        "takes many minutes",
    ),
    "uv run framegen compare convgru predrnn minconvgru mlp --out permanence.png": "needs those",
    "uv run --extra digits framegen train moving-mnist-minconvgru --digits sklearn --size 32 --patch 2 "
    "--minutes 10": "takes ten minutes",
    "uv run --extra search framegen search video --learning-rate 1e-3..1e-1 --hidden-size 3..16 --trials 20 "
    "--workers 2": "takes minutes",
}
"""Commands that are only read, and why; a new one that cannot run must be named here."""


def commands(text: str = TEXT) -> list[str]:
    """Every command in its order, the README's first: indented lines, and those between backticks."""
    found = re.findall(r"^    (uv .*)$|`(uv \w+ [^`]+)`", text, re.MULTILINE)
    return list(dict.fromkeys(" ".join((line or inline).split("#")[0].split()) for line, inline in found))


def shortened(arguments: list[str]) -> list[str]:
    """The arguments of `framegen`, with those documented options that make a training short."""
    if arguments[0] == "continue":
        return [*arguments, "--minutes", "0.01", "--size", "32", "--track", "disabled"]
    if arguments[0] != "train" or {"--resume", "--help"} & {*arguments}:
        return arguments
    name = arguments[1] if len(arguments) > 1 and not arguments[1].startswith("-") else "video"
    task = EXPERIMENTS[name].task
    known = {field.name for field in fields(task)} & SHORT.keys()
    short = [text for each in sorted(known) for text in (f"--{each.replace('_', '-')}", str(SHORT[each]))]
    if EXPERIMENTS[name].training.clips_per_epoch:
        short += ["--clips-per-epoch", "16"]
    arguments = re.sub(r"--seeds \d+(?= |$)", "--seeds 2", " ".join(arguments)).split()
    return [*arguments, *short, "--epochs", "1", "--media-every", "0"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readme")


def test_every_command_runs(folder: Path, framegen: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    runs = [command for command in commands() if command not in NOT_RUN]
    assert runs[0] == "uv run framegen train"
    for command in runs:
        program, *arguments = shlex.split(command.removeprefix("uv run "))
        assert program == "framegen", f"{command}: name it in NOT_RUN, or run it"
        if "YOUR-VIDEO.mp4" in arguments and not (folder / "YOUR-VIDEO.mp4").exists():
            encode(folder / "YOUR-VIDEO.mp4", np.concatenate([scene(seed, 30) for seed in range(4)]))
        code, out, err = framegen(*shortened(arguments))
        assert code == 0, f"{command}: {out}{err}"
        if arguments == ["train"]:  # its pictures are made; those of the others would take a minute
            monkeypatch.setattr(training, "draw_run", lambda *_, **__: [])
            monkeypatch.setattr(training, "draw_epoch", lambda *_: {})
            monkeypatch.setattr(evaluation, "draw_run", lambda *_, **__: [Path("none.png")])
        if "--out" in arguments:
            assert Path(arguments[arguments.index("--out") + 1]).stat().st_size > 0


def test_what_is_not_run_is_at_least_a_command() -> None:
    assert NOT_RUN.keys() <= set(commands())
    for command in NOT_RUN:
        for kind, name in re.findall(r"--(extra|group) (\w+)", command):
            known = (
                PROJECT["project"]["optional-dependencies"]
                if kind == "extra"
                else PROJECT["dependency-groups"]
            )
            assert name in known, command
        match shlex.split(re.sub(r" --(extra|group) \w+", "", command)):
            case ["uv", "run", "framegen", "compare", *rest]:
                assert len(parse(Compare, "compare", rest).runs) == 4
            case ["uv", "run", "framegen", "train", name, *rest] if name in EXPERIMENTS:
                parse_train(name, rest)
            case ["uv", "run", "framegen", "train", *rest]:
                assert read_train(rest)["asked"]
            case ["uv", "run", "framegen", "search", name, *rest]:
                assert len(read_search(name, rest)[2]) == 2
            case ["uv", "run", "framegen", "reproduce", *rest]:
                parse(Reproduce, "reproduce", rest)
            case ["uv", "run", "python", "-m", module, *_]:
                assert find_spec(f"{module}.__main__") or find_spec(module)
            case ["uv", "run", "wandb", verb, *_]:
                from wandb.cli.cli import cli

                assert verb in cli.commands
            case ["uv", "run", "torchrun", "--nproc-per-node", count, "-m", "framegen", "train", name, *rest]:
                assert int(count) > 1
                parse_train(name, rest)
            case ["uv", "run", "pytest"] | ["uv", "venv" | "sync" | "pip" | "cache", *_]:
                pass
            case other:
                raise AssertionError(other)


ELSEWHERE = {"weights.md": "test_docs.py", "extend.md": "test_plugins.py"}
"""Pages whose Python another test runs."""
PIECES = [
    code
    for path, text in PAGES.items()
    if path.name not in ELSEWHERE
    for code in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("code", PIECES)
def test_each_piece_of_python_runs(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    short = replace(SMALL_CONFIG, training=replace(SMALL_CONFIG.training, epochs=1), task=SMALL)
    monkeypatch.setitem(EXPERIMENTS, "video", short)
    exec(compile(code.replace("seeds=64", "seeds=2"), "README.md", "exec"), {})
    assert (tmp_path / "runs" / "video-1" / "results.json").exists() == ("framegen.train(" in code)


def test_the_pages_are_short_and_all_named() -> None:
    contents = PAGES[ROOT / "docs" / "README.md"]
    for path, text in PAGES.items():
        assert len(text.splitlines()) <= (130 if text is README else 200), path
        assert path.parent == ROOT or path.name == "README.md" or f"]({path.name})" in contents, path


def test_every_experiment_is_told() -> None:
    assert re.findall(r"^\| `([\w-]+)` \|", PAGES[ROOT / "docs" / "worlds.md"], re.M) == [
        name for name in EXPERIMENTS if name in BUILT_IN
    ]


def prose(path: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_leads_somewhere() -> None:
    """To a file, a picture, or a heading of a page."""
    astray = []
    for path in {*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("*/README.md")}:
        for target in re.findall(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"", prose(path)):
            name, _, anchor = "".join(target).partition("#")
            to = path.parent / name if name else path
            if name.startswith("https://"):
                continue
            if not to.exists() or (anchor and anchor not in anchors(prose(to))):
                astray.append(f"{path.relative_to(ROOT)}: {''.join(target)}")
    assert not astray, "\n".join(sorted(astray))


def test_the_chinese_front_page_says_the_same() -> None:
    chinese = (ROOT / "README.zh.md").read_text()
    assert commands(chinese) == commands(README)
    shown, said = (re.findall(r"runs/example/[\w-]+\.\w+", text) for text in (README, chinese))
    assert shown == said
