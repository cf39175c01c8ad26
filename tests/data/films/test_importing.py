"""Films become a data set, whole or not at all: cut into shots, split by source, each decoded once."""

import errno
import os
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from framegen.config.tasks import SPLITS
from framegen.data.films import importing, parts
from framegen.data.films.dataset import (
    MANIFEST,
    Manifest,
    describe,
    frames_of,
    names,
    open_split,
    read_manifest,
)
from framegen.data.films.frames import read_frames
from framegen.data.films.importing import import_films
from framegen.machine.errors import OptionError, UserError
from tests.data.films import encode, scene, shades
from tests.forked import Forked


def _film(path: Path, *lengths: int, seed: int = 0, size: tuple[int, int] = (36, 64)) -> Path:
    """A film with a shot of each length, at 10 frames a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shots = [scene(seed + n, length, size) for n, length in enumerate(lengths)]
    return encode(path, np.concatenate(shots))


def _import(paths: list[Path], data: Path, name: str = "set", **options: Any) -> Manifest:
    return read_manifest(import_films(paths, name, data_dir=data, show=False, **{"size": 16, **options}))


def _rows(data: Path, name: str = "set") -> dict[str, np.ndarray]:
    manifest = read_manifest(data / name)
    return {split: np.array(frames_of(open_split(data / name, manifest, split))) for split in SPLITS}


def test_a_film_is_kept_as_it_is_decoded_each_shot_in_its_split(tmp_path: Path) -> None:
    path = _film(tmp_path / "a.mp4", 30, 46, 61, 50, 55, 8)
    manifest = _import([path], tmp_path / "data")
    decoded = np.stack(list(read_frames(path, (8, 16)))).transpose(0, 3, 1, 2)
    rows = _rows(tmp_path / "data")
    assert manifest.shape == (3, 8, 16)
    assert [(s.split, s.first_frame, s.frames) for s in manifest.shots] == [
        ("train", 0, 30),
        ("train", 30, 46),
        ("train", 76, 58),
        ("val", 137, 48),
        ("test", 187, 55),
        ("test", 242, 8),
    ]
    for shot in manifest.shots:
        kept = rows[shot.split][shot.row : shot.row + shot.frames]
        np.testing.assert_array_equal(kept, decoded[shot.first_frame : shot.first_frame + shot.frames])
        assert shot.time == pytest.approx(shot.first_frame / 10)
    assert manifest.sources[0].cuts == 5


def test_rate_size_and_colour_are_as_asked_for(tmp_path: Path) -> None:
    path = _film(tmp_path / "a.mp4", 60, 60, 60, 60, size=(64, 36))
    manifest = _import([path], tmp_path / "data", size=32, channels=1, fps=5)
    assert manifest.shape == (1, 32, 20)  # 18, to a multiple of 4
    assert manifest.sources[0].frames == 120
    assert sorted(shot.first_frame for shot in manifest.shots) == [0, 30, 60, 90]  # found at 10 a second


def test_a_rate_above_the_films_own_adds_no_cuts(tmp_path: Path) -> None:
    path = _film(tmp_path / "a.mp4", 30, 30, 30, 30)
    manifest = _import([path], tmp_path / "data", fps=60)
    assert manifest.sources[0].frames > 700
    assert manifest.sources[0].cuts == 3
    assert sorted(shot.time for shot in manifest.shots) == pytest.approx([0, 3, 6, 9], abs=0.05)


def test_one_film_needs_no_list(tmp_path: Path) -> None:
    path = _film(tmp_path / "a.mp4", 30)
    folder = import_films(str(path), "set", 16, data_dir=tmp_path / "data", show=False)
    assert [source.name for source in read_manifest(folder).sources] == ["a.mp4"]


def test_films_of_another_shape_are_cut_to_the_first_ones(tmp_path: Path) -> None:
    _film(tmp_path / "films" / "a.mp4", 30)
    _film(tmp_path / "films" / "b.mp4", 30, seed=5, size=(64, 64))
    _film(tmp_path / "films" / "deep" / "c10.mp4", 30, seed=6)
    _film(tmp_path / "films" / "deep" / "c9.mp4", 30, seed=7)
    (tmp_path / "films" / "notes.txt").write_text("no film")
    manifest = _import([tmp_path / "films"], tmp_path / "data")
    assert "(1 film of another shape cropped to the first one's); no cut" in describe(manifest)
    order = ["films/a.mp4", "films/b.mp4", "films/deep/c9.mp4", "films/deep/c10.mp4"]
    assert [source.name for source in manifest.sources] == order
    assert [shot.split for shot in manifest.shots] == ["train", "train", "val", "test"]
    square = np.stack(list(read_frames(tmp_path / "films" / "b.mp4", (8, 16)))).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(_rows(tmp_path / "data")["train"][30:], square)


def test_folders_that_name_a_split_are_respected(tmp_path: Path) -> None:
    for seed, place in enumerate(("test/a", "train/b", "train/c", "Validation/d")):
        _film(tmp_path / "films" / f"{place}.mp4", 20, seed=seed)
    manifest = _import([tmp_path / "films"], tmp_path / "data")
    assert {shot.source.split("/", 1)[1]: shot.split for shot in manifest.shots} == {
        "test/a.mp4": "test",
        "train/b.mp4": "train",
        "train/c.mp4": "train",
        "Validation/d.mp4": "val",
    }


def test_folders_of_pictures_and_moving_pictures_are_films(tmp_path: Path) -> None:
    for number, picture in enumerate(scene(0, 30)):
        (tmp_path / "films" / "walk").mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(tmp_path / "films" / "walk" / f"frame{number}.png")
    first, *rest = (Image.fromarray(picture) for picture in scene(1, 30))
    first.save(tmp_path / "films" / "b.gif", save_all=True, append_images=rest, duration=100)
    manifest = _import([tmp_path / "films"], tmp_path / "data")
    assert {(source.name, source.frames) for source in manifest.sources} == {
        ("films/b.gif", 30),
        ("films/walk", 30),
    }


def test_a_broken_film_is_named_and_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    films = tmp_path / "films"
    _film(films / "a.mp4", 60)
    (films / "empty.mp4").touch()
    (films / "half.mp4").write_bytes((films / "a.mp4").read_bytes()[:3000])
    encode(films / "one.mp4", shades(1))
    folder = import_films([films], "set", 16, data_dir=tmp_path / "data")
    said = capsys.readouterr().err
    manifest = read_manifest(folder)
    assert [source.name for source in manifest.sources] == ["films/a.mp4"]
    assert len(manifest.skipped) == 3
    for name, reason in (
        ("empty", "is empty"),
        ("half", "moov"),
        ("one", "holds 1 frame"),
    ):
        (line,) = [line for line in said.splitlines() if f"{name}.m" in line]
        assert line.startswith("skipped: ")
        assert reason in line
        assert "--context" not in line
    assert "3 files could not be read" in said
    import_films([films], "set", 16, data_dir=tmp_path / "data")
    assert "holds these films already" in capsys.readouterr().err


def test_the_rest_of_a_truncated_film_is_taken_unless_strict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = encode(tmp_path / "whole.mkv", scene(3, 60), codec="ffv1", pix_fmt="bgr0").read_bytes()
    path = tmp_path / "a.mkv"
    path.write_bytes(whole[: len(whole) * 2 // 3])
    folder = import_films([path], "set", 16, data_dir=tmp_path / "data")
    (source,) = read_manifest(folder).sources
    assert 20 < source.frames < 50
    assert source.missing == f"is truncated: {source.frames / 10:.4g} of 6 s can be read"
    said = capsys.readouterr().err
    assert f"{path}: {source.missing}; what can be read is taken, which --strict refuses" in said
    with pytest.raises(UserError, match=r"a\.mkv is truncated: .*without --strict"):
        _import([path], tmp_path / "data", strict=True)
    with pytest.raises(UserError, match=r"a\.mkv: is truncated"):
        _import([path], tmp_path / "data", name="strict", strict=True)


def test_what_the_system_fails_at_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A drive drops out while the first of two films is read: nothing is remembered of the second."""
    films = [_film(tmp_path / f"{n}.mp4", 40, seed=n) for n in range(2)]
    away = tmp_path / "away"

    def reading(path: Path, *arguments: Any, **options: Any) -> object:
        if path == films[0]:
            films[1].rename(away)
        return read_frames(path, *arguments, **options)

    monkeypatch.setattr(parts, "read_frames", reading)
    with pytest.raises(UserError, match=rf"^{films[1]}: no such file or folder; what was read is kept"):
        _import(films, tmp_path / "data")
    monkeypatch.undo()
    away.rename(films[1])
    assert len(_import(films, tmp_path / "data").sources) == 2


