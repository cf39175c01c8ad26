"""Generation: a model runs on from a prompt, closed-loop, frame by frame."""

from collections.abc import Iterator

import torch
from torch import Tensor

from framegen.models.mixture import Mixture
from framegen.models.predictor import Predictor, device_of


@torch.inference_mode()
def rollout(
    model: Predictor,
    prompt: Tensor,
    num_frames: int,
    sample: torch.Generator | None = None,
    temperature: float = 1.0,
) -> Iterator[Tensor]:
    """Continue the prompt, one frame at a time; memory does not grow with `num_frames`.

    Each frame that the model predicts is what it is shown next (see `Predictor.feedback`). With `sample` each
    frame is drawn from its density instead: one of the futures that it holds possible, with its noise.

    Args:
        model: any predictor whose target is the next frame, on any device.
        prompt: (B, T, C, H, W) float32 in the task's value range, T >= 1.
        sample: what draws, a generator on the CPU; None generates means. UserError without a density head.
        temperature: above 0; below 1 what is drawn is likelier than it should be (see `Mixture.sample`).

    Yields:
        `num_frames` frames, (B, C, H, W) float32 on the CPU: means unclipped, or drawn, of stored levels.
    """
    if sample is not None:
        frames, state = prompt.to(device_of(model)), None
        for _ in range(num_frames):
            mixture, state = model.density(frames, state)
            frames = Mixture(*(part[:, -1:] for part in mixture)).sample(sample, temperature)
            yield frames[:, 0].cpu()
        return
    made, state = model(prompt.to(device_of(model)))
    made = made[:, -1:]
    while True:
        yield from made.cpu().unbind(1)
        num_frames -= made.shape[1]
        if num_frames <= 0:
            return
        made, state = model.run_on(model.feedback(made[:, -1:]), state, min(model.frames_at_once, num_frames))


def continuation(model: Predictor, prompt: Tensor, num_frames: int) -> Iterator[Tensor]:
    """A `rollout` of one clip (T, C, H, W), frame by frame (C, H, W)."""
    return (frame[0] for frame in rollout(model, prompt[None], num_frames))


def generate(model: Predictor, prompt: Tensor, num_frames: int) -> Tensor:
    """All frames of a `rollout` of means at once; the prompt may be one clip (T, C, H, W) too:
    (num_frames, C, H, W), or (B, num_frames, C, H, W) for several; float32, not clipped."""
    batch = prompt if prompt.dim() == 5 else prompt[None]
    frames = torch.stack(list(rollout(model, batch, num_frames)), 1)
    return frames if prompt.dim() == 5 else frames[0]
