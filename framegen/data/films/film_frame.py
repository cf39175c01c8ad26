"""A decoded frame as it is shown: turned, cut and scaled by FFmpeg's own filters."""

import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from framegen.data.films.container import Aperture
from framegen.data.films.pictures import Array, Size, middle, on_black

if TYPE_CHECKING:
    import av
    from av.filter import Graph
    from av.video.stream import VideoStream

UNSPECIFIED, HD_HEIGHT = 2, 720
"""FFmpeg's number where a file does not name its colour matrix; players take BT.709 from this height on."""

STRAIGHT = 0.02
"""Sine of the angle, a degree, by which a quarter turn may be off."""

CROP = "{}:{}:{}:{}:exact=1"

MOST_AT_ONCE = 16
"""Largest exact reduction of a side by FFmpeg's scaler; by 360 it is wrong by 9 levels of 255."""

Matrix = tuple[float, float, float, float]
"""a, b, c, d of a display matrix: what is stored at (x, y), y downwards, is shown at (a x + c y, b x + d y);
columns have length 1."""

AS_STORED: Matrix = (1.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True)
class FilmFrame:
    """A decoded frame, not scaled yet."""

    frame: "av.VideoFrame"
    time: float | None
    """Seconds after the film's first frame; None where the file does not say."""
    aspect: float
    """Width of a stored pixel over its height."""
    aperture: Aperture
    matrix: Matrix
    """How it is to be turned."""
    graphs: dict[Any, "Graph"] = field(repr=False)
    """FFmpeg's scalers, kept from frame to frame."""

    @property
    def size(self) -> Size:
        """Height and width as it is shown: upright, pixels square, without what is cut off."""
        return self._shown[1]

    @property
    def transparent(self) -> bool:
        return any(component.is_alpha for component in self.frame.format.components)

    def pixels(self, size: Size) -> Array:
        """(height, width, 3) uint8: the middle cut out, then scaled to the size, on black."""
        graph = self._graph(size)
        graph.vpush(self.frame)
        return on_black(graph.vpull().to_ndarray())

    @property
    def _shown(self) -> tuple[Size, Size]:
        """Height and width upright, in stored pixels and in square ones."""
        left, right, top, bottom = self.aperture
        height, width = self.frame.height - top - bottom, self.frame.width - left - right
        shown = (height, max(1, round(width * self.aspect)))
        if transposes(self.matrix):
            return (width, height), (shown[1], shown[0])
        return (height, width), shown

    def _graph(self, wanted: Size) -> "Graph":
        """Turns, cuts, then scales to RGB or RGBA; of interlaced frames, two moments, one field is taken."""
        from av.filter import Graph

        frame, lines = self.frame, 1 + self.frame.interlaced_frame
        matrix = frame.colorspace == UNSPECIFIED and frame.height >= HD_HEIGHT and not frame.format.is_rgb
        turns = tuple(upright(self.matrix))
        key = (frame.format.name, frame.width, frame.height, self.aspect, lines, matrix, turns, wanted)
        if key in self.graphs:
            return self.graphs[key]
        stored, shown = self._shown
        kept = middle(shown, wanted)
        fields = (1, lines) if transposes(self.matrix) else (lines, 1)
        rows, columns = (
            max(1, min(have // lost, round(part / lost * have / whole)))
            for have, lost, part, whole in zip(stored, fields, kept, shown, strict=True)
        )
        left, right, top, bottom = self.aperture
        outer = (frame.width - left - right, (frame.height - top - bottom) // lines, left, top // lines)
        inner = (columns, rows, (stored[1] // fields[1] - columns) // 2, (stored[0] // fields[0] - rows) // 2)
        first, *rest = _scalings((rows, columns), wanted, ":in_color_matrix=bt709" if matrix else "")
        filters = [
            *[("field", "top")] * (lines == 2),
            ("crop", CROP.format(*outer)),
            *turns,
            ("crop", CROP.format(*inner)),
            ("scale", first),
            ("format", "rgba" if self.transparent else "rgb24"),
            *(("scale", text) for text in rest),
            ("buffersink", None),
        ]
        graph, tick = Graph(), frame.time_base or Fraction(1, 1000)
        source = graph.add_buffer(None, frame.width, frame.height, frame.format, time_base=tick)
        graph.link_nodes(source, *(graph.add(*each) for each in filters)).configure()
        self.graphs.clear()  # of a film whose size changes with each frame only one is kept
        self.graphs[key] = graph
        return graph


def matrix_of(frame: "av.VideoFrame") -> Matrix | None:
    """A frame's display matrix; None where it has none of its own."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return None
    a, b, _, c, d, *_ = np.frombuffer(bytes(matrix), np.int32).tolist()
    across, down = math.hypot(a, c) or 1.0, math.hypot(b, d) or 1.0
    return a / across, b / down, c / across, d / down


def transposes(matrix: Matrix) -> bool:
    """Whether rows become columns where a frame is set upright."""
    a, _, _, d = matrix
    return max(abs(a), abs(d)) < STRAIGHT


def upright(matrix: Matrix) -> list[tuple[str, str]]:
    """FFmpeg's filters, by name and options, that show a frame as its display matrix says."""
    a, b, c, d = matrix
    if transposes(matrix):
        kind = {(True, True): "cclock_flip", (True, False): "clock", (False, True): "cclock"}
        return [("transpose", kind.get((b > 0, c > 0), "clock_flip"))]
    if max(abs(b), abs(c)) < STRAIGHT:
        return [(name, "") for name, mirrored in (("hflip", a < 0), ("vflip", d < 0)) if mirrored]
    return [("rotate", f"{math.atan2(b, a):.6f}")]


def turned(matrix: Matrix) -> str:
    """The turn that `upright` makes, in words; nothing where the frame is upright."""
    a, b, c, d = matrix
    angle, mirrored = round(math.degrees(math.atan2(-b, a))) % 360, a * d - b * c < 0
    flips = {"": "", "hflip": "mirrored left to right", "vflip": "mirrored top to bottom"}
    done = " ".join(name for name, _ in upright(matrix))
    return flips.get(done, f"turned by {angle} degrees{' and mirrored' if mirrored else ''}")


def _scalings(have: Size, want: Size, extra: str) -> list[str]:
    """Options of the scalers from one size to another; shrinking averages over areas."""
    texts = []
    while have != want or not texts:
        # to a multiple of what is wanted, so that the last step averages whole pixels
        height, width = (w * max(1, -(-h // (w * MOST_AT_ONCE))) for h, w in zip(have, want, strict=True))
        way = "area" if height <= have[0] and width <= have[1] else "bicubic"
        texts.append(f"{width}:{height}:flags={way}+accurate_rnd+full_chroma_int+full_chroma_inp{extra}")
        have, extra = (height, width), ""
    return texts


def pixel_aspect(stream: "VideoStream") -> float:
    """Width of a pixel over its height; 1 where the file does not say, or says what cannot be."""
    aspect = float(stream.sample_aspect_ratio or 1)
    return aspect if 0.1 <= aspect <= 10 else 1.0
