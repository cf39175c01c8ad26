"""To which references a model loses is said, and which weights were kept."""

import math
from dataclasses import replace

import pytest

from framegen.evaluation.metrics import CONVENTION
from framegen.evaluation.results import Kept, Results, TrainingFacts
from framegen.report.standing import kept_weights, standing

Row = dict[int, float]
COPY, MEAN, LINEAR, MOTION = "copy last", "mean frame", "linear, 4 frames", "motion"


def _said(model: list[float], **others: list[float]) -> str:
    """Of errors at +1, +5 and +10; what is not named is worse than any model here."""
    names = {"copy": COPY, "mean": MEAN, "linear": LINEAR, "motion": MOTION}
    rows = {"model": model} | {name: others.get(short, [1.0] * 3) for short, name in names.items()}
    return " ".join(standing({name: dict(zip((1, 5, 10), row, strict=True)) for name, row in rows.items()}))


@pytest.mark.parametrize(
    ("short", "name"), [("copy", COPY), ("mean", MEAN), ("linear", LINEAR), ("motion", MOTION)]
)
def test_losing_to_any_reference_at_any_horizon_is_said(short: str, name: str) -> None:
    said = _said([0.01, 0.02, 0.04], **{short: [0.02, 0.01, 0.03]})
    told = f"{10 * math.log10(0.02 / 0.01):.2f}, {10 * math.log10(0.04 / 0.03):.2f}"
    assert said == f"This model is worse than {name.replace(', ', ' of ')} at +5, +10 by {told} dB."


def test_each_reference_that_is_better_is_named() -> None:
    said = _said([0.01] * 3, motion=[0.001, 0.1, 0.1], copy=[0.1, 0.1, 0.005])
    assert said == "This model is worse than copy last at +10 by 3.01 dB; motion at +1 by 10.00 dB."


def test_a_model_that_beats_all_is_told_what_comes_next() -> None:
    said = _said([0.01] * 3, motion=[0.02, 0.02, 0.1], copy=[0.1, 0.1, 0.02], mean=[0.5] * 3)
    next_best = "copy last at +10 by 3.01 dB; motion at +1, +5 by 3.01, 3.01 dB"
    assert said == f"This model is better than every reference; next best: {next_best}."


def test_a_model_that_does_what_copying_does_has_not_lost() -> None:
    said = _said([0.01] * 3, copy=[0.01] * 3)
    assert said == "No reference is better than this model; as good: copy last at +1, +5, +10."


def test_where_nothing_moves_no_ratio_is_formed() -> None:
    """Copying is exact; motion is off by what arithmetic leaves."""
    said = _said([0.0] * 3, copy=[0.0] * 3, motion=[1e-15] * 3)
    assert "as good: copy last at +1, +5, +10; motion at +1, +5, +10." in said
    assert said.endswith("Nothing moves in these frames: copying has no error.")
    said = _said([1e-5, 1e-9, 0.0], copy=[0.0] * 3, motion=[1e-15] * 3)
    assert said.startswith(
        "This model is worse than copy last at +1 by at least 40.00 dB; motion at +1 by at"
    )


def test_an_error_that_is_no_number_is_said() -> None:
    said = _said([0.01, math.inf, 0.01])
    assert said.startswith("At +5 this model's error is no number. This model is better than every reference")
    assert _said([math.inf] * 3).count("is no number") == 3


def _kept(kept: Kept | None, **options: bool | float | str | None) -> str:
    facts = TrainingFacts(9, "cpu", "torch", 1.0, options={**options}, epochs=5, kept=kept)
    results = Results(CONVENTION, {}, {}, None, (), 0, {}, training=facts)
    assert kept_weights(replace(results, training=None)) == []
    return " ".join(kept_weights(results))


def test_what_was_kept_is_said_with_the_number_that_decided() -> None:
    assert _kept(None) == ""
    said = _kept(Kept(3, 0.0071, 0.0071, 0.01), closed_loop=9)
    assert said == "Kept epoch 3 of 5, the best on validation: closed-loop mse 0.0071."
    untrained = "Kept the untrained model: none of 5 epochs was better on validation"
    said = _kept(Kept(0, 0.00093, 0.0013, 0.00093), closed_loop=9)
    assert said == f"{untrained} (closed-loop mse 0.00093, and 0.0013 after the best epoch)."
    said = _kept(Kept(0, 0.0, 1e-6, 0.0))
    still = "Nothing moves in what is to be predicted there: copying has no error."
    assert said == f"{untrained} (mse 0, and 1e-06 after the best epoch). {still}"
