"""Frames side by side: film strips, and the pictures of an animation."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image, ImageDraw, ImageFont

from framegen.report.figures.style import MODEL, PROMPT, new_figure

Picture = np.ndarray[Any, np.dtype[np.uint8]]

COLUMNS = 20

MARGIN, HEADER, TIMELINE, PANEL, LABELS = 12, 34, 22, 160, 100

LIGHT_GREY = "#D9D9D9"


def film_strip(
    rows: dict[str, list[Picture | None]], columns: list[int], prompt_frames: int, first: int = 0
) -> Figure:
    """Chosen frames in a grid, a row each for truth, generated, …

    Args:
        rows: by name, one (H, W, 3) uint8 picture a column, or None where there is none.
        columns: the frame numbers that the columns show, from 0.
        prompt_frames: frames below this number are prompt, the others generated.
        first: so many frames of the prompt came before those that are numbered here.
    """
    shape = next(each.shape for pictures in rows.values() for each in pictures if each is not None)
    tall = 0.9 * shape[0] / shape[1]  # a picture is 0.9 wide, with 0.1 between neighbours
    figure = new_figure(0.62 * len(columns) + 1.2, 0.72 * (tall + 0.1) * len(rows) + 0.75)
    axes = figure.subplots()  # one axes for all: dozens of them would take seconds
    axes.set_axis_off()
    for number_of_row, (name, pictures) in enumerate(rows.items()):
        line = number_of_row * (tall + 0.1)
        axes.text(-0.15, line + tall / 2, name, ha="right", va="center", fontsize=9)
        for column, (picture, number) in enumerate(zip(pictures, columns, strict=True)):
            color = PROMPT if number < prompt_frames else MODEL
            shown = np.full((1, 1, 3), 0xD9, np.uint8) if picture is None else picture
            axes.imshow(shown, extent=(column, column + 0.9, line + tall, line))
            axes.add_patch(Rectangle((column, line), 0.9, tall, fill=False, edgecolor=color, linewidth=1.5))
            if number_of_row == 0:
                axes.text(
                    column + 0.45,
                    -0.08,
                    str(first + number + 1),
                    ha="center",
                    va="bottom",
                    fontsize=8,
                    color=color,
                )
    axes.set_xlim(-0.02, len(columns) - 0.08)
    axes.set_ylim(len(rows) * (tall + 0.1) - 0.08, -0.02)
    axes.set_aspect("equal")
    handles = [
        Rectangle((0, 0), 1, 1, fill=False, edgecolor=color, linewidth=1.5) for color in (PROMPT, MODEL)
    ]
    figure.legend(
        handles,
        ["prompt", "after the prompt"],
        loc="outside lower center",
        ncols=2,
        frameon=False,
        fontsize=8,
    )
    figure.suptitle("frame", fontsize=9)
    return figure


def animate(
    frames: Iterable[Mapping[str, Picture | None]], prompt_frames: int, num_frames: int, first: int = 0
) -> Iterator[Picture]:
    """Pictures of an animation: a panel for each row, between a header and a timeline.

    The header says whether the frame is prompt or generated, the panels' edges and the timeline show it in
    colour. No two pictures are equal, so that a GIF keeps them all.

    Args:
        frames: of each frame, by the name of the row, the enlarged (H, W, 3) uint8 picture, or None where
            there is none.
        prompt_frames, num_frames: how many frames of `num_frames` are prompt.
        first: so many frames of the prompt came before those that are shown.

    Yields:
        (height, width, 3) uint8 with even sides.
    """
    font = ImageFont.load_default(18)
    for number, panels in enumerate(frames):
        shapes = (panel.shape[:2] for panel in panels.values() if panel is not None)
        height, width = next(shapes, (PANEL, PANEL))
        left, step = MARGIN + LABELS, height + MARGIN
        total_width = left + max(width, 120) + MARGIN
        total_height = HEADER + len(panels) * step + TIMELINE
        canvas = Image.new("RGB", (total_width + total_width % 2, total_height + total_height % 2), "white")
        draw = ImageDraw.Draw(canvas)
        prompting = number < prompt_frames
        color = PROMPT if prompting else MODEL
        header = (
            f"prompt {first + number + 1}/{first + prompt_frames}"
            if prompting
            else f"frame +{number + 1 - prompt_frames}"
        )
        draw.text((left - 4, 7), header, fill=color, font=font)
        for line, (name, panel) in enumerate(panels.items()):
            top = HEADER + line * step
            draw.rectangle((left - 4, top - 4, left + width + 3, top + height + 3), fill=color)
            label = "prompt" if prompting and name not in ("truth", "error") else name
            _draw_panel(canvas, top, panel, (width, height), label)
        place = (left, total_height - TIMELINE + 4, max(width, 120))
        _draw_timeline(draw, place, prompt_frames, number, num_frames)
        yield np.asarray(canvas)


def _draw_panel(
    canvas: Image.Image, top: int, panel: Picture | None, size: tuple[int, int], label: str
) -> None:
    draw, font, left = ImageDraw.Draw(canvas), ImageFont.load_default(15), MARGIN + LABELS
    middle = top + size[1] // 2
    canvas.paste(Image.new("RGB", size, LIGHT_GREY) if panel is None else Image.fromarray(panel), (left, top))
    draw.text((MARGIN, middle), label, fill="black", font=font, anchor="lm")
    if panel is None:
        draw.text((left + size[0] // 2, middle), "no truth", fill="black", font=font, anchor="mm")


def _draw_timeline(
    draw: ImageDraw.ImageDraw, place: tuple[int, int, int], prompt: int, number: int, total: int
) -> None:
    """A bar at `place` (left, top, width), filled up to frame `number` of `total`; `prompt` are prompt."""
    left, top, width = place
    split, end = left + width * prompt // total, left + width * (number + 1) // total
    draw.rectangle((left, top, left + width, top + 6), fill=LIGHT_GREY)
    draw.rectangle((left, top, min(split, end), top + 6), fill=PROMPT)
    if end > split:
        draw.rectangle((split, top, end, top + 6), fill=MODEL)


def spread(num_frames: int, prompt_frames: int) -> list[int]:
    """At most COLUMNS frame numbers: all where they fit, else the last few of the prompt, and of the rest an
    even choice."""
    if num_frames <= COLUMNS:
        return list(range(num_frames))
    shown_prompt = min(prompt_frames, COLUMNS // 5)
    rest = np.linspace(prompt_frames, num_frames - 1, COLUMNS - shown_prompt).round().astype(int)
    return [*range(prompt_frames - shown_prompt, prompt_frames), *dict.fromkeys(rest.tolist())]
