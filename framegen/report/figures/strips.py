"""Frames side by side: film strips, sheets of a film, and the pictures of an animation."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image, ImageDraw, ImageFont

from framegen.report.figures import curves
from framegen.report.figures.cells import Cell, Picture, draw_cells
from framegen.report.figures.style import MODEL, OPTIMUM, PROMPT, TRUTH, new_figure

COLUMNS = 20

MARGIN, HEADER, TIMELINE, PANEL, ABOVE = 12, 34, 22, 160, 26

EDGE = 4

LIGHT_GREY = "#D9D9D9"

OF_ROW = {"truth": TRUTH, "optimum": OPTIMUM}
"""Colours of a sheet's rows; the others are the model's."""

FILM = 32
"""Pixels of the longer side from which on frames are shown as a film's are: large, and few at once."""

SCREEN, GIF_SCREEN = (1280, 720), (720, 480)
"""Pixels, across and down, that an animation of a film fills: a laptop's window. Of a GIF fewer, since each
picture's colours are to be chosen, and what it takes on disk grows with them."""

LARGEST, ACROSS, SIDE = 640, 3, 320
"""Pixels of a film's frame in an animation, at most; frames in a line of a sheet, and the pixels of each."""

MARKS = 1, 2, 3, 5, 10, 20, 50, 100, 200, 500
"""Frames after the prompt that a sheet shows, of those that there are."""


