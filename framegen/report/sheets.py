"""Frames of films as pictures: a sheet with a row for each shot, and shots that run side by side."""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from framegen.data.films.pictures import Array
from framegen.report.continuation import to_picture

SIDE, GAP, LABEL = 96, 4, 20
"""Pixels: a frame's longer side on a sheet, what lies between frames, and a line of text."""


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
    needed = max(round(font.getlength(text)) for text in pictures) + 2 * GAP
    sheet = Image.new(
        "RGB",
        (max(columns * (width + GAP) + GAP, needed), len(rows) * (height + LABEL + 2 * GAP) + GAP),
        "white",
    )
    draw = ImageDraw.Draw(sheet)
    for line, (text, frames) in enumerate(pictures.items()):
        top = GAP + line * (height + LABEL + 2 * GAP)
        draw.text((GAP, top), text, fill="black", font=font)
        for column, frame in enumerate(frames):
            sheet.paste(Image.fromarray(frame), (GAP + column * (width + GAP), top + LABEL))
    return np.asarray(sheet)


def side_by_side(clips: Sequence[Array], num_frames: int) -> Iterator[Array]:
    """Clips (T, 1 or 3, H, W) uint8 that run at once, each from its beginning again where it ends: pictures
    (height, width, 3) uint8."""
    columns = math.ceil(math.sqrt(len(clips)))
    height, width = enlarged(clips[0][0]).shape[:2]
    size = (math.ceil(len(clips) / columns) * (height + GAP), columns * (width + GAP))
    for number in range(num_frames):
        picture = np.full((*size, 3), 255, np.uint8)
        for place, clip in enumerate(clips):
            top, left = place // columns * (height + GAP), place % columns * (width + GAP)
            picture[top : top + height, left : left + width] = enlarged(clip[number % len(clip)])
        yield picture


def enlarged(frame: Array) -> Array:
    """(1 or 3, H, W) -> (height, width, 3) uint8: a whole number of times as large."""
    return to_picture(torch.from_numpy(np.array(frame)), (0.0, 255.0), SIDE)
