"""The figures of a search, by what they show."""

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState, create_trial

from framegen.studies.search import plots
from framegen.studies.search.results import Metric
from framegen.studies.search.space import Choice, Range, Space

SPACE: Space = {"learning_rate": Range(1e-3, 1e-1), "cell": Choice(("gru", "tanh"))}
TRIED = (
    (0.001, "gru", TrialState.COMPLETE, 0.2),
    (0.1, "tanh", TrialState.COMPLETE, 0.9),
    (0.01, "tanh", TrialState.PRUNED, -0.9),
    (0.01, "gru", TrialState.COMPLETE, 0.5),
    (0.01, "gru", TrialState.PRUNED, None),
)


def _study(metric: Metric) -> optuna.Study:
    study = optuna.create_study(direction="maximize" if metric == "skill" else "minimize")
    for rate, cell, state, value in TRIED:
        told = None if value is None else abs(value) if metric == "mse" else value
        distributions = {
            "learning_rate": optuna.distributions.FloatDistribution(1e-3, 1e-1, log=True),
            "cell": optuna.distributions.CategoricalDistribution(("gru", "tanh")),
        }
        params = {"learning_rate": rate, "cell": cell}
        study.add_trial(create_trial(state=state, value=told, params=params, distributions=distributions))
    return study


@pytest.mark.parametrize(("metric", "best"), [("skill", [0.2, 0.9, 0.9, 0.9]), ("mse", [0.2, 0.2, 0.2, 0.2])])
def test_the_history_shows_the_best_so_far(metric: Metric, best: list[float]) -> None:
    (axes,) = plots.history(_study(metric)).axes
    lines = {str(line.get_label()): np.asarray(line.get_xydata()).T.tolist() for line in axes.lines}
    assert lines["best so far"] == [[0, 1, 3, 4], best]
    # Far below copying it is drawn at the edge.
    assert lines["ended early"] == [[2], [plots.LOWEST if metric == "skill" else 0.9]]


def test_each_option_has_what_came_of_its_values_and_the_best_is_marked() -> None:
    rate, cell = plots.options(_study("skill"), SPACE).axes
    every, best = (np.asarray(line.get_xydata()).tolist() for line in rate.lines)
    assert every == [[0.1, 0.9], [0.01, 0.5], [0.001, 0.2]]
    assert best == every[:1]
    assert (rate.get_xlabel(), rate.get_xscale()) == ("learning-rate", "log")
    assert np.asarray(cell.lines[0].get_xdata()).tolist() == ["tanh", "gru", "gru"]
