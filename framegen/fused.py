"""The fused engine: forward, loss, back-propagation and Adam of plain RNNs in one compiled call (see fused.cpp).

PyTorch spends some 2 ms on a training step of the 4-5-4 net, nearly all of it handing out 1000 small operations; the
arithmetic takes microseconds. The source is compiled at first use by the machine's own compiler, and kept in the user's cache.
"""

import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from framegen.config import Engine, Training
from framegen.engine import Moments, flatten
from framegen.errors import UserError
from framegen.files import replacing
from framegen.models.predictor import Predictor, State, device_of, num_parameters
from framegen.models.recurrent import RecurrentNet
from framegen.tasks.clips import Clips

SOURCE = Path(__file__).with_name("fused.cpp")
FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-std=c++17", "-shared", "-fPIC")
MAX_HIDDEN, DIGEST_BYTES = 64, 32
PAYS = 32_768  # parameters, up to which this is faster than PyTorch whatever the frames' size; measured
CALL = 200_000_000  # multiplications of weights in one call, about: a fraction of a second, so that a signal is soon heard


class FusedUnavailable(Exception):
    """Why the fused engine cannot be used here, in one line."""


@dataclass(frozen=True)
class Shape:
    """What the source is compiled for. `lanes` 0 takes as many as the machine's widest register holds."""

    inputs: int
    hidden: int
    outputs: int
    cell: str
    double: bool = False
    lanes: int = 0

    def defines(self) -> list[str]:
        names = {"I": self.inputs, "H": self.hidden, "O": self.outputs, "RELU": int(self.cell == "relu")}
        names |= {"REAL": "double" if self.double else "float", "LANES": self.lanes}
        return [f"-D{name}={value}" for name, value in names.items()]


def compiler() -> str:
    """The machine's C++ compiler. Raises FusedUnavailable where there is none."""
    names = (os.environ.get("CXX", ""), "c++", "g++", "clang++")
    if (path := next(filter(None, map(shutil.which, names)), None)) is None:
        raise FusedUnavailable("no C++ compiler was found")
    return path


@functools.cache
def library(shape: Shape) -> ctypes.CDLL:
    """The compiled source for a shape. Raises FusedUnavailable where there is no compiler or it fails."""
    command = [compiler(), *FLAGS, *shape.defines(), str(SOURCE)]
    # All that the compiler predefines: its version, and what this processor can do.
    machine = subprocess.run([command[0], *FLAGS, "-dM", "-E", "-x", "c++", os.devnull], capture_output=True, check=False).stdout
    key = hashlib.sha256(b"\0".join([SOURCE.read_bytes(), repr(command).encode(), machine])).hexdigest()[:24]
    path = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "framegen" / f"{key}.so"
    if not _whole(path):
        try:
            path = _compile(command, path)
        except UserError:  # an unwritable cache folder: this process compiles for itself
            path = _compile(command, Path(tempfile.mkdtemp(prefix="framegen-")) / path.name)
    return ctypes.CDLL(str(path))


def _whole(path: Path) -> bool:
    """Whether a cached library is there and is what was once compiled: it ends in the SHA-256 of what stands before."""
    try:
        content = path.read_bytes()
    except OSError:
        return False
    return hashlib.sha256(content[:-DIGEST_BYTES]).digest() == content[-DIGEST_BYTES:]


def _compile(command: list[str], path: Path) -> Path:
    with replacing(path) as temporary:
        temporary.touch()  # where this cannot be done, it is not the compiler that fails
        for openmp in (["-fopenmp"], []):  # some compilers come without OpenMP: then one network after another
            done = subprocess.run([*command, *openmp, "-o", str(temporary)], capture_output=True, text=True, check=False)
            if done.returncode == 0:
                content = temporary.read_bytes()
                temporary.write_bytes(content + hashlib.sha256(content).digest())
                return path
        raise FusedUnavailable(f"{command[0]} does not compile it ({done.stderr.strip().splitlines()[-1:]})")


def pointer(tensor: Tensor | None) -> ctypes.c_void_p:
    """Where a contiguous CPU tensor's values begin; 0 for none."""
    return ctypes.c_void_p(None if tensor is None else tensor.data_ptr())


def check(model: Predictor, device: torch.device, engine: Engine) -> None:
    """Raises FusedUnavailable, saying why, where the engine cannot train this model, or for "auto" should not."""
    if not (isinstance(model, RecurrentNet) and isinstance(model.rnn, torch.nn.RNN)):
        raise FusedUnavailable("it trains the plain RNN only, tanh or relu")
    if model.rnn.num_layers > 1:
        raise FusedUnavailable("it trains one recurrent layer, this net has more")
    if model.rnn.hidden_size > MAX_HIDDEN:
        raise FusedUnavailable(f"it trains up to {MAX_HIDDEN} hidden units, this net has {model.rnn.hidden_size}")
    if device.type != "cpu":
        raise FusedUnavailable("it runs on the CPU only")
    if engine == "auto" and (size := num_parameters(model)) > PAYS:
        raise FusedUnavailable(f"PyTorch is faster for a net of {size} parameters")
    library(_shape(model))


