"""What the pictures show, read back from them."""

import math
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from framegen.config.tasks import Orbit
from framegen.data.clips import evenly
from framegen.data.films.frames import read_frames
from framegen.data.orbit import render
from framegen.models.rollout import generate
from framegen.report import continuation
from framegen.report.clip_films import write_clip_films
from framegen.report.continuation import Continuation, write_generated
from framegen.report.figures import curves, strips
from framegen.report.writers import write_gif
from framegen.runs.run import load


def test_the_animation_shows_truth_model_and_optimum_side_by_side(small_run: Path) -> None:
    run = load(small_run)
    data = run.data
    assert data.test_frames is not None
    clip = data.test_frames[0].float() / 255
    expected = {
        "truth": clip[10:],
        "generated": generate(run.model, clip[:10], 14),
        "optimum": generate(run.references["optimum"], clip[:10], 14),
    }
    pictures = np.stack(list(iio.imiter(small_run / "generated.gif", plugin="pillow", mode="RGB")))
    top, quarter = strips.HEADER + strips.ABOVE, strips.PANEL // 4
    assert pictures.shape[2] > 2 * pictures.shape[1], "side by side"
    for place, frames in enumerate(expected.values()):
        left = strips.MARGIN + place * (strips.PANEL + strips.MARGIN)
        for row in (0, 1):
            for column in (0, 1):
                shown = pictures[
                    10:, top + quarter + row * 2 * quarter, left + quarter + column * 2 * quarter, 0
                ]
                levels = (frames[:, 0, row, column] * 255).clamp(0, 255).round().numpy()
                np.testing.assert_allclose(shown.astype(float), levels, atol=1)


def test_the_angle_of_a_light_is_where_it_is() -> None:
    turns = torch.linspace(0.3, 0.3 - 5 * math.pi, 31)  # two and a half times round
    angles = continuation._angles(render(Orbit(size=8), turns))
    np.testing.assert_allclose(angles, turns.rad2deg(), atol=3)


def test_clips_as_films_show_truth_generation_and_error(small_run: Path, tmp_path: Path) -> None:
    """Against a rollout by hand."""
    run = load(small_run)
    assert run.data.test_frames is not None
    made = write_clip_films(run, tmp_path)
    assert [each.number for each in made] == evenly(len(run.data.test_frames), 4).tolist()
    for each in made:
        clip, context = run.data.test_frames[each.number] / 255, run.data.context
        generated = generate(run.model, clip[:context], len(clip) - context)
        assert each.mse == pytest.approx((generated - clip[context:]).square().mean().item())
        whole = torch.cat([clip[:context], generated])
        rows = {"truth": clip, "generated": whole, "error": (clip - whole).abs()}
        assert [*each.films] == [*rows, "optimum"]
        for name, frames in rows.items():
            levels = [frame[..., 0] / 255 for frame in read_frames(each.films[name], (2, 2))]
            np.testing.assert_allclose(levels, frames[:, 0].clamp(0, 1), atol=0.02)


