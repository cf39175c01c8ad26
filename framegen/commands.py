"""What the commands do with a finished run: measure it again, draw it, let it generate."""

import json
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from framegen import checkpoint, pictures, runs, video_io
from framegen.config import Config
from framegen.errors import OptionError, UserError
from framegen.evaluate import Results, evaluate, optimal_predictor
from framegen.files import write_text
from framegen.generate import rollout
from framegen.models.predictor import Predictor
from framegen.progress import counted
from framegen.tasks import load_data
from framegen.tasks.clips import Data, to_float
from framegen.train import choose_device, validation_references


@dataclass(frozen=True)
class Run:
    """A run folder, opened: its trained model (on the CPU), config and data."""

    folder: Path
    model: Predictor
    config: Config
    data: Data


def open_run(folder: Path) -> Run:
    """Load a run. Raises UserError where its checkpoint or its data is missing or damaged."""
    saved = checkpoint.load(folder)
    return Run(folder, saved.model, saved.config, load_data(saved.config.task, runs.read_config(folder).data_dir))


def evaluate_run(folder: Path, device: str = "auto") -> Results:
    """Measure a run's model and every baseline on the test clips; see `evaluate.evaluate` for what is returned.

    Writes results.json and the figures anew.
    """
    run = open_run(folder)
    target = choose_device(device)
    results = evaluate(run.model.to(target), run.config.task, run.data, target)
    results["validation"] = validation_references(run.config, run.data)
    results["training"] = _read_results(folder).get("training", {})
    write_text(folder / "results.json", json.dumps(results, indent=2))
    pictures.draw_run(folder, run.model.cpu(), run.config, run.data, results)
    return results


def draw_run(folder: Path) -> list[Path]:
    """Make a run's figures anew from its files; returns their paths."""
    run = open_run(folder)
    results = _read_results(folder) or evaluate_run(folder)
    return pictures.draw_run(folder, run.model, run.config, run.data, results)


def _read_results(folder: Path) -> Results:
    path = folder / "results.json"
    try:
        return json.loads(path.read_text()) if path.exists() else {}
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error}); delete it and `framegen evaluate` makes it anew") from error


def generate_run(
    run: Path,
    num_frames: int,
    out: Path,
    prompt: Path | None = None,
    clip: int = 0,
    context: int | None = None,
    fps: float = pictures.FPS,
    device: str = "auto",
) -> Path:
    """Let a run's model continue a prompt and write what it generates, as the ending of `out` says.

    Args:
        run: the run folder; with a `prompt`, a checkpoint file alone is enough.
        num_frames: frames to generate, at least 1.
        out: a file ending in .gif, .mp4, .png (film strip) or .npy.
        prompt: a video, picture, folder of pictures or array (see `video_io.read_frames`); None takes a test clip.
        clip: which test clip, where `prompt` is None.
        context: how many frames of the prompt the model is shown; what follows them is shown as the truth. None: all
            of a file, and of a test clip as many as evaluation uses.
        fps: frames a second of .gif and .mp4.

    Returns:
        `out`.

    Raises:
        UserError: the run, prompt or output cannot be used; OptionError: a number cannot work.
    """
    if num_frames < 1:
        raise OptionError(f"--frames {num_frames}: at least 1 frame must be generated")
    if out.suffix not in pictures.ENDINGS:
        raise OptionError(f"--out {out}: the ending says what to write: {', '.join(pictures.ENDINGS)}")
    if context is not None and context < 1:
        raise OptionError(f"--context {context}: a model needs at least 1 frame to go on from")
    if not 1 <= fps <= 50:
        raise OptionError(f"--fps {fps:g}: lies between 1 and 50")
    saved = checkpoint.load(run)
    task = saved.config.task
    if not task.next_frame:
        raise UserError(f"{run}: its model predicts a lagged value, not the next frame, so it cannot run on from a prompt")
    target = choose_device(device)
    model = saved.model.to(target)
    if prompt is None:
        data = load_data(task, runs.read_config(run).data_dir)
        assert data.test_frames is not None
        frames = _test_clip(data.test_frames, clip)
        context = context or data.context
    else:
        limit = None if context is None else context + num_frames
        frames = video_io.read_frames(prompt, saved.frame_shape, task.value_range, limit)
        context = context or len(frames)
    if len(frames) < context:
        raise OptionError(f"--context {context}: the prompt {prompt or f'--clip {clip}'} has only {len(frames)} frames")
    shown, truth = frames[:context], frames[context : context + num_frames]
    frames_made = counted(rollout(model, shown[None].to(target), num_frames), num_frames, "generating")
    generated = (frame[0].cpu() for frame in frames_made)
    optimum = None
    if prompt is None and out.suffix != ".npy":
        optimum = (frame[0] for frame in rollout(optimal_predictor(task), shown[None], num_frames))
    return pictures.write_generated(
        out, shown, generated, num_frames, task.value_range, truth if len(truth) else None, optimum, fps
    )


def _test_clip(clips: Tensor, index: int) -> Tensor:
    if not 0 <= index < len(clips):
        raise OptionError(f"--clip {index}: the test clips are numbered 0 to {len(clips) - 1}")
    return to_float(clips[index])
