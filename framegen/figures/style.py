"""One look for all figures: colour-blind-safe (Okabe and Ito), on opaque white, so they read on any page."""

import io
from pathlib import Path

from matplotlib.figure import Figure

from framegen.files import write_bytes

BLUE, ORANGE, GREEN, RED, GREY, BLACK = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#7F7F7F", "#000000"
PROMPT, MODEL, OPTIMUM, TRUTH = BLUE, RED, GREEN, BLACK
DPI = 150


def new_figure(width: float, height: float, constrained: bool = True) -> Figure:
    """An empty figure, in inches. No pyplot: nothing global is touched, and no window is ever asked for."""
    return Figure(figsize=(width, height), layout="constrained" if constrained else None, facecolor="white")


def save(figure: Figure, path: Path) -> Path:
    """Write a PNG, whole or not at all."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=DPI, format="png")
    write_bytes(path, buffer.getvalue())
    return path
