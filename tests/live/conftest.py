"""One browser, one run and its page, for all tests of the live page."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from framegen.commands.playing import play
from framegen.commands.training import train
from framegen.runs.run import Run
from tests.conftest import SMALL_CONFIG
from tests.live.browser import Opened, chromium, opened

Places = tuple[Path, Path]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")  # tests of one file may be run apart, and the run has a name
def population(places: Places) -> Run:
    """Three seeds of the 4-5-4 net. Read only."""
    training = replace(SMALL_CONFIG.training, engine="auto")
    config = replace(SMALL_CONFIG, seeds=(0, 1, 2), training=training)
    return train(config, "played", "disabled", *places, show=False, draw=False)


@pytest.fixture(scope="module")
def played(population: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of `population`."""
    return play(population.folder, tmp_path_factory.mktemp("live") / "play.html")


@pytest.fixture
def live(browser: Browser, played: Path) -> Iterator[Opened]:
    with opened(browser, played) as page:
        yield page
