"""Generated frames to files: GIF, MP4, film strip or array."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from framegen.data.video import Array
from framegen.errors import UserError
from framegen.files import replacing
from framegen.report.figures import curves, strips, style

FPS = 10.0

SHOWN_PROMPT = 20
"""Of a longer prompt only the last frames are shown."""

Range = tuple[float, float]


def write_generated(
    out: Path,
    prompt: Tensor,
    generated: Iterable[Tensor],
    num_frames: int,
    value_range: Range,
    truth: Tensor | None = None,
    optimum: Iterable[Tensor] | None = None,
    fps: float = FPS,
) -> Path:
    """Write generated frames as the ending of `out` says: .gif, .mp4, .png (film strip) or .npy.

    The pictures show prompt and generated frames, told apart by colour, under the truth where there is one. A .npy
    holds the generated frames alone, float32 (num_frames, C, H, W), as the model gave them.

    Args:
        prompt: (T, C, H, W).
        generated, optimum: `num_frames` frames (C, H, W) each, as they come.
        truth: (M, C, H, W), what really followed the prompt, M of any size.
    """
    ending = out.suffix.lower()
    if ending == ".npy":
        write_array(out, generated, num_frames)
        return out
    before = max(0, len(prompt) - SHOWN_PROMPT)
    prompt = prompt[before:]
    frames: dict[str, Iterator[Tensor | None]] = {}
    if truth is not None:
        frames["truth"] = itertools.chain(prompt, truth, itertools.repeat(None))
    frames["generated"] = itertools.chain(prompt, generated)
    if optimum is not None:
        frames["optimum"] = itertools.chain(prompt, optimum)
    total = len(prompt) + num_frames
    if ending == ".png" and prompt[0].numel() == 1:
        rows = {
            name: torch.tensor(
                [math.nan if value is None else value.item() for value in itertools.islice(values, total)]
            )
            for name, values in frames.items()
        }
        return style.save(curves.value_over_time(rows, len(prompt)), out)

    def picture(frame: Tensor | None) -> strips.Picture | None:
        return None if frame is None else enlarge(to_levels(frame, value_range), strips.PANEL)

    if ending == ".png":
        columns = strips.spread(total, len(prompt))
        chosen = {
            name: [
                picture(frame)
                for number, frame in enumerate(itertools.islice(values, total))
                if number in columns
            ]
            for name, values in frames.items()
        }
        return style.save(strips.film_strip(chosen, columns, len(prompt), before), out)
    pictures = {name: map(picture, values) for name, values in frames.items()}
    ANIMATIONS[ending](out, strips.animate(pictures, len(prompt), total, before), fps)
    return out


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
    """(H, W, 3) uint8 pictures as a GIF that loops; a GIF's clock ticks in hundredths of a second."""
    from PIL import Image

    images = (
        Image.fromarray(picture).quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        for picture in pictures
    )
    duration = max(20, 10 * round(100 / fps))
    with replacing(path) as temporary:
        next(images).save(
            temporary, save_all=True, append_images=images, duration=duration, loop=0, disposal=1
        )


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
