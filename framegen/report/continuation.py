"""The layout of a video of generated frames: the frames alone, or beside the truth, with their errors."""

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from framegen.data.films.pictures import Array
from framegen.machine.device import seeded
from framegen.machine.errors import OptionError
from framegen.report.figures import curves, strips, style
from framegen.report.writers import ANIMATIONS, write_animation, write_array, write_picture

FPS = 10.0

SHOWN_PROMPT = 20
"""The most frames of a prompt that are shown: the last ones."""

CLEAN = 256
"""Pixels of the longer side up to which small frames are enlarged."""

MAX_SIDE = 8192

WIDE = 6
"""So many small frames stand in one line of an animation; more in a square."""

GAP = 8
"""Pixels between futures that stand side by side."""

Range = tuple[float, float]

ENDINGS = (*ANIMATIONS, ".npy", ".png")


@dataclass(frozen=True)
class Continuation:
    """A prompt and what follows it, as pictures show it."""

    prompt: Tensor
    """(T, C, H, W)."""
    generated: Iterable[Tensor]
    """`num_frames` frames (C, H, W), as they come; see `futures`."""
    num_frames: int
    value_range: Range
    truth: Tensor | None = None
    """(M, C, H, W), what really followed the prompt, M of any size."""
    optimum: Iterable[Tensor] | None = None
    """`num_frames` frames (C, H, W), as they come."""
    error: bool = False
    """Whether a row shows |truth - generated| where the truth is known, black where there is none."""
    futures: int | None = None
    """Number of futures in each generated frame, (futures, C, H, W); None: a single one, (C, H, W)."""
    circling: bool = False
    """Whether a light goes round the middle of each frame, so that a strip of futures shows its angle too."""

    @property
    def first(self) -> int:
        """Number of the prompt's frames before those that are shown."""
        return max(0, len(self.prompt) - SHOWN_PROMPT)

    @property
    def counts(self) -> tuple[int, int]:
        """How many frames are prompt, and how many are shown altogether."""
        prompt = min(len(self.prompt), SHOWN_PROMPT)
        return prompt, prompt + self.num_frames

    @property
    def made(self) -> list[str]:
        """The names of the rows that are generated."""
        return ["generated"] if self.futures is None else [f"future {n + 1}" for n in range(self.futures)]

    @property
    def names(self) -> list[str]:
        """Those of all rows."""
        shown = {"truth": self.truth is not None, **dict.fromkeys(self.made, True)}
        shown |= {"error": self.error and self.truth is not None, "optimum": self.optimum is not None}
        return [name for name, is_shown in shown.items() if is_shown]

    @property
    def of_film(self) -> bool:
        """Whether frames are shown as those of a film; where not, their pixels are to be seen."""
        return max(self.prompt.shape[2:]) >= strips.FILM

    def frames(self) -> Iterator[dict[str, Tensor | None]]:
        """Each row's frames by its name, or None where there are none; can be iterated once."""
        low, names = self.value_range[0], self.names
        for frame in self.prompt[-SHOWN_PROMPT:]:
            yield {name: frame.new_full(frame.shape, low) if name == "error" else frame for name in names}
        truth = iter(() if self.truth is None else self.truth)
        best = itertools.repeat(None) if self.optimum is None else self.optimum
        for frame, optimum in zip(itertools.islice(self.generated, self.num_frames), best, strict=False):
            real = next(truth, None)
            error = None if real is None or not self.error else low + (real - frame).abs()
            futures = frame[None] if self.futures is None else frame
            rows = {"truth": real, "error": error, "optimum": optimum}
            rows |= dict(zip(self.made, futures, strict=True))
            yield {name: rows[name] for name in names}


@seeded(0)
def write_generated(
    out: Path,
    shown: Continuation,
    fps: float = FPS,
    clean: bool = False,
    scale: int | None = None,
    exclusive: bool = False,
) -> Path:
    """Write generated frames as the ending of `out` says, one of ENDINGS.

    A .npy holds the generated frames alone, float32 (num_frames, C, H, W), as the model gave them, or
    (num_frames, futures, C, H, W). A .png is a film strip, or of a film's frames a sheet. All others move:
    where `clean`, the generated frames alone, futures side by side; else prompt and generated frames, told
    apart by colour, with the truth where there is one.

    Args:
        scale: by how much frames are enlarged; None: up to a size that is good to look at.
        exclusive: see `framegen.machine.files.replacing`.
    """
    match ending := out.suffix.lower():
        case ".npy":
            write_array(out, itertools.islice(shown.generated, shown.num_frames), exclusive)
        case ".png" if shown.prompt[0].numel() == 1:
            style.save(_curve(shown), out, exclusive)
        case ".png":
            _write_strip(out, shown, exclusive)
        case _ if clean:
            frames = itertools.islice(shown.generated, shown.num_frames)
            pictures = (_alone(frame, shown, scale) for frame in frames)
            write_animation(out, pictures, fps, len(shown.prompt) + 1, exclusive)
        case _:
            layout = _layout(shown, strips.GIF_SCREEN if ending == ".gif" else strips.SCREEN)
            rows = (_panels(frames, shown, layout.side, scale) for frames in shown.frames())
            pictures = strips.animate(rows, *shown.counts, shown.first, layout)
            write_animation(out, pictures, fps, shown.first + 1, exclusive)
    return out


