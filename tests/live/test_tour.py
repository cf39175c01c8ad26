"""The live page's tour, the numbers of a neuron, and the places of things at three widths."""

import re
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Browser

from framegen.models.parameters import flatten
from tests.live.browser import Opened, needs_browser, opened
from tests.live.test_live import NETS, as_base64, shape_of, weighty

STATE = """() => JSON.stringify([
  player.settings, {...player.ui, phase: 1}, scrollY, document.body.className,
  document.querySelectorAll(".marked").length,
  [...document.querySelectorAll("[aria-pressed]")].map((each) => each.getAttribute("aria-pressed")),
  ["tour", "neuron"].map((id) => document.getElementById(id).hidden),
])"""


@needs_browser
def test_each_step_of_the_tour_acts_and_the_page_is_then_as_it_was(live: Opened) -> None:
    live.press("n", "m", "c", "v", "ArrowRight", "ArrowDown", "]")
    before = live.get(STATE)
    live.page.click("#take-tour")
    said = []
    for check in [
        "!find('neuron').hidden && player.ui.view === 'space' && player.ui.chosen !== null",
        "find('neuron').hidden && player.ui.view === 'space' && player.ui.chosen === null",
        "player.ui.view === 'time' && !player.settings.off.includes(1)",
        "player.settings.off.indexOf(1) === 12 && player.ui.t === 12 && !player.settings.closed",
        "!player.settings.off.includes(1) && player.settings.closed && !player.course.given(player.ui.t)",
    ]:
        assert live.get(f"() => {{ const find = (id) => document.getElementById(id); return {check}; }}"), (
            check
        )
        assert live.page.locator(".marked").count() == 1
        said.append(live.page.inner_text("#tour-name"))
        live.press("Enter")
    assert [name[:6] for name in said] == [f"{k} of 5" for k in range(1, 6)]
    assert live.get(STATE) == before


@needs_browser
def test_the_tour_goes_back_and_ends_at_any_step(live: Opened) -> None:
    before = live.get(STATE)
    live.press("t", "Enter", "Enter", "Shift+Enter")
    assert live.page.inner_text("#tour-name") == "2 of 5: In space"
    live.page.click("#tour-on")
    live.page.click("#tour-on")
    shown = live.page.inner_text("#caption")
    off, whole = (float(each) for each in re.findall(r"is (\d\S*\d)", shown))
    errors = live.get("() => player.course.errors.net.slice(12)")
    assert off == pytest.approx(sum(errors) / len(errors), rel=0.01)
    assert off != whole
    live.page.click("#tour-back")
    assert live.page.inner_text("#tour-name") == "3 of 5: In time"
    live.press("Escape")
    assert live.get(STATE) == before
    live.press("Enter", "Escape")  # of a tour that is over
    assert live.get(STATE) == before


LINES = """({shape, weights, inputs, unit}) => {
  const net = player.makeNet(shape, player.floats(weights));
  const run = player.simulate(net, inputs.length, (t) => inputs[t]);
  const lines = player.neuronLines({...run, net, pushes: []}, 5, unit);
  return [Object.fromEntries(lines), run.hidden[5][unit]];
}"""


@needs_browser
def test_the_numbers_of_a_neuron_can_be_computed_along(live: Opened) -> None:
    inputs = torch.rand(6, 4, generator=torch.Generator().manual_seed(0)).tolist()
    for name in ["tanh", "relu", "gru", "lstm", "mingru", "mlp", "deep gru"]:
        weights = as_base64(flatten(weighty(NETS[name]).parameters()))
        asked = {"shape": shape_of(NETS[name]), "weights": weights, "inputs": inputs, "unit": 3}
        lines, h = live.get(LINES, asked)
        numbers = {
            key: float(text.split("= ")[-1].replace("\N{MINUS SIGN}", "-"))
            for key, text in lines.items()
            if key != "y_{t}"
        }
        match name:
            case "gru" | "deep gru":
                z = numbers["update z"]
                reckoned = (1 - z) * numbers["candidate n"] + z * numbers["h_{t\N{MINUS SIGN}1}"]
            case "lstm":
                reckoned = numbers["output o"] * float(torch.tensor(numbers["cell c_{t}"]).tanh())
            case "mingru":
                before = numbers["h_{t\N{MINUS SIGN}1}"]
                reckoned = before + numbers["update z"] * (numbers["candidate n"] - before)
            case _:
                terms = re.search(r"\((?:0, )?([^)]*)\) = ", lines["h_{t}"])
                assert terms is not None
                text = terms[1].replace("\N{MINUS SIGN}", "-").replace(" ", "")
                total = torch.tensor(sum(float(each) for each in re.findall(r"[+-]?[\d.]+", text)))
                reckoned = float(total.relu() if name == "relu" else total.tanh())
        assert reckoned == pytest.approx(h, abs=0.03), name
        assert numbers["h_{t}"] == pytest.approx(h, abs=0.0051), name
        assert not any("\N{MINUS SIGN}0.00" in text for text in lines.values())
        assert ("b" in lines) == (name in ("tanh", "relu", "mlp"))


