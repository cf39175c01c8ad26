"""Named configurations, one per result that the project shows. A new one is a line here."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, get_type_hints

from framegen.config.checks import check, check_type, option
from framegen.config.config import Config, population
from framegen.config.film import Film
from framegen.config.models import MLP, ConvRecurrent, Model, MotionFilter, MovingMemory, Recurrent
from framegen.config.tasks import Drift, MovingMNIST, Orbit, Sine, Sprites, Task
from framegen.config.training import FOLLOWING, Training
from framegen.machine.errors import OptionError
from framegen.machine.plugins import import_installed

PARTS = "task", "model", "training"
"""The parts of a config whose fields are options."""

_SPEEDS = Orbit(period=40, speeds=tuple(range(1, 9)))
_BAR = Sprites(bar=18, num_frames=30, noise=0.05, turning=0.05, num_test_clips=500)
_HIDDEN = replace(_BAR, bar=22, reach=3, num_frames=40, turning=0.03)
_AWAY = Sprites(size=16, num_frames=30, noise=0.05, turning=0.05, away=8, num_test_clips=500)
_WINDOW = Sprites(view=16, things=3, num_frames=30, noise=0.05, turning=0.05)
_SMALL_BAR = replace(_BAR, size=8, bar=5, reach=1)
_FILM = Film(flip=True, flip_vertical=True, reverse=True)

_GRU, _WIDE_GRU = Recurrent("gru", 32), Recurrent("gru", 128)
_CNN = ConvRecurrent("cnn", 16, 2, 3, 1, "residual")
_CONVGRU = ConvRecurrent("convgru", 32, 2, 3, 4, "frame")
_CONVLSTM = ConvRecurrent("convlstm", 128, 4, 5, 4, "frame")
_PREDRNN = replace(_CONVLSTM, cell="predrnn")
_MINCONVGRU = ConvRecurrent("minconvgru", 64, 2, 5, 4, "motion")
_CANVAS = MovingMemory(apart=True, canvas=32)

_ORBIT = Training()
_RUN_ON = Training(
    epochs=140,
    batch_size=64,
    learning_rate=3e-3,
    clips_per_epoch=6400,
    closed_loop=39,
    closed_loop_grown=0.2,
    closed_loop_share=0.5,
)
_SINE = Training(epochs=10, batch_size=1, media_every=5)
_FILMS = Training(
    epochs=10,
    learning_rate=5e-3,
    batch_size=8,
    clips_per_epoch=400,
    closed_loop=9,
    square=36,
    loss="relative",
    keep="best",
    patience=6,
    media_every=2,
)
_CONV = Training(batch_size=16, schedule="one-cycle", media_every=10)
_TORUS = replace(_CONV, epochs=30, learning_rate=2e-3, clips_per_epoch=1000)
_MOVING = replace(_CONV, epochs=10, learning_rate=1e-2, clips_per_epoch=1000, batch_size=8, media_every=5)
_DIGITS = replace(_CONV, epochs=200, learning_rate=1e-3, clips_per_epoch=10_000, closed_loop=9)
_SMALL = Training(learning_rate=3e-3, schedule="one-cycle", clips_per_epoch=1000)

_TABLE: dict[str, tuple[Task, Model, Training, str]] = {
    "video": (Orbit(), Recurrent(), _ORBIT, "the article's 4-5-4 RNN on 1000 clips of 2x2 pixels"),
    "video-relu": (Orbit(), Recurrent("relu"), _ORBIT, "the same with relu units"),
    "video-mlp": (Orbit(), MLP(), _ORBIT, "the same data without memory: a feed-forward net"),
    "video-gru": (Orbit(), _GRU, _ORBIT, "the same data, a GRU with 32 units"),
    "video-cnn": (Orbit(size=8), _CNN, replace(_ORBIT, epochs=5), "8x8 pixels, a CNN without memory"),
    "video-speeds": (_SPEEDS, Recurrent(), _ORBIT, "the 4-5-4 RNN where the light has one of 8 speeds"),
    "video-speeds-gru": (_SPEEDS, _GRU, _ORBIT, "the same with a GRU of 32 units"),
    "video-speeds-closed": (
        replace(_SPEEDS, num_clips=100_000),
        _WIDE_GRU,
        _RUN_ON,
        "the same with 128 units, on 100 times the clips, taught to run on by itself",
    ),
    "sine-lag": (Sine(lag=1), Recurrent(hidden_size=32), _SINE, "the article's sine, one sample behind"),
    "sine-next": (Sine(lag=-1), Recurrent(hidden_size=32), _SINE, "the article's sine, one sample ahead"),
    "clips": (_FILM, MotionFilter(), _FILMS, "films of your own: a recurrent filter of motion"),
    "drift": (
        Drift(),
        MovingMemory(3, 0),
        replace(_MOVING, epochs=3),
        "an unseen texture slides at an unknown velocity; a memory that moves",
    ),
    "drift-convgru": (Drift(), _CONVGRU, _TORUS, "the same, a ConvGRU"),
    "sprites": (Sprites(), MovingMemory(), _MOVING, "a known shape moves, and now and then turns"),
    "sprites-convgru": (Sprites(), _CONVGRU, _TORUS, "the same, a ConvGRU"),
    "sprites-bar": (_BAR, MovingMemory(), _MOVING, "the same behind a bar: does what is hidden go on?"),
    "sprites-bar-convgru": (_BAR, _CONVGRU, _TORUS, "the same, a ConvGRU"),
    "sprites-hidden": (_HIDDEN, MovingMemory(3), _MOVING, "behind a wide bar, for 1 to 12 frames"),
    "sprites-hidden-convgru": (_HIDDEN, _CONVGRU, _TORUS, "the same, a ConvGRU"),
    "sprites-away": (_AWAY, MovingMemory(), _MOVING, "an eye that closes now and then, 16x16 pixels"),
    "sprites-away-convgru": (_AWAY, _CONVGRU, _TORUS, "the same, a ConvGRU"),
    "sprites-window": (_WINDOW, _CANVAS, _MOVING, "a window pans over three shapes, 16x16 of 32x32 pixels"),
    "sprites-window-convgru": (_WINDOW, _CONVGRU, _TORUS, "the same, a ConvGRU"),
    "sprites-small": (_SMALL_BAR, _WIDE_GRU, _SMALL, "the same on 8x8 pixels, a GRU with 128 units"),
    "sprites-small-mlp": (_SMALL_BAR, MLP(256), _SMALL, "the same without memory: a feed-forward net"),
    "moving-mnist-convlstm": (MovingMNIST(), _CONVLSTM, _DIGITS, "Moving MNIST, the field's ConvLSTM"),
    "moving-mnist-predrnn": (MovingMNIST(), _PREDRNN, _DIGITS, "the same, the field's best recurrent net"),
    "moving-mnist-minconvgru": (
        MovingMNIST(),
        _MINCONVGRU,
        replace(_DIGITS, learning_rate=2e-3),
        "the same with a small net that moves what it sees: for a laptop",
    ),
}
EXPERIMENTS = {name: Config(*row[:3], name, description=row[3]) for name, row in _TABLE.items()}
BUILT_IN = frozenset(EXPERIMENTS)


def values_of(config: Config) -> dict[str, Any]:
    """The value of each option of a config, by its name."""
    return {name: value for part in PARTS for name, value in vars(getattr(config, part)).items()}


def configure(
    experiment: str | Config,
    seeds: int | Sequence[int] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Config:
    """An experiment by its name (or a config), with some of its values changed.

    Args:
        seeds: a population: a number of seeds, from 0 on, or these; None leaves the config's.
        options: by name, values for the fields of its task, its model or its training.

    Raises:
        OptionError: a name that is not known, a value of another type, or one that cannot work.
    """
    if isinstance(experiment, str) and experiment not in EXPERIMENTS:
        import_installed()
        if experiment not in EXPERIMENTS:
            no_such = f"{experiment}: no such experiment{nearest(experiment, EXPERIMENTS)}"
            raise OptionError(f"{no_such}; framegen experiments lists them")
    config = EXPERIMENTS[experiment] if isinstance(experiment, str) else experiment
    given, known = options or {}, values_of(config)
    for name in given:
        if name not in known:
            raise OptionError(f"{name}: {config.experiment} has no such option{nearest(name, known)}")
    parts: dict[str, Any] = {}
    for part in PARTS:
        usual = getattr(config, part)
        kinds = get_type_hints(type(usual))
        typed = {name: check_type(name, given[name], kinds[name]) for name in vars(usual) if name in given}
        parts[part] = replace(usual, **typed)
    if isinstance(experiment, str) and "learning_rate" not in given:
        parts["training"] = suited(parts["training"], parts["model"], config.model)
    if seeds is not None:
        one = isinstance(seeds, int)
        parts["seeds"] = population(seeds) if one else check_type("seeds", seeds, tuple[int, ...])
    config = replace(config, **parts)
    minutes, following = config.training.minutes, [name for name in FOLLOWING if name in given]
    if minutes is not None and following:
        both = f"{option(following[0])}: follows from --minutes {minutes:g}"
        raise OptionError(f"{both}; leave one of the two out (in Python minutes=None)")
    both = f"--seed {config.training.seed}: cannot be combined with --seeds; give one of the two"
    check(not config.seeds or "seed" not in given, both)
    return config


def suited(training: Training, model: Model, usual: Model) -> Training:
    """A training whose learning rate was not given: smaller where a recurrent net is wider than usual, since
    more than 64 units do not learn at a rate that suits few."""
    if not (isinstance(model, Recurrent) and isinstance(usual, Recurrent)):
        return training
    if model.hidden_size <= max(64, usual.hidden_size):
        return training
    return replace(training, learning_rate=training.learning_rate * 32 / model.hidden_size)


def nearest(word: str, known: Iterable[str]) -> str:
    """A suggestion for an error message: known words that begin so, or whose parts begin with its letters;
    else the one that is close; else those that share a part."""
    said, parts = word.strip("-"), {name: re.split("[-_ ]", name.strip("-")) for name in known}
    initials = {name: "".join(part[:1] for part in each) for name, each in parts.items()}
    begun = [name for name in parts if name.strip("-").startswith(said) or initials[name] == said]
    close = begun or difflib.get_close_matches(word, parts, n=1)
    found = close or [name for name, each in parts.items() if {*re.split("[-_ ]", said)} & {*each}]
    return f"; did you mean {', '.join(found[:4])}?" if found else ""
