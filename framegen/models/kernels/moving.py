"""The moving memory's recurrence and its gradient by compiled code; see moving.cpp."""

import ctypes
import functools
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from framegen.models.kernels.build import FusedUnavailable, build, pointer


class _Task(ctypes.Structure):
    _fields_ = [
        *(
            (name, ctypes.c_int64)
            for name in ("batch", "steps", "copies", "contents", "height", "width", "wraps")
        ),
        ("ways", ctypes.c_void_p),
        ("constants", ctypes.c_void_p),
    ]


@functools.cache
def _library() -> ctypes.CDLL | None:
    """None where it cannot be had."""
    try:
        return build(Path(__file__).with_name("moving.cpp"), ("unroll", "gradient"))
    except FusedUnavailable:
        return None


def applies(frames: Tensor) -> bool:
    """Whether the compiled code can be used: for float32 on a CPU, where there is a compiler."""
    return frames.device.type == "cpu" and frames.dtype == torch.float32 and _library() is not None


class Unroll(torch.autograd.Function):
    """The state and what it expects, over a sequence, in place of `MovingMemoryNet.unroll`.

        expected, memory, belief = Unroll.apply(features, visible, memory, belief, constants, ways, wraps)

    With B clips, T frames, V copies and C contents: features (B, T, C, H, W), visible (B, T, 1, H, W), memory
    (B, V, C + 1, H, W), belief (B, V), constants (3 + C,): keep, turn, share, and the contents' precision;
    ways (V, 2) int64; expected (B, T, C + 1, H, W). All contiguous.
    """

    @staticmethod
    def forward(ctx: Any, *given: Any) -> tuple[Tensor, Tensor, Tensor]:
        features, visible, memory, belief, constants, ways, wraps = given
        features, visible, constants = (each.contiguous() for each in (features, visible, constants))
        (batch, steps, contents), copies = features.shape[:3], len(ways)
        memory, belief = (each.contiguous().clone() for each in (memory, belief))
        expected = features.new_empty(batch, steps, contents + 1, *features.shape[3:])
        kept: list[Tensor | None] = [None, None]
        if any(ctx.needs_input_grad):
            kept = [each.new_empty(batch, steps, *each.shape[1:]) for each in (memory, belief)]
        ctx.sizes = batch, steps, copies, contents, *features.shape[3:], int(wraps)
        task = _Task(*ctx.sizes, ways.data_ptr(), constants.data_ptr())
        tensors = (features, visible, memory, belief, expected, *kept)
        library = _library()
        assert library is not None
        library.unroll(ctypes.byref(task), *map(pointer, tensors), ctypes.c_int64(torch.get_num_threads()))
        ctx.save_for_backward(features, visible, *kept, constants, ways)
        return expected, memory, belief

    @staticmethod
    def backward(ctx: Any, *wanted: Any) -> tuple[Tensor | None, ...]:
        features, visible, memories, beliefs, constants, ways = ctx.saved_tensors
        by_expected, by_memory, by_belief = (each.contiguous() for each in wanted)
        by_memory, by_belief = by_memory.clone(), by_belief.clone()
        by_features, by_visible = torch.empty_like(features), torch.empty_like(visible)
        by_constants = features.new_empty(len(features), len(constants))
        task = _Task(*ctx.sizes, ways.data_ptr(), constants.data_ptr())
        given = (features, visible, memories, beliefs, by_expected)
        made = (by_features, by_visible, by_memory, by_belief, by_constants)
        library = _library()
        assert library is not None
        threads = ctypes.c_int64(torch.get_num_threads())
        library.gradient(ctypes.byref(task), *map(pointer, (*given, *made)), threads)
        return by_features, by_visible, by_memory, by_belief, by_constants.sum(0), None, None