@needs_browser
@pytest.mark.parametrize(("width", "height"), [(1280, 800), (400, 800)])
def test_the_formula_of_a_unit_that_is_chosen_is_in_sight(
    browser: Browser, played: Path, width: int, height: int
) -> None:
    with opened(browser, played, width, height=height) as live:
        live.press("ArrowDown")
        ends = "['neuron', 'dock'].map((id) => document.getElementById(id).getBoundingClientRect())"
        assert live.get(f"(([shown, bar]) => shown.bottom - bar.top)({ends})") <= 1


OVERLAPPING = """() => {
  const boxes = [...document.querySelectorAll("h1, h2, p, canvas, button, select, label, dl, b, figcaption")]
    .map((each) => [each, each.getBoundingClientRect()])
    .filter(([, box]) => box.width && box.height);
  const dock = document.getElementById("dock");
  const apart = (a, b) =>
    a.left >= b.right - 1 || b.left >= a.right - 1 || a.top >= b.bottom - 1 || b.top >= a.bottom - 1;
  return boxes.flatMap(([one, a], k) =>
    boxes.slice(k + 1)
      .filter(([other]) => !one.contains(other) && dock.contains(one) === dock.contains(other))
      .filter(([, b]) => !apart(a, b))
      .map(([other]) => [one, other].map((each) => each.id || each.className || each.textContent)));
}"""
SEEN = """(id) => {
  const part = id ? document.getElementById(id) : document.querySelector(".marked");
  const {top, bottom} = part.getBoundingClientRect();
  return [top, bottom, document.getElementById("dock").getBoundingClientRect().top];
}"""


@needs_browser
@pytest.mark.parametrize(("width", "height"), [(400, 800), (1280, 800), (2000, 1100)])
def test_nothing_covers_anything(width: int, height: int, browser: Browser, played: Path) -> None:
    with opened(browser, played, width, height=height) as page:
        for part in ["net", "hint"]:
            top, bottom, dock = page.get(SEEN, part)
            assert (top > 0, bottom <= dock) == (True, True), part
        assert page.get(OVERLAPPING) == []
        page.press("t")
        for _ in range(5):
            top, bottom, dock = page.get(SEEN)
            assert (top > 0, bottom <= dock) == (True, True), page.page.inner_text("#tour-name")
            assert page.get(OVERLAPPING) == []
            assert page.get("() => document.documentElement.scrollWidth") <= width
            page.press("Enter")
        page.get("() => scrollTo(0, document.body.scrollHeight)")
        bottom, dock = page.get(
            "() => ['footer', '#dock'].map((each) => document.querySelector(each).getBoundingClientRect())"
            ".map((box, k) => (k ? box.top : box.bottom))"
        )
        assert bottom <= dock


@needs_browser
def test_a_strip_wider_than_its_window_is_dragged_to_its_end(browser: Browser, played: Path) -> None:
    with opened(browser, played, 400) as page:
        assert "all 24 steps" in page.page.inner_text("#strip-help")
        page.page.locator("#strip").scroll_into_view_if_needed()
        box = page.page.locator("#strip").bounding_box()
        assert box is not None
        mouse, middle = page.page.mouse, box["y"] + 10
        cell = page.get("() => player.strip().cell")
        mouse.move(box["x"] + 30 + 2.5 * cell, middle)
        mouse.down()
        assert page.get("() => player.ui.t") == 2
        mouse.move(box["x"] + 30 - 8.5 * cell, middle)
        assert page.get("() => player.ui.t") == 13
        mouse.move(box["x"] + 30 - 30 * cell, middle)
        mouse.up()
        assert page.get("() => player.ui.t") == 23
