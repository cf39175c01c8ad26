"""Generation: a model runs on from a prompt, closed-loop, frame by frame."""

from collections.abc import Iterator

import torch
from torch import Tensor

from framegen.models.predictor import Predictor, device_of


@torch.inference_mode()
def rollout(model: Predictor, prompt: Tensor, num_frames: int) -> Iterator[Tensor]:
    """Continue the prompt, one frame at a time; memory does not grow with `num_frames`.

    Each frame that the model predicts is what it is shown next (see `Predictor.feedback`).

    Args:
        model: any predictor whose target is the next frame, on any device.
        prompt: (B, T, C, H, W) float32 in the task's value range, T >= 1.
        num_frames: how many frames to generate.

    Yields:
        `num_frames` times the next frame, (B, C, H, W) float32 on the CPU; not clipped to the value range.
    """
    made, state = model(prompt.to(device_of(model)))
    made = made[:, -1:]
    while True:
        yield from made.cpu().unbind(1)
        num_frames -= made.shape[1]
        if num_frames <= 0:
            return
        made, state = model.run_on(model.feedback(made[:, -1:]), state, min(model.frames_at_once, num_frames))


def generate(model: Predictor, prompt: Tensor, num_frames: int) -> Tensor:
    """All frames of a `rollout` at once.

    Args:
        model: any predictor whose target is the next frame.
        prompt: one clip (T, C, H, W) or several (B, T, C, H, W), float32 in the task's value range, T >= 1.
        num_frames: how many frames to generate, at least 1.

    Returns:
        (num_frames, C, H, W), or (B, num_frames, C, H, W) for several clips; float32, not clipped.
    """
    batch = prompt if prompt.dim() == 5 else prompt[None]
    frames = torch.stack(list(rollout(model, batch, num_frames)), 1)  # (B, num_frames, C, H, W)
    return frames if prompt.dim() == 5 else frames[0]