@dataclass(frozen=True)
class Layout:
    """How an animation places its panels: down the first column, then down the next. All but the columns and
    the letters' size is in pixels."""

    side: int = PANEL
    """A frame's longer side, at most."""
    columns: int = 1
    header: int = HEADER
    above: int = ABOVE
    """Room for a panel's label above it."""
    letters: int = 15

    def places(self, panels: int, height: int, width: int) -> list[tuple[int, int]]:
        """(left, top) of each of the panels; what is fewer than a column stands in its middle."""
        rows = math.ceil(panels / self.columns)
        across, down = width + MARGIN, self.above + height + MARGIN
        found = []
        for number in range(panels):
            column, row = divmod(number, rows)
            missing = max(0, (column + 1) * rows - panels)
            left = MARGIN + column * across
            found.append((left, self.header + self.above + row * down + missing * down // 2))
        return found


def film_layout(panels: int, height: int, width: int, screen: tuple[int, int]) -> Layout:
    """The one in which `panels` frames (height, width) of a film are the largest on a screen of pixels across
    and down; where several are, the one of the fewest columns."""
    header, above, longer = 44, 40, max(height, width)

    def side(columns: int) -> int:
        across = (screen[0] - MARGIN) / columns - MARGIN
        down = (screen[1] - header - TIMELINE) / math.ceil(panels / columns) - above - MARGIN
        return min(LARGEST, int(longer * min(across / width, down / height)))

    columns = max(range(1, panels + 1), key=side)
    return Layout(side(columns), columns, header, above, 24)


def film_strip(
    rows: dict[str, list[Picture | None]],
    columns: list[int],
    prompt_frames: int,
    first: int = 0,
    angles: Mapping[str, Sequence[float]] | None = None,
) -> Figure:
    """Chosen frames in a grid, a row each for truth, generated, …

    Args:
        rows: by name, one (H, W, 3) uint8 picture a column, or None where there is none.
        columns: the frame numbers that the columns show, from 0.
        prompt_frames: frames below this number are prompt, the others generated.
        first: number of prompt frames before those that are numbered here.
        angles: by name, of each frame the angle of what goes round in it, degrees; drawn over time below.
    """
    shape = next(each.shape for pictures in rows.values() for each in pictures if each is not None)
    tall = 0.9 * shape[0] / shape[1]  # a picture is 0.9 wide, with 0.1 between neighbours
    heights = [0.72 * (tall + 0.1) * len(rows) + 0.75, *([2.6] if angles else [])]
    figure = new_figure(0.62 * len(columns) + 1.2, sum(heights))
    axes, *below = figure.subplots(len(heights), squeeze=False, height_ratios=heights).flat
    for each in below:
        curves.angles(each, angles or {}, prompt_frames, first)
    colors = [PROMPT if number < prompt_frames else MODEL for number in columns]
    grid = {name: list(map(Cell, pictures, colors)) for name, pictures in rows.items()}
    draw_cells(axes, grid, [first + number + 1 for number in columns])
    edge = {"fill": False, "linewidth": 1.5}
    handles = [Rectangle((0, 0), 1, 1, edgecolor=color, **edge) for color in (PROMPT, MODEL)]
    place = {"loc": "outside lower center", "ncols": 2, "frameon": False, "fontsize": 8}
    figure.legend(handles, ["prompt", "after the prompt"], **place)
    figure.suptitle("frame", fontsize=9)
    return figure


def animate(
    frames: Iterable[Mapping[str, Picture | None]],
    prompt_frames: int,
    num_frames: int,
    first: int,
    layout: Layout,
) -> Iterator[Picture]:
    """Pictures of an animation: a panel for each row, between a header and a timeline.

    The header says whether the frame is prompt or generated, the panels' edges and the timeline show it in
    colour. No two pictures are equal, so that a GIF keeps them all.

    Args:
        frames: of each frame, by the name of the row, the enlarged (H, W, 3) uint8 picture, or None where
            there is none.
        prompt_frames, num_frames: how many frames of `num_frames` are prompt.
        first: number of prompt frames before those that are shown.

    Yields:
        (height, width, 3) uint8 with even sides.
    """
    font = ImageFont.load_default(layout.letters + 3)
    for number, panels in enumerate(frames):
        shapes = (panel.shape[:2] for panel in panels.values() if panel is not None)
        height, width = next(shapes, (PANEL, PANEL))
        places = layout.places(len(panels), height, width)
        right, bottom = (max(each) for each in zip(*places, strict=True))
        left, end = places[0][0], right + max(width, 120)
        total_width, total_height = end + MARGIN, bottom + height + MARGIN + TIMELINE
        canvas = Image.new("RGB", (total_width + total_width % 2, total_height + total_height % 2), "white")
        draw = ImageDraw.Draw(canvas)
        color = PROMPT if number < prompt_frames else MODEL
        header = _moment("frame", number, prompt_frames, first)
        draw.text((left - EDGE, 7), header, fill=color, font=font)
        for (name, panel), place in zip(panels.items(), places, strict=True):
            _draw_panel(canvas, place, panel, (width, height), color, layout.letters)
            _write(draw, name, (place[0], place[1] - EDGE), "ld", layout.letters)
        _draw_timeline(
            draw, (left, total_height - TIMELINE + 4, end - left), prompt_frames, number, num_frames
        )
        yield np.asarray(canvas)


def film_sheet(
    rows: dict[str, list[Picture | None]], columns: list[int], prompt_frames: int, first: int = 0
) -> Picture:
    """Chosen frames of a film, ACROSS in a line, what is generated below the truth; above each stands what it
    is. Letters are as large as a page of 400 pixels needs.

    Args:
        rows, columns, prompt_frames, first: see `film_strip`. The prompt stands in the first row alone.

    Returns:
        (height, width, 3) uint8.
    """
    height, width = next(each.shape[:2] for each in next(iter(rows.values())) if each is not None)
    total = ACROSS * (width + MARGIN) + MARGIN
    letters = total // 40
    step, blocks = height + 2 * letters, math.ceil(len(columns) / ACROSS)
    canvas = Image.new("RGB", (total, blocks * (len(rows) * step + letters)), "white")
    draw = ImageDraw.Draw(canvas)
    for line, (name, pictures) in enumerate(rows.items()):
        for place, (picture, number) in enumerate(zip(pictures, columns, strict=True)):
            if (prompting := number < prompt_frames) and line:
                continue
            block, column = divmod(place, ACROSS)
            left = MARGIN + column * (width + MARGIN)
            top = (block * len(rows) + line + 1) * step - height + block * letters
            color = PROMPT if prompting else OF_ROW.get(name, MODEL)
            _draw_panel(canvas, (left, top), picture, (width, height), color, letters)
            said = _moment(name, number, prompt_frames, first)
            _write(draw, said, (left, top - EDGE), "ld", letters, color)
    return np.asarray(canvas)


def _moment(name: str, number: int, prompt_frames: int, first: int) -> str:
    """Which frame it is: of the prompt, or how many frames after it."""
    if number < prompt_frames:
        return f"prompt {first + number + 1}/{first + prompt_frames}"
    return f"{name} +{number + 1 - prompt_frames}"


def _write(
    draw: ImageDraw.ImageDraw, text: str, at: tuple[int, int], anchor: str, letters: int, color: str = "black"
) -> None:
    draw.text(at, text, fill=color, font=ImageFont.load_default(letters), anchor=anchor)


def _draw_panel(
    canvas: Image.Image,
    place: tuple[int, int],
    panel: Picture | None,
    size: tuple[int, int],
    color: str,
    letters: int,
) -> None:
    """A picture of `size` (width, height) at `place` (left, top), with an edge of EDGE pixels around it."""
    (left, top), (width, height), draw = place, size, ImageDraw.Draw(canvas)
    draw.rectangle((left - EDGE, top - EDGE, left + width + EDGE - 1, top + height + EDGE - 1), fill=color)
    canvas.paste(Image.new("RGB", size, LIGHT_GREY) if panel is None else Image.fromarray(panel), place)
    if panel is None:
        _write(draw, "no truth", (left + width // 2, top + height // 2), "mm", letters)


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


def moments(num_frames: int, prompt_frames: int) -> list[int]:
    """At most 2 * ACROSS frame numbers: the prompt's last, and after it the first, the last, and of MARKS as
    many as fit, the later ones first."""
    ahead = num_frames - prompt_frames
    marks = [*(mark for mark in MARKS if mark < ahead), ahead]
    chosen = marks if len(marks) < 2 * ACROSS else [1, *marks[2 - 2 * ACROSS :]]
    return [prompt_frames - 1, *(prompt_frames + mark - 1 for mark in chosen)]