def _shape(model: RecurrentNet) -> Shape:
    return Shape(model.rnn.input_size, model.rnn.hidden_size, model.head.out_features, str(getattr(model.rnn, "nonlinearity", "")))


def compiled(model: Predictor, engine: Engine) -> Predictor:
    """The model as it is now, run by the compiled code unless that cannot be had, or the engine is PyTorch."""
    if engine != "torch":
        with suppress(FusedUnavailable):
            check(model, device_of(model), engine)
            return FusedPredictor(model)
    return model


class FusedEngine:
    """The same steps as `engine.TorchEngine` takes, many in one call; with the same arguments and the same contract.

    The models' parameters become views of one tensor, in which the compiled code trains them in place.
    """

    def __init__(self, models: Sequence[Predictor], clips: Clips, training: Training, carry_state: bool) -> None:
        self.models, self.training, self.carry_state = models, training, carry_state
        model = models[0]
        assert isinstance(model, RecurrentNet)
        self.compiled = library(_shape(model))
        self.inputs, self.targets = (each.flatten(2).contiguous() for each in clips.batch(slice(None)))  # (N, T, I), (N, T, O)
        self.weights = torch.stack([flatten(each.parameters()) for each in models])  # (K, P)
        self.mean, self.variance, self.steps = torch.zeros_like(self.weights), torch.zeros_like(self.weights), 0
        for each, row in zip(models, self.weights, strict=True):
            torch.nn.utils.vector_to_parameters(row, each.parameters())  # as views of the row
        self.device, self.threads = self.weights.device, torch.get_num_threads()
        self._state = torch.zeros(len(models), 1, training.batch_size, model.rnn.hidden_size)
        work = self.weights.numel() * training.batch_size * self.inputs.shape[1]
        self.chunk = max(1, min(100, CALL // work))

    @property
    def states(self) -> list[State]:
        """What each model carries into the next step, (1, B, hidden_size), or None."""
        return [state.clone() if self.carry_state else None for state in self._state]

    @states.setter
    def states(self, states: Sequence[State]) -> None:
        for own, state in zip(self._state, states, strict=True):
            own.copy_(torch.zeros(()) if state is None else state)

    @property
    def predictors(self) -> list[Predictor]:
        """The models as they are now, run by the compiled code."""
        return [FusedPredictor(model) for model in self.models]

    def run(self, order: Tensor, learning_rates: Sequence[float]) -> tuple[Tensor, Tensor]:
        """Train on some batches; see `engine.TorchEngine.run`."""
        order, steps = order.contiguous(), len(learning_rates)
        rates = torch.tensor(learning_rates, dtype=torch.float64)
        losses, norms = torch.full((2, len(order), steps), torch.nan)
        self.compiled.train(
            *map(pointer, (self.inputs, self.targets, order)), *order.shape, self.training.batch_size, self.inputs.shape[1],
            *map(pointer, (self.weights, self.mean, self.variance, self._state if self.carry_state else None)),
            ctypes.c_int64(self.steps), pointer(rates), ctypes.c_double(self.training.max_grad_norm),
            *map(pointer, (losses, norms)), self.threads,
        )  # fmt: skip
        self.steps += steps
        return losses.T, norms.T

    def moments(self) -> Moments:
        """What Adam remembers, to be saved."""
        return self.mean, self.variance

    def restore(self, step: int, moments: Moments) -> None:
        """Go on from what `moments` of either engine gave after so many steps."""
        self.steps = step
        for own, moment in zip(self.moments(), moments, strict=True):
            own.copy_(moment)


class FusedPredictor(Predictor):
    """A plain RNN as it is now, behind the contract, run by the compiled code."""

    frames_at_once = 1000

    def __init__(self, model: Predictor) -> None:
        super().__init__()
        assert isinstance(model, RecurrentNet)
        self.compiled, self.hidden, self.weights = library(_shape(model)), model.rnn.hidden_size, flatten(model.parameters())

    def forward(self, frames: Tensor, state: State = None) -> tuple[Tensor, State]:
        return self.run_on(frames, state, frames.shape[1])

    def run_on(self, frames: Tensor, state: State, num_frames: int) -> tuple[Tensor, State]:
        batch, given = frames.shape[:2]
        inputs, predictions = frames.contiguous(), torch.empty(batch, num_frames, *frames.shape[2:])
        state = torch.zeros(1, batch, self.hidden) if state is None else state.clone()
        made = map(pointer, (self.weights, state, predictions))
        self.compiled.predict(pointer(inputs), batch, given, num_frames, *made, torch.get_num_threads())
        return predictions, state
