"""The predictors, each behind the one contract of `predictor.py`."""

from functools import singledispatch

import torch

from framegen.config.checks import check
from framegen.config.models import MLP, ConvRecurrent, Model, MotionFilter, MovingMemory, Recurrent
from framegen.machine.errors import UserError
from framegen.models.nets.convolutional import ConvRecurrentNet
from framegen.models.nets.motion_filter import MotionFilterNet
from framegen.models.nets.moving_memory import MovingMemoryNet
from framegen.models.nets.recurrent import MemorylessNet, RecurrentNet
from framegen.models.predictor import Predictor


@singledispatch
def module(config: Model, frame_shape: tuple[int, int, int]) -> Predictor:
    """The module of a config, for frames of (C, H, W): what is registered for the config's class."""
    name = type(config).__name__
    raise UserError(f"{name}: no net of it is known; framegen.register({name}, ITS_NET) makes it known")


# A new model is a line here.
module.register(Recurrent, RecurrentNet)
module.register(MLP, MemorylessNet)
module.register(ConvRecurrent, ConvRecurrentNet)
module.register(MotionFilter, MotionFilterNet)
module.register(MovingMemory, MovingMemoryNet)


def build(config: Model, frame_shape: tuple[int, int, int], seed: int) -> Predictor:
    """A new model for frames of (C, H, W), on the CPU; its initial weights are a function of `seed` alone,
    and torch's global generator stays as it was. Raises UserError where memory does not hold it."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        try:
            made = module(config, frame_shape)
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, MemoryError) or "allocate memory" in str(error):
                raise UserError(f"{config}: is too large for this machine's memory") from error
            raise
    none = f"--density {config.density}: {type(config).__name__} has no density head; leave it 0"
    check(made.has_density or not config.density, none)
    return made
