"""The figures of a search, by what they show."""

import numpy as np
import pytest

from framegen.studies.search import plots
from framegen.studies.search.results import Trial, Trials

TRIALS = (
    Trial(0, {"learning_rate": 0.001, "cell": "gru", "compile": True}, "complete", 0.2, 4),
    Trial(1, {"learning_rate": 0.1, "cell": "tanh", "compile": False}, "complete", 0.9, 4),
    Trial(2, {"learning_rate": 0.01, "cell": "tanh", "compile": True}, "pruned", -0.9, 1),
    Trial(3, {"learning_rate": 0.01, "cell": "gru", "compile": True}, "complete", 0.5, 4),
    Trial(4, {"learning_rate": 0.01, "cell": "gru", "compile": True}, "diverged", None, 0),
)


@pytest.mark.parametrize(("metric", "best"), [("skill", [0.2, 0.9, 0.9, 0.9]), ("mse", [0.2, 0.2, 0.2, 0.2])])
def test_the_history_shows_the_best_so_far(metric: plots.Metric, best: list[float]) -> None:
    trials = TRIALS if metric == "skill" else [trial for trial in TRIALS if trial.state != "pruned"]
    (axes,) = plots.history(trials, metric).axes
    lines = {str(line.get_label()): np.asarray(line.get_xydata()).T.tolist() for line in axes.lines}
    assert lines["best so far"] == [[0, 1, 3, 4], best]
    if metric == "skill":  # far below copying it is drawn at the edge
        assert lines["ended early"] == [[2], [plots.LOWEST]]


def test_a_line_goes_through_a_trials_values() -> None:
    ranking = Trials("video", "skill", 1, None, TRIALS).ranking
    assert [trial.number for trial in ranking] == [1, 3, 0]
    (axes,) = plots.parallel_coordinates(ranking, "skill", ["learning_rate"]).axes
    heights = [np.asarray(line.get_xydata())[:, 1] for line in axes.lines]
    lines = [each for each in heights if len(each) == 4]
    np.testing.assert_allclose(lines[-1], [1, 0.75, 0.25, 1])  # the best, above the others
    np.testing.assert_allclose(lines[0], [0, 0.25, 0.75, 0])
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["0.001", "0.01", "0.1", "gru", "tanh", "False", "True", "0.2", "0.55", "0.9"]
