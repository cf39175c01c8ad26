"""What a notebook shows of a run."""

import shutil
from base64 import b64decode
from dataclasses import replace
from pathlib import Path

import framegen
from framegen.tables import as_html


def test_a_notebook_shows_the_results_and_the_generated_film(small_run: Path, tmp_path: Path) -> None:
    run = framegen.load(small_run)
    shown = run._repr_html_()
    assert shown is not None
    rows = shown.split("<tr>")[2:]
    assert [row.split("</td>")[0] for row in rows[:2]] == ["<td>this model", "<td>copy last"]
    assert f"<td>{run.results.one_step['model']['mse']:#.3g}</td>" in rows[0]
    _, film = shown.split('src="data:image/gif;base64,')
    assert b64decode(film.split('"')[0]) == (small_run / "generated.gif").read_bytes()

    shutil.copy(small_run / "results.json", tmp_path)
    assert replace(run, folder=tmp_path)._repr_html_() == shown.split("<img")[0]
    assert replace(run, folder=tmp_path / "unfinished")._repr_html_() is None


def test_names_are_no_markup(small_run: Path, tmp_path: Path) -> None:
    results = framegen.load(small_run).results
    assert results.closed_loop is not None
    one_step = {**results.one_step, "<script>": results.one_step["model"]}
    predictors = {**results.closed_loop.predictors, "<script>": results.closed_loop.predictors["model"]}
    loop = replace(results.closed_loop, predictors=predictors)
    shown = as_html(replace(results, one_step=one_step, closed_loop=loop), tmp_path / "no.gif")
    assert "<td>&lt;script&gt;</td>" in shown
    assert "<script>" not in shown
