"""Small films of every kind, made with FFmpeg."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from framegen.data.films.frames import read_frames
from framegen.data.films.pictures import Incomplete

Pictures = np.ndarray[Any, np.dtype[np.uint8]]


def shades(count: int, size: tuple[int, int] = (32, 48), low: int = 10, high: int = 240) -> Pictures:
    """Frames (T, H, W, 3) that are told apart by their brightness alone."""
    levels = np.linspace(low, high, count).round().astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (count, *size, 3)).copy()


def numbers(frames: Sequence[Pictures], count: int, low: int = 10, high: int = 240) -> list[int]:
    """Which of `shades(count)` each frame is."""
    return [round((float(frame.mean()) - low) / (high - low) * (count - 1)) for frame in frames]


def scene(seed: int, count: int, size: tuple[int, int] = (36, 64), speed: int = 1) -> Pictures:
    """A camera that moves over a random landscape, (T, H, W, 3)."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (max(2, size[0] // 12), max(2, size[1] // 3), 3), np.uint8)
    land = np.asarray(Image.fromarray(coarse).resize((4 * size[1], size[0]), Image.Resampling.BICUBIC))
    return np.stack([np.roll(land, -speed * t, 1)[:, : size[1]] for t in range(count)]).astype(np.uint8)


def encode(
    path: Path,
    pictures: Pictures,
    rate: float = 10,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    times: Sequence[float] | None = None,
    options: Mapping[str, str] | None = None,
    settings: Mapping[str, Any] | None = None,
    source: str = "rgb24",
) -> Path:
    """Write a film whose frames are shown at `times`, seconds; None: at the rate.

    Args:
        options: of the encoder.
        settings: attributes of the stream's codec context, such as color_range.
        source: what the pictures are: rgb24, rgba, gray, yuv444p10le, …
    """
    lossless = {"crf": "4", "preset": "ultrafast"} if codec == "libx264" else {}
    with av.open(path, "w") as container:
        stream = container.add_stream(
            codec, rate=Fraction(rate).limit_denominator(1000), options={**lossless, **(options or {})}
        )
        assert isinstance(stream, av.VideoStream)
        planar = source.startswith("yuv")
        stream.height, stream.width = pictures.shape[2:4] if planar else pictures.shape[1:3]
        stream.pix_fmt = pix_fmt
        for name, value in (settings or {}).items():
            setattr(stream.codec_context, name, value)
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 90_000)
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), source)
            if times is not None:
                frame.pts, frame.time_base = round(times[index] * 90_000), Fraction(1, 90_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def read_with_fault(path: Path, size: tuple[int, int] = (8, 8)) -> tuple[list[Pictures], str]:
    """All frames of a film that can be read, and what is said of the rest, "" where nothing is missing."""
    frames = []
    try:
        for frame in read_frames(path, size, complete=True):
            frames.append(frame)
    except Incomplete as error:
        return frames, str(error)
    return frames, ""
