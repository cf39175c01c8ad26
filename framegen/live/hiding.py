"""The live page of a memory that moves: its weights, its world, and what the exact filter needs."""

from typing import Any

from torch import nn

from framegen.config.models import MovingMemory
from framegen.config.tasks import Sprites
from framegen.data import drift, sprites
from framegen.data.kept import hidden
from framegen.evaluation.references import optimal_predictor
from framegen.live.render import MAX_SIDE, base64_of, rendered
from framegen.machine.errors import UserError
from framegen.machine.plugins import command
from framegen.models.optima.sprite_filter import SpriteFilter
from framegen.models.predictor import num_parameters
from framegen.runs.run import Run

STYLES = ("play.css", "controls.css", "cards.css", "widths.css", "hidden.css")
PROGRAMS = ("draw.js", "net.js", "hidden.js", "hiding.js")
KEYS = [
    ("space", "play, pause"),
    ("→", "one frame on"),
    ("e", "close or open the eye"),
    ("b", "bar, or none"),
    ("t", "turn it"),
    ("n", "another thing"),
]


def check_hiding(run: Run) -> None:
    """Raises UserError, with the way out, where the page cannot show a run of a memory that moves."""
    task, model = run.config.task, run.config.model
    small = isinstance(task, Sprites) and task.things == 1 and not task.view and task.size <= MAX_SIDE
    if not small or not isinstance(model, MovingMemory) or model.density:
        shown = f"one thing that moves, frames of up to {MAX_SIDE} pixels a side, and no density head"
        way_out = f"{command('generate', run.folder, '--out', 'clip.gif')} shows what it does"
        raise UserError(f"{run.folder}: of a memory that moves play shows {shown}; {way_out}")


def hiding_page(run: Run) -> str:
    """The page, HTML. Raises UserError where the run cannot be played."""
    check_hiding(run)
    lead = (
        f"A net of {num_parameters(run.model):,} weights sees frames of a thing that moves, and now and then "
        "turns. A bar hides it, or you close the eye: its memory goes on moving what it does not see. Beside "
        "it stands the exact posterior, which is all that can be known."
    )
    return rendered(
        "hidden.html.jinja",
        STYLES,
        PROGRAMS,
        name=run.folder.name,
        experiment=run.config.experiment,
        lead=lead,
        keys=KEYS,
        data={"world": _world(run), "net": _net(run)},
    )


def _world(run: Run) -> dict[str, Any]:
    """The world's formula, and the filter's tables; see `makeWorld` and `makeFilter` in hidden.js."""
    task, exact = run.config.task, optimal_predictor(run.config.task, run.data)
    assert isinstance(task, Sprites)
    assert isinstance(exact, SpriteFilter)
    behind = hidden(task.size, task.bar or task.size // 2)[0].nonzero()[:, 0].tolist()
    return {
        "size": task.size,
        "shapes": [mask.nonzero().tolist() for mask in sprites.shapes(task)],
        "ways": drift.velocities(task).tolist(),
        "turning": task.turning,
        "noise": task.noise,
        "dark": sprites.DARK,
        "bright": sprites.BRIGHT,
        "bar": [behind[0], behind[-1] + 1],
        "odds": exact.odds.tolist(),
        "darkMean": exact.dark,
        "brightMean": exact.bright,
    }


def _net(run: Run) -> dict[str, Any]:
    """The net's sizes and weights; see `makeMemory` in hidden.js."""
    net, config = run.model, run.config.model
    assert isinstance(config, MovingMemory)
    layers = {
        name.replace(".layers", ""): [*module.weight.shape[:3]]
        for name, module in net.named_modules()
        if isinstance(module, nn.Conv2d)
    }
    return {
        "size": run.data.frame_shape[1],
        "ways": drift.ways(config.max_speed).tolist(),
        "wraps": config.border == "torus",
        "beyond": config.num_layers * (config.kernel_size // 2),
        "features": config.features,
        "layers": layers,
        "given": {name.replace(".layers", ""): base64_of(each) for name, each in net.named_parameters()},
    }
