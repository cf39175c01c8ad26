"""Generated frames to files: GIF, MP4, film strip or array."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL.Image import Dither, Image, Quantize, fromarray
from torch import Tensor

from framegen.data.pictures import Array
from framegen.errors import UserError
from framegen.files import replacing
from framegen.report.figures import curves, strips, style

FPS = 10.0

SHOWN_PROMPT = 20
"""Of a longer prompt only the last frames are shown."""

Range = tuple[float, float]


@dataclass(frozen=True)
class Continuation:
    """A prompt and what follows it, as pictures show it."""

    prompt: Tensor
    """(T, C, H, W)."""
    generated: Iterable[Tensor]
    """`num_frames` frames (C, H, W), as they come."""
    num_frames: int
    value_range: Range
    truth: Tensor | None = None
    """(M, C, H, W), what really followed the prompt, M of any size."""
    optimum: Iterable[Tensor] | None = None
    """`num_frames` frames (C, H, W), as they come."""

    @property
    def first(self) -> int:
        """So many frames of the prompt come before those that are shown."""
        return max(0, len(self.prompt) - SHOWN_PROMPT)

    @property
    def counts(self) -> tuple[int, int]:
        """How many frames are prompt, and how many are shown altogether."""
        return len(self.prompt) - self.first, len(self.prompt) - self.first + self.num_frames

    def rows(self) -> dict[str, Iterator[Tensor | None]]:
        """By name, the shown frames in order, or None where there is none; can be gone through once."""
        rows: dict[str, Iterable[Tensor | None]] = {}
        if self.truth is not None:
            rows["truth"] = itertools.chain(self.truth, itertools.repeat(None))
        rows["generated"] = self.generated
        if self.optimum is not None:
            rows["optimum"] = self.optimum
        prompt, (_, total) = self.prompt[self.first :], self.counts
        return {
            name: itertools.islice(itertools.chain(prompt, frames), total) for name, frames in rows.items()
        }

    def picture(self, frame: Tensor | None) -> strips.Picture | None:
        """A frame as it is shown, enlarged, (H, W, 3) uint8."""
        return None if frame is None else enlarge(to_levels(frame, self.value_range), strips.PANEL)


def write_generated(out: Path, shown: Continuation, fps: float = FPS) -> Path:
    """Write generated frames as the ending of `out` says: .gif, .mp4, .png (film strip) or .npy.

    The pictures show prompt and generated frames, told apart by colour, under the truth where there is one. A
    .npy holds the generated frames alone, float32 (num_frames, C, H, W), as the model gave them.
    """
    match out.suffix.lower():
        case ".npy":
            write_array(out, shown.generated, shown.num_frames)
        case ".png" if shown.prompt[0].numel() == 1:
            style.save(_curve(shown), out)
        case ".png":
            style.save(_film_strip(shown), out)
        case ending:
            pictures = {name: map(shown.picture, frames) for name, frames in shown.rows().items()}
            ANIMATIONS[ending](out, strips.animate(pictures, *shown.counts, shown.first), fps)
    return out


def _curve(shown: Continuation) -> Figure:
    rows = {
        name: torch.tensor([math.nan if value is None else value.item() for value in values])
        for name, values in shown.rows().items()
    }
    return curves.value_over_time(rows, len(shown.prompt), shown.first)


def _film_strip(shown: Continuation) -> Figure:
    prompt_frames, total = shown.counts
    columns = strips.spread(total, prompt_frames)
    chosen = {
        name: [shown.picture(frame) for number, frame in enumerate(frames) if number in columns]
        for name, frames in shown.rows().items()
    }
    return strips.film_strip(chosen, columns, prompt_frames, shown.first)


def write_array(path: Path, frames: Iterable[Tensor], num_frames: int) -> None:
    """The frames as they are, float32 (num_frames, C, H, W), written as they come."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        for index, frame in enumerate(frames):
            values = frame.numpy().astype("<f4")
            if index == 0:
                header = {"descr": "<f4", "fortran_order": False, "shape": (num_frames, *values.shape)}
                np.lib.format.write_array_header_1_0(file, header)
            file.write(values.tobytes())


def write_gif(path: Path, pictures: Iterable[Array], fps: float) -> None:
    """(H, W, 3) uint8 pictures of one size as a GIF that loops, written as they come: memory does not grow.

    A GIF's clock ticks in hundredths of a second. Of each picture only what differs from the one before is
    written.
    """
    from PIL.GifImagePlugin import getdata, getheader  # Pillow's own save keeps all pictures until the end

    duration = max(20, 10 * round(100 / fps))
    with replacing(path) as temporary, temporary.open("wb") as file:
        before = None
        for picture in pictures:
            image = fromarray(picture).quantize(256, Quantize.MEDIANCUT, dither=Dither.NONE)
            colors = _colors(image)
            if before is None:
                parts, _ = getheader(image, info={"loop": 0, "duration": duration})
                file.write(b"".join(parts))
            left, top, right, bottom = _changed(colors, before)
            part, own = image.crop((left, top, right, bottom)), before is not None
            data = getdata(part, (left, top), duration=duration, disposal=1, include_color_table=own)
            file.write(b"".join(data))
            before = colors
        file.write(b";")


def _colors(image: Image) -> Array:
    """(H, W), a whole number for each colour."""
    return np.asarray(image.convert("RGBX")).view("<u4")[..., 0]


def _changed(colors: Array, before: Array | None) -> tuple[int, int, int, int]:
    """The smallest box around all that differs: left, top, right, bottom; one pixel where nothing does."""
    if before is None:
        return 0, 0, colors.shape[1], colors.shape[0]
    differ = colors != before
    if not differ.any():
        return 0, 0, 1, 1
    rows, columns = np.flatnonzero(differ.any(1)), np.flatnonzero(differ.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def write_mp4(path: Path, pictures: Iterable[Array], fps: float) -> None:
    """(H, W, 3) uint8 pictures with even sides as H.264, written as they come."""
    import imageio.v3 as iio
    from av.error import FFmpegError

    with replacing(path) as temporary:
        try:
            with iio.imopen(temporary, "w", plugin="pyav") as file:
                file.init_video_stream("libx264", fps=fps)  # pyright: ignore[reportAttributeAccessIssue]
                for picture in pictures:
                    file.write_frame(picture)  # pyright: ignore[reportAttributeAccessIssue]
        except FFmpegError as error:  # a full disk comes as one of these, not always as an OSError
            raise UserError(f"{path}: cannot be written: {error.strerror}") from error


ANIMATIONS: dict[str, Callable[[Path, Iterable[Array], float], None]] = {".gif": write_gif, ".mp4": write_mp4}
ENDINGS = (*ANIMATIONS, ".npy", ".png")


def to_levels(frame: Tensor, value_range: tuple[float, float]) -> Array:
    """(C, H, W) values -> (H, W, 3) uint8, clipped to the value range."""
    low, high = value_range
    levels = ((frame.float() - low) / (high - low) * 255).clamp(0, 255).round().to(torch.uint8)
    return levels.expand(3, -1, -1).permute(1, 2, 0).numpy()


def enlarge(picture: Array, target: int) -> Array:
    """Whole-number nearest-neighbour enlargement until the longer side reaches about `target` pixels."""
    factor = max(1, math.floor(target / max(picture.shape[:2])))
    return picture.repeat(factor, 0).repeat(factor, 1)
