"""What stands in the tables of the terminal."""

import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from rich.console import Console

from framegen.evaluation.image_quality import PICTURES
from framegen.evaluation.metrics import CONVENTION
from framegen.evaluation.results import ClosedLoop, Curves, Member, Results, Scores
from framegen.report.tables import print_all_metrics, print_horizons, print_results

METRICS = ["mse", "mse_se", "mae", "psnr", *PICTURES]
ERRORS = {"model": 0.02, "copy last": 0.01, "mean frame": 0.1, "linear, 4 frames": 0.05, "motion": 0.005}


def _scores(mse: float) -> Scores:
    scores: Scores = dict.fromkeys(METRICS, 0.5)
    large = {"mse_frame": mse * 12288, "mae_frame": 9999.9}
    return scores | {"mse": mse, "psnr": -10 * math.log10(mse)} | large


def _results(horizon: int, errors: dict[str, float] = ERRORS) -> Results:
    """Errors that grow with the horizon, those of copying faster than the model's."""
    curves: dict[str, Curves] = {
        name: {
            "mse": [mse * h if name == "copy last" else mse for h in range(1, horizon + 1)],
            "psnr": [-10 * math.log10(mse * h) for h in range(1, horizon + 1)],
        }
        for name, mse in errors.items()
    }
    table = {name: _scores(mse) for name, mse in errors.items()}
    loop = ClosedLoop(10, horizon, table, curves)
    member = Member(0, 0.02, table["model"], table["model"], None)
    return Results({name: CONVENTION[name] for name in METRICS}, {}, table, loop, (member,), 0, {})


def _printed(print_it: Callable[[Results, Console], None], results: Results, width: int = 80) -> str:
    console = Console(width=width)
    with console.capture() as captured:
        print_it(results, console)
    return captured.get()


def _row(text: str, name: str) -> list[str]:
    """A table's cells behind a predictor's name."""
    line = next(line for line in text.splitlines() if name in line)
    return [cell.strip() for cell in line.split("│")[2:-1]]


def test_a_narrow_terminal_gets_more_tables_and_every_number_whole() -> None:
    wide, *narrow = (_printed(print_all_metrics, _results(12), width) for width in (200, 60, 40, 25))
    for text in narrow:
        assert Counter(re.findall(r"\d+\.\d+", text)) == Counter(re.findall(r"\d+\.\d+", wide))
        assert "…" not in text


def test_psnr_stands_one_five_and_ten_frames_on_as_far_as_the_horizon_goes() -> None:
    text = _printed(print_horizons, _results(12))
    assert _row(text, "copy last") == ["20.00 dB", "13.01 dB", "10.00 dB"]
    assert [len(_row(text, name)) for name in ("this model", "mean frame", "motion", "linear, 4")] == [3] * 4
    assert _row(_printed(print_horizons, _results(7)), "motion") == ["23.01 dB", "16.02 dB"]
    assert _printed(print_horizons, replace(_results(7), closed_loop=None)) == ""


def test_what_a_model_loses_to_stands_under_the_horizons_that_are_shown() -> None:
    results = _results(7, {"model": 0.05, "copy last": 0.01, "mean frame": 0.1})
    said = " ".join(_printed(print_horizons, results).split())
    assert said.endswith("This model is worse than copy last at +1 by 6.99 dB.")


def test_a_prediction_without_an_error_is_exact() -> None:
    results = _results(5)
    assert results.closed_loop is not None
    curves = results.closed_loop.per_horizon["copy last"]
    curves["mse"][0], curves["psnr"][0] = 0.0, None
    assert _row(_printed(print_horizons, results), "copy last") == ["exact", "13.01 dB"]
    model = results.one_step["model"] | {"mse": 0.0, "psnr": None}
    exact = replace(results, one_step={**results.one_step, "model": model}, members=results.members)
    assert "exact" in _row(_printed(print_all_metrics, exact), "this model")


def test_without_an_optimum_the_horizons_follow_the_table() -> None:
    text = _printed(print_results, _results(10))
    assert "ssim, │" in text.replace("┃", "│")
    assert "This model is worse than copy last at +1 by 3.01 dB" in text
    known = _results(10)
    for table in known.parts().values():
        for scores in table.values():
            scores["skill"] = 0.5
    text = _printed(print_results, replace(known, convention=known.convention | {"skill": "of it"}))
    assert "ssim" not in text
    assert "This model is" not in text


def test_every_metric_fits_into_80_columns() -> None:
    text = _printed(print_all_metrics, _results(10))
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80
    assert _row(text.split("as pictures")[1], "this model")[:2] == ["245.8", "9999.9"]
    for metric in METRICS:
        assert (f"{metric}: " in text) is not metric.endswith("_se"), "no cell of this table has it"
    assert "LPIPS and FVD are left out" in text