def test_a_link_that_leads_nowhere_is_left_out(tmp_path: Path) -> None:
    _film(tmp_path / "films" / "a.mp4", 40)
    (tmp_path / "films" / "b.mp4").symlink_to("nowhere.mp4")
    manifest = _import([tmp_path / "films"], tmp_path / "data")
    assert [each.name for each in manifest.skipped] == ["films/b.mp4"]


def test_hidden_files_are_left_out_whatever_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "walk"
    folder.mkdir()
    for number, picture in enumerate(scene(0, 30)):
        Image.fromarray(picture).save(folder / f"frame{number}.png")
        (folder / f"._frame{number}.png").write_bytes(b"\0\5\x16\7")
    (folder / "._frame0.heic").write_bytes(b"\0\5\x16\7")
    (folder / ".DS_Store").write_bytes(b"\0")
    assert [source.frames for source in _import([folder], tmp_path / "data").sources] == [30]


def test_names_that_are_no_utf_8_are_kept_escaped(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    _film(folder / os.fsdecode(b"\xff.mp4"), 40)
    (folder / "still").mkdir()
    for number, picture in enumerate(scene(0, 30)):
        Image.fromarray(picture).save(folder / "still" / os.fsdecode(b"\xe9%d.png" % number))
    manifest = _import([folder], tmp_path / "data")
    assert [source.name for source in manifest.sources] == [r"caf\xe9/\xff.mp4", r"caf\xe9/still"]


def test_a_film_without_a_frame_that_can_be_decoded_is_named(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.ts", scene(0, 30))
    content = path.read_bytes()
    blind = bytearray(content)
    for place in range(0, len(content), 188):
        if content[place + 1] & 0x1F or content[place + 2] > 0x20:  # packets of the video
            blind[place + 12 : place + 188] = bytes(176)
    path.write_bytes(blind)
    with pytest.raises(UserError, match=r"a\.ts: "):
        _import([path], tmp_path / "data")


NOTHING: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "no such file or folder"),  # noqa: ARG005
    "an empty folder": (lambda path: path.mkdir(), "a folder without films"),
    "a text": (lambda path: path.write_text("hello" * 100), "is no film"),
    "a playlist": (lambda path: path.write_text("#EXTM3U\n#EXTINF:1,\na.ts\n"), "is no film"),
    "zero bytes": (lambda path: path.touch(), "is empty"),
    "one frame": (lambda path: encode(path.with_suffix(".mp4"), shades(1)).rename(path), "nothing moves"),
    "five frames": (lambda path: encode(path.with_suffix(".mp4"), shades(5)).rename(path), "too few frames"),
}


