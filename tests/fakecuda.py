"""A GPU that is none: tensors that say cuda:0, compute on the CPU, refuse what CUDA refuses where devices are
mixed, and note where the CPU waits for them.

Out of its reach: autocast, torch.compile, nccl, cuDNN's own arithmetic, pinned memory.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

import framegen

CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")
INDEXING = ("index.", "index_put", "_index_put", "_unsafe_index.")
"""Operations that take indices from the CPU."""
WAITING = ("_local_scalar_dense.", "nonzero.", "masked_select.")
LISTED = ("cat.", "stack.", "_foreach", "_fused")
"""Operations on lists of tensors, which take not even a number from another device."""

waits: list[str] = []
"""Where in framegen the CPU waited for the device: "training/engine.py:150", once for each time."""


class OnCuda(Tensor):
    """A tensor on the GPU that is none; what it holds is in `held`."""

    held: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> "OnCuda":
        layout = {"strides": inner.stride(), "storage_offset": inner.storage_offset(), "dtype": inner.dtype}
        made = Tensor._make_wrapper_subclass(cls, inner.size(), device=torch.device("meta"), **layout)  # pyright: ignore[reportCallIssue]
        made.held = inner
        return made

    device = property(lambda _: CUDA)  # pyright: ignore[reportAssignmentType]
    is_cuda = property(lambda _: True)  # pyright: ignore[reportAssignmentType]
    is_meta = is_cpu = property(lambda _: False)  # pyright: ignore[reportAssignmentType]
    item, tolist, __bool__, __float__, __int__, __index__ = (
        (lambda self, name=name: _waited(getattr(self.held, name)()))
        for name in ("item", "tolist", "__bool__", "__float__", "__int__", "__index__")
    )

    def numpy(self, *_: object, **__: object) -> Any:
        raise TypeError(f"can't convert cuda:0 device type tensor to numpy, at {_place()}")

    __array__ = numpy

    def __repr__(self, **_: object) -> str:
        return f"OnCuda({self.held})"

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        copied = OnCuda(self.held.clone()).requires_grad_(self.requires_grad)
        return memo.setdefault(id(self), nn.Parameter(copied) if isinstance(self, nn.Parameter) else copied)

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _dispatched(func, args, kwargs or {})


def _place() -> str:
    """The innermost line of framegen that is being run."""
    root, frame = str(Path(framegen.__file__).parent), sys._getframe(1)
    while frame.f_back and not frame.f_code.co_filename.startswith(root):
        frame = frame.f_back
    return f"{frame.f_code.co_filename.removeprefix(root + '/')}:{frame.f_lineno}"


def _waited(value: Any) -> Any:
    waits.append(_place())
    return value


def _dispatched(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    name, leaves = str(func).removeprefix("aten."), tree_leaves((args, kwargs))
    fake = any(isinstance(leaf, OnCuda) for leaf in leaves)
    target = next((leaf for leaf in leaves if isinstance(leaf, torch.device)), None)
    if fake:
        _refuse_mixed(name, args, leaves)
        if name.startswith(WAITING) or _of_bools(name, args) or target == CPU:
            _waited(None)
    made = func(*tree_map(_inner, args), **tree_map(_inner, kwargs))
    if name.startswith("copy_."):
        return args[0]
    for given, argument in zip(args, func._schema.arguments, strict=False):
        if argument.alias_info is not None and argument.alias_info.is_write and isinstance(made, Tensor):
            return given  # it was changed in place
    return made if target == CPU or (target is None and not fake) else tree_map(_on_cuda, made)


def _of_bools(name: str, args: Any) -> bool:
    """Whether it takes what a mask chooses: how much that is must be known."""
    indices = tree_leaves(args[1]) if name.startswith("index") else ()
    return any(isinstance(index, Tensor) and index.dtype == torch.bool for index in indices)


def _refuse_mixed(name: str, args: Any, leaves: list[Any]) -> None:
    """Raises RuntimeError where a CPU tensor with an axis stands beside one of CUDA's, but for indices and
    copies."""
    here = [leaf for leaf in leaves if isinstance(leaf, Tensor) and not isinstance(leaf, OnCuda)]
    if name.startswith(INDEXING) and isinstance(args[0], OnCuda):
        here = [
            leaf
            for leaf in tree_leaves(args[2:])
            if isinstance(leaf, Tensor) and not isinstance(leaf, OnCuda)
        ]
    if not name.startswith("copy_.") and any(value.dim() > 0 or name.startswith(LISTED) for value in here):
        raise RuntimeError(f"Expected all tensors to be on the same device: {name}, at {_place()}")


def _inner(value: Any) -> Any:
    return value.held if isinstance(value, OnCuda) else CPU if isinstance(value, torch.device) else value


def _on_cuda(value: Any) -> Any:
    return OnCuda(value) if isinstance(value, Tensor) and not isinstance(value, OnCuda) else value


class _Everywhere(TorchDispatchMode):
    """What makes tensors from none is dispatched too, such as the zeros that autograd puts on its device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if OnCuda in types or any(isinstance(given, torch.device) for given in (*args, *kwargs.values())):
            return _dispatched(func, args, kwargs)
        return func(*args, **kwargs)