def test_the_error_of_a_clip_knows_no_value_range(
    small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = load(small_run)
    usual = [each.mse for each in write_clip_films(run, tmp_path)]
    monkeypatch.setattr(type(run.config.task), "value_range", (-1.0, 1.0))
    assert [each.mse for each in write_clip_films(run, tmp_path)] == usual


def test_curves_show_the_numbers_they_are_given() -> None:
    train, val = curves.Curve([1, 2, 3], [0.5, 0.4, 0.3]), curves.Curve([3], [0.35])
    figure = curves.loss_curves(train, val, {"copy last": 0.9, "optimum": 0.2}, members=1)
    drawn = [line.get_ydata() for line in figure.axes[0].lines]
    assert [list(np.ravel(np.asarray(values, float))) for values in drawn] == [
        [0.5, 0.4, 0.3],
        [0.35],
        [0.9, 0.9],
        [0.2, 0.2],
    ]
    figure = curves.error_over_horizon([[0.2, 0.3]], {"copy last": [0.4, 0.5], "optimum": [0.1, 0.1]}, 10)
    assert [list(np.asarray(line.get_ydata(), float)) for line in figure.axes[0].lines] == [
        [0.2, 0.3],
        [0.4, 0.5],
        [0.1, 0.1],
    ]


def test_pictures_over_the_horizon_stand_beside_the_truth() -> None:
    panels = {
        "ssim": {"model": [0.9, 0.8], "motion": [0.7, 0.6]},
        "motion ratio": {"model": [0.5, 0.4], "motion": [math.nan, 0.2]},
    }
    figure = curves.pictures_over_horizon(panels, 10)
    for axes, (what, predictors) in zip(figure.axes, panels.items(), strict=True):
        assert axes.get_ylabel() == what
        drawn = [np.asarray(line.get_ydata(), float) for line in axes.lines]
        np.testing.assert_array_equal(drawn, [[1, 1], *predictors.values()])
    texts = figure.axes[-1].get_legend_handles_labels()[1]
    assert texts == ["truth", "this model", "motion"]


def test_a_population_is_its_mean_and_a_band_from_the_lowest_to_the_highest() -> None:
    figure = curves.error_over_horizon(
        [[0.2, 0.4], [0.4, 0.2], [0.3, 0.3]], {"copy last": [0.5, 0.5], "optimum": [0.1, 0.1]}, 10
    )
    axes = figure.axes[0]
    assert list(np.asarray(axes.lines[0].get_ydata(), float)) == pytest.approx([0.3, 0.3])
    corners = axes.collections[0].get_paths()[0].vertices
    assert {tuple(corner) for corner in np.asarray(corners).round(6).tolist()} == {
        (1, 0.2),
        (2, 0.2),
        (1, 0.4),
        (2, 0.4),
    }


def test_every_member_is_a_dot_and_three_are_named() -> None:
    skills = {"one step ahead": {5: 0.2, 3: 0.9, 8: 0.7}}
    marked = {"best": 8, "median": 3, "worst": 5}
    figure = curves.members(skills, {"one step ahead": {"optimum": 1.0}}, marked, "skill")
    axes = figure.axes[0]
    assert [0.2, 0.9, 0.7] in [list(np.asarray(line.get_ydata(), float)) for line in axes.lines]
    legend = axes.get_legend()
    assert legend is not None
    said = [text.get_text() for text in legend.get_texts()]
    assert said[2:5] == [
        "best on validation: seed 8, 0.700",
        "median on validation: seed 3, 0.900",
        "worst on validation: seed 5, 0.200",
    ]


def test_what_is_far_below_the_model_does_not_squeeze_the_rest() -> None:
    figure = curves.error_over_horizon(
        [[1e-3, 2e-3]], {"copy last": [0.5, 0.4], "optimum": [1e-15, 1e-15]}, 10
    )
    assert figure.axes[0].get_ylim()[0] == pytest.approx(1e-5)


def test_a_long_film_strip_is_thinned_out_evenly() -> None:
    assert strips.spread(12, 5) == list(range(12))
    chosen = strips.spread(1000, 10)
    assert len(chosen) == strips.COLUMNS
    assert chosen[:4] == [6, 7, 8, 9]
    assert (chosen[4], chosen[-1]) == (10, 999)


@pytest.mark.parametrize("shape", [(36, 64), (48, 64), (28, 64), (64, 36), (64, 64), (144, 256)])
def test_a_films_frames_are_large_and_fit_a_laptop(shape: tuple[int, int], tmp_path: Path) -> None:
    """Each row has a colour of its own, which is looked for in the picture."""
    colors = torch.tensor([[200, 40, 100], [100, 40, 200], [100, 0, 100]])  # the last is the others' distance
    truth, made, _ = (color.view(1, 3, 1, 1).expand(2, 3, *shape) / 255 for color in colors)
    shown = Continuation(truth, made, 2, (0.0, 1.0), truth, error=True)
    picture = iio.imread(write_generated(tmp_path / "compare", shown) / "frame-000003.png")
    assert picture.shape[0] <= 720
    assert picture.shape[1] <= 1280
    for color in colors.numpy():
        rows, columns = np.nonzero((picture == color).all(-1))
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert max(height, width) >= 400
        assert height / width == pytest.approx(shape[0] / shape[1], abs=0.02)
        assert len(rows) == height * width


@pytest.mark.parametrize("shape", [(36, 64), (64, 36), (144, 256)])
def test_a_films_sheet_can_be_read_on_a_narrow_page(
    shape: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[tuple[str, float]] = []
    draw = ImageDraw.ImageDraw.text

    def listen(self: ImageDraw.ImageDraw, place: Any, text: str, **how: Any) -> None:
        said.append((text, how["font"].size))
        draw(self, place, text, **how)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", listen)
    prompt, made = (torch.full((10, 3, *shape), level / 255) for level in (10, 160))
    shown = Continuation(prompt, made, 10, (0.0, 1.0), torch.full((10, 3, *shape), 100 / 255))
    picture = iio.imread(write_generated(tmp_path / "sheet.png", shown))
    on_page = 400 / picture.shape[1]
    assert [text for text, _ in said] == [
        *("prompt 10/10", "truth +1", "truth +2", "truth +3", "truth +5", "truth +10"),
        *("generated +1", "generated +2", "generated +3", "generated +5", "generated +10"),
    ]
    assert min(size for _, size in said) * on_page > 9
    width = (picture == 100).all(-1).sum(1).max() / 3  # of the line of +3, +5 and +10
    assert width * on_page > 120
    assert width * max(1, shape[0] / shape[1]) >= 300


def test_a_films_pixels_are_smooth_and_a_worlds_are_squares(tmp_path: Path) -> None:
    for side, smooth in ((31, False), (32, True)):
        frames = torch.rand(1, 1, side, side, generator=torch.Generator().manual_seed(0)).repeat(2, 1, 1, 1)
        shown = Continuation(frames[:1], frames[1:], 1, (0.0, 1.0))
        picture = iio.imread(write_generated(tmp_path / str(side), shown, scale=8) / "frame-000002.png")
        edge = (picture == (0xD5, 0x5E, 0x00)).all(-1)
        (top, *_), (left, *_) = (np.flatnonzero(edge.sum(axis) > 8 * side) + 4 for axis in (1, 0))
        panel = picture[top : top + 8 * side, left : left + 8 * side, 0].astype(float)
        levels = (frames[0, 0] * 255).round().numpy()
        squares = np.kron(levels, np.ones((8, 8)))
        assert np.array_equal(panel, squares) != smooth
        middles = panel.reshape(side, 8, side, 8)[:, 3:5, :, 3:5].mean((1, 3))
        np.testing.assert_allclose(middles, levels, atol=10)


def test_a_films_frames_alone_are_enlarged_and_never_made_smaller(tmp_path: Path) -> None:
    for width, shown_as in ((32, 640), (700, 700)):
        frames = torch.rand(2, 1, 8, width, generator=torch.Generator().manual_seed(0))
        shown = Continuation(frames[:1], frames[1:], 1, (0.0, 1.0))
        folder = write_generated(tmp_path / str(width), shown, clean=True)
        (picture,) = folder.iterdir()
        assert iio.imread(picture).shape[:2] == (8 * shown_as // width, shown_as)


def test_a_sheet_shows_the_prompts_end_the_beginning_and_the_end() -> None:
    assert strips.moments(20, 10) == [9, 10, 11, 12, 14, 19]
    assert strips.moments(1010, 10) == [9, 10, 109, 209, 509, 1009]
    assert strips.moments(11, 10) == [9, 10]


def test_an_animation_and_a_line_behind_a_long_prompt_keep_their_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = Continuation(torch.rand(250, 1, 2, 2), torch.rand(40, 1, 2, 2), 40, (0.0, 1.0))
    assert (shown.first, shown.counts) == (230, (20, 60))
    said: list[str] = []
    draw = ImageDraw.ImageDraw.text

    def listen(self: ImageDraw.ImageDraw, place: tuple[float, float], text: str, **how: Any) -> None:
        said.append(text)
        draw(self, place, text, **how)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", listen)
    blank = np.zeros((8, 8, 3), np.uint8)
    assert (
        len(list(strips.animate([{"generated": blank}] * 60, *shown.counts, shown.first, strips.Layout())))
        == 60
    )
    headers = [text for text in said if text[-1].isdigit()]
    assert [headers[0], headers[19], headers[20]] == ["prompt 231/250", "prompt 250/250", "frame +1"]
    line = curves.value_over_time({"generated": torch.zeros(60)}, 250, 230).axes[0].lines[0]
    assert np.asarray(line.get_xdata()).tolist() == list(range(230, 290))


def test_a_gif_is_what_pillow_writes_in_memory_that_does_not_grow(tmp_path: Path) -> None:
    """Each picture as a median cut shows it; where two are equal one pixel is written; few are kept."""
    rng = np.random.default_rng(0)
    many = rng.integers(0, 256, (80, 100, 3), np.uint8)  # 8000 colours, so that the cut has to choose
    pictures = [np.roll(many, shift, 0) for shift in (0, 0, 1, 5)]
    write_gif(tmp_path / "a.gif", pictures, 10)
    cut = [
        np.asarray(
            Image.fromarray(picture)
            .quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
            .convert("RGB")
        )
        for picture in pictures
    ]
    with Image.open(tmp_path / "a.gif") as image:
        assert (image.info["loop"], image.info["duration"]) == (0, 100)
        assert getattr(image, "n_frames", 1) == 4
        for index, expected in enumerate(cut):
            image.seek(index)
            shown = np.array(image.convert("RGB"))
            if index == 1:
                np.testing.assert_array_equal(shown[0, 0], pictures[1][0, 0])
                shown[0, 0] = expected[0, 0]
            np.testing.assert_array_equal(shown, expected)
    kept: list[weakref.ref[np.ndarray]] = []
    alive = 0

    def counted() -> Iterator[np.ndarray]:
        nonlocal alive
        for index in range(30):
            picture = np.full((8, 8, 3), index, np.uint8)
            kept.append(weakref.ref(picture))
            alive = max(alive, sum(one() is not None for one in kept))
            yield picture

    write_gif(tmp_path / "b.gif", counted(), 10)
    assert alive <= 4


@pytest.mark.parametrize("shape", [(8, 8, 3), (4, 12, 3), (12, 4, 3)])
def test_a_film_strip_keeps_the_shape_of_its_frames(shape: tuple[int, int, int]) -> None:
    picture = np.zeros(shape, np.uint8)
    figure = strips.film_strip({"truth": [picture, None], "generated": [picture] * 2}, [0, 1], 1)
    for image in figure.axes[0].images:
        left, right, bottom, top = image.get_extent()
        assert (bottom - top) / (right - left) == pytest.approx(shape[0] / shape[1])
    lowest = max(image.get_extent()[2] for image in figure.axes[0].images)
    assert figure.axes[0].get_ylim()[0] >= lowest - 0.01
