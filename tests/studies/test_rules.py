"""Verdicts are about all nets that are made in one way, not about the seeds that were asked for."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from framegen.evaluation.metrics import spread
from framegen.evaluation.references import OBSERVERS, OPTIMUM
from framegen.evaluation.results import Member, Permanence, Results
from framegen.runs.run import load
from framegen.studies.claims import CLAIMS, generation, views
from framegen.studies.claims.rules import MOST, Share, better, compared, doubt, judge, share
from framegen.studies.claims.runs import Runs, planned_runs

SEEDS = (4, 16, 64, 256)


@pytest.mark.parametrize("part", [0.02, 0.3, 0.7, 0.98])
def test_more_seeds_make_a_share_surer_and_not_another(part: float) -> None:
    random = np.random.default_rng(0)
    for nets in SEEDS:
        found = [share((random.random(nets) < part).tolist()) for _ in range(400)]
        wrong = [each for each in found if not each.close and each.above != (part > MOST)]
        assert len(wrong) <= 0.05 * len(found)
        assert nets < 256 or sum(not each.close for each in found) > 0.95 * len(found)


@pytest.mark.parametrize("apart", [-1.0, 0.0, 0.5, 2.5])
def test_more_seeds_make_a_comparison_surer_and_not_another(apart: float) -> None:
    random = np.random.default_rng(1)
    truth = stats.norm.cdf(apart / math.sqrt(2)) > 0.75
    for nets in SEEDS:
        pairs = [
            (random.normal(apart, 1, nets).tolist(), random.normal(0, 1, nets).tolist()) for _ in range(100)
        ]
        found = [better(*each) for each in pairs]
        assert sum(not each.close and each.above != truth for each in found) <= 5
        assert nets < 256 or sum(not each.close for each in found) > 95


def test_shares_are_those_of_other_hands() -> None:
    """Wilson's interval and the share of pairs against scipy's."""
    for met, nets in ((0, 3), (2, 8), (33, 64), (64, 64)):
        found = share([True] * met + [False] * (nets - met))
        expected = stats.binomtest(met, nets).proportion_ci(0.95, "wilson")
        assert found.interval == pytest.approx((expected.low, expected.high), abs=1e-4)
    one, other = [0.1, 0.5, 0.5, 0.9], [0.0, 0.5, 0.7]
    assert better(one, other).part == pytest.approx(stats.mannwhitneyu(one, other).statistic / 12)
    assert better(one, other).part + better(other, one).part == 1


def test_what_a_verdict_rests_on_is_said_where_other_seeds_could_turn_it() -> None:
    few, many, even = share([True]), share([True] * 64), share([True] * 33 + [False] * 31)
    assert doubt(many) == ""
    assert "100% of 1 against 50%" in doubt(few, many)
    assert "52% of 64" in doubt(even)
    assert [judge(each) for each in ([many, many], [many, Share(0.1, 64)], [Share(0.1, 64)])] == [
        *("holds", "holds in part", "does not hold")
    ]
    assert compared([2.0, 3.0], [0.0, 1.0]) == "better than"
    assert compared([0.0, 1.0], [2.0, 3.0]) == "worse than"
    assert compared([0.0, 3.0], [1.0, 2.0]) == "about as good as"


class _Found(Runs):
    """Runs that found the same, whatever they are."""

    found: Results

    def results(self, name: str) -> Results:
        return self.found


def _runs(folder: Path, found: Results) -> Runs:
    runs = _Found(folder, planned_runs(2))
    object.__setattr__(runs, "found", found)
    return runs


def _population(found: Results, part: str, values: Mapping[str, Sequence[float]]) -> Results:
    """The results with as many members as there are values of a metric of that part."""
    names, rows = list(values), zip(*values.values(), strict=True)
    first = found.members[0]
    members: list[Member] = []
    for seed, row in enumerate(rows):
        changed: dict[str, Any] = {
            part: {**(getattr(first, part) or {}), **dict(zip(names, row, strict=True))}
        }
        members.append(replace(first, seed=seed, **changed))
    over = {name: spread(list(each)) for name, each in values.items()}
    spreads = {**found.spread, part: {**found.spread.get(part, {}), **over}}
    return replace(found, members=tuple(members), median_seed=0, spread=spreads)


@pytest.mark.parametrize("nets", SEEDS)
def test_the_verdicts_of_claims_do_not_lean_as_seeds_are_added(
    nets: int, small_run: Path, dense_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nine nets of ten do what a claim says, as evenly as that many can; one of ten does not at all."""
    failed = [number % 10 == 7 for number in range(nets)]
    for module in (generation, views):
        monkeypatch.setattr(module, "draw_run", lambda *_, **__: [])
        monkeypatch.setattr(module, "load", lambda _: None)
    usual = load(small_run).results
    assert usual.closed_loop is not None
    best = usual.closed_loop.predictors["optimum"]["mse"] or math.nan
    generated = _population(usual, "closed_loop", {"mse": [best * (9.0 if each else 1.2) for each in failed]})
    (tmp_path / "sine-lag" / "figures").mkdir(parents=True)
    (tmp_path / "sine-next" / "figures").mkdir(parents=True)
    for name in ("sine-lag", "sine-next"):
        (tmp_path / name / "figures" / "windows-epoch-001.png").touch()
    memoryless = usual.one_step["linear, 1 frame"]["mse"] or math.nan
    learned = _population(
        usual, "one_step", {"mse": [memoryless * (0.5 if each else 0.01) for each in failed]}
    )
    dense = load(dense_run).results
    bits = (dense.one_step["optimum"]["bits"] or math.nan) * 0.01
    sure = {
        "regret": [bits * (90 if each else 1) for each in failed],
        "coverage_50": [0.9 if each else 0.51 for each in failed],
        "coverage_90": [0.9] * nets,
    }
    flat: Any = {name: [0.5] for name in ("model", *OBSERVERS, OPTIMUM)}
    remembering = replace(
        _population(usual, "one_step", {"memory": [0.1 if each else 0.7 for each in failed]}),
        permanence=Permanence([3], [12], flat, flat, flat, flat, [[0.5]] * nets),
        one_step={name: {**scores, "memory": 0.5} for name, scores in usual.one_step.items()},
    )
    found = (4, generated), (7, learned), (11, remembering), (12, _population(dense, "one_step", sure))
    for number, results in found:
        assert CLAIMS[number].measure(_runs(tmp_path, results)).verdict == "holds", number
