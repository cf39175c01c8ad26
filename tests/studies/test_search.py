"""Searches: trials that processes share, one of which is killed; what is chosen, and what it is chosen by."""

import json
import math
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import framegen
from framegen.commands import training
from framegen.config.reading import parse_train
from framegen.config.space import Choice, Range
from framegen.errors import OptionError, UserError
from framegen.evaluation.metrics import skill
from framegen.evaluation.references import COPY_LAST, OPTIMUM
from framegen.runs import checkpoint
from framegen.runs.metrics import read_metrics
from framegen.studies import pool, searching, trials
from framegen.studies.search import Found, search
from framegen.studies.trials import Plan, open_study, tried, work
from tests.conftest import SMALL_CONFIG
from tests.forked import Forked

Runner = Callable[..., tuple[int, str, str]]
SPACE = {"learning_rate": Range(1e-3, 1e-1), "hidden_size": Range(3, 8), "cell": Choice(("tanh", "relu"))}
RUNS, DATA = "runs", "data"


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is a worker: what a search spawns, a test does itself."""
    monkeypatch.setattr(pool, "_stopped", threading.Event())


def _plan(folder: Path, **changes: Any) -> Plan:
    """A search of four trials in a folder."""
    (folder / RUNS / "it" / ".locks").mkdir(parents=True, exist_ok=True)
    config = replace(SMALL_CONFIG, training=replace(SMALL_CONFIG.training, engine="auto"))
    plan = Plan(
        config, SPACE, "skill", folder / RUNS / "it", folder / DATA, None, "here", 4, True, 0, "disabled", (), 1
    )
    return replace(plan, **changes)


def _searched(plan: Plan) -> list[framegen.Trials]:
    work(plan)
    return tried(open_study(plan), plan)
