"""The interface of a tracker, which shows a run during its training."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol


class Tracker(Protocol):
    """Receives everything about a run during its training; all of it is in the run's folder too.

    A subclass defines the methods it can show; the others do nothing. An error that it raises ends the
    training; `resume` continues it.
    """

    def begin(self, run_dir: Path, config: Mapping[str, Any]) -> None:
        """A run begins, or goes on; `config` is every option by task, model and training, and what the run is
        made with. Raises UserError where it cannot be tracked: then nothing is trained."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Values that belong to an optimizer step, each a finite number."""

    def media(self, step: int, media: Mapping[str, Path]) -> None:
        """Pictures (.png) and videos (.gif, .mp4), by what they show."""

    def table(self, step: int, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """A table; a path in it is the picture or the video that lies there, None is no number."""

    def summary(self, values: Mapping[str, float]) -> None:
        """Values by which runs are compared, each a finite number."""

    def file(self, name: str, kind: str, path: Path, metadata: Mapping[str, Any]) -> None:
        """A file, or a folder's, to be kept as a version of a name: of kind "model" or "clips" what the run
        made, of kind "dataset" what it works on."""

    def finish(self, well: bool) -> None:
        """The run is over: trained to its end, or broken off."""


class Untracked(Tracker):
    """Shows nothing."""


@contextmanager
def finishing(tracker: Tracker) -> Iterator[None]:
    """Tells the tracker in the end how it went."""
    try:
        yield
    except BaseException:
        tracker.finish(False)
        raise
    tracker.finish(True)


@contextmanager
def tracked(tracker: Tracker, folder: Path, config: Mapping[str, Any]) -> Iterator[None]:
    """Tells the tracker what begins, and in the end how it went."""
    tracker.begin(folder, config)
    with finishing(tracker):
        yield
