"""The fused engine: forward, loss, back-propagation and Adam of a plain RNN in one compiled call (see fused.cpp).

PyTorch spends some 2 ms on a training step of the 4-5-4 net, nearly all of it handing out 1000 small operations; the
arithmetic takes microseconds. The source is compiled at first use by the machine's own compiler and kept in the user's
cache folder.
"""

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from framegen.config import Training
from framegen.engine import AdamState
from framegen.models.predictor import Predictor, State
from framegen.models.recurrent import RecurrentNet
from framegen.tasks.clips import Clips

SOURCE = Path(__file__).with_name("fused.cpp")
MAX_HIDDEN = 64
FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-std=c++17", "-shared", "-fPIC")
DIGEST_BYTES = 32
Pointer = ctypes.c_void_p


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
        names = {"I": self.inputs, "H": self.hidden, "O": self.outputs, "REAL": "double" if self.double else "float"}
        flags = [f"-D{name}={value}" for name, value in names.items()]
        flags += ["-DRELU"] if self.cell == "relu" else []
        flags += ["-DEXACT_TANH"] if self.double else []
        return flags + ([f"-DLANES={self.lanes}"] if self.lanes else [])


@functools.cache
def library(shape: Shape) -> ctypes.CDLL:
    """The compiled source for a shape. Raises FusedUnavailable where there is no compiler or it fails."""
    compiler = next(
        (path for name in (os.environ.get("CXX"), "c++", "g++", "clang++") if name and (path := shutil.which(name))), None
    )
    if compiler is None:
        raise FusedUnavailable("no C++ compiler was found")
    command = [compiler, *FLAGS, *shape.defines(), str(SOURCE)]
    version = subprocess.run([compiler, "--version"], capture_output=True, check=False).stdout
    key = hashlib.sha256(b"\0".join([SOURCE.read_bytes(), repr(command).encode(), version, _processor()])).hexdigest()[:24]
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "framegen"
    path = folder / f"{key}.so"
    if not _whole(path):
        try:
            path = _compile(command, path)
        except OSError:  # an unwritable cache folder: this process compiles for itself
            path = _compile(command, Path(tempfile.mkdtemp(prefix="framegen-")) / path.name)
    return _declare(ctypes.CDLL(str(path)), shape)


def _processor() -> bytes:
    """What -march=native depends on."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        return "".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})).encode()
    return (platform.machine() + platform.processor()).encode()


def _whole(path: Path) -> bool:
    """Whether a cached library is there and is what was once compiled: it ends in the SHA-256 of what stands before."""
    try:
        content = path.read_bytes()
    except OSError:
        return False
    return hashlib.sha256(content[:-DIGEST_BYTES]).digest() == content[-DIGEST_BYTES:]


def _compile(command: list[str], path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(suffix=".so", dir=path.parent)
    os.close(descriptor)
    temporary = Path(name)
    try:
        for openmp in (["-fopenmp"], []):  # some compilers come without OpenMP: then one network after another
            done = subprocess.run([*command, *openmp, "-o", name], capture_output=True, text=True, check=False)
            if done.returncode == 0:
                content = temporary.read_bytes()
                temporary.write_bytes(content + hashlib.sha256(content).digest())
                return temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    raise FusedUnavailable(f"{command[0]} does not compile it ({done.stderr.strip().splitlines()[-1:]})")


def _declare(compiled: ctypes.CDLL, shape: Shape) -> ctypes.CDLL:
    real = ctypes.c_double if shape.double else ctypes.c_float
    integer, wide = ctypes.c_int, ctypes.c_int64
    compiled.loss_and_gradient.argtypes = [Pointer] * 3 + [integer] * 2 + [Pointer] * 3
    compiled.loss_and_gradient.restype = real
    compiled.train.argtypes = [Pointer] * 3 + [integer] * 4 + [Pointer] * 4 + [wide, Pointer, ctypes.c_double] + [Pointer] * 2
    compiled.train.restype = None
    compiled.predict.argtypes = [Pointer] + [integer] * 2 + [Pointer] * 3
    compiled.predict.restype = None
    return compiled


def pointer(tensor: Tensor | None) -> int | None:
    """Where a contiguous CPU tensor's values begin."""
    return None if tensor is None else tensor.data_ptr()


def check(model: Predictor, device: torch.device) -> None:
    """Raises FusedUnavailable, saying why, where the engine cannot train this model."""
    if not (isinstance(model, RecurrentNet) and isinstance(model.rnn, torch.nn.RNN)):
        raise FusedUnavailable("it trains the plain RNN only, tanh or relu")
    if model.rnn.num_layers > 1:
        raise FusedUnavailable("it trains one recurrent layer, this net has more")
    if model.rnn.hidden_size > MAX_HIDDEN:
        raise FusedUnavailable(f"it trains up to {MAX_HIDDEN} hidden units; beyond, PyTorch is as fast")
    if device.type != "cpu":
        raise FusedUnavailable("it runs on the CPU only")
    library(_shape(model))


