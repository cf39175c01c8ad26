"""Which engine trains a model, and where."""

from collections.abc import Mapping

import torch

from framegen.config.config import Config
from framegen.data.clips import Data, TensorClips
from framegen.errors import OptionError
from framegen.models import fused
from framegen.models.device import choose_device
from framegen.models.kernels.build import FusedUnavailable
from framegen.models.predictor import Predictor
from framegen.progress import say
from framegen.training.engine import Engine, TorchEngine
from framegen.training.fused import FusedEngine
from framegen.training.schedule import total_steps


def choose_engine(config: Config, models: Mapping[int, Predictor], data: Data, show: bool) -> Engine:
    """The engine and the device that the config asks for; "auto" takes the fused one where it can train this
    model here.

    Raises OptionError where the fused engine is asked for and cannot be had.
    """
    training, clips, nets = config.training, data.train, list(models.values())
    device = choose_device(training.device)
    if training.engine != "torch":
        try:
            on = torch.device("cpu") if training.device == "auto" else device
            if not training.plain:
                raise FusedUnavailable("it takes plain steps only: float32, on true frames")
            fused.check(nets[0], on, training.engine)
            together = f", {len(nets)} nets at once" if len(nets) > 1 else ""
            say(f"engine: fused (compiled for this net and this processor{together})", show)
            return FusedEngine(nets, clips, training, data.carry_state)
        except FusedUnavailable as reason:
            if training.engine == "fused":
                raise OptionError(f"--engine fused: {reason}; --engine torch trains every model") from reason
            say(f"engine: torch (the fused engine is not for this run: {reason})", show)
    clips = clips.to(device) if isinstance(clips, TensorClips) else clips
    nets, total = [model.to(device) for model in nets], total_steps(config, data)
    return TorchEngine(nets, clips, training, data.carry_state, device, list(models), total)
