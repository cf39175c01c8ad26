"""`generate --sample`: futures that are drawn, in every kind of file."""

from collections.abc import Callable
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch

from framegen.commands.generation import generate as write
from framegen.models.rollout import rollout
from framegen.report.continuation import GAP
from framegen.report.figures import strips
from framegen.runs.run import load

Runner = Callable[..., tuple[int, str, str]]


def _prompt(run: Path) -> torch.Tensor:
    frames = load(run).data.test_frames
    assert frames is not None
    return frames[0, :10] / 255


def _drawn(run: Path, prompts: torch.Tensor, num_frames: int, seed: int, heat: float = 1.0) -> np.ndarray:
    """What the net draws behind prompts (B, T, C, H, W): (num_frames, B, C, H, W)."""
    generator = torch.Generator().manual_seed(seed)
    return np.stack([*rollout(load(run).model, prompts, num_frames, generator, heat)])


def test_what_is_drawn_is_the_models_rollout_and_the_seed_draws_it_again(
    dense_run: Path, framegen: Runner, tmp_path: Path
) -> None:
    outs = [tmp_path / f"{name}.npy" for name in ("one", "again", "other", "three")]
    options = [("--sample-seed", "4"), ("--sample-seed", "4"), (), ("--sample-seed", "4", "--futures", "3")]
    for out, words in zip(outs, options, strict=True):
        assert framegen("generate", "--sample", dense_run, "--out", out, "--num-frames", "9", *words)[0] == 0
    one, again, other, three = map(np.load, outs)
    np.testing.assert_array_equal(one, _drawn(dense_run, _prompt(dense_run)[None], 9, 4)[:, 0])
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    assert three.shape == (9, 3, 1, 2, 2)
    prompts = _prompt(dense_run).expand(3, -1, -1, -1, -1)
    np.testing.assert_array_equal(three, _drawn(dense_run, prompts, 9, 4))


def test_the_temperature_is_that_of_the_mixture(dense_run: Path, tmp_path: Path) -> None:
    out = write(dense_run, 6, tmp_path / "cold.npy", sample=True, temperature=0.3)
    np.testing.assert_array_equal(np.load(out), _drawn(dense_run, _prompt(dense_run)[None], 6, 0, 0.3)[:, 0])


def test_futures_stand_side_by_side_between_truth_and_optimum(dense_run: Path, tmp_path: Path) -> None:
    gif = write(dense_run, 5, tmp_path / "futures.gif", sample=True, futures=2)
    pictures = np.stack(list(iio.imiter(gif, plugin="pillow", mode="RGB")))
    drawn = np.load(write(dense_run, 5, tmp_path / "futures.npy", sample=True, futures=2))
    truth = load(dense_run).data.test_frames
    assert truth is not None
    rows = [truth[0, 10:15].numpy() / 255, drawn[:, 0], drawn[:, 1]]
    top, quarter = strips.HEADER + strips.ABOVE, strips.PANEL // 4
    assert pictures.shape[2] >= 4 * strips.PANEL  # the optimum is the last
    for place, frames in enumerate(rows):
        left = strips.MARGIN + place * (strips.PANEL + strips.MARGIN)
        for row, column in np.ndindex(2, 2):
            seen = pictures[10:, top + (2 * row + 1) * quarter, left + (2 * column + 1) * quarter, 0]
            np.testing.assert_allclose(seen, frames[:, 0, row, column] * 255, atol=8)  # a GIF's palette


def test_clean_futures_stand_side_by_side_and_a_strip_has_a_row_each(dense_run: Path, tmp_path: Path) -> None:
    folder = write(dense_run, 2, tmp_path / "clean", sample=True, futures=3, look="clean", scale=4)
    picture = iio.imread(folder / "frame-000011.png")
    assert picture.shape == (8, 3 * 8 + 2 * GAP, 3)
    drawn = np.load(write(dense_run, 2, tmp_path / "clean.npy", sample=True, futures=3))
    for number in range(3):
        left = number * (8 + GAP)
        np.testing.assert_array_equal(
            picture[::4, left : left + 8 : 4, 0], (drawn[0, number, 0] * 255).round()
        )
    strip, single = (
        iio.imread(write(dense_run, 4, tmp_path / f"{count}.png", sample=True, futures=count))
        for count in (3, 1)
    )
    assert strip.shape[0] > single.shape[0] + 100


def test_a_prompt_of_ones_own_is_continued_by_futures(dense_run: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "prompt.npy", np.random.default_rng(0).random((6, 1, 2, 2), dtype=np.float32))
    out = write(dense_run, 3, tmp_path / "out.mp4", tmp_path / "prompt.npy", sample=True, futures=2)
    assert out.stat().st_size > 0


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--futures", "3"), "--futures 3: says how frames are drawn; --sample draws them"),
        (("--temperature", "0.5"), "--temperature 0.5: says how"),
        (("--sample", "--temperature", "0"), "--temperature 0.0: must lie above 0"),
        (("--sample", "--futures", "0"), "--futures 0: must lie between 1 and 64"),
        (("--sample", "--sample-seed", "-1"), "--sample-seed -1: must lie between"),
    ],
)
def test_what_cannot_be_drawn_is_named(
    words: tuple[str, ...], reason: str, dense_run: Path, framegen: Runner, tmp_path: Path
) -> None:
    code, _, err = framegen("generate", dense_run, "--out", tmp_path / "out.gif", *words)
    assert code == 2
    assert reason in err


def test_a_model_that_says_a_mean_alone_names_the_way_out(
    small_run: Path, framegen: Runner, tmp_path: Path
) -> None:
    code, _, err = framegen("generate", small_run, "--sample", "--out", tmp_path / "out.gif")
    assert code == 2
    assert "framegen train video --density 4" in err
    assert len(err.strip().splitlines()) == 1
