"""The live page, in a real browser: its arithmetic is PyTorch's, and each control does what it says."""

import base64
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from playwright.sync_api import Browser
from torch import Tensor

from framegen.commands.playing import play
from framegen.commands.training import train
from framegen.config.config import Config
from framegen.config.models import MLP, ConvRecurrent, Model, Recurrent
from framegen.config.tasks import Orbit, Sine
from framegen.data import sine
from framegen.data.loading import load_data
from framegen.evaluation.references import optimal_predictor
from framegen.live import page as live_module
from framegen.live.content import MAX_WEIGHTS, check_playable, content, optimum_of
from framegen.live.page import live_page
from framegen.machine.errors import UserError
from framegen.models import build
from framegen.models.nets.recurrent import RecurrentNet
from framegen.models.parameters import flatten
from framegen.models.predictor import Predictor
from framegen.runs.run import Run
from framegen.studies.reproduce import write_report
from tests.conftest import SMALL, SMALL_CONFIG
from tests.live.browser import Opened, needs_browser, opened

Runner = Callable[..., tuple[int, str, str]]
Places = tuple[Path, Path]

NETS: dict[str, Model] = {
    "tanh": Recurrent(),
    "relu": Recurrent(cell="relu", hidden_size=7),
    "gru": Recurrent(cell="gru", hidden_size=6),
    "lstm": Recurrent(cell="lstm", hidden_size=6),
    "mingru": Recurrent(cell="mingru", hidden_size=6),
    "deep gru": Recurrent(cell="gru", hidden_size=5, num_layers=2),
    "deep lstm": Recurrent(cell="lstm", hidden_size=5, num_layers=3),
    "deep mingru": Recurrent(cell="mingru", hidden_size=5, num_layers=2),
    "mlp": MLP(),
}
STEPS, PROMPT = 200, 12

SIMULATE = """({shape, weights, prompt, steps, off, pushes}) => {
  const net = player.makeNet(shape, player.floats(weights));
  const given = (t) => (t < prompt.length ? prompt[t] : null);
  const run = player.simulate(net, steps, given, off, pushes ?? []);
  return [run.outputs, run.hidden].map((rows) => rows.map((row) => [...row]));
}"""


def shape_of(model: Model, pixels: int = 4) -> dict[str, Any]:
    cell = model.cell if isinstance(model, Recurrent) else "mlp"
    layers = model.num_layers if isinstance(model, Recurrent) else 1
    return {"cell": cell, "pixels": pixels, "hidden": vars(model)["hidden_size"], "layers": layers}


def as_base64(values: Tensor) -> str:
    return base64.b64encode(values.numpy().astype("<f4").tobytes()).decode()


def weighty(config: Model) -> Predictor:
    """A net of random weights: larger ones than it begins with, so that each of them counts."""
    net = build(config, (1, 2, 2), 3).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter *= 1.3
    return net.requires_grad_(False)


def stepwise(
    net: Predictor, prompt: Tensor, steps: int, off: tuple[int, ...], push: dict[int, Tensor]
) -> Any:
    """By PyTorch, step by step: predictions (T, P), and hidden states of the last layer (T, H)."""
    state, made, outputs, hidden = None, prompt[:1], [], []
    for t in range(steps):
        x = prompt[t : t + 1] if t < len(prompt) else made
        if not isinstance(net, RecurrentNet):
            made = net(x.view(1, 1, 1, 2, 2))[0].view(1, 4)
        else:
            if t in off:
                state = None
            _, state = net.rnn(x[None], state)
            h = state[0] if isinstance(state, tuple) else state  # (layers, 1, H)
            if t in push:
                h = h + push[t]
                state = (h, state[1]) if isinstance(state, tuple) else h
            made = net.head(h[-1])
            hidden.append(h[-1, 0])
        outputs.append(made[0])
    return torch.stack(outputs), hidden and torch.stack(hidden)


