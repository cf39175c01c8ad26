import numpy as np
import pytest

from framegen.data.films.shots import shot_starts
from framegen.data.films.splits import LEAST_CLIP, Piece, frames_needed, split_pieces
from framegen.machine.errors import UserError
from tests.data.films import scene

Pictures = np.ndarray


def _cut(*lengths: int, seed: int = 0, speed: int = 1) -> Pictures:
    return np.concatenate([scene(seed + n, length, speed=speed) for n, length in enumerate(lengths)])


@pytest.mark.parametrize("lengths", [(20, 30, 10), (12, 5, 40), (3, 20), (20, 3), (9, 2, 9), (30,), (1,)])
def test_cuts_are_found_at_their_frame(lengths: tuple[int, ...]) -> None:
    begins = [0, *np.cumsum(lengths[:-1]).tolist()]
    assert list(shot_starts(_cut(*lengths))) == begins
    assert list(shot_starts(_cut(*lengths)[..., :1])) == begins  # grey
    assert list(shot_starts(_cut(*lengths).repeat(2, 0))) == [2 * n for n in begins]  # each frame twice


def test_a_dark_scene_that_is_cut_to_another_is_cut() -> None:
    assert list(shot_starts(_cut(15, 15) // 6)) == [0, 15]


def test_a_dropped_frame_or_a_jump_of_exposure_is_no_cut() -> None:
    """Of a disc that moves over a landscape some frames are missing; then it gets brighter at once."""
    rows, columns = np.indices((36, 64))
    film = scene(3, 60, speed=0)
    for t, picture in enumerate(film):
        picture[np.hypot(rows - 18, columns - 6 - 0.8 * t) < 7] = 20
    assert list(shot_starts(np.delete(film, range(28, 33), 0))) == [0]
    brighter = film.astype(float)
    brighter[30:] = 30 + 0.8 * brighter[30:]
    assert list(shot_starts(brighter.astype(np.uint8))) == [0]
    assert list(shot_starts(np.concatenate([film[:30], scene(4, 30)]))) == [0, 30]


def test_a_fast_pan_is_no_cut() -> None:
    assert list(shot_starts(scene(0, 40, speed=8))) == [0]
    assert list(shot_starts(np.concatenate([scene(0, 20, speed=0), scene(0, 20, speed=8)]))) == [0]


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_flash_is_no_cut(length: int) -> None:
    film = scene(0, 30)
    film[12 : 12 + length] = 255
    assert list(shot_starts(film)) == [0]


def test_a_fade_is_no_cut() -> None:
    light = np.concatenate([np.linspace(1, 0, 15), np.linspace(0, 1, 15)])[:, None, None, None]
    assert list(shot_starts((_cut(15, 15) * light).astype(np.uint8))) == [0]
    film, other = scene(0, 30).astype(float), scene(1, 30)
    mix = np.clip((np.arange(30) - 8) / 14, 0, 1)[:, None, None, None]
    assert list(shot_starts((film * (1 - mix) + other * mix).astype(np.uint8))) == [0]


def test_noise_and_stillness_are_no_cuts() -> None:
    random = np.random.default_rng(0)
    assert list(shot_starts(random.integers(0, 256, (30, 36, 64, 3), np.uint8))) == [0]
    assert list(shot_starts(np.zeros((30, 36, 64, 3), np.uint8))) == [0]
    assert list(shot_starts([])) == []


def _pieces(*films: tuple[int, ...]) -> list[Piece]:
    return [
        Piece(film, sum(lengths[:shot]), length)
        for film, lengths in enumerate(films)
        for shot, length in enumerate(lengths)
    ]


def _split(*films: tuple[int, ...]) -> dict[str, list[tuple[int, int, int]]]:
    splits = split_pieces(_pieces(*films), [None] * len(films))
    return {name: [(each.film, each.first, each.frames) for each in part] for name, part in splits.items()}


def test_several_films_are_split_by_film() -> None:
    splits = _split((50, 50), (100,), (30, 40), (90,))
    assert {name: {film for film, _, _ in part} for name, part in splits.items()} == {
        "train": {0, 1},
        "val": {2},
        "test": {3},
    }


def test_the_last_shots_of_a_film_are_held_out_with_a_gap_before_them() -> None:
    splits = _split((30, 46, 61, 50, 55, 8))
    assert splits["test"] == [(0, 187, 55), (0, 242, 8)]
    assert splits["val"] == [(0, 137, 48)]
    assert splits["train"] == [(0, 0, 30), (0, 30, 46), (0, 76, 58)]


def test_of_a_long_last_shot_the_last_part_is_held_out() -> None:
    """Though the shots before it are short."""
    splits = _split((49, 1000))
    assert splits["test"] == [(0, 899, 150)]
    assert splits["train"][0] == (0, 0, 49)


def test_of_two_films_the_last_one_is_held_out_or_its_end() -> None:
    assert _split((100,), (200,))["test"] == [(1, 170, 30)]


def test_one_shot_is_split_by_time_with_gaps() -> None:
    splits = _split((400,))
    (train,), (val,), (test,) = splits["train"], splits["val"], splits["test"]
    assert train[1] == 0
    assert train[2] < val[1]
    assert val[1] + val[2] < test[1]
    assert test[1] + test[2] == 400
    assert train[2] >= 200
    assert val[2] >= 40
    assert test[2] >= 60


def test_two_films_give_a_test_film_and_a_validation_part_of_the_other() -> None:
    splits = _split((200,), (100,))
    assert splits["test"] == [(1, 0, 100)]
    assert {film for film, _, _ in splits["val"]} == {0}


def test_splits_that_folders_name_are_kept() -> None:
    pieces = _pieces((30,), (40,), (50,), (60,))
    splits = split_pieces(pieces, ["test", None, "train", "val"])
    assert {name: [piece.film for piece in part] for name, part in splits.items()} == {
        "train": [1, 2],
        "val": [3],
        "test": [0],
    }
    splits = split_pieces(pieces, ["train", "train", "train", "test"])
    assert [piece.film for piece in splits["val"]] == [2]


def test_any_films_are_split_without_a_frame_in_two_splits() -> None:
    random = np.random.default_rng(0)
    for _ in range(300):
        films = [
            tuple(random.integers(9, 90, random.integers(1, 5)).tolist())
            for _ in range(random.integers(1, 5))
        ]
        splits = _split(*films)
        frames = [
            (f, n)
            for part in splits.values()
            for f, first, count in part
            for n in range(first, first + count)
        ]
        assert len(frames) == len(set(frames))
        assert all(part for part in splits.values())
        shots = _pieces(*films)
        for film, first, count in (piece for part in splits.values() for piece in part):
            assert any(
                s.film == film and s.first <= first and first + count <= s.first + s.frames for s in shots
            )
        ends = [
            max((f, first + count) for f, first, count in splits[name]) for name in ("train", "val", "test")
        ]
        assert ends == sorted(ends)  # what is held out is the end
        total = sum(map(sum, films))
        assert sum(count for _, _, count in splits["train"]) >= total / 5


def test_as_many_frames_as_are_said_to_be_needed_are() -> None:
    def longest(frames: int) -> int:
        return min(max(count for _, _, count in part) for part in _split((frames,)).values())

    assert longest(frames_needed() - 1) < LEAST_CLIP
    assert all(longest(frames) >= LEAST_CLIP for frames in range(frames_needed(), 200))


def test_too_few_frames_are_refused() -> None:
    with pytest.raises(UserError, match=f"too few frames.*{frames_needed()} frames of one shot are enough"):
        _split((8,))
    with pytest.raises(UserError, match="no film is for training"):
        split_pieces(_pieces((30,)), ["test"])