def _shape(model: RecurrentNet) -> Shape:
    return Shape(model.rnn.input_size, model.rnn.hidden_size, model.head.out_features, str(getattr(model.rnn, "nonlinearity", "")))


def _flat(model: Predictor) -> Tensor:
    """A copy of all parameters in one row, in torch's order, which is the compiled code's too."""
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


class FusedEngine:
    """The same steps as `engine.TorchEngine` takes, many in one call; with the same arguments and the same contract.

    The model's parameters become views of one flat tensor, in which the compiled code trains them in place.
    """

    chunk = 15

    def __init__(self, model: Predictor, clips: Clips, training: Training, carry_state: bool) -> None:
        assert isinstance(model, RecurrentNet)
        self.model, self.training, self.carry_state = model, training, carry_state
        self.compiled = library(_shape(model))
        inputs, targets = clips.batch(slice(None))
        self.inputs, self.targets = inputs.flatten(2).contiguous(), targets.flatten(2).contiguous()  # (N, T, I), (N, T, O)
        self.weights, self.steps = _flat(model), 0
        self.mean, self.variance = torch.zeros_like(self.weights), torch.zeros_like(self.weights)
        for parameter, view in zip(model.parameters(), self._split(self.weights), strict=True):
            parameter.data = view
        self.device = self.weights.device
        self._state = torch.zeros(1, training.batch_size, model.rnn.hidden_size)

    def _split(self, flat: Tensor) -> list[Tensor]:
        sizes = [parameter.numel() for parameter in self.model.parameters()]
        return [part.view_as(p) for part, p in zip(flat.split(sizes), self.model.parameters(), strict=True)]

    @property
    def state(self) -> State:
        """What is carried into the next step, (1, B, hidden_size), or None."""
        return self._state.clone() if self.carry_state else None

    @state.setter
    def state(self, state: State) -> None:
        self._state = torch.zeros_like(self._state) if state is None else state.clone()

    @property
    def predictor(self) -> Predictor:
        """The model as it is now, run by the compiled code."""
        return FusedPredictor(self.model)

    def run(self, batches: Sequence[Tensor], learning_rates: Sequence[float]) -> list[tuple[float, float]]:
        """Train on the batches, one after another; see `engine.TorchEngine.run`."""
        results: list[tuple[float, float]] = []
        begin = 0
        while begin < len(batches):  # a call takes batches of one size: the last of an epoch may be smaller
            size = len(batches[begin])
            end = next((k for k in range(begin, len(batches)) if len(batches[k]) != size), len(batches))
            results += self._run(
                torch.stack(list(batches[begin:end])), torch.tensor(learning_rates[begin:end], dtype=torch.float64)
            )
            begin = end
        return results

    def _run(self, index: Tensor, learning_rates: Tensor) -> list[tuple[float, float]]:
        steps, size = index.shape
        losses, norms = torch.full((steps,), torch.nan), torch.full((steps,), torch.nan)
        self.compiled.train(
            *map(pointer, (self.inputs, self.targets, index)), 1, steps, size, self.inputs.shape[1],
            *map(pointer, (self.weights, self.mean, self.variance, self._state if self.carry_state else None)),
            self.steps, pointer(learning_rates), self.training.max_grad_norm, *map(pointer, (losses, norms)),
        )  # fmt: skip
        self.steps += steps
        return list(zip(losses.tolist(), norms.tolist(), strict=True))

    def adam(self) -> AdamState:
        """What Adam remembers, in the form of torch.optim.Adam."""
        if not self.steps:
            return {}
        moments = zip(self._split(self.mean), self._split(self.variance), strict=True)
        return {k: {"step": torch.tensor(float(self.steps)), "exp_avg": m, "exp_avg_sq": v} for k, (m, v) in enumerate(moments)}

    def load_adam(self, state: AdamState) -> None:
        """Go on from what `adam` of either engine once gave."""
        if not state:
            return
        for k, (mean, variance) in enumerate(zip(self._split(self.mean), self._split(self.variance), strict=True)):
            mean.copy_(state[k]["exp_avg"])
            variance.copy_(state[k]["exp_avg_sq"])
        self.steps = int(state[0]["step"])


class FusedPredictor(Predictor):
    """A plain RNN behind the contract, run by the compiled code; it shares the model's weights as they are now."""

    def __init__(self, model: RecurrentNet) -> None:
        super().__init__()
        self.compiled, self.hidden = library(_shape(model)), model.rnn.hidden_size
        self.weights = _flat(model)

    def forward(self, frames: Tensor, state: State = None) -> tuple[Tensor, State]:
        batch, steps = frames.shape[:2]
        inputs, predictions = frames.contiguous(), torch.empty(frames.shape)
        state = torch.zeros(1, batch, self.hidden) if state is None else state.clone()
        self.compiled.predict(pointer(inputs), batch, steps, *map(pointer, (self.weights, state, predictions)))
        return predictions, state
