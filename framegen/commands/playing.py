"""Let a run's net be played with, in a browser."""

from pathlib import Path
from typing import Any

from framegen.live.page import live_page
from framegen.machine.files import make_parents, write_text
from framegen.machine.progress import answer
from framegen.report.writers import check_new
from framegen.runs.folder import Named
from framegen.runs.run import load

PAGE = "play.html"
ENDINGS = (".html", ".htm")


def play(
    run: Named, out: Path | str | None = None, force: bool = False, runs_dir: Path | str = "runs"
) -> Path:
    """Write one HTML file in which a run's nets run live: it opens offline, and asks nobody for anything.

    The run is named as in `evaluate`. Returns the file: `out`, or play.html in the run's folder. Raises
    UserError where the net cannot be played (convolutional, too large), OptionError where `out` is refused.
    """
    if out is not None:
        check_new(Path(out), ENDINGS, force)
    opened = load(run, runs_dir=runs_dir)
    page = live_page(opened, opened.results)
    if out is None:
        write_text(path := opened.folder / PAGE, page)
    else:
        make_parents(path := Path(out))
        write_text(path, page, exclusive=not force)
    return path


def print_played(path: Path, **_: Any) -> None:
    """Print the result of `play`."""
    answer(path, "Open it in a browser: it needs nothing else, not even a network.")
