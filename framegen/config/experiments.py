"""Named configurations, one per result that the project shows. A new one is a line here."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, get_type_hints

from framegen.config.checks import check_type, option
from framegen.config.config import Config, population
from framegen.config.models import MLP, ConvRecurrent, Model, MotionFilter, Recurrent
from framegen.config.tasks import Drift, Film, MovingMNIST, Orbit, Sine, Sprites, Task
from framegen.config.training import FOLLOWING, Training
from framegen.machine.errors import OptionError
from framegen.machine.plugins import import_installed

PARTS = "task", "model", "training"
"""Of a config, those whose fields are options."""

_SPEEDS = Orbit(period=40, speeds=tuple(range(1, 9)))
_GRU = Recurrent("gru", 32)
_CLOSED_TRAINING = Training(
    epochs=140,
    batch_size=64,
    learning_rate=3e-3,
    clips_per_epoch=6400,
    closed_loop=39,
    closed_loop_grown=0.2,
    closed_loop_share=0.5,
)
_WAVE, _WAVE_TRAINING = Recurrent(hidden_size=32), Training(epochs=10, batch_size=1, media_every=5)
_FILM_TRAINING = Training(
    epochs=10,
    learning_rate=5e-3,
    batch_size=8,
    clips_per_epoch=400,
    closed_loop=9,
    loss="relative",
    keep="best",
    media_every=2,
)
_DIGITS_TRAINING = Training(
    epochs=200,
    batch_size=16,
    learning_rate=1e-3,
    schedule="one-cycle",
    clips_per_epoch=10_000,
    closed_loop=9,
    media_every=10,
)
_BAR = Sprites(bar=18, num_frames=30, noise=0.05, turning=0.05, num_test_clips=500)
_SMALL_BAR = replace(_BAR, size=8, bar=5, reach=1)
_WORLD = ConvRecurrent("convgru", 32, 2, 3, 4, "frame")
_WORLD_TRAINING = Training(
    epochs=30,
    batch_size=16,
    learning_rate=2e-3,
    schedule="one-cycle",
    clips_per_epoch=1000,
    media_every=10,
)
_SMALL_TRAINING = Training(learning_rate=3e-3, schedule="one-cycle", clips_per_epoch=1000)

_TABLE: dict[str, tuple[Task, Model, Training, str]] = {
    "video": (Orbit(), Recurrent(), Training(), "the article's 4-5-4 RNN on 1000 clips of 2x2 pixels"),
    "video-relu": (Orbit(), Recurrent("relu"), Training(), "the same with relu units"),
    "video-mlp": (Orbit(), MLP(), Training(), "the same data without memory: a feed-forward net"),
    "video-gru": (Orbit(), _GRU, Training(), "the same data, a GRU with 32 units"),
    "video-speeds": (_SPEEDS, Recurrent(), Training(), "the 4-5-4 RNN where the light has one of 8 speeds"),
    "video-speeds-gru": (_SPEEDS, _GRU, Training(), "the same with a GRU of 32 units"),
    "video-speeds-closed": (
        replace(_SPEEDS, num_clips=100_000),
        Recurrent("gru", 128),
        _CLOSED_TRAINING,
        "the same with 128 units, on 100 times the clips, taught to run on by itself",
    ),
    "sine-lag": (
        Sine(lag=1),
        _WAVE,
        _WAVE_TRAINING,
        "the article's sine, the target one sample behind the input",
    ),
    "sine-next": (Sine(lag=-1), _WAVE, _WAVE_TRAINING, "the article's sine, the target one sample ahead"),
    "clips": (
        Film(flip=True, flip_vertical=True, reverse=True),
        MotionFilter(),
        _FILM_TRAINING,
        "films of your own: a recurrent filter of motion",
    ),
    "drift": (
        Drift(),
        _WORLD,
        _WORLD_TRAINING,
        "an unseen texture slides at an unknown velocity; the optimum is known",
    ),
    "sprites": (
        Sprites(),
        _WORLD,
        _WORLD_TRAINING,
        "a known shape moves, and now and then turns; the optimum is known",
    ),
    "sprites-bar": (
        _BAR,
        _WORLD,
        _WORLD_TRAINING,
        "the same behind a bar: does the world go on where it is hidden?",
    ),
    "sprites-small": (
        _SMALL_BAR,
        Recurrent("gru", 128),
        _SMALL_TRAINING,
        "the same on 8x8 pixels, a GRU with 128 units",
    ),
    "sprites-small-mlp": (
        _SMALL_BAR,
        MLP(256),
        _SMALL_TRAINING,
        "the same without memory: a feed-forward net",
    ),
    "moving-mnist-convlstm": (
        MovingMNIST(),
        ConvRecurrent("convlstm", 128, 4, 5, 4, "frame"),
        _DIGITS_TRAINING,
        "Moving MNIST, the field's ConvLSTM of 4 layers",
    ),
    "moving-mnist-predrnn": (
        MovingMNIST(),
        ConvRecurrent("predrnn", 128, 4, 5, 4, "frame"),
        _DIGITS_TRAINING,
        "the same with PredRNN, the field's best recurrent net",
    ),
    "moving-mnist-minconvgru": (
        MovingMNIST(),
        ConvRecurrent("minconvgru", 64, 2, 5, 4, "motion"),
        replace(_DIGITS_TRAINING, learning_rate=2e-3),
        "the same with a small net that moves what it sees: for a laptop",
    ),
}
EXPERIMENTS = {
    name: Config(task, model, training, name, description=text)
    for name, (task, model, training, text) in _TABLE.items()
}
BUILT_IN = frozenset(EXPERIMENTS)


def values_of(config: Config) -> dict[str, Any]:
    """The value of each option of a config, by its name."""
    return {name: value for part in PARTS for name, value in vars(getattr(config, part)).items()}


def configure(
    experiment: str | Config,
    seeds: int | Sequence[int] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Config:
    """An experiment by its name (or a config), with some of its values changed: what the command line and
    Python say of a training is checked here.

    Args:
        seeds: a population: so many seeds from 0 on, or these; None leaves the config's.
        options: by name, values for the fields of its task, its model or its training.

    Raises:
        OptionError: a name that is not known, a value of another type, or one that cannot work.
    """
    if isinstance(experiment, str) and experiment not in EXPERIMENTS:
        import_installed()
    if isinstance(experiment, str) and experiment not in EXPERIMENTS:
        raise OptionError(
            f"{experiment}: no such experiment{nearest(experiment, EXPERIMENTS)}; there are "
            f"{', '.join(EXPERIMENTS)}"
        )
    config = EXPERIMENTS[experiment] if isinstance(experiment, str) else experiment
    given, known = options or {}, values_of(config)
    for name in given:
        if name not in known:
            raise OptionError(f"{name}: {config.experiment} has no such option{nearest(name, known)}")
    parts: dict[str, Any] = {}
    for part in PARTS:
        usual = getattr(config, part)
        kinds = get_type_hints(type(usual))
        values = {each.name: given[each.name] for each in fields(usual) if each.name in given}
        typed = {name: check_type(name, value, kinds[name]) for name, value in values.items()}
        parts[part] = replace(usual, **typed)
    if isinstance(experiment, str) and "learning_rate" not in given:
        parts["training"] = suited(parts["training"], parts["model"], config.model)
    if seeds is not None:
        one = isinstance(seeds, int)
        parts["seeds"] = population(seeds) if one else check_type("seeds", seeds, tuple[int, ...])
    config = replace(config, **parts)
    _check_together(config, given)
    return config


def _check_together(config: Config, given: Iterable[str]) -> None:
    """Raises OptionError where options are given that follow from others, which are set too."""
    minutes, following = config.training.minutes, [name for name in FOLLOWING if name in given]
    if minutes is not None and following:
        raise OptionError(
            f"{option(following[0])}: follows from --minutes {minutes:g}; leave one of the two out"
            " (in Python minutes=None)"
        )
    if config.seeds and "seed" in given:
        raise OptionError(
            f"--seed {config.training.seed}: cannot be combined with --seeds; give one of the two"
        )


def suited(training: Training, model: Model, usual: Model) -> Training:
    """A training whose learning rate was not given, for a recurrent net that was made wider than the
    experiment's: at a rate that suits few units, more than 64 do not learn."""
    if not isinstance(model, Recurrent) or not isinstance(usual, Recurrent):
        return training
    if model.hidden_size <= max(64, usual.hidden_size):
        return training
    return replace(training, learning_rate=training.learning_rate * 32 / model.hidden_size)


def nearest(word: str, known: Iterable[str]) -> str:
    """What an error message adds where a known word is close."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