@pytest.mark.parametrize("case", NOTHING)
def test_where_there_is_no_film_one_line_says_so(case: str, tmp_path: Path) -> None:
    write, reason = NOTHING[case]
    write(tmp_path / "a")
    with pytest.raises(UserError, match=reason) as refused:
        _import([tmp_path / "a"], tmp_path / "data")
    assert "\n" not in str(refused.value)
    assert names(tmp_path / "data") == []


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"size": 0}, "--size 0"), ({"size": 30}, "--size 30"), ({"channels": 2}, "--channels 2"),
     ({"fps": -1}, "--fps"), ({"name": "../a"}, "../a"), ({"name": ""}, "name")],
)  # fmt: skip
def test_impossible_options_are_refused(options: dict[str, Any], reason: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=reason):
        _import([_film(tmp_path / "a.mp4", 30)], tmp_path / "data", **options)


def test_the_same_films_are_known_and_others_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = _film(tmp_path / "a.mp4", 60), _film(tmp_path / "b.mp4", 60, seed=9)
    before = _import([path], tmp_path / "data")
    others: list[tuple[list[Path], dict[str, Any]]]
    others = [([other], {}), ([path, other], {}), ([path], {"size": 32}), ([path], {"fps": 5})]
    for paths, options in others:
        with pytest.raises(
            UserError, match=r"holds a\.mp4 with --size 16 --channels 3; choose another --name"
        ):
            _import(paths, tmp_path / "data", **options)
    monkeypatch.setattr(parts, "read_frames", lambda *_, **__: pytest.fail("it was read again"))
    path.rename(tmp_path / "renamed.mp4")
    assert _import([tmp_path / "renamed.mp4"], tmp_path / "data") == before
    (tmp_path / "data" / "mine").mkdir()
    with pytest.raises(UserError, match="is no data set of films"):
        _import([other], tmp_path / "data", name="mine")