def _alone(frame: Tensor, shown: Continuation, scale: int | None) -> Array:
    """A generated frame (C, H, W), or futures (N, C, H, W) side by side."""
    side = max(strips.LARGEST, *frame.shape[-2:]) if shown.of_film else CLEAN
    if frame.dim() == 3:
        return _panel(frame, shown, side, scale)
    pictures = [_panel(each, shown, side, scale) for each in frame]
    between = np.full((len(pictures[0]), GAP, 3), 255, np.uint8)
    return np.concatenate([part for each in pictures for part in (between, each)][1:], 1)


def _layout(shown: Continuation, screen: tuple[int, int]) -> strips.Layout:
    height, width = shown.prompt.shape[2:]
    if shown.of_film:
        return strips.film_layout(len(shown.names), height, width, screen)
    panels = len(shown.names)
    return strips.Layout(columns=panels if panels <= WIDE else math.ceil(panels**0.5))


def _panels(
    frames: dict[str, Tensor | None], shown: Continuation, side: int, scale: int | None = None
) -> dict[str, strips.Picture | None]:
    return {
        name: None if frame is None else _panel(frame, shown, side, scale) for name, frame in frames.items()
    }


def _panel(frame: Tensor, shown: Continuation, side: int, scale: int | None) -> strips.Picture:
    """A frame enlarged: a film's smoothly, as players do, since the edges of squares hide what it shows."""
    if not shown.of_film:
        return to_picture(frame, shown.value_range, side, scale)
    height, width = frame.shape[1:]
    _check(scale, max(height, width))
    factor = scale or side / max(height, width)
    levels = Image.fromarray(to_levels(frame, shown.value_range))
    size = round(factor * width), round(factor * height)
    return np.asarray(levels.resize(size, Image.Resampling.BICUBIC))


def _curve(shown: Continuation) -> Figure:
    rows: dict[str, list[float]] = {}
    for frames in shown.frames():
        for name, value in frames.items():
            rows.setdefault(name, []).append(math.nan if value is None else value.item())
    rows.pop("error", None)  # the distance of two lines is seen
    curve = {name: torch.tensor(values) for name, values in rows.items()}
    return curves.value_over_time(curve, len(shown.prompt), shown.first)


def _angles(frames: Iterable[Tensor | None]) -> list[float]:
    """Degrees, clockwise from the right and without jumps, at which the bright part of each frame (C, H, W)
    lies from its middle."""
    light = torch.stack([frame.float().mean(0) for frame in frames if frame is not None])  # (T, H, W)
    light = light - light.flatten(1).amin(1)[:, None, None]
    height, width = light.shape[1:]
    down = (light.sum(2) @ torch.linspace(-1, 1, height)).numpy()
    right = (light.sum(1) @ torch.linspace(-1, 1, width)).numpy()
    return np.degrees(np.unwrap(np.arctan2(down, right))).tolist()


def _chosen(
    shown: Continuation, frames_shown: Iterable[dict[str, Tensor | None]], columns: list[int], side: int
) -> dict[str, list[strips.Picture | None]]:
    """The frames of these numbers, by the name of their row."""
    wanted = frozenset(columns)
    chosen: dict[str, list[strips.Picture | None]] = {}
    for number, frames in enumerate(frames_shown):
        if number in wanted:
            for name, picture in _panels(frames, shown, side).items():
                chosen.setdefault(name, []).append(picture)
    return chosen


def _write_strip(out: Path, shown: Continuation, exclusive: bool) -> None:
    prompt_frames, total = shown.counts
    if shown.of_film:
        columns = strips.moments(total, prompt_frames)
        rows = _chosen(shown, shown.frames(), columns, strips.SIDE)
        write_picture(out, strips.film_sheet(rows, columns, prompt_frames, shown.first), exclusive)
    else:
        columns, frames, angles = strips.spread(total, prompt_frames), shown.frames(), None
        if shown.circling and shown.futures:
            frames = list(frames)
            angles = {name: _angles(each[name] for each in frames) for name in shown.made}
        rows = _chosen(shown, frames, columns, strips.PANEL)
        style.save(strips.film_strip(rows, columns, prompt_frames, shown.first, angles), out, exclusive)


def to_levels(frame: Tensor, value_range: Range) -> Array:
    """(C, H, W) values -> (H, W, 3) uint8, clipped to the value range; channels after three tell something
    else."""
    low, high = value_range
    levels = ((frame.float() - low) / (high - low) * 255).clamp(0, 255).round().to(torch.uint8)
    picture = levels[:3] if len(levels) >= 3 else levels[:1]
    return picture.expand(3, -1, -1).permute(1, 2, 0).numpy()


def to_picture(frame: Tensor, value_range: Range, target: int, scale: int | None = None) -> Array:
    """(C, H, W) values -> (H, W, 3) uint8, each pixel a square: `scale` wide, or as wide as the longer side
    stays within `target`."""
    longer = max(frame.shape[1:])
    _check(scale, longer)
    factor = scale or max(1, target // longer)
    return to_levels(frame, value_range).repeat(factor, 0).repeat(factor, 1)


def _check(scale: int | None, longer: int) -> None:
    """Raises OptionError where frames of this longer side would become too large."""
    if scale is not None and not (scale >= 1 and (scale == 1 or scale * longer <= MAX_SIDE)):
        raise OptionError(
            f"--scale {scale}: must lie between 1 and {max(1, MAX_SIDE // longer)} for such frames"
        )
