"""The data as pictures: some of the training clips side by side, still and moving; and films, a sheet with a
row for each shot, and shots that run at once."""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from framegen.data.clips import Data, evenly
from framegen.data.films.pictures import Array
from framegen.machine.progress import count_of
from framegen.report.continuation import Range, to_levels, to_picture
from framegen.report.figures.pieces import EDGE
from framegen.report.figures.strips import FILM, LIGHT_GREY, Picture

CLIPS, COLUMNS, STRIPS = 24, 8, 2
"""Clips that are shown; in a line of the animation, and in a line of the sheet, where each is a strip."""
FRAMES, FRAMES_OF_FILM, MOVING = 12, 6, 24
"""Frames of a strip, the first ones, or of a film's clip evenly spread; and of the animation, the first ones:
two turns of a light at its usual speed."""
SHEET_WIDTH, GIF_WIDTH, GAP = 1660, 830, 10
"""Pixels across: a page shows the sheet at half its size. Between frames there is a gap."""
FILM_SIDE, FILM_GAP, FILM_LABEL = 96, 4, 20
"""Pixels: a film's frame's longer side on a sheet, what lies between frames, and a line of text."""


def chosen_clips(data: Data, next_frame: bool) -> tuple[list[int], list[Tensor]]:
    """The numbers (from 0) of training clips, evenly spread over those as they were filmed, and their frames,
    (T, C, H, W) each."""
    numbers = evenly(data.originals or len(data.train), CLIPS)
    inputs, targets = data.train.batch(numbers)
    return numbers.tolist(), list(
        torch.cat([inputs, targets[:, -1:].nan_to_num()], 1) if next_frame else inputs
    )


