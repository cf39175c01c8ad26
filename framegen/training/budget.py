"""A training of given minutes: how many steps fit is foreseen anew after each epoch; the clock decides."""

from collections.abc import Callable
from dataclasses import replace
from statistics import mean, median

from framegen.config.config import Config
from framegen.config.film import Film
from framegen.data.clips import Data, TensorClips
from framegen.evaluation.clip_errors import mean_square
from framegen.machine.device import peak_memory, threads
from framegen.machine.progress import count_of, duration, say
from framegen.models import build
from framegen.models.predictor import cpu_threads
from framegen.runs.checkpoint import Place
from framegen.training.choosing import choose_engine
from framegen.training.engine import TorchEngine
from framegen.training.schedule import epoch_order, steps_per_epoch

LONGEST_EPOCH = 30.0
"""Seconds between two validations, at most, where an epoch can be a part of the clips."""
MEASURED, TIMING = 3.0, 0.1
"""Seconds for which steps are tried out, beside the first, and which part of the minutes at most."""
FEWEST = 100
"""Steps below which a model has hardly begun to learn."""

MEASURING, LEAST = 0.08, 8
"""Part of the minutes that measuring the model alone may take on a film: with motion and all other references
about a fifth; and test clips that are measured all the same."""

Clock = Callable[[], float]
"""Seconds since whenever."""


def fit_to_minutes(config: Config, data: Data, show: bool, clock: Clock) -> tuple[Config, Place]:
    """A config with minutes whose clips an epoch, pictures (about one a minute), epochs and, of a film, test
    clips suit this machine, as foreseen; and the place where its training begins, with the time that this
    took behind it. Some steps are taken on models that are thrown away. At least one step is foreseen."""
    assert config.training.minutes is not None
    budget, began = 60 * config.training.minutes, clock()
    say("timing a training step, to see how many fit", show)
    step, validation, memory = _measure(config, data, TIMING * budget, clock)
    # An epoch may be a part of all clips, whatever part the config takes.
    whole = steps_per_epoch(replace(config, training=replace(config.training, clips_per_epoch=0)), data)
    wanted = max(1, int(min(LONGEST_EPOCH, budget / 5) / step))
    steps = whole if data.carry_state else min(whole, wanted)
    spent = clock() - began
    planned = max(1, steps_within(budget - spent, steps, step, validation))
    told = f"--minutes {config.training.minutes:g}: about {count_of(planned, 'step')}, {steps} an epoch"
    say(f"{told}, {duration(step)} a step on this machine{memory}", show)
    passes = (1 + (data.test_frames is not None)) / (1 + (config.training.closed_loop > 0))
    measuring, task, count = validation * passes / len(data.val), config.task, len(data.test)
    if isinstance(task, Film):
        most = max(LEAST, int(MEASURING * budget / max(measuring, 1e-9)))
        task = replace(task, max_test_clips=min(task.max_test_clips, most))
        count = min(count, most)
    clips = f"{count_of(count, 'test clip')} (the model alone about {duration(count * measuring)})"
    say(f"on top of the minutes come measuring on {clips} and drawing", show)
    if planned < FEWEST:
        say("so few steps teach little: more --minutes help, or smaller frames", show)
    training = replace(
        config.training,
        epochs=-(-planned // steps),
        clips_per_epoch=0 if steps == whole else steps * config.training.batch_size,
        media_every=max(1, round(60 / (steps * step + validation))),
    )
    place = Place(config.members, spent=spent, planned=planned, validation=validation)
    return replace(config, task=task, training=training), place


def steps_within(seconds: float, per_epoch: int, step: float, validation: float) -> int:
    """How many steps of given seconds fit, with a validation after each epoch and after the last step."""
    epochs, rest = divmod(max(0.0, seconds), per_epoch * step + validation)
    return int(epochs) * per_epoch + max(0, int((rest - validation) / step))


def planned_again(place: Place, minutes: float | None, per_epoch: int, step: float) -> Place:
    """The same place after an epoch, with as many steps as are foreseen now that a step's seconds are known.
    What has come to its end, with its learning rate, stays there."""
    if minutes is None or place.step >= place.planned:
        return place
    more = steps_within(60 * minutes - place.spent, per_epoch, step, place.validation)
    return replace(place, planned=place.step + more)


def _measure(config: Config, data: Data, seconds: float, clock: Clock) -> tuple[float, float, str]:
    """Seconds of an optimizer step of all members, and of their validation after an epoch, and the memory
    they take; steps are timed for about `seconds`."""
    # An engine without a plan is at its end, where a model is fed its own frames most.
    short = replace(config, training=replace(config.training, compile=False))
    models = {seed: build(config.model, data.frame_shape, seed) for seed in config.members}

    def timed(action: Callable[[], object]) -> float:
        started = clock()
        action()
        return clock() - started

    with threads(cpu_threads(models[config.members[0]])):
        engine = choose_engine(short, models, data, show=False)
        if isinstance(engine, TorchEngine):  # of several processes each takes as long for its share
            engine.ranks = replace(engine.ranks, speaking=False)
        order = epoch_order(0, 0, len(data.train), data.carry_state)
        order = order[: engine.chunk * config.training.batch_size].expand(len(models), -1)
        rates = [0.0] * -(-order.shape[1] // config.training.batch_size)
        times: list[float] = []
        while len(times) < 2 or (
            sum(times) < seconds and (len(times) < 4 or (sum(times[1:]) < MEASURED and len(times) < 20))
        ):
            times.append(timed(lambda: engine.run(order, rates)))
        engine.predictors[0].eval()
        few = TensorClips(*data.val.batch(slice(0, config.training.batch_size)), data.val.burn_in)
        validation = timed(lambda: mean_square(engine.predictors[0], few))
        if steps := config.training.closed_loop:
            validation += timed(lambda: mean_square(engine.predictors[0], few, steps))
    # A median leaves out when the machine was busy with something else; but where a share of the steps is
    # closed-loop it would be that of one kind.
    of_two_kinds = config.training.closed_loop and config.training.closed_loop_share < 1
    step = (mean if of_two_kinds else median)(times[1:]) / len(rates)
    gpu, peak = "the GPU's " if engine.device.type == "cuda" else "", peak_memory(engine.device)
    memory = "" if peak is None else f", {peak / 1e9:.1f} GB of {gpu}memory"
    return step, validation * len(models) * len(data.val) / len(few), memory
