"""How the frames that `generate` writes come from a model: its means, or futures that are drawn."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from framegen.config.checks import MAX_SEED
from framegen.machine.errors import OptionError
from framegen.models.predictor import Predictor
from framegen.models.rollout import continuation, rollout

MAX_FUTURES, MAX_TEMPERATURE = 64, 100


@dataclass(frozen=True)
class Drawing:
    """Means; with `sample` futures that are drawn."""

    sample: bool
    temperature: float
    futures: int | None
    """How many are asked for; None is one, which stands where the mean would."""
    seed: int

    def check(self, run: Path, experiment: str, model: Predictor) -> None:
        """Raises OptionError where frames are to be drawn of a model that says no more than its mean."""
        if self.sample and not model.has_density:
            way_out = f"framegen train {experiment} --density 4 trains one that says more"
            raise OptionError(f"--sample: the model of {run} says its mean alone; {way_out}")

    def frames(self, model: Predictor, prompt: Tensor, num_frames: int) -> Iterator[Tensor]:
        """How a clip (T, C, H, W) goes on, frame by frame: (C, H, W), or (futures, C, H, W) where they are
        counted."""
        if not self.sample:
            return continuation(model, prompt, num_frames)
        clips = prompt[None].expand(self.futures or 1, *prompt.shape)
        generator = torch.Generator().manual_seed(self.seed)
        frames = rollout(model, clips, num_frames, generator, self.temperature)
        return frames if self.futures else (frame[0] for frame in frames)


def drawing_of(sample: bool, temperature: float | None, futures: int | None, seed: int | None) -> Drawing:
    """From the options. Raises OptionError where one cannot work."""
    given = {"--temperature": temperature, "--futures": futures, "--sample-seed": seed}
    for name, value in given.items():
        if value is not None and not sample:
            raise OptionError(f"{name} {value}: says how frames are drawn; --sample draws them")
    drawing = Drawing(sample, 1.0 if temperature is None else temperature, futures, seed or 0)
    if not 0 < drawing.temperature <= MAX_TEMPERATURE:
        raise OptionError(f"--temperature {temperature}: lies above 0, and at {MAX_TEMPERATURE} or below")
    if futures is not None and not 1 <= futures <= MAX_FUTURES:
        raise OptionError(f"--futures {futures}: lies between 1 and {MAX_FUTURES}")
    if not 0 <= drawing.seed <= MAX_SEED:
        raise OptionError(f"--sample-seed {seed}: lies between 0 and {MAX_SEED}")
    return drawing
