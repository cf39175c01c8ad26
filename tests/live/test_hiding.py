"""The live page of a memory that moves: net and filter compute what PyTorch does, and the eye closes."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Browser

from framegen.commands.playing import play
from framegen.commands.training import train
from framegen.config.config import Config
from framegen.config.models import Border, MovingMemory
from framegen.config.tasks import Sprites
from framegen.config.training import Training
from framegen.data.kept import hidden
from framegen.evaluation.references import optimal_predictor
from framegen.live.content import check_playable, is_playable
from framegen.machine.errors import UserError
from framegen.models import build
from framegen.runs.run import Run, load
from tests.live.browser import needs_browser, opened

Places = tuple[Path, Path]
WORLD = Sprites(
    size=8,
    bar=3,
    reach=1,
    noise=0.05,
    turning=0.1,
    num_frames=12,
    num_clips=16,
    num_val_clips=2,
    num_test_clips=8,
)

STEPS = """({frames, hidden}) => {
  const { net, filter } = player;
  const made = { output: [], odds: [], picture: [], velocity: [] };
  let [memory, belief] = [null, null];
  for (const frame of frames) {
    const one = net.step(Float64Array.from(frame), memory);
    const exact = filter.step(frame, hidden, belief);
    [memory, belief] = [one.state, exact.state];
    made.output.push([...one.output]);
    made.odds.push([...one.odds]);
    made.picture.push([...exact.picture]);
    made.velocity.push([...exact.odds]);
  }
  return made;
}"""


def _trained(border: Border, places: Places) -> Run:
    """A run that the tests of one process share."""
    if (folder := places[0] / f"hidden-{border}").exists():
        return load(folder)
    config = Config(
        WORLD,
        MovingMemory(1, 2, 4, 2, 3, border),
        Training(epochs=2, batch_size=4, media_every=0),
    )
    return train(config, f"hidden-{border}", "disabled", *places, show=False, draw=False)


@needs_browser
@pytest.mark.parametrize("border", ["torus", "open"])
def test_net_and_filter_are_pytorchs(border: Border, browser: Browser, places: Places) -> None:
    run = _trained(border, places)
    frames = run.data.test.batch(slice(0, 1))[0]
    exact = optimal_predictor(WORLD, run.data)
    assert exact is not None
    with torch.inference_mode():
        made, (_, belief, _) = run.model(frames)
        expected, state = exact(frames)
    behind = hidden(WORLD.size, WORLD.bar)
    with opened(browser, play(run.folder)) as page:
        given = {"frames": frames[0].flatten(1).tolist(), "hidden": behind.flatten().tolist()}
        found = {name: torch.tensor(rows) for name, rows in page.get(STEPS, given).items()}
        assert not page.problems
    torch.testing.assert_close(found["output"], made[0].flatten(1), atol=2e-5, rtol=0)
    torch.testing.assert_close(found["odds"][-1], belief[0, 0].exp(), atol=1e-4, rtol=0)
    seen = ~behind.flatten()
    torch.testing.assert_close(found["picture"][:, seen], expected[0].flatten(1)[:, seen], atol=2e-5, rtol=0)
    torch.testing.assert_close(found["velocity"][-1], state[0, 0].sum((0, 2, 3)), atol=1e-4, rtol=0)


@needs_browser
@pytest.mark.parametrize("width", [400, 1280])
def test_a_closed_eye_sees_nothing_and_what_is_there_goes_on(
    width: int, browser: Browser, places: Places
) -> None:
    with opened(browser, play(_trained("torus", places).folder), width) as page:
        text = "() => document.getElementById('now').textContent"
        assert page.get(text) == "frame 1"
        page.press("e", "ArrowRight", "ArrowRight", "ArrowRight")
        assert page.get(text) == "frame 4, unseen for 3 frames"
        assert page.get("() => document.getElementById('eye').getAttribute('aria-pressed')") == "true"
        page.press("e", "b", *["ArrowRight"] * 30)  # open, and no bar: nothing is hidden
        assert page.get(text) == "frame 34"
        assert page.get("() => player.error('best') < player.error('copy')")
        page.press("n")
        assert page.get(text) == "frame 1"
        wide = page.get("() => document.documentElement.scrollWidth")
        assert wide <= width
        assert not page.problems


@pytest.mark.parametrize(
    ("task", "model"),
    [
        (replace(WORLD, things=2), MovingMemory(1)),
        (replace(WORLD, view=4, bar=0), MovingMemory(1)),
        (WORLD, MovingMemory(1, density=2)),
        (replace(WORLD, size=40), MovingMemory(1)),
    ],
)
def test_what_it_cannot_show_is_said(task: Sprites, model: MovingMemory, places: Places) -> None:
    shape = 1 if task.things == 1 else 3, task.side, task.side
    told = 2 if task.view else 0
    net = build(model, (shape[0] + told, *shape[1:]), 0)
    run = Run(places[0] / "other", Config(task, model), {0: net}, 0)
    with pytest.raises(UserError, match="of a memory that moves play shows one thing"):
        check_playable(run)
    assert not is_playable(run)