def test_what_is_no_film_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its digest is not asked for: it may have gigabytes."""
    film, other = _film(tmp_path / "a.mp4", 60), tmp_path / "b.mp4"
    other.write_bytes(bytes(10_000))
    honest = importing.content_digest
    monkeypatch.setattr(
        importing, "content_digest", lambda path: honest(path) if path == film else pytest.fail("it was read")
    )
    assert [each.name for each in _import([film, other], tmp_path / "data").skipped] == ["b.mp4"]


def test_every_frame_is_accounted_for(tmp_path: Path) -> None:
    """Two parts of one shot have a gap between them, and the description says how many frames it takes."""
    manifest = _import([_film(tmp_path / "a.mp4", 100)], tmp_path / "data")
    used = [manifest.frames(split) for split in SPLITS]
    assert sum(used) < 100
    assert f"; {100 - sum(used)} frames before held-out parts left out" in describe(manifest)
    films = [_film(tmp_path / f"{n}.mp4", 60, seed=n) for n in range(3)]
    assert "left out" not in describe(_import(films, tmp_path / "data", name="whole"))


def test_a_film_that_is_there_twice_is_taken_once(tmp_path: Path) -> None:
    path = _film(tmp_path / "a.mp4", 60)
    shutil.copy(path, tmp_path / "copy.mp4")
    assert len(_import([path, tmp_path / "copy.mp4", path], tmp_path / "data").sources) == 1


def test_an_import_that_failed_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    films = [_film(tmp_path / f"{n}.mp4", 30, seed=n) for n in range(3)]
    _import(films, tmp_path / "whole")
    read: list[Path] = []

    def reading(path: Path, *arguments: object, **options: object) -> object:
        read.append(path)
        return read_frames(path, *arguments, **options)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(parts, "read_frames", reading)
    monkeypatch.setattr(parts, "Manifest", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        _import(films, tmp_path / "data")
    assert names(tmp_path / "data") == []
    monkeypatch.undo()
    monkeypatch.setattr(parts, "read_frames", reading)
    _import(films, tmp_path / "data")
    assert read == films  # each once
    for split, rows in _rows(tmp_path / "whole").items():
        np.testing.assert_array_equal(_rows(tmp_path / "data")[split], rows)
    assert not (tmp_path / "data" / ".set.import").exists()


def test_a_full_disk_leaves_no_half_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every write fails once, in order; then one import goes through."""
    path = _film(tmp_path / "a.mp4", 30)
    data, writes, fails_at = tmp_path / "data", 0, 0
    honest = Path.open

    class Full:
        def __init__(self, file: object) -> None:
            self.file = file

        def write(self, content: bytes) -> int:
            nonlocal writes
            writes += 1
            if writes == fails_at:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return self.file.write(content)  # pyright: ignore[reportAttributeAccessIssue]

        def __enter__(self) -> "Full":
            self.file.__enter__()  # pyright: ignore[reportAttributeAccessIssue]
            return self

        def __exit__(self, *error: object) -> None:
            self.file.__exit__(*error)  # pyright: ignore[reportAttributeAccessIssue]

        def __getattr__(self, name: str) -> object:
            return getattr(self.file, name)

    def opened(path: Path, mode: str = "r", *rest: object, **options: object) -> object:
        file = honest(path, mode, *rest, **options)  # pyright: ignore[reportCallIssue, reportArgumentType]
        return Full(file) if "w" in mode else file

    monkeypatch.setattr(Path, "open", opened)
    for fails_at in (1, 2, 25, 31, 32, 33, 34, 35, 36, 37):  # noqa: B007 (the files look at it)
        writes, refused = 0, ""
        try:
            _import([path], data)
        except UserError as error:
            refused = str(error)
        if not refused:
            break
        assert "No space left on device" in refused
        assert names(data) == []
        assert not list(data.glob(".set.import/*.tmp*"))
    assert writes < fails_at
    manifest = read_manifest(data / "set")
    assert sum(manifest.frames(split) for split in SPLITS) > 20