@needs_browser
def test_the_browser_computes_what_pytorch_computes(live: Opened) -> None:
    prompt = torch.rand(PROMPT, 4, generator=torch.Generator().manual_seed(0))
    for name, config in NETS.items():
        net = weighty(config)
        asked = {"weights": as_base64(flatten(net.parameters())), "prompt": prompt.tolist(), "steps": STEPS}
        outputs, hidden = live.get(SIMULATE, {"shape": shape_of(config), **asked})
        expected, states = stepwise(net, prompt, STEPS, (), {})
        torch.testing.assert_close(torch.tensor(outputs), expected, atol=1e-5, rtol=0, msg=name)
        if isinstance(net, RecurrentNet):
            last = torch.tensor(hidden)[:, -states.shape[1] :]
            torch.testing.assert_close(last, states, atol=1e-5, rtol=0, msg=name)


@needs_browser
@pytest.mark.parametrize("name", ["tanh", "relu", "gru", "lstm", "mingru"])
def test_memory_off_and_pushes_are_what_they_say(name: str, live: Opened) -> None:
    config, off = NETS[name], (5, 6, 30)
    net, size = weighty(config), vars(config)["hidden_size"]
    prompt = torch.rand(40, 4, generator=torch.Generator().manual_seed(1))
    push = torch.zeros(size)
    push[2] = 0.7
    asked = {
        "shape": shape_of(config),
        "weights": as_base64(flatten(net.parameters())),
        "prompt": prompt.tolist(),
        "steps": 60,
        "off": [int(t in off) for t in range(60)],
        "pushes": [{"t": 20, "unit": 2, "amount": 0.7}],
    }
    outputs, hidden = live.get(SIMULATE, asked)
    expected, states = stepwise(net, prompt, 60, off, {20: push})
    torch.testing.assert_close(torch.tensor(outputs), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.tensor(hidden), states, atol=1e-5, rtol=0)


OPTIMUM = """({task, frames, steps}) => {
  const run = player.makeOptimum(task).run(steps, (t) => frames[t] ?? null);
  return [run.outputs, run.speeds ?? []].map((rows) => rows.map((row) => [...row]));
}"""


@needs_browser
@pytest.mark.parametrize(
    "task", [SMALL, replace(SMALL, noise=0.3), replace(SMALL, size=5, period=40, speeds=(1, 3))]
)
def test_the_browsers_optimum_is_the_exact_filter(task: Orbit, live: Opened, tmp_path: Path) -> None:
    data = load_data(task, tmp_path)
    assert data.test_frames is not None
    frames = data.test_frames[0].float() / 255  # (T, 1, H, W)
    frames[3].view(-1)[:2] = torch.tensor([0.0, 1.0])  # painted, it is cut at both ends
    seen, best = 14, optimal_predictor(task, data)
    assert best is not None
    expected, _ = best.run_on(frames[None, :seen], None, 30)
    asked = {"task": content_of(task), "frames": frames[:seen].flatten(1).tolist(), "steps": 30}
    outputs, odds = live.get(OPTIMUM, asked)
    torch.testing.assert_close(torch.tensor(outputs), expected[0].flatten(1), atol=1e-5, rtol=0)
    assert all(sum(each) == pytest.approx(1) for each in odds)
    assert max(odds[-1]) > 0.5


def content_of(task: Orbit) -> Any:
    return optimum_of(task)


@needs_browser
def test_the_browsers_sine_is_exact(live: Opened) -> None:
    task = Sine(lag=-1)
    x = [[math.sin(n * math.pi / task.window)] for n in range(41)]
    weights = sine.optimal_weights(task)[:, 0].tolist()
    asked = {"task": {"kind": "linear", "weights": weights}, "frames": x[:20], "steps": 40}
    outputs, _ = live.get(OPTIMUM, asked)
    assert outputs[1:] == [pytest.approx(each, abs=1e-9) for each in x[2:41]]


@needs_browser
def test_the_page_shows_the_runs_own_nets_on_its_own_clips(live: Opened, population: Run) -> None:
    frames = population.data.test_frames
    assert frames is not None
    live.page.click("#longer")
    for number, member in enumerate(live.get("() => player.page.members.map((each) => each.seed)")):
        live.page.click(f"#seeds button:nth-child({number + 1})")
        net = population.models[member]
        clip = int(live.get("() => player.page.clips[0].name.match(/\\d+/)[0]"))
        prompt = frames[clip : clip + 1, : population.data.context].float() / 255
        with torch.no_grad():
            expected, _ = net.run_on(prompt, None, 2 * frames.shape[1])
        shown = live.get("() => player.course.outputs.map((row) => [...row])")
        torch.testing.assert_close(torch.tensor(shown), expected[0].flatten(1), atol=1e-5, rtol=0)


