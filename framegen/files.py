"""Writing files so that nothing is ever half-written."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from framegen.errors import UserError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path of the same ending beside `path`; renamed to `path` on success, removed on failure.

    Whoever is killed meanwhile leaves the old file whole. Raises UserError where the disk refuses.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        # A folder that cannot be written cannot hold a leftover either.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write the whole content or leave what was there. Raises UserError where the disk refuses."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """`write_bytes` for text, in UTF-8."""
    write_bytes(path, content.encode())
