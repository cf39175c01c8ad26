"""Some test clips as films, to be set side by side: the truth, what is generated, and the error."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from framegen.data.clips import evenly, to_float
from framegen.evaluation.references import OPTIMUM
from framegen.models.rollout import generate
from framegen.report.continuation import CLEAN, FPS, Continuation, to_picture
from framegen.report.writers import write_film
from framegen.runs.run import Run

SHOWN = 4
"""Test clips, evenly spread."""


@dataclass(frozen=True)
class ClipFilms:
    """A test clip that the model continued."""

    number: int
    """Among the test clips."""
    mse: float
    """The mse of the generated frames."""
    films: dict[str, Path]
    """By "truth", "generated", "error" and, where it is known, "optimum": MP4, prompt and generated frames;
    the error of the prompt is black."""


def continued_clip(run: Run, number: int, error: bool = False) -> Continuation:
    """A test clip, continued to its end by the run's model and, where it is known, by the optimum."""
    data, value_range = run.data, run.config.task.value_range
    assert data.test_frames is not None
    clip = to_float(data.test_frames[number])
    prompt, truth = clip[: data.context], clip[data.context :]
    generated, optimum = generate(run.model, prompt, len(truth)), run.references.get(OPTIMUM)
    best = None if optimum is None else generate(optimum, prompt, len(truth))
    return Continuation(prompt, generated, len(truth), value_range, truth, best, error)


def write_clip_films(run: Run, folder: Path) -> list[ClipFilms]:
    """Let a run's model continue some test clips, and write each row of what `Continuation` shows as a film
    of its own."""
    data, value_range = run.data, run.config.task.value_range
    assert data.test_frames is not None
    folder.mkdir(exist_ok=True)
    made = []
    for number in evenly(len(data.test_frames), SHOWN).tolist():
        shown = continued_clip(run, number, error=True)
        rows: dict[str, list[Tensor]] = {}
        for frames in shown.frames():
            for name, frame in frames.items():
                assert frame is not None, "a test clip has its truth"
                rows.setdefault(name, []).append(frame)
        films = {name: folder / f"clip-{number:04}-{name}.mp4" for name in rows}
        for name, frames in rows.items():
            write_film(films[name], (to_picture(frame, value_range, CLEAN) for frame in frames), FPS)
        made_on, truth = (torch.stack(rows[name][-shown.num_frames :]) for name in ("generated", "truth"))
        made.append(ClipFilms(number, (made_on - truth).square().mean().item(), films))
    return made