@needs_browser
def test_the_keys_do_what_the_page_says(live: Opened) -> None:
    step = "() => player.ui.t"
    live.press("ArrowRight", "ArrowRight", "ArrowLeft")
    assert live.get(step) == 1
    live.press("Shift+ArrowRight")
    assert live.get(step) == 11
    assert "step 12 of 24" in live.page.inner_text("#now")
    live.press("m")
    assert live.get("() => [...player.settings.off.slice(0, 24)].indexOf(1)") == 11
    assert live.page.get_attribute("#memory", "aria-pressed") == "false"
    assert "memory is off" in live.page.inner_text("#hint")
    live.press("End", "m", "Home")
    assert live.get("() => [player.settings.off[22], player.settings.off[23]]") == [1, 0]
    assert live.page.get_attribute("#memory", "aria-pressed") == "true"
    live.press("c")
    assert live.get("() => player.settings.closed") is False
    assert live.get("() => player.course.given(20) !== null")
    live.press("]")
    assert live.get("() => player.settings.member") == 2
    live.press("]", "n", "v")
    assert live.get("() => [player.settings.member, player.settings.clip, player.ui.view]") == [0, 1, "time"]
    live.press("r")
    assert live.get(
        "() => [player.settings.off.includes(1), player.settings.closed, player.settings.clip]"
    ) == [False, True, 0]


@needs_browser
def test_a_net_without_its_memory_knows_one_frame_alone(live: Opened) -> None:
    live.press("c", "m")  # true frames all along, and off from the first step on
    alone = live.get("""() => {
      const {course, page, settings} = player;
      const frames = page.clips[settings.clip].frames;
      const fresh = (t) => player.simulate(course.net, 1, () => frames[t]).outputs[0];
      return frames.map((_, t) => Math.max(...fresh(t).map((v, p) => Math.abs(v - course.outputs[t][p]))));
    }""")
    assert max(alone) == 0
    live.press("m")
    assert live.get("() => player.course.hidden[20].every((h, j) => h === player.course.plain.hidden[20][j])")


@needs_browser
def test_a_click_pushes_a_unit_and_shows_where_it_goes(live: Opened) -> None:
    live.press(*["ArrowRight"] * 4)
    place = live.get("() => player.places().columns[1][3]")
    live.click("#net", place["x"], place["y"])
    apart = """() => {
      const {hidden, plain} = player.course;
      return hidden.map((row, t) => [...row].map((h, j) => h - plain.hidden[t][j]));
    }"""
    difference = torch.tensor(live.get(apart))
    assert difference[:4].abs().max() == 0
    torch.testing.assert_close(difference[4], torch.tensor([0.0, 0.0, 0.0, 1.0, 0.0]))
    assert (difference[5] != 0).all()  # one to many
    assert "unit 4 was pushed up at step 5" in live.page.inner_text("#hint")
    live.click("#net", place["x"], place["y"])
    assert torch.tensor(live.get(apart))[4, 3] == -1
    live.press("d")
    assert live.get("() => player.settings.pushes") == []


@needs_browser
def test_painting_makes_the_prompt_the_readers_own(live: Opened) -> None:
    before = live.get("() => player.course.outputs[9].slice()")
    box = live.page.locator("#input").bounding_box()
    assert box is not None
    live.press("ArrowRight")
    live.click("#input", box["width"] * 0.75, box["height"] * 0.25)  # above, right: the second pixel
    frame = live.get("() => [...player.settings.painted[1]]")
    clip = live.get("() => [...player.page.clips[0].frames[1]]")
    assert frame == [clip[0], 1.0, clip[2], clip[3]]
    assert live.get("() => player.course.outputs[9].slice()") != before
    assert live.page.input_value("#clip") == "painted"
    assert live.get("() => [player.course.truth.length, player.course.errors.optimum]") == [0, None]
    live.press("End")
    live.click("#input", 10, 10)
    assert "go back into the prompt" in live.page.inner_text("#hint")
    live.page.click("#blank")
    assert live.get("() => new Set(player.settings.painted.flatMap((f) => [...f])).size") == 1
    live.page.select_option("#clip", "0")
    assert live.get("() => player.settings.painted") is None


