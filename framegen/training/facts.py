"""What is told of how a training computes, and how fast."""

from typing import Any

from framegen.evaluation.results import TrainingFacts
from framegen.machine.device import peak_memory
from framegen.models.predictor import num_parameters
from framegen.runs.checkpoint import Place
from framegen.training import ranks
from framegen.training.base import Engine
from framegen.training.schedule import clips_per_epoch, steps_per_epoch
from framegen.training.under_way import OngoingTraining


def facts_of(engine: Engine) -> dict[str, Any]:
    """What is trained, and with what."""
    frozen = num_parameters(engine.models[0], trained=False)
    facts = {
        "parameters": num_parameters(engine.models[0]),
        "device": engine.device.type,
        "engine": engine.name,
    }
    beside = {"frozen_parameters": frozen, "tf32": engine.device.type == "cuda"}
    return facts | {name: value for name, value in beside.items() if value}


def all_facts(training: OngoingTraining) -> TrainingFacts:
    """What results.json says of a training that has ended."""
    config, place = training.config, training.place
    epochs, rest = divmod(place.step, steps_per_epoch(config, training.data))
    clips = epochs * clips_per_epoch(config, training.data) + rest * config.training.batch_size
    return TrainingFacts(
        **facts_of(training.engine),
        seconds=place.seconds,
        dropped=place.dropped,
        clips_per_second=clips * len(place.seeds) / place.seconds,
        waiting=place.waited / place.seconds,
        peak_memory=peak_memory(training.engine.device),
        processes=ranks.current().count,
        earlier=list(place.sessions[:-1]),
        options=config.training.changed,
        epochs=epochs + (rest > 0),
    )


def pace(training: OngoingTraining, before: Place, first: int) -> dict[str, float]:
    """How fast the steps went since a place of the epoch that began at a step."""
    seconds, waited = training.place.seconds - before.seconds, training.place.waited - before.waited
    batch, whole = training.config.training.batch_size, clips_per_epoch(training.config, training.data)
    peak = peak_memory(training.engine.device)
    clips = min(whole, (training.place.step - first) * batch) - (before.step - first) * batch
    return {
        "train/clips_per_second": len(training.place.seeds) * clips / seconds,
        "train/waiting": waited / seconds,
        **({} if peak is None else {"train/peak_memory": peak}),
    }
