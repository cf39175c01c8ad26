"""The references' errors on the test clips: they depend on the data set alone, and are kept beside it."""

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.metadata import version

from torch import Tensor

from framegen.config.tasks import Task
from framegen.data.clips import Data, chunks
from framegen.evaluation.clip_errors import Errors
from framegen.machine.errors import UserError
from framegen.machine.files import load_tensors, save_tensors
from framegen.models.predictor import Predictor

VERSION = 1
"""Increase this with every change of a reference's errors."""
PACKAGES = "torch", "numpy", "opencv-python-headless"
"""Whose versions count too."""


def reference_errors(
    task: Task,
    data: Data,
    references: Mapping[str, Predictor],
    measure: Callable[[Mapping[str, Predictor]], dict[str, Mapping[str, Errors]]],
) -> dict[str, Mapping[str, Errors]]:
    """The results of `measure`: for each reference "one_step" and, where there is one, "closed_loop".

    It is read from a file beside the data set where that was written before, for this task, by this version;
    one that is damaged is written again, and those of other versions go. With a task of one's own, or clips
    that are kept nowhere, they are measured each time.
    """
    if data.file is None or not type(task).__module__.startswith("framegen."):
        return measure(references)
    versions = repr([VERSION, *map(version, PACKAGES)]).encode()
    version_name = f".references-{hashlib.sha256(versions).hexdigest()[:8]}-"
    digest = hashlib.sha256(repr(task).encode())
    for inputs, targets in chunks(data.test):
        digest.update(inputs.numpy().tobytes() + targets.numpy().tobytes())
    path = data.file.parent / f"{version_name}{digest.hexdigest()[:16]}.safetensors"
    found: dict[str, dict[str, dict[str, Tensor]]] = {}
    with suppress(UserError):
        for place, values in load_tensors(path)[0].items():
            name, part, metric = place.rsplit("/", 2)
            found.setdefault(name, {}).setdefault(part, {})[metric] = values
        if found.keys() == references.keys():
            return {name: found[name] for name in references}
    measured = measure(references)
    tensors = {
        f"{name}/{part}/{metric}": values
        for name, parts in measured.items()
        for part, errors in parts.items()
        for metric, values in errors.items()
    }
    with suppress(UserError, OSError):  # a folder that is read only is none the worse
        save_tensors(path, tensors, {})
        for other in path.parent.glob(".references-*"):
            if not other.name.startswith(version_name):
                other.unlink(missing_ok=True)
    return measured
