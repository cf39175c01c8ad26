"""Data sets of films: bring them in, list them, look at one."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import suppress
from filecmp import cmp
from pathlib import Path
from typing import Any

import numpy as np

from framegen.config.tasks import SPLITS
from framegen.data.clips import evenly
from framegen.data.films import dataset
from framegen.data.films.facts import Facts, probe
from framegen.data.films.frames import USUAL_RATE, read_frames
from framegen.data.films.importing import check_size
from framegen.data.films.pictures import Array, Incomplete, frame_size
from framegen.data.films.shots import shot_starts
from framegen.data.films.sources import find_films
from framegen.machine.errors import UserError
from framegen.machine.files import Taken, make_parents, numbered
from framegen.machine.progress import answer, count_of, counted, duration
from framegen.report.data_pictures import contact_sheet, side_by_side
from framegen.report.writers import write_gif, write_picture

SHEET, GIF = "sheet.png", "clips.gif"
ROWS, COLUMNS = 12, 10
"""A contact sheet's shots, and frames of each."""
TILES, SECONDS = 9, 4.0
"""A GIF's shots, which run side by side, and their seconds."""
LISTED = 20
"""Shots of a film whose lengths are told."""
SAMPLED = 2000
"""Frames that statistics are taken over, evenly spread."""
LOOKED_AT = 5000
"""Frames of a film in which shots are looked for: to go through a whole one may take long."""


def show(what: str, data_dir: Path, size: int = 64, out: Path | None = None) -> tuple[list[str], list[Path]]:
    """Look at a data set by its name, or at a film: what there is to say, and the pictures that were made.

    Args:
        size: the longer side at which a film is shown, in pixels.
        out: folder for the pictures, numbered where others are; None: the data set's, of a film `data_dir`.

    Raises UserError where it is neither, or cannot be read.
    """
    if (data_dir / what / dataset.MANIFEST).is_file():
        return _show_dataset(dataset.find_dataset(what, data_dir), out)
    path = Path(what)
    if not path.exists():
        raise dataset.unknown(f"{what}: no such file, and", data_dir)
    if path.is_dir() and (inside := [film.path for film in find_films([path])]) != [path]:
        raise UserError(f"{path}: is a folder of films; name one of them, such as {inside[0]}")
    return _show_film(path, size, out or data_dir)


def print_shown(shown: tuple[list[str], list[Path]], **_: Any) -> None:
    """Print the result of `show`."""
    lines, pictures = shown
    answer(*lines, *pictures)


def _show_dataset(folder: Path, out: Path | None) -> tuple[list[str], list[Path]]:
    manifest = dataset.read_manifest(folder)
    arrays = {split: dataset.frames_of(dataset.open_split(folder, manifest, split)) for split in SPLITS}
    shots = [manifest.shots[index] for index in evenly(len(manifest.shots), ROWS)]
    rows = {}
    for shot in shots:
        chosen = evenly(shot.frames, COLUMNS).tolist()
        label = f"{shot.split}  {shot.source}  {dataset.clock(shot.time)} + {shot.frames / shot.fps:.1f} s"
        rows[f"{label}  ({shot.frames} frames)"] = [arrays[shot.split][shot.row + index] for index in chosen]
    fps = float(np.median([shot.fps for shot in manifest.shots]))
    clips = [arrays[shot.split][shot.row : shot.row + shot.frames] for shot in shots[:TILES]]
    own = out is None  # the data set's own pictures are replaced
    out = out or folder
    make_parents(out / SHEET)
    sheet, moving = contact_sheet(rows), side_by_side(clips, min(round(SECONDS * fps), max(map(len, clips))))
    made = [
        _new(out / SHEET, lambda path: write_picture(path, sheet, exclusive=not own)),
        _new(out / GIF, lambda path: write_gif(path, moving, min(fps, 50), exclusive=not own)),
    ]
    skipped = [f"not read: {each.reason}" for each in manifest.skipped]
    return [*_statistics(manifest, arrays), *skipped], made


def _new(path: Path, write: Callable[[Path], object]) -> Path:
    """Write a picture; where another lies there, under the first numbered name that is free or holds it."""
    try:
        write(path)
    except Taken as taken:
        kept = taken.kept
        earlier = itertools.takewhile(lambda each: each != kept, numbered(path))
        if same := next((each for each in earlier if each.is_file() and cmp(each, kept, False)), None):
            kept.unlink()
        return same or kept
    return path


