"""The machine and the versions of packages, on which results and times depend."""

import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def versions(*packages: str) -> dict[str, str | None]:
    """Versions of Python and packages; None if not installed, such as framegen run from a checkout."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in packages:
        found[package] = None
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def processor() -> str:
    """Its name as the system gives it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