KILLED = """
import os, signal, sys
from pathlib import Path
import av, PIL.Image, pydantic
import framegen.data.films.importing as importing, framegen.data.films.parts as parts
films, data = [Path(film) for film in sys.argv[1:-1]], sys.argv[-1]
seen = 0
def watched(function):
    def call(*arguments, **options):
        global seen
        seen += 1
        if seen == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return call
def child():
    Path.replace, Path.rename = watched(Path.replace), watched(Path.rename)
    parts.write_bytes = watched(parts.write_bytes)
    importing.shutil.rmtree = watched(importing.shutil.rmtree)
    importing.import_films(films, "set", 16, data_dir=data + str(moment), show=False)
    os._exit(0)
for moment in (1, 3, 5, 7, 9, 10, 11, 12, 14):
    process = os.fork()
    if process == 0:
        child()
    print(moment, os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
"""


def test_killed_at_any_moment_it_is_whole_in_the_end(tmp_path: Path) -> None:
    """Killed before each rename, each file and each removal that an import makes, then run again."""
    films = [_film(tmp_path / f"{n}.mp4", 30, seed=n) for n in range(2)]
    _import(films, tmp_path / "whole")
    expected = (tmp_path / "whole" / "set" / MANIFEST).read_bytes()
    said = Forked(KILLED, *films, tmp_path / "data").succeeded().stdout
    ended = {int(moment): int(code) for moment, code in map(str.split, said.splitlines())}
    assert set(ended.values()) <= {0, -signal.SIGKILL}
    assert sum(code != 0 for code in ended.values()) >= 6
    for moment in ended:
        data = tmp_path / f"data{moment}"
        if names(data):
            assert (data / "set" / MANIFEST).read_bytes() == expected
        _import(films, data)
        assert (data / "set" / MANIFEST).read_bytes() == expected
        for split, rows in _rows(tmp_path / "whole").items():
            np.testing.assert_array_equal(_rows(data)[split], rows)
        assert sorted(path.name for path in data.iterdir() if path.suffix != ".lock") == ["set"]


def test_a_second_import_into_a_name_waits_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, data = _film(tmp_path / "a.mp4", 30), tmp_path / "data"
    data.mkdir()
    lock = FileLock(data / ".set.lock", thread_local=False)
    lock.acquire()
    second = threading.Thread(target=import_films, args=([path], "set", 16, 3, None, data))
    second.start()
    said = ""
    while "waiting" not in said and second.is_alive():
        said += capsys.readouterr().err
    assert "another import into it is under way; waiting" in said
    assert names(data) == []
    lock.release()
    second.join(60)
    assert names(data) == ["set"]


def test_where_nothing_can_be_written_it_does_not_wait(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="/proc/self/set: cannot be written"):
        import_films([_film(tmp_path / "a.mp4", 30)], "set", data_dir="/proc/self")


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 4
    path.write_bytes(content)


def _as_pickle(path: Path) -> None:
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "another shape": lambda path: np.save(path, np.zeros((3, 2, 2))),
    "a bit": _flip,
    "no bytes": lambda path: path.write_bytes(b""),
    "missing": Path.unlink,
    "a pickle": _as_pickle,
    "a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_array_is_named_and_importing_again_mends_it(damage: str, tmp_path: Path) -> None:
    film, folder = _film(tmp_path / "a.mp4", 60), tmp_path / "data" / "set"
    before = _import([film], tmp_path / "data")
    whole = {split: (folder / f"{split}.npy").read_bytes() for split in SPLITS}
    DAMAGES[damage](folder / "train.npy")
    with pytest.raises(UserError, match=r"train\.npy: is damaged .*importing the same films again mends it"):
        open_split(folder, before, "train")
    assert _import([film], tmp_path / "data") == before
    assert {split: (folder / f"{split}.npy").read_bytes() for split in SPLITS} == whole


@pytest.mark.parametrize("content", ["{", None])
def test_a_damaged_manifest_is_named(content: str | None, tmp_path: Path) -> None:
    _import([_film(tmp_path / "a.mp4", 60)], tmp_path / "data")
    path = tmp_path / "data" / "set" / MANIFEST
    path.write_text(content or path.read_text().replace('"time": 0.0', '"time": 1e400'))
    with pytest.raises(UserError, match=f"{path}: is damaged"):
        read_manifest(path.parent)
