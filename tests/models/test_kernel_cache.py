"""Compiled code that lies in a cache is loaded only where nobody else can have put it there."""

import hashlib
import os
import pwd
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from framegen.config.models import Recurrent
from framegen.models.kernels import build as kernel
from framegen.models.kernels.build import FusedUnavailable, compiler, library
from framegen.models.kernels.fused import FusedPredictor, shape_of
from framegen.models.nets.recurrent import RecurrentNet
from tests.conftest import needs_compiler

pytestmark = [needs_compiler, pytest.mark.usefixtures("quickly_compiled")]
SOMEBODY = 65534

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


def _others_folder(folder: Path, file: Path) -> None:
    """As where HOME is /tmp, and another user was first."""
    for path in (folder, file):
        os.chown(path, SOMEBODY, SOMEBODY)


def _others_file(folder: Path, file: Path) -> None:
    os.chown(file, SOMEBODY, SOMEBODY)


def _open_folder(folder: Path, file: Path) -> None:
    folder.chmod(0o777)


def _groups_folder(folder: Path, file: Path) -> None:
    folder.chmod(0o770)


def _open_file(folder: Path, file: Path) -> None:
    file.chmod(0o666)


def _linked_file(folder: Path, file: Path) -> None:
    file.symlink_to(file.rename(folder.parent / "elsewhere.so"))


def _linked_folder(folder: Path, file: Path) -> None:
    folder.symlink_to(folder.rename(folder.with_name("elsewhere")))


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, Path]]:
    """A library in the cache, under the name that is looked for, that leaves a mark where it is loaded."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    looked_for: list[Path] = []
    with monkeypatch.context() as patched:
        patched.setattr(kernel, "_compile", lambda _, folder, key: folder / key)
        patched.setattr(kernel, "_load", lambda path, _: looked_for.append(path))
        library.cache_clear()
        library(shape_of(_net()))
    (begins,) = looked_for
    mark, source = tmp_path / "mark", tmp_path / "planted.c"
    source.write_text(
        '#include <stdio.h>\n__attribute__((constructor)) static void leave(void) { FILE* f = fopen("'
        f'{mark}", "w"); if (f) fclose(f); }}\n'
    )
    command = [compiler(), "-shared", "-fPIC", "-x", "c", str(source), "-o", str(tmp_path / "planted.so")]
    subprocess.run(command, check=True)
    content = (tmp_path / "planted.so").read_bytes()
    file = begins.with_name(f"{begins.name}-{hashlib.sha256(content).hexdigest()[:24]}.so")
    file.touch(0o700)
    file.write_bytes(content)
    library.cache_clear()
    yield file, mark
    library.cache_clear()


def _net() -> RecurrentNet:
    return RecurrentNet(Recurrent("tanh", 2), (1, 1, 1))


def _run_on() -> Tensor:
    return FusedPredictor(_net()).run_on(torch.ones(1, 1, 1, 1, 1), None, 3)[0]


@pytest.mark.parametrize(
    "layout",
    [
        pytest.param(_others_folder, marks=needs_root),
        pytest.param(_others_file, marks=needs_root),
        _open_folder,
        _groups_folder,
        _open_file,
        _linked_file,
        _linked_folder,
    ],
)
def test_code_that_another_may_have_written_is_not_loaded(
    layout: Callable[[Path, Path], None], planted: tuple[Path, Path]
) -> None:
    file, mark = planted
    layout(file.parent, file)
    ours = _run_on()
    assert not mark.exists()
    assert torch.isfinite(ours).all()


def test_a_library_of_ours_without_our_functions_is_done_without(planted: tuple[Path, Path]) -> None:
    file, mark = planted
    with pytest.raises(FusedUnavailable, match="undefined symbol"):
        _run_on()
    assert mark.exists(), "what is ours is loaded"
    assert not file.exists()


def test_what_is_compiled_is_for_us_alone_whatever_the_umask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    library.cache_clear()
    before = os.umask(0)
    try:
        _run_on()
    finally:
        os.umask(before)
        library.cache_clear()
    folder = tmp_path / "cache" / "framegen"
    assert [path.stat().st_mode & 0o077 for path in (folder, *folder.iterdir())] == [0, 0]


def test_without_a_home_code_is_compiled_without_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    library.cache_clear()
    assert torch.isfinite(_run_on()).all()
    library.cache_clear()