def _to(real: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`Tensor.to`, which hands out the same tensor where nothing changes, and asks no driver."""

    def to(self: Tensor, *given: Any, **options: Any) -> Tensor:
        for value in given:
            if isinstance(value, Tensor):
                options |= {"device": value.device, "dtype": value.dtype}
            elif value is not None and not isinstance(value, bool):
                options["dtype" if isinstance(value, torch.dtype) else "device"] = value
        if options.get("device") is not None:
            there = torch.device(options["device"]).type == "cpu"
            options["device"] = None if there != isinstance(self, OnCuda) else CPU if there else CUDA
        return real(self, **options)

    return to


def _new_tensor(self: Tensor, values: Any) -> Tensor:
    return torch.tensor(values, dtype=self.dtype).to(self.device)


def _either(real: Callable[..., Any]) -> Callable[..., Any]:
    def forward(self: nn.RNNBase, inputs: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        return (_recurrent if isinstance(inputs, OnCuda) else real)(self, inputs, state)

    return forward


def _recurrent(self: nn.RNNBase, inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
    """What nn.RNN, nn.GRU and nn.LSTM compute, in plain operations: (B, T, I) to (B, T, H)."""
    zero = inputs.new_zeros(self.num_layers, len(inputs), self.hidden_size)
    hidden, cells = state if isinstance(state, tuple) else (zero if state is None else state, zero)
    ends = []
    for layer, (h, c) in enumerate(zip(hidden, cells, strict=True)):
        parts = [f"{name}_l{layer}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        w_ih, w_hh, b_ih, b_hh = (getattr(self, part) for part in parts)
        made = []
        for frame in inputs.unbind(1):
            x, y = nn.functional.linear(frame, w_ih, b_ih), nn.functional.linear(h, w_hh, b_hh)
            match self.mode:
                case "GRU":
                    (xr, xz, xn), (hr, hz, hn) = x.chunk(3, -1), y.chunk(3, -1)
                    new, keep = (xn + (xr + hr).sigmoid() * hn).tanh(), (xz + hz).sigmoid()
                    h = new + keep * (h - new)
                case "LSTM":
                    i, f, g, o = (x + y).chunk(4, -1)
                    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
                    h = o.sigmoid() * c.tanh()
                case _:
                    h = (x + y).tanh() if self.mode == "RNN_TANH" else (x + y).relu()
            made.append(h)
        inputs = torch.stack(made, 1)
        ends.append((h, c))
    hidden, cells = (torch.stack(each) for each in zip(*ends, strict=True))
    return inputs, (hidden, cells) if self.mode == "LSTM" else hidden


@contextmanager
def fake_gpu() -> Iterator[None]:
    """Let torch find the GPU that is none."""
    with pytest.MonkeyPatch.context() as patch, _Everywhere():
        _install(patch)
        precision = torch.get_float32_matmul_precision()
        yield
        torch.set_float32_matmul_precision(precision)


def _install(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Tensor, "to", _to(Tensor.to))
    for name, value in {
        "is_available": True,
        "is_initialized": True,
        "is_current_stream_capturing": False,
        "device_count": 1,
        "current_device": 0,
        "get_device_name": "that is none",
        "max_memory_allocated": 3 * 10**9,
        "reset_peak_memory_stats": None,
        "get_rng_state": None,
        "set_rng_state": None,
        "manual_seed": None,
        "_lazy_init": None,
    }.items():
        patch.setattr(torch.cuda, name, lambda *_, value=value: value)
    patch.setattr(Tensor, "new_tensor", _new_tensor)
    patch.setattr(torch.optim.Optimizer, "_accelerator_graph_capture_health_check", lambda _: None)
    for kind in (nn.RNN, nn.GRU, nn.LSTM):
        patch.setattr(kind, "forward", _either(kind.forward))
    patch.setattr(nn.RNNBase, "flatten_parameters", lambda _: None)
