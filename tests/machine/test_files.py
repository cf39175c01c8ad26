"""What is written replaces only what may be replaced, and lands only in folders that are there."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from framegen.machine.errors import UserError
from framegen.machine.files import Taken, rename_new, replacing, replacing_folder, write_bytes


def _no_links(*_: object) -> None:
    raise OSError(1, "Operation not permitted")


@pytest.fixture(params=["links", "no links"])
def disk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder on a file system with or without hard links."""
    if request.param == "no links":
        monkeypatch.setattr(os, "link", _no_links)
    return tmp_path


STANDS: dict[str, Callable[[Path], object]] = {
    "file": lambda path: path.write_bytes(b"mine"),
    "folder": lambda path: (path.mkdir(), (path / "mine").touch()),
    "link to nowhere": lambda path: path.symlink_to("nowhere"),
}


@pytest.mark.parametrize("stands", STANDS)
@pytest.mark.parametrize("folder", [False, True])
def test_the_last_step_replaces_nothing(stands: str, folder: bool, disk: Path) -> None:
    path = disk / "out.gif"

    def write() -> None:
        with (replacing_folder if folder else replacing)(path, True) as temporary:
            (temporary / "in" if folder else temporary).write_bytes(b"ours")
            STANDS[stands](path)
            STANDS["file"](disk / "out-2.gif")

    with pytest.raises(Taken) as caught:
        write()
    assert caught.value.kept == disk / "out-3.gif"
    assert (disk / "out-3.gif" / "in" if folder else disk / "out-3.gif").read_bytes() == b"ours"
    assert {each.name for each in disk.iterdir()} == {"out.gif", "out-2.gif", "out-3.gif"}
    assert path.is_symlink() if stands == "link to nowhere" else path.exists()
    assert stands != "file" or path.read_bytes() == b"mine"


def test_what_is_free_is_taken(disk: Path) -> None:
    write_bytes(disk / "one", b"ours", exclusive=True)
    (disk / "two").mkdir()  # an empty folder is as good as none
    with replacing_folder(disk / "two", True) as temporary:
        (temporary / "in").write_bytes(b"ours")
    assert (disk / "one").read_bytes() == (disk / "two" / "in").read_bytes() == b"ours"
    assert {each.name for each in disk.iterdir()} == {"one", "two"}
    with pytest.raises(FileExistsError):
        rename_new(disk / "one", disk / "two")
    assert (disk / "one").exists()


def test_a_folder_that_is_gone_is_not_made_anew(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone/file: cannot be written: No such file"):
        write_bytes(tmp_path / "gone" / "file", b"")
    with (
        pytest.raises(UserError, match=r"gone/two: cannot be written: No such"),
        replacing_folder(tmp_path / "gone" / "two"),
    ):
        pass
    assert list(tmp_path.iterdir()) == []
