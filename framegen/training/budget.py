"""A training that lasts about as long as one has time: its epochs follow from what a step takes here."""

import time
from collections.abc import Callable
from dataclasses import replace
from statistics import mean, median

from framegen.config.config import Config
from framegen.data.clips import Data
from framegen.errors import OptionError
from framegen.evaluation.errors import closed_loop_mse, one_step_mse
from framegen.models import build
from framegen.models.device import peak_memory, threads_for
from framegen.progress import count_of, duration, say
from framegen.training.choosing import choose_engine
from framegen.training.schedule import epoch_order, steps_per_epoch

LONGEST_EPOCH = 30.0
"""Seconds between two validations, at most, where an epoch can be a part of the clips."""

MAX_MINUTES = 60.0 * 24 * 365

MEASURED = 3.0
"""Seconds for which steps are tried out, beside the first."""

FEWEST = 100
"""Steps below which a model has hardly begun to learn."""


def fit_to_minutes(config: Config, minutes: float, data: Data, show: bool) -> Config:
    """The config with as many epochs, and clips in each, as fit into a time; a picture about every minute.

    Some steps are taken on models that are thrown away. What comes after training, measuring and pictures, is
    not counted; one epoch is always trained.
    """
    budget = 60 * minutes
    say("timing a training step, to see how many fit", show)
    step, validation = _measure(config, data)
    # An epoch may be a part of all clips, whatever part the config takes.
    whole = steps_per_epoch(replace(config, training=replace(config.training, clips_per_epoch=0)), data)
    wanted = max(1, int(min(LONGEST_EPOCH, budget / 5) / step))
    steps = whole if data.carry_state else min(whole, wanted)
    epochs = max(1, round(budget / (steps * step + validation)))
    every = max(1, round(60 / (steps * step + validation)))
    clips = 0 if steps == whole else steps * config.training.batch_size
    say(
        f"--minutes {minutes:g}: {count_of(epochs, 'epoch')} of {count_of(steps, 'step')},"
        f" {duration(step)} a step on this machine, {peak_memory() / 1e9:.1f} GB of memory",
        show,
    )
    if epochs * steps < FEWEST:
        say("so few steps teach little: more --minutes help, or smaller frames", show)
    training = replace(config.training, epochs=epochs, clips_per_epoch=clips, media_every=every)
    return replace(config, training=training)


def check_minutes(minutes: float) -> None:
    """Raises OptionError where a training cannot last so long."""
    if not 0 < minutes <= MAX_MINUTES:
        raise OptionError(f"--minutes {minutes:g}: must be more than 0, and at most a year")


def _measure(config: Config, data: Data) -> tuple[float, float]:
    """Seconds of an optimizer step of all members, and of their validation after an epoch."""
    # Of a single batch the end is reached at once, where a model is fed its own frames most.
    short = replace(config, training=replace(config.training, epochs=1, clips_per_epoch=1, compile=False))
    models = {seed: build(config.model, data.frame_shape, seed) for seed in config.members}
    with threads_for(models[config.members[0]]):
        engine = choose_engine(short, models, data, show=False)
        order = epoch_order(0, 0, len(data.train), data.carry_state)
        order = order[: engine.chunk * config.training.batch_size].expand(len(models), -1)
        rates = [0.0] * -(-order.shape[1] // config.training.batch_size)
        times: list[float] = []
        while len(times) < 4 or (sum(times[1:]) < MEASURED and len(times) < 20):
            times.append(_seconds(lambda: engine.run(order, rates)))
        validation = _seconds(lambda: one_step_mse(engine.predictors[0], data.val))
        if steps := config.training.closed_loop:
            validation += _seconds(lambda: closed_loop_mse(engine.predictors[0], data.val, steps))
    # A median leaves out when the machine was busy with something else; but where a share of the steps is
    # closed-loop it would be that of one kind.
    of_two_kinds = config.training.closed_loop and config.training.closed_loop_share < 1
    return (mean if of_two_kinds else median)(times[1:]) / len(rates), validation * len(models)


def _seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started
