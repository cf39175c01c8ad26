"""What a film's model and all that needs no training know of its future, put together."""

from collections.abc import Mapping

import torch

from framegen.config.config import Config
from framegen.config.film import Film
from framegen.config.models import MotionFilter
from framegen.data.clips import Data
from framegen.data.film import long_windows
from framegen.evaluation.references import COPY_LAST, MEAN_FRAME, MOTION
from framegen.evaluation.results import Weights
from framegen.models import build
from framegen.models.blend import Blend, error_products, fit_weights
from framegen.models.motion import Motion
from framegen.models.predictor import Predictor, device_of

BLEND, STEADY, UNTRAINED, MODEL = "blend", "motion, 4 flows", "untrained filter", "this model"
GUESS = {STEADY: 0.5, MODEL: 0.5}
"""The weights where validation says nothing. With an untrained filter as the model, on two films of one
window each, they are .03 and .36 dB worse over ten frames than the better of the two alone, .4 and .9 dB
better than the other."""
AHEAD = 50
"""Frames ahead up to which weights differ, where the validation part is long enough."""
CLIPS = 16
"""Windows of the validation part at most."""


def experts(
    model: Predictor, config: Config, data: Data, references: Mapping[str, Predictor]
) -> dict[str, Predictor]:
    """What a blend weighs, by name."""
    device = device_of(model)
    known = {
        COPY_LAST: references[COPY_LAST],
        MEAN_FRAME: references[MEAN_FRAME],
        MOTION: references[MOTION],
        STEADY: Motion(config.task.value_range, 4),
        UNTRAINED: build(config.model, data.frame_shape, 0).eval(),
    }
    return {name: each.to(device) for name, each in known.items()} | {MODEL: model}


def fit_blend(
    model: Predictor, config: Config, data: Data, references: Mapping[str, Predictor]
) -> tuple[Blend, Weights] | None:
    """A blend of a motion filter and what needs no training, fitted on the film's validation part; None where
    the model is another."""
    task = config.task
    if not (isinstance(task, Film) and isinstance(config.model, MotionFilter)):
        return None
    assert data.file is not None
    known = experts(model, config, data, references)
    windows = long_windows(task, data.file.parent, "val", data.context + AHEAD, CLIPS)
    products = error_products(known, windows, data.context, device_of(model))
    weights = fit_weights(products, torch.tensor([GUESS.get(name, 0.0) for name in known]))
    blend = Blend(known, weights.float().to(device_of(model)))
    return blend, Weights([*known], weights.tolist(), len(windows))


def blend_of(
    found: Weights, model: Predictor, config: Config, data: Data, references: Mapping[str, Predictor]
) -> Blend:
    """The blend whose weights stand in a run's results."""
    known = experts(model, config, data, references)
    weights = torch.tensor(found.weights).to(device_of(model))
    return Blend({name: known[name] for name in found.experts}, weights)
