"""Training in several processes: each computes the gradient of its share of every batch, and all take the
same step.

Rank 0 does everything that is to be done once, as if it were alone: it reads the command line, makes data and
the run folder, logs, measures, draws and saves. The others know no run: they hear which steps are taken, and
take them too.
"""

import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from framegen.config.config import Config, from_dict, to_dict
from framegen.data import load_data
from framegen.data.clips import Data, TensorClips
from framegen.machine.device import choose_device, threads
from framegen.machine.errors import OptionError
from framegen.machine.interrupts import SIGNALS
from framegen.models import build
from framegen.models.predictor import Predictor, cpu_threads
from framegen.training import ranks
from framegen.training.engine import TorchEngine
from framegen.training.ranks import Lost, tell


def together(lead: Callable[[], None]) -> None:
    """Do something in rank 0 while the other processes that torchrun started help wherever it trains."""
    if ranks.start().rank == 0:
        try:
            lead()
        finally:  # whatever ended it; where that was in the middle of a step, they have parted already
            with suppress(Lost):
                tell("end")
            ranks.part()
        return
    for number in SIGNALS:  # a terminal and torchrun send them to all: rank 0 decides when to stop
        signal.signal(number, signal.SIG_IGN)
    try:
        _follow()
    except Lost:  # rank 0 has said why, or torchrun will
        sys.exit(1)
    finally:
        ranks.part()


def load_data_everywhere(config: Config, data_dir: Path) -> Data:
    """The clips of a config's task, here and, once they are made, in the other processes."""
    data = load_data(config.task, data_dir)
    tell("data", config=to_dict(config), data_dir=str(data_dir.absolute()))
    return data


def torch_engine(config: Config, models: Mapping[int, Predictor], data: Data) -> TorchEngine:
    """PyTorch's engine for these models, by seed, on the device that the config asks for; in several
    processes what rank 0 does with it is done by all.

    Raises OptionError where batches cannot be split.
    """
    training, here = config.training, ranks.current()
    if here.count > 1 and data.carry_state:
        raise OptionError("torchrun: a stream is gone through in order, in one process; leave torchrun out")
    if training.batch_size < here.count:
        raise OptionError(
            f"--batch-size {training.batch_size}: {here.count} processes cannot share so few clips"
        )
    device = choose_device(training.device)
    clips = data.train.to(device) if isinstance(data.train, TensorClips) else data.train
    nets = [model.to(device) for model in models.values()]
    if leads := here.count > 1 and here.rank == 0:
        tell("begin", config=to_dict(config), seeds=list(models))
    kind = LeadingEngine if leads else TorchEngine
    return kind(nets, clips, training, data.carry_state, device, list(models), here)


class LeadingEngine(TorchEngine):
    """Rank 0's engine: what is done with it, the others are told to do too."""

    def plan(self, total_steps: int) -> None:
        tell("plan", total_steps=total_steps)
        super().plan(total_steps)

    def run(self, order: Tensor, learning_rates: Sequence[float]) -> tuple[Tensor, Tensor]:
        with ranks.whole():
            tell("run", order=order.tolist(), learning_rates=list(learning_rates))
            return super().run(order, learning_rates)

    def keep(self, members: Sequence[int]) -> None:
        tell("keep", members=list(members))
        super().keep(members)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        super().load_state_dict(state)
        with ranks.whole():
            tell("load")
            ranks.share_state(self.state_dict())


def _follow() -> None:
    """Do what rank 0 says until it says "end". Raises Lost where it ends without a word."""
    data = engine = None
    while True:
        word, said = ranks.hear()
        match word:
            case "end":
                return
            case "data":
                data = load_data(from_dict(said["config"], "rank 0").task, Path(said["data_dir"]))
            case "begin":
                assert data is not None
                config = from_dict(said["config"], "rank 0")
                nets = {seed: build(config.model, data.frame_shape, seed) for seed in said["seeds"]}
                engine = torch_engine(config, nets, data)
            case _:
                assert engine is not None
                _do(engine, word, said)


def _do(engine: TorchEngine, word: str, said: Mapping[str, Any]) -> None:
    """What rank 0 has done with its engine."""
    match word:
        case "plan":
            engine.plan(said["total_steps"])
        case "run":
            with threads(cpu_threads(engine.models[0])):
                engine.run(torch.tensor(said["order"]), said["learning_rates"])
        case "keep":
            engine.keep(said["members"])
        case "load":
            engine.load_state_dict(ranks.share_state(engine.state_dict()))