def _statistics(manifest: dataset.Manifest, arrays: dict[str, Array]) -> list[str]:
    lines = [dataset.describe(manifest)]
    for split in SPLITS:
        shots = manifest.of(split)
        films, seconds = len({shot.sha256 for shot in shots}), sum(shot.frames / shot.fps for shot in shots)
        brightness, motion = _measure(arrays[split], shots)
        held = f"{count_of(len(shots), 'shot')}, {count_of(len(arrays[split]), 'frame')}, {duration(seconds)}"
        shown = f"brightness {brightness:.3f}, median motion {motion:.4f}"
        lines.append(f"{split:<5} {count_of(films, 'film')}, {held}; {shown}")
    note = "brightness: mean pixel in [0, 1]; motion: mean change of a pixel from one frame to the next"
    return [*lines, note]


def _measure(frames: Array, shots: list[dataset.Shot]) -> tuple[float, float]:
    """Mean brightness, and the median over frames of a pixel's mean absolute change; both in [0, 1]."""
    pairs = np.concatenate([np.arange(shot.row, shot.row + shot.frames - 1) for shot in shots])
    if len(pairs) == 0:
        return float(frames.mean()) / 255, float("nan")
    chosen = pairs[evenly(len(pairs), SAMPLED).numpy()]
    means, changes = [], []
    for row in chosen:
        one, other = frames[row : row + 2].astype(np.float32) / 255
        means.append(one.mean())
        changes.append(np.abs(other - one).mean())
    return float(np.mean(means)), float(np.median(changes))


def _show_film(path: Path, size: int, out: Path) -> tuple[list[str], list[Path]]:
    check_size(size)
    facts = probe(path)
    shape = frame_size((facts.height, facts.width), size)
    frames = _samples(path, facts, shape)
    label = f"{path.name}  {facts.width}x{facts.height}, at {shape[1]}x{shape[0]}"
    rows = {
        label if first == 0 else f"{label} ({first + 1} on)": frames[first : first + COLUMNS]
        for first in range(0, len(frames), COLUMNS)
    }
    pace = f" at {facts.fps:.4g} a second" if facts.fps else ""
    length = f", {facts.seconds:.1f} s" if facts.seconds else ""
    count = f", {count_of(facts.frames, 'frame')}" if facts.frames else ""
    said = f"{path}: {facts.width}x{facts.height}{pace}{length}{count}{', with sound' if facts.audio else ''}"
    sheet, wanted = contact_sheet(rows), out / f"{path.stem}-sheet.png"
    make_parents(wanted)
    made = _new(wanted, lambda out: write_picture(out, sheet, exclusive=True))
    return [said, *_shots(path, facts, shape), *facts.notes], [made]


def _shots(path: Path, facts: Facts, shape: tuple[int, int]) -> list[str]:
    """The shots that an import of the film would find, their frames, and what cannot be read."""
    count, faults = 0, []

    def passing() -> Iterator[Array]:
        nonlocal count
        frames = itertools.islice(read_frames(path, shape, complete=True), LOOKED_AT)
        total = min(facts.frames or LOOKED_AT, LOOKED_AT)
        try:
            for frame in counted(frames, total, "looking for cuts"):
                count += 1
                yield frame
        except Incomplete as error:
            faults.append(str(error))

    starts = list(shot_starts(passing()))
    lengths = [str(end - start) for start, end in itertools.pairwise([*starts, count])]
    listed = ", ".join([*lengths[:LISTED], "…"] if len(lengths) > LISTED else lengths)
    where = f" in the first {LOOKED_AT} frames" if count == LOOKED_AT else ""
    return [f"{count_of(len(starts), 'shot')} found{where}; frames of each: {listed}", *faults]


def _samples(path: Path, facts: Facts, shape: tuple[int, int]) -> list[Array]:
    """Frames (C, H, W) from all over a film, each looked for where it lies, as far as it can be read."""
    frames: list[Array] = []
    if facts.fps and facts.seconds and facts.fps * facts.seconds > 2 * COLUMNS:
        starts = np.linspace(0, facts.seconds * 0.99, 2 * COLUMNS)
        reading = (itertools.islice(read_frames(path, shape, start=float(start)), 1) for start in starts)
    else:
        every = max(1, (facts.frames or 2 * COLUMNS) // (2 * COLUMNS))
        fps = None if facts.fps else USUAL_RATE
        reading = iter([itertools.islice(read_frames(path, shape, fps=fps), 0, None, every)])
    for part in reading:
        with suppress(Incomplete):  # those before it are kept
            frames += [frame.transpose(2, 0, 1) for frame in part]
    if not frames:
        raise UserError(f"{path}: holds no frames")
    return frames[: 2 * COLUMNS]
