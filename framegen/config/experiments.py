"""Named configurations, one per result that the project shows. A new one is a line here."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from framegen.config.config import Config, population
from framegen.config.models import MLP, ConvRecurrent, Model, MotionFilter, Recurrent
from framegen.config.tasks import Film, MovingMNIST, Orbit, Sine
from framegen.config.training import Training, check_given
from framegen.config.worlds import Drift, Sprites
from framegen.machine.errors import OptionError
from framegen.machine.plugins import import_installed

_SPEEDS = Orbit(period=40, speeds=tuple(range(1, 9)))
_GRU = Recurrent(cell="gru", hidden_size=32)
_CLOSED_TRAINING = Training(
    epochs=140,
    batch_size=64,
    learning_rate=3e-3,
    clips_per_epoch=6400,
    closed_loop=39,
    closed_loop_grown=0.2,
    closed_loop_share=0.5,
)
_SINE_NET = Recurrent(hidden_size=32)
_SINE_TRAINING = Training(epochs=10, batch_size=1, media_every=5)

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

_HIDDEN = Sprites(bar=18, num_frames=30, noise=0.05, turning=0.05, num_test_clips=500)

_SMALL_HIDDEN = replace(_HIDDEN, size=8, bar=5, reach=1)

_WORLD_NET = ConvRecurrent("convgru", 32, 2, 3, 4, "frame")

_WORLD_TRAINING = Training(
    epochs=30,
    batch_size=16,
    learning_rate=2e-3,
    schedule="one-cycle",
    clips_per_epoch=1000,
    media_every=10,
)

_SMALL_WORLD_TRAINING = Training(learning_rate=3e-3, schedule="one-cycle", clips_per_epoch=1000)

EXPERIMENTS: dict[str, Config] = {
    config.experiment: config
    for config in (
        Config(
            Orbit(),
            Recurrent(),
            experiment="video",
            description="the article's 4-5-4 RNN on 1000 clips of 2x2 pixels",
        ),
        Config(
            Orbit(), Recurrent(cell="relu"), experiment="video-relu", description="the same with relu units"
        ),
        Config(
            Orbit(),
            MLP(),
            experiment="video-mlp",
            description="the same data without memory: a feed-forward net",
        ),
        Config(Orbit(), _GRU, experiment="video-gru", description="the same data, a GRU with 32 units"),
        Config(
            _SPEEDS,
            Recurrent(),
            experiment="video-speeds",
            description="the 4-5-4 RNN where the light has one of 8 speeds",
        ),
        Config(_SPEEDS, _GRU, experiment="video-speeds-gru", description="the same with a GRU of 32 units"),
        Config(
            replace(_SPEEDS, num_clips=100_000),
            Recurrent(cell="gru", hidden_size=128),
            _CLOSED_TRAINING,
            experiment="video-speeds-closed",
            description="the same with 128 units, on 100 times the clips, taught to run on by itself",
        ),
        Config(
            Sine(lag=1),
            _SINE_NET,
            _SINE_TRAINING,
            experiment="sine-lag",
            description="the article's sine, the target one sample behind the input",
        ),
        Config(
            Sine(lag=-1),
            _SINE_NET,
            _SINE_TRAINING,
            experiment="sine-next",
            description="the article's sine, the target one sample ahead",
        ),
        Config(
            Film(flip=True, flip_vertical=True, reverse=True),
            MotionFilter(),
            _FILM_TRAINING,
            experiment="clips",
            description="films of your own: a recurrent filter of motion",
        ),
        Config(
            Drift(),
            _WORLD_NET,
            _WORLD_TRAINING,
            experiment="drift",
            description="an unseen texture slides at an unknown velocity; the optimum is known",
        ),
        Config(
            Sprites(),
            _WORLD_NET,
            _WORLD_TRAINING,
            experiment="sprites",
            description="a known shape moves, and now and then turns; the optimum is known",
        ),
        Config(
            _HIDDEN,
            _WORLD_NET,
            _WORLD_TRAINING,
            experiment="sprites-bar",
            description="the same behind a bar: does the world go on where it is hidden?",
        ),
        Config(
            _SMALL_HIDDEN,
            Recurrent(cell="gru", hidden_size=128),
            _SMALL_WORLD_TRAINING,
            experiment="sprites-small",
            description="the same on 8x8 pixels, a GRU with 128 units",
        ),
        Config(
            _SMALL_HIDDEN,
            MLP(hidden_size=256),
            _SMALL_WORLD_TRAINING,
            experiment="sprites-small-mlp",
            description="the same without memory: a feed-forward net",
        ),
        Config(
            MovingMNIST(),
            ConvRecurrent("convlstm", 128, 4, 5, 4, "frame"),
            _DIGITS_TRAINING,
            experiment="moving-mnist-convlstm",
            description="Moving MNIST, the field's ConvLSTM of 4 layers",
        ),
        Config(
            MovingMNIST(),
            ConvRecurrent("predrnn", 128, 4, 5, 4, "frame"),
            _DIGITS_TRAINING,
            experiment="moving-mnist-predrnn",
            description="the same with PredRNN, the field's best recurrent net",
        ),
        Config(
            MovingMNIST(),
            ConvRecurrent("minconvgru", 64, 2, 5, 4, "motion"),
            replace(_DIGITS_TRAINING, learning_rate=2e-3),
            experiment="moving-mnist-minconvgru",
            description="the same with a small net that moves what it sees: for a laptop",
        ),
    )
}

BUILT_IN = frozenset(EXPERIMENTS)


def configure(
    experiment: str | Config,
    seeds: int | Sequence[int] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Config:
    """An experiment by its name (or a config), with some of its values changed.

    Args:
        seeds: a population: so many seeds from 0 on, or these; None leaves the config's.
        options: by name, values for the fields of its task, its model or its training.

    Raises:
        OptionError: a name that is not known, or a value that cannot work.
    """
    if isinstance(experiment, str) and experiment not in EXPERIMENTS:
        import_installed()
    if isinstance(experiment, str) and experiment not in EXPERIMENTS:
        raise OptionError(
            f"{experiment}: no such experiment{nearest(experiment, EXPERIMENTS)}; there are "
            f"{', '.join(EXPERIMENTS)}"
        )
    config = EXPERIMENTS[experiment] if isinstance(experiment, str) else experiment
    given = dict(options or {})
    options, parts = dict(given), {}
    for name in ("task", "model", "training"):
        part = getattr(config, name)
        parts[name] = replace(
            part, **{each.name: options.pop(each.name) for each in fields(part) if each.name in options}
        )
    if options:
        raise OptionError(f"{next(iter(options))}: {config.experiment} has no such option")
    check_given(parts["training"], given)
    if isinstance(experiment, str) and "learning_rate" not in given:
        parts["training"] = suited(parts["training"], parts["model"], config.model)
    if seeds is not None:
        parts["seeds"] = population(seeds) if isinstance(seeds, int) else tuple(seeds)
    return replace(config, **parts)


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
