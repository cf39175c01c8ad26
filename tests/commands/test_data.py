import re
from collections.abc import Callable
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from framegen.commands.datasets import show
from framegen.data.films.dataset import list_datasets
from framegen.machine.errors import UserError
from tests.data.films import encode, scene

Runner = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A film of three shots, 90 frames at 10 a second, and a folder of data sets that has it. Read only."""
    root = tmp_path_factory.mktemp("films")
    film = encode(root / "my.mp4", np.concatenate([scene(n, 30) for n in range(3)]))
    return film, root / "data"


def test_a_film_is_imported_listed_and_shown(framegen: Runner, places: tuple[Path, Path]) -> None:
    film, data = places
    code, out, err = framegen("data", "import", film, "--name", "mine", "--size", "32", "--data-dir", data)
    assert code == 0
    assert out.startswith(str(data / "mine"))
    for word in (
        "1 film, 90 frames, 64x36 at 10 a second -> 32x20 colour",
        "2 cuts found, no clip crosses one",
    ):
        assert word in err
    code, out, _ = framegen("data", "list", "--data-dir", data)
    assert (code, out.count("\n")) == (0, 1)
    assert out.startswith("mine: 1 film, 90 frames")
    code, out, _ = framegen("data", "show", "mine", "--data-dir", data)
    assert code == 0
    for word in ("train 1 film, 2 shots, 51 frames, 5.1 s;", "brightness", "median motion"):
        assert word in out
    sheet, gif = (Path(line) for line in out.splitlines()[-2:])
    assert iio.imread(sheet).shape[1] > 500
    assert len(iio.imread(gif)) == 30


def test_statistics_are_those_of_the_frames(places: tuple[Path, Path]) -> None:
    _, data = places
    lines, _ = show("mine", data)
    frames = np.load(data / "mine" / "test.npy").astype(float) / 255
    motion = np.median(np.abs(np.diff(frames, axis=0)).mean((1, 2, 3)))
    (line,) = [line for line in lines if line.startswith("test ")]
    assert f"brightness {frames[:-1].mean():.3f}, median motion {motion:.4f}" in line


def test_a_film_is_shown_as_a_net_sees_it(
    framegen: Runner, places: tuple[Path, Path], tmp_path: Path
) -> None:
    film, _ = places
    code, out, _ = framegen("data", "show", film, "--size", "16", "--data-dir", tmp_path)
    assert code == 0
    said, shots, sheet = out.splitlines()
    assert shots == "3 shots found; frames of each: 30, 30, 30"
    assert said == f"{film}: 64x36 at 10 a second, 9.0 s, 90 frames"
    assert iio.imread(sheet).shape[1] > 900
    assert not (tmp_path / "my").exists()
    assert framegen("data", "show", film, "--size", "0", "--data-dir", tmp_path)[0] == 2


def test_of_a_long_film_the_beginning_is_searched_for_shots(
    places: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("framegen.commands.datasets.LOOKED_AT", 50)
    lines, _ = show(str(places[0]), tmp_path, 16)
    assert lines[1] == "2 shots found in the first 50 frames; frames of each: 30, 20"


def test_of_a_damaged_film_what_can_be_read_is_shown(tmp_path: Path) -> None:
    film = encode(tmp_path / "my.mp4", np.concatenate([scene(n, 40) for n in range(3)]))
    content = bytearray(film.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = bytes(2000)
    film.write_bytes(content)
    lines, (sheet,) = show(str(film), tmp_path / "data", out=tmp_path)
    assert "frames of each: 40" in lines[1]  # before the damage
    assert re.fullmatch(rf"{film}: \d+ packets of its video cannot be decoded", lines[2])
    assert iio.imread(sheet).shape[1] > 600


def test_a_folder_of_films_is_not_one_film(tmp_path: Path) -> None:
    for number in range(2):
        encode(tmp_path / f"{number}.mp4", scene(number, 10))
    with pytest.raises(UserError, match=f"is a folder of films; name one of them, such as {tmp_path}/0.mp4"):
        show(str(tmp_path), tmp_path / "data")


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["import", "--name", "a"], "name a film"),
        (["import", "nosuch.mp4", "--name", "a"], "nosuch.mp4: no such file or folder"),
        (["import", "nosuch.mp4"], "--name"),
        (["show", "nosuch"], "nosuch: no such file, and no such data set in"),
        (["shwo"], "data shwo: no such command; did you mean data show?"),
    ],
)
def test_a_wrong_word_is_answered_with_the_way_out(
    arguments: list[str], answer: str, framegen: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = framegen("data", *arguments)
    assert code != 0
    assert answer in out + err
    assert "Traceback" not in out + err


def test_nothing_there_says_how_to_begin(framegen: Runner, tmp_path: Path) -> None:
    code, out, _ = framegen("data", "list", "--data-dir", tmp_path)
    assert code == 0
    assert "framegen data import FILM --name NAME" in out
    assert "data import|list|show" in framegen("data", "--help")[1]


def test_a_damaged_data_set_is_listed_with_its_fault(tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "manifest.json").write_text("{")
    assert "is damaged" in list_datasets(tmp_path)["bad"]


def test_what_lies_where_pictures_are_shown_stays(places: tuple[Path, Path], tmp_path: Path) -> None:
    film, data = places
    other = film.with_suffix(".mkv")
    other.write_bytes(film.read_bytes())
    mine = [tmp_path / name for name in ("my-sheet.png", "sheet.png", "clips.gif")]
    for path in mine:
        path.write_bytes(b"mine")
    for _ in range(2):  # the same picture is made once
        for what, made in (
            (film, ["my-sheet-2.png"]),
            (other, ["my-sheet-3.png"]),
            ("mine", ["sheet-2.png", "clips-2.gif"]),
        ):
            assert show(str(what), data, out=tmp_path)[1] == [tmp_path / name for name in made]
    assert [path.read_bytes() for path in mine] == [b"mine"] * 3
    assert len(list(tmp_path.iterdir())) == 7