@needs_browser
def test_the_strip_and_the_buttons_lead_to_a_step(live: Opened) -> None:
    cell = live.get("() => player.strip().cell")
    row = live.get("() => player.strip().rows.find((each) => each.key === 'hidden')")
    live.click("#strip", 30 + 6.5 * cell, row["y"] + 0.5 * row["height"])
    assert live.get("() => [player.ui.t, player.ui.chosen]") == [6, 2]
    live.page.click("#forward")
    live.page.click("#back")
    live.page.click("#back")
    assert live.get("() => player.ui.t") == 5
    live.page.fill("#context", "3")
    assert live.get("() => [player.course.given(2) !== null, player.course.given(3)]") == [True, None]
    live.page.click("#seeds button:nth-child(3)")
    assert live.get("() => player.settings.member") == 2
    live.page.click("#memory")
    live.press(" ")  # a button that was clicked does not keep the key
    assert live.get("() => [player.ui.playing, player.settings.off[5]]") == [True, 1]
    live.page.click("#time")
    live.click("#net", 10, 200)
    assert live.get("() => player.ui.playing") is False


@needs_browser
@pytest.mark.parametrize("width", [400, 2000])
def test_it_plays_to_the_end_at_every_width(width: int, browser: Browser, played: Path) -> None:
    with opened(browser, played, width, moving=True) as page:
        assert page.get("() => player.ui.playing")
        page.press(*["+"] * 5)
        page.page.wait_for_function("() => player.ui.t === 23 && !player.ui.playing")
        page.press("v")
        page.page.emulate_media(color_scheme="dark")
        page.press(" ")
        assert page.get("() => document.documentElement.scrollWidth") <= width


BRIEF = replace(SMALL_CONFIG.training, epochs=1, engine="auto")
STREAM = {"num_windows": 4, "num_val_windows": 2, "num_test_windows": 5}
OTHERS = {
    "sine": Config(Sine(lag=-1, **STREAM), Recurrent(hidden_size=20), replace(BRIEF, batch_size=1)),
    "lag": Config(Sine(lag=2, **STREAM), Recurrent(), replace(BRIEF, batch_size=1)),
    "mlp": Config(SMALL, MLP(hidden_size=4), BRIEF),
    "large": Config(
        replace(SMALL, size=6, speeds=(1, 2, 3), num_clips=10),
        Recurrent(cell="mingru", hidden_size=9, num_layers=2),
        BRIEF,
    ),
}


@needs_browser
@pytest.mark.parametrize("name", OTHERS)
def test_every_kind_of_run_can_be_played(name: str, browser: Browser, places: Places, tmp_path: Path) -> None:
    run = train(OTHERS[name], f"live-{name}", "disabled", *places, show=False, draw=False)
    path = play(run.folder, tmp_path / "play.html")
    assert path.stat().st_size < 1_000_000
    with opened(browser, path) as page:
        page.press("ArrowRight", "d", "m", "ArrowRight", "v", "n", "End", "c", "r", "ArrowRight")
        inputs, outputs = page.get(
            "() => [player.course.inputs, player.course.outputs].map((x) => x.map((r) => [...r]))"
        )
        with torch.no_grad():
            frames = torch.tensor(inputs).view(1, len(inputs), *run.data.frame_shape)
            expected, _ = run.model(frames)
        torch.testing.assert_close(torch.tensor(outputs), expected[0].flatten(1), atol=1e-5, rtol=0)
        errors = page.get("() => player.course.errors.net")
        targets = page.get("() => player.page.clips[0].targets.map((r) => [...r])")
        reckoned = (torch.tensor(outputs)[: len(targets)] - torch.tensor(targets)).square().mean(1)
        torch.testing.assert_close(torch.tensor(errors), reckoned, atol=1e-5, rtol=1e-4)
        if name in ("sine", "lag"):
            curve = page.get("() => player.strip().rows[0]")
            page.click(
                "#strip", 30 + 3.5 * page.get("() => player.strip().cell"), curve["y"] + curve["height"] / 2
            )
            assert page.get("() => player.settings.painted[3][0]") == pytest.approx(0, abs=0.02)