def sheet(numbers: list[int], clips: list[Tensor], total: int, value_range: Range) -> Picture:
    """The clips as film strips, (height, width, 3) uint8."""
    length, of_film = len(clips[0]), max(clips[0].shape[2:]) >= FILM
    shown = evenly(length, FRAMES_OF_FILM).tolist() if of_film else list(range(min(length, FRAMES)))
    letters = 22
    font = ImageFont.load_default(letters)
    left = round(font.getlength(f"clip {numbers[-1] + 1}")) + GAP
    across = (SHEET_WIDTH - STRIPS * (left + 2 * GAP)) // STRIPS // len(shown)
    width, height = _fitted(clips[0], min(across - GAP // 2, 150))
    lines, top = -(-len(clips) // STRIPS), 3 * letters + GAP
    canvas = Image.new("RGB", (SHEET_WIDTH, top + lines * (height + GAP) + GAP), "white")
    draw = ImageDraw.Draw(canvas)
    heading = (
        f"{len(clips)} of {count_of(total, 'training clip')}, {count_of(len(shown), 'frame')} of {length}"
    )
    draw.text((SHEET_WIDTH // 2, GAP), heading, "black", ImageFont.load_default(letters + 6), "ma")
    for place, (number, clip) in enumerate(zip(numbers, clips, strict=True)):
        strip, line = divmod(place, lines)
        x, y = GAP + strip * SHEET_WIDTH // STRIPS, top + line * (height + GAP)
        draw.text((x, y + height // 2), f"clip {number + 1}", "black", font, "lm")
        for column, frame in enumerate(shown):
            at = x + left + column * across
            if line == 0:
                draw.text((at + width // 2, y - 6), str(frame + 1), EDGE, font, "ms")
            _paste(canvas, clip[frame], (at, y), (width, height), value_range)
    return np.asarray(canvas)


def moving(numbers: list[int], clips: list[Tensor], total: int, value_range: Range) -> Iterator[Picture]:
    """The clips as they run at once: pictures (height, width, 3) uint8."""
    length = min(len(clips[0]), MOVING)
    shown = f"{length}" if length == len(clips[0]) else f"the first {length} of {len(clips[0])}"
    letters, step = 13, (GIF_WIDTH - GAP) // COLUMNS
    width, height = _fitted(clips[0], step - GAP)
    top, down = 44, height + letters + GAP + 6
    lines = -(-len(clips) // COLUMNS)
    canvas = Image.new("RGB", (GIF_WIDTH, top + lines * down + GAP), "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(letters)
    of_all = f"{len(clips)} of {count_of(total, 'training clip')}"
    places = [(GAP + n % COLUMNS * step, top + n // COLUMNS * down + letters + 6) for n in range(len(clips))]
    for number, (x, y) in zip(numbers, places, strict=True):
        draw.text((x, y - 4), f"clip {number + 1}", EDGE, font, "ls")
    for frame in range(length):
        draw.rectangle((0, 0, GIF_WIDTH, top - 8), "white")
        draw.text((GAP, 6), f"{of_all}: frame {frame + 1} of {shown}", "black", ImageFont.load_default(18))
        done = GAP + (GIF_WIDTH - 2 * GAP) * (frame + 1) // length
        draw.rectangle((GAP, top - 12, GIF_WIDTH - GAP, top - 8), LIGHT_GREY)
        draw.rectangle((GAP, top - 12, done, top - 8), EDGE)
        for clip, place in zip(clips, places, strict=True):
            _paste(canvas, clip[frame], place, (width, height), value_range)
        yield np.array(canvas)


def _fitted(clip: Tensor, side: int) -> tuple[int, int]:
    """Pixels across and down of a frame whose longer side is `side`."""
    height, width = clip.shape[2:]
    return max(1, side * width // max(height, width)), max(1, side * height // max(height, width))


def _paste(
    canvas: Image.Image, frame: Tensor, place: tuple[int, int], size: tuple[int, int], value_range: Range
) -> None:
    """A frame (C, H, W) with a thin border: a film's smooth, a world's pixels are squares."""
    way = Image.Resampling.BICUBIC if max(frame.shape[1:]) >= FILM else Image.Resampling.NEAREST
    canvas.paste(Image.fromarray(to_levels(frame, value_range)).resize(size, way), place)
    (left, top), (width, height) = place, size
    ImageDraw.Draw(canvas).rectangle((left - 1, top - 1, left + width, top + height), outline=EDGE)


def contact_sheet(rows: Mapping[str, Sequence[Array]]) -> Array:
    """Frames in rows, a line of text above each.

    Args:
        rows: by text, frames (1 or 3, H, W) uint8, all of one size.

    Returns:
        (height, width, 3) uint8.
    """
    pictures = {text: [enlarged(frame) for frame in frames] for text, frames in rows.items()}
    height, width = next(iter(pictures.values()))[0].shape[:2]
    columns = max(len(each) for each in pictures.values())
    font = ImageFont.load_default(13)
    needed = max(round(font.getlength(text)) for text in pictures) + 2 * FILM_GAP
    step = height + FILM_LABEL + 2 * FILM_GAP
    size = max(columns * (width + FILM_GAP) + FILM_GAP, needed), len(rows) * step + FILM_GAP
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for line, (text, frames) in enumerate(pictures.items()):
        top = FILM_GAP + line * step
        draw.text((FILM_GAP, top), text, fill="black", font=font)
        for column, frame in enumerate(frames):
            sheet.paste(Image.fromarray(frame), (FILM_GAP + column * (width + FILM_GAP), top + FILM_LABEL))
    return np.asarray(sheet)


def side_by_side(clips: Sequence[Array], num_frames: int) -> Iterator[Array]:
    """Clips (T, 1 or 3, H, W) uint8 that run at once, each from its beginning again where it ends: pictures
    (height, width, 3) uint8."""
    columns = math.ceil(math.sqrt(len(clips)))
    height, width = enlarged(clips[0][0]).shape[:2]
    size = (math.ceil(len(clips) / columns) * (height + FILM_GAP), columns * (width + FILM_GAP))
    for number in range(num_frames):
        picture = np.full((*size, 3), 255, np.uint8)
        for place, clip in enumerate(clips):
            top, left = place // columns * (height + FILM_GAP), place % columns * (width + FILM_GAP)
            picture[top : top + height, left : left + width] = enlarged(clip[number % len(clip)])
        yield picture


def enlarged(frame: Array) -> Array:
    """(1 or 3, H, W) -> (height, width, 3) uint8: a whole number of times as large."""
    return to_picture(torch.from_numpy(np.array(frame)), (0.0, 255.0), FILM_SIDE)
