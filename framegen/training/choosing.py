"""Which engine trains a model, and where."""

from collections.abc import Mapping

import torch

from framegen.config.checks import check
from framegen.config.config import Config
from framegen.data.clips import Data, TensorClips
from framegen.machine.device import choose_device
from framegen.machine.errors import OptionError
from framegen.machine.progress import count_of, say
from framegen.models.kernels import fused
from framegen.models.kernels.build import FusedUnavailable
from framegen.models.predictor import Predictor, cpu_threads
from framegen.training import ranks
from framegen.training.base import Engine
from framegen.training.engine import TorchEngine
from framegen.training.fused_engine import FusedEngine


def choose_engine(config: Config, models: Mapping[int, Predictor], data: Data, show: bool) -> Engine:
    """The engine and the device that the config asks for; "auto" takes the fused one where it can train this
    model here. Raises OptionError where the fused engine is asked for and cannot be had, --channels-last has
    nothing to act on, or several processes cannot split the batches."""
    training, nets = config.training, list(models.values())
    because = ""
    if training.engine != "torch":
        try:
            _check_fused(config, nets[0], data)
            engine = FusedEngine(nets, data.train, training, data.carry_state)
            together = f"; {len(nets)} nets at once" if len(nets) > 1 else ""
            threads = count_of(min(engine.threads, len(nets)), "thread")
            why = f"compiled for this net{together}"
            say(f"training with the fused engine on the CPU, {threads}, float32 ({why})", show)
            return engine
        except FusedUnavailable as reason:
            if training.engine == "fused":
                way_out = "--engine torch trains every model"
                raise OptionError(f"--engine fused: it {reason}; {way_out}") from reason
            because = f" (the fused engine {reason})"
    flat = all(parameter.dim() < 4 for parameter in nets[0].parameters())
    for name, asked in (
        ("--channels-last", training.channels_last),
        (f"--square {training.square}", training.square),
    ):
        is_for = f"{name}: is for nets that convolve; {type(config.model).__name__} does not"
        check(not (asked and flat), is_for)
    engine = _torch_engine(config, models, data)
    say(f"training with PyTorch on {_described(engine, nets[0])}{because}", show)
    return engine


def _torch_engine(config: Config, models: Mapping[int, Predictor], data: Data) -> TorchEngine:
    """PyTorch's engine on the device that the config asks for; each of several processes takes its share of
    every batch. Raises OptionError where batches cannot be split."""
    training, here = config.training, ranks.current()
    stream = "torchrun: a stream is gone through in order, in one process; leave torchrun out"
    check(here.count == 1 or not data.carry_state, stream)
    few = f"--batch-size {training.batch_size}: {here.count} processes cannot share so few clips"
    check(training.batch_size >= here.count, few)
    device = choose_device(training.device)
    if device.type == "cuda":
        ranks.check_gpus()
        torch.cuda.reset_peak_memory_stats(device)
    clips = data.train.to(device) if isinstance(data.train, TensorClips) else data.train
    nets = [model.to(device) for model in models.values()]
    return TorchEngine(nets, clips, training, data.carry_state, list(models), here)


def _check_fused(config: Config, model: Predictor, data: Data) -> None:
    """Raises FusedUnavailable where the fused engine cannot take this training's steps."""
    training = config.training
    device = choose_device("cpu" if training.device == "auto" else training.device)
    fused.check(model, device, training.engine)
    if training.optimizer != "adam" or training.weight_decay:
        raise FusedUnavailable("trains with Adam without weight decay")
    if training.special:
        raise FusedUnavailable(f"knows no --{next(iter(training.special)).replace('_', '-')}")
    if data.asked is not None:
        raise FusedUnavailable("counts every frame, and here some are not asked for")
    if ranks.current().count > 1:
        raise FusedUnavailable("trains in one process only")


def _described(engine: TorchEngine, model: Predictor) -> str:
    """Where and how PyTorch trains: device, threads, precision, and what is on beside."""
    training, threads = engine.training, cpu_threads(model)
    cuda = engine.device.type == "cuda"
    how = [f"the GPU {torch.cuda.get_device_name()}" if cuda else f"the CPU, {count_of(threads, 'thread')}"]
    if engine.ranks.count > 1:
        how.append(f"in each of {engine.ranks.count} processes")
    how.append(training.precision + (", TF32 where matrices are multiplied" if cuda else ""))
    if training.compile:
        how.append("compiled")
    if training.channels_last:
        how.append("channels last")
    return ", ".join(how)
