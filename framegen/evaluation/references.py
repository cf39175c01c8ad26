"""What a model is measured against: the references that any net should beat, and the optimum that none can."""

import torch

from framegen.config.data import Orbit, Sine, Task
from framegen.data import orbit, sine
from framegen.data.clips import Data, chunks, to_float
from framegen.models.baselines import AutoRegression, CopyLast, MeanFrame, fit_autoregression
from framegen.models.bayes import BayesFilter
from framegen.models.predictor import Predictor

LINEAR_FRAMES = (1, 2, 4)

LINEAR_MAX_FEATURES = 2048
"""Linear baselines with more inputs are left out: their fit grows with the cube."""


def optimal_predictor(task: Task) -> Predictor:
    """The predictor that nobody can beat on this task."""
    match task:
        case Orbit():
            clean, shifts = orbit.phase_grid(task)
            return BayesFilter(clean, shifts, task.deviation)
        case Sine():
            return AutoRegression(sine.optimal_weights(task), torch.zeros(1, dtype=torch.float64))


def baselines(task: Task, data: Data) -> dict[str, Predictor]:
    """Every reference predictor by its name, fitted on the training clips; the first is copy last, the last the optimum."""
    frame_targets = to_float(data.train.targets).mean((0, 1))
    pixels = frame_targets.numel()
    linear = {
        f"linear, {count} frame{'s' * (count > 1)}": fit_autoregression(chunks(data.train), count)
        for count in LINEAR_FRAMES
        if count * pixels <= LINEAR_MAX_FEATURES
    }
    return {
        "copy last": CopyLast(),
        "mean frame": MeanFrame(frame_targets),
        **linear,
        "optimum": optimal_predictor(task),
    }
