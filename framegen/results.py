"""What is measured of a trained model, and where it is left: results.json and W&B."""

import json
from pathlib import Path

import torch
from torch import Tensor

from framegen import fused
from framegen.errors import UserError
from framegen.evaluate import Results, evaluate, one_step_errors
from framegen.files import write_text
from framegen.metrics import CONVENTION
from framegen.run import Run
from framegen.tracking import Tracker

RESULTS = "results.json"


def measure(run: Run) -> Results:
    """Evaluate a run's models and its references on the test clips."""
    models = {seed: fused.compiled(model, run.config.training.engine) for seed, model in run.models.items()}
    return evaluate(models, run.config.task, run.data, run.references)


def write_results(run: Run, results: Results) -> None:
    """Write results.json."""
    write_text(run.folder / RESULTS, json.dumps(results, indent=2))


def validation(run: Run) -> dict[str, float]:
    """One-step mse of copying and of the optimum on the validation clips."""
    return {name: one_step_errors(run.references[name], run.data.val)[0] for name in ("copy last", "optimum")}


def read_results(folder: Path) -> Results:
    """What results.json holds; nothing where there is none. Raises UserError where it is damaged."""
    path = folder / RESULTS
    if not path.exists():
        return {}
    try:
        results = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error}); `uv run framegen evaluate {folder}` makes it anew") from error
    if not (isinstance(results, dict) and {"one_step", "closed_loop", "validation", "members", "median_seed"} <= set(results)):
        raise UserError(f"{path}: does not hold results; `uv run framegen evaluate {folder}` makes it anew")
    return results


def finished(folder: Path) -> bool:
    """Whether a run was trained to its end. One that was evaluated on the way has results too, but no facts of a training."""
    return bool(read_results(folder).get("training"))


def log_results(results: Results, step: int, tracker: Tracker) -> None:
    """Leave the results in W&B: tables of the predictors and of a population's members, and values to compare runs by."""
    one_step, loop, members = results["one_step"], results["closed_loop"], results["members"]
    tracker.log_table(step, "test/one_step", ["predictor", *CONVENTION], [[n, *s.values()] for n, s in one_step.items()])
    parts = {"": "one_step"} | ({"closed_loop_": "closed_loop"} if loop else {})
    columns = {f"{prefix}{m}": [member[part][m] for member in members] for prefix, part in parts.items() for m in CONVENTION}
    if len(members) > 1:
        rows = zip([member["seed"] for member in members], *columns.values(), strict=True)
        tracker.log_table(step, "test/members", ["seed", *columns], [list(row) for row in rows])
    summaries = (over_members(f"test/{name}", torch.tensor(values)) for name, values in columns.items())
    tracker.log_summary({key: value.item() for summary in summaries for key, value in summary.items()})


def over_members(name: str, values: Tensor) -> dict[str, Tensor]:
    """What is logged of values (..., K): of one net these, of a population mean, sd, smallest and largest."""
    if values.shape[-1] == 1:
        return {name: values[..., 0]}
    low, high = values.aminmax(dim=-1)
    return {name: values.mean(-1), f"{name}_sd": values.std(-1), f"{name}_min": low, f"{name}_max": high}
