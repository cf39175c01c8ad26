"""What CONTRIBUTING.md tells whoever brings in a model or a task works, step by step."""

import re
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from framegen.commands.training import train
from framegen.config import experiments
from framegen.config.config import Config, from_json, to_dict
from framegen.config.experiments import EXPERIMENTS
from framegen.machine.files import json_text
from framegen.runs.run import Run, load
from tests.models import test_models
from tests.test_main import test_each_experiment_shows_its_own_defaults as check_help

Runner = Callable[..., tuple[int, str, str]]

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()


def _follow(title: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Do what a section says, as if each piece of code stood in the file that its step names; returns the new
    experiment's name."""
    section = TEXT.split(f"## {title}\n")[1].split("\n## ")[0]
    new: dict[str, Any] = {}
    for step, code in re.findall(
        r"^\d\. (.*?)^   ```python\n(.*?)^   ```", section, re.MULTILINE | re.DOTALL
    ):
        file = re.findall(r"`(framegen/[\w/]+\.py)`", step)[0]
        name = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        if not (ROOT / file).exists():
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
        module = import_module(name)
        there = new | vars(module) | {"__name__": __name__}
        if module is experiments:
            ((word, (task, model, training, text)),) = eval(code.strip(), there).items()
            monkeypatch.setitem(EXPERIMENTS, word, Config(task, model, training, word, description=text))
            return word
        exec(re.sub("^   ", "", code, flags=re.MULTILINE), there)
        added = {word: value for word, value in there.items() if word not in {*vars(module), *new}}
        for word, value in added.items():
            monkeypatch.setattr(module, word, value, raising=False)
            if isinstance(value, type) and value.__module__ == __name__:  # which it is again when all is over
                monkeypatch.setattr(value, "__module__", name)
        new |= added | {name.rpartition(".")[2]: module}
    raise AssertionError(f"{title}: names no experiment")


def _trained(name: str, folder: Path, **options: int) -> Run:
    places = folder / "runs", folder / "data"
    short: dict[str, Any] = {"epochs": 1, "num_clips": 20, **options}
    return train(name, "new", "disabled", *places, show=False, draw=False, **short)


def test_a_new_model(framegen: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = _follow("A new model", monkeypatch)
    config = EXPERIMENTS[name]
    assert to_dict(config)["model"] == {"kind": "Conv", "density": 0, "channels": 3}
    assert from_json(json_text(to_dict(config)), "here") == config
    check_help(name, framegen)
    run = _trained(name, tmp_path, size=2, num_val_clips=2, num_test_clips=2, num_frames=12)
    model = load(run.folder).model
    test_models.test_stepping_equals_unrolling(model)
    test_models.test_the_future_never_leaks_into_the_past(model)
    test_models.test_nothing_handed_in_is_changed(model)
    test_models.test_clips_of_a_batch_do_not_touch_each_other(model)


def test_a_new_task(framegen: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = _follow("A new task", monkeypatch)
    check_help(name, framegen)
    results = _trained(name, tmp_path).results
    assert results.one_step["optimum"]["mse"] == pytest.approx(0, abs=1e-12)
    assert results.has_skill
