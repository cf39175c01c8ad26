"""What was measured of a trained model, on disk: results.json."""

import json
from pathlib import Path

from framegen.errors import UserError
from framegen.evaluation.scores import Results
from framegen.files import write_text
from framegen.runs.folder import Run

RESULTS = "results.json"


def write_results(run: Run, results: Results) -> None:
    """Write results.json."""
    write_text(run.folder / RESULTS, json.dumps(results, indent=2))


def read_results(folder: Path) -> Results:
    """What results.json holds; nothing where there is none. Raises UserError where it is damaged."""
    path = folder / RESULTS
    if not path.exists():
        return {}
    try:
        results = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: cannot be read ({error}); `uv run framegen evaluate {folder}` makes it anew"
        ) from error
    if not (
        isinstance(results, dict)
        and {"one_step", "closed_loop", "validation", "members", "median_seed"} <= set(results)
    ):
        raise UserError(f"{path}: does not hold results; `uv run framegen evaluate {folder}` makes it anew")
    return results


def finished(folder: Path) -> bool:
    """Whether a run was trained to its end. One that was evaluated on the way has results too, but no facts of a training."""
    return bool(read_results(folder).get("training"))