@needs_browser
def test_names_are_text_whatever_they_hold(browser: Browser, population: Run, tmp_path: Path) -> None:
    nasty = "</script><script>window.taken = 1</script><img src=x onerror='window.taken = 2'>\u2028\"&"
    config = replace(population.config, experiment=nasty)
    run = Run(tmp_path / nasty.replace("/", ""), config, population.models, population.shown)
    run.data = population.data
    path = tmp_path / "play.html"
    path.write_text(live_page(run, population.results), encoding="utf-8")
    with opened(browser, path) as page:
        assert nasty in (page.page.text_content("footer") or "")
        assert page.get("() => window.taken") is None
        assert page.get("() => player.ui.t") == 0


@needs_browser
def test_the_report_of_the_claims_has_it_in_a_frame(
    browser: Browser, population: Run, played: Path, tmp_path: Path
) -> None:
    live = live_page(population, population.results)
    assert live == played.read_text(encoding="utf-8")
    write_report(tmp_path / "report.html", {}, {}, live)
    with opened(browser, tmp_path / "report.html") as page:
        page.page.locator("iframe").scroll_into_view_if_needed()
        inside = page.page.frame_locator("iframe")
        inside.locator("#reset").click()
        inside.locator("#forward").click()
        assert "step 2 of 24" in inside.locator("#now").inner_text()
        page.page.wait_for_function("() => document.querySelector('iframe').clientHeight > 1000")
        content = page.page.frames[1]
        tall = content.evaluate("() => document.documentElement.offsetHeight")
        assert (
            page.get("() => document.querySelector('iframe').clientHeight") == tall
        )  # no scroll bar of its own
        places = "() => ['net', 'dock', 'strip'].map((id) => document.getElementById(id).offsetTop)"
        assert (order := content.evaluate(places)) == sorted(order)  # the bar stands where it is used


def test_the_programs_are_short_and_ask_for_nothing() -> None:
    for path in Path(live_module.__file__).parent.glob("*.[cj]s*"):
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 300, path
        assert max(map(len, text.splitlines())) <= 110, path
        assert not re.search(r"https?://|url\(|fetch\(|import[ (]|innerHTML|eval\(", text), path


def test_of_a_population_the_best_the_median_and_the_worst_are_there(population: Run) -> None:
    held = content(population, population.results)
    ranked = [member.seed for member in population.results.by_validation]
    assert [member["seed"] for member in held["members"]] == ranked
    assert held["members"][held["shown"]]["seed"] == population.results.median_seed


@pytest.mark.parametrize(
    ("model", "task", "reason"),
    [
        (ConvRecurrent(hidden_size=2, num_layers=1), replace(SMALL, size=8), "this is a ConvRecurrent"),
        (Recurrent(), replace(SMALL, size=40), "up to 32 pixels a side"),
        (Recurrent(density=2), SMALL, "this is a Recurrent with a density head"),
        (Recurrent(hidden_size=400), SMALL, f"up to {MAX_WEIGHTS} weights"),
    ],
)
def test_what_cannot_be_played_is_said_in_a_line(
    model: Model, task: Orbit, reason: str, tmp_path: Path
) -> None:
    data = load_data(task, tmp_path)
    run = Run(tmp_path / "run", Config(task, model), {0: build(model, data.frame_shape, 0)}, 0)
    run.data = data
    with pytest.raises(UserError, match=reason) as raised:
        check_playable(run)
    assert "framegen generate" in str(raised.value)


def test_behind_a_bar_the_page_shows_no_optimum_since_its_filter_knows_no_bar() -> None:
    assert optimum_of(SMALL) is not None
    assert optimum_of(replace(SMALL, bar=1)) is None


def test_the_command_writes_where_it_says(framegen: Runner, population: Run, tmp_path: Path) -> None:
    code, out, _ = framegen("play", population.folder, "--out", tmp_path / "a.html")
    assert code == 0
    assert str(tmp_path / "a.html") in out
    code, _, err = framegen("play", population.folder, "--out", tmp_path / "a.html")
    assert (code, "--force" in err) == (2, True)
    code, _, err = framegen("play", population.folder, "--out", tmp_path / "a.gif")
    assert (code, ".html" in err) == (2, True)
    code, out, _ = framegen("play", population.folder)
    assert (code, str(population.folder / "play.html") in out) == (0, True)
    assert (population.folder / "play.html").read_bytes() == (tmp_path / "a.html").read_bytes()
