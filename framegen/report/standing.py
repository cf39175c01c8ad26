"""How a model stands to the references, in sentences."""

import math
from collections.abc import Mapping

from framegen.evaluation.blending import BLEND, MODEL
from framegen.evaluation.metrics import AT_REST
from framegen.evaluation.references import COPY_LAST
from framegen.evaluation.results import Results
from framegen.machine.progress import count_of

Errors = Mapping[str, Mapping[int, float]]
"""Mse by predictor and horizon; the first is the model."""


def standing(errors: Errors) -> list[str]:
    """To which references a model, or a blend, loses at any horizon, and by how much; where to none, which is
    as good, or comes next. An error below AT_REST counts as that."""
    model, *others = errors
    one = f"the {BLEND}" if model == BLEND else MODEL
    told = [
        f"At +{horizon} {one}'s error is no number."
        for horizon, mse in errors[model].items()
        if not math.isfinite(mse)
    ]
    horizons = [horizon for horizon, mse in errors[model].items() if math.isfinite(mse)]
    gaps = {name: {h: _decibels(errors[model][h], errors[name][h]) for h in horizons} for name in others}
    worse = {name: [h for h in horizons if gaps[name][h] > 0] for name in others}
    equal = {name: [h for h in horizons if gaps[name][h] == 0] for name in others}
    nearest = {n: [h for h in horizons if gaps[n][h] == max(gaps[m][h] for m in others)] for n in others}
    if any(worse.values()):
        told.append(f"{one.capitalize()} is worse than {_listed(worse, gaps, errors)}.")
    elif any(equal.values()):
        told.append(f"No reference is better than {one}; as good: {_listed(equal, {}, errors)}.")
    elif horizons:
        told.append(
            f"{one.capitalize()} is better than every reference; next best: {_listed(nearest, gaps, errors)}."
        )
    if max(errors[COPY_LAST].values()) <= AT_REST:
        told.append("Nothing moves in these frames: copying has no error.")
    return told


def kept_weights(results: Results) -> list[str]:
    """Which weights --keep best kept, and the number by which they were chosen; nothing where the last were
    kept."""
    facts = results.training
    if facts is None or facts.kept is None:
        return []
    kept, what = facts.kept, "closed-loop mse" if facts.options.get("closed_loop") else "mse"
    epochs = count_of(facts.epochs or 0, "epoch")
    told = [f"Kept epoch {kept.epoch} of {facts.epochs}, the best on validation: {what} {kept.mse:.3g}."]
    if kept.epoch == 0:
        found = f"{what} {kept.mse:.3g}, and {kept.lowest_mse:.3g} after the best epoch"
        told = [f"Kept the untrained model: none of {epochs} was better on validation ({found})."]
    if kept.copying_mse <= AT_REST:
        told.append("Nothing moves in what is to be predicted there: copying has no error.")
    return told


def _decibels(error: float, reference: float) -> float:
    """By how much an error is larger, to the hundredths that are shown."""
    return round(10 * math.log10(max(error, AT_REST) / max(reference, AT_REST)), 2)


def _listed(places: Mapping[str, list[int]], gaps: Errors, errors: Errors) -> str:
    """References with the horizons that are named of each, and where it is given by how much the model
    differs there: "motion at +1, +5 by 0.50, 0.70 dB"."""
    model, told = next(iter(errors)), []
    for name, horizons in places.items():
        at = ", ".join(f"+{horizon}" for horizon in horizons)
        amounts = [
            f"at least {abs(gap):.2f}" if least <= AT_REST else f"{abs(gap):.2f}"
            for gap, least in (
                (gaps[name][h], min(errors[model][h], errors[name][h])) for h in horizons if gaps
            )
        ]
        by = f" by {', '.join(amounts)} dB" if amounts else ""
        told += [f"{name.replace(', ', ' of ')} at {at}{by}"] if horizons else []
    return "; ".join(told)
