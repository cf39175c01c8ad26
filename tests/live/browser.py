"""A real browser for tests: Debian's Chromium, headless, without a network."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium is here (apt-get install chromium): the live page is not tested"
)
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


class Opened:
    """A page, and all that went wrong in it."""

    def __init__(
        self, browser: Browser, path: Path, width: int = 1000, moving: bool = False, height: int = 900
    ) -> None:
        self.context = browser.new_context(
            viewport={"width": width, "height": height},
            reduced_motion="no-preference" if moving else "reduce",
            has_touch=width < 500,
        )
        self.page: Page = self.context.new_page()
        self.problems: list[str] = []
        self.page.on("console", lambda message: self.problems.append(message.text))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", lambda request: self._request(request.url, path))
        self.page.goto(path.as_uri())

    def _request(self, url: str, path: Path) -> None:
        if url != path.as_uri():
            self.problems.append(f"asked for {url}")

    def get(self, program: str, argument: Any = None) -> Any:
        """What a JavaScript function gives."""
        return self.page.evaluate(program, argument)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def click(self, canvas: str, x: float, y: float) -> None:
        """On a canvas, at a place in CSS pixels from its corner."""
        self.page.locator(canvas).click(position={"x": x, "y": y})


@contextmanager
def opened(
    browser: Browser, path: Path, width: int = 1000, moving: bool = False, height: int = 900
) -> Iterator[Opened]:
    """A page in a fresh window: in the end nothing may have gone wrong, nothing been asked for."""
    page = Opened(browser, path, width, moving, height)
    try:
        yield page
    finally:
        page.context.close()
    assert page.problems == []
