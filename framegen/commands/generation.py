"""Let a run's model generate."""

import sys
from pathlib import Path

from torch import Tensor

from framegen.data import load_data
from framegen.data.clips import to_float
from framegen.data.video import read_frames
from framegen.errors import OptionError, UserError
from framegen.evaluation.references import optimal_predictor
from framegen.models import fused
from framegen.models.device import choose_device
from framegen.models.rollout import rollout
from framegen.progress import counted, say
from framegen.report import video
from framegen.runs import checkpoint
from framegen.runs.folder import read_config

MAX_FRAMES = 10_000_000


def generate_run(
    run: Path,
    num_frames: int,
    out: Path,
    prompt: Path | None = None,
    clip: int = 0,
    context: int | None = None,
    fps: float = video.FPS,
    device: str = "auto",
    seed: int | None = None,
) -> Path:
    """Let a run's model continue a prompt and write what it generates, as the ending of `out` says.

    Args:
        run: the run folder; with a `prompt`, a checkpoint file alone is enough.
        num_frames: frames to generate, at least 1.
        out: a file ending in .gif, .mp4, .png (film strip) or .npy.
        prompt: a video, picture, folder of pictures or array (see `read_frames`); None takes a test clip.
        clip: which test clip, where `prompt` is None.
        context: how many frames of the prompt the model is shown; what follows them is shown as the truth. None: all
            of a file, and of a test clip as many as evaluation uses.
        fps: frames a second of .gif and .mp4.
        seed: which member of a population; None takes the median one.

    Returns:
        `out`.

    Raises:
        UserError: the run, prompt or output cannot be used; OptionError: a number cannot work.
    """
    if not 1 <= num_frames <= MAX_FRAMES:
        raise OptionError(f"--frames {num_frames}: lies between 1 and {MAX_FRAMES}")
    if out.suffix.lower() not in video.ENDINGS:
        raise OptionError(f"--out {out}: the ending says what to write: {', '.join(video.ENDINGS)}")
    if context is not None and context < 1:
        raise OptionError(f"--context {context}: a model needs at least 1 frame to go on from")
    if not 1 <= fps <= 50:
        raise OptionError(f"--fps {fps:g}: lies between 1 and 50")
    saved = checkpoint.load(run)
    task = saved.config.task
    if not task.next_frame:
        raise UserError(
            f"{run}: its model predicts a lagged value, not the next frame, so it cannot run on from a prompt"
        )
    if seed is not None and seed not in saved.models:
        raise OptionError(
            f"--seed {seed}: {run} has no such member; its seeds are {', '.join(map(str, saved.models))}"
        )
    member = saved.models[saved.shown if seed is None else seed]
    chosen = choose_device(device)
    fast = fused.compiled(member, saved.config.training.engine) if device in ("auto", "cpu") else member
    model = fast.to(chosen)  # compiled, it stays on the CPU, where it is faster than any device
    if prompt is None:
        if not run.is_dir():
            raise OptionError(
                f"{run}: is a checkpoint alone, which knows no test clips; give it a --prompt to continue"
            )
        data = load_data(task, read_config(run).data_dir)
        assert data.test_frames is not None
        frames = _test_clip(data.test_frames, clip)
        context = context or data.context
    else:
        limit = None if context is None else context + num_frames
        say(f"reading {prompt}", sys.stderr.isatty())
        frames = read_frames(prompt, saved.frame_shape, task.value_range, limit)
        context = context or len(frames)
    if len(frames) < context:
        raise OptionError(
            f"--context {context}: the prompt {prompt or f'--clip {clip}'} has only {len(frames)} frames"
        )
    shown, truth = frames[:context], frames[context : context + num_frames]
    frames_made = counted(rollout(model, shown[None], num_frames), num_frames, "generating")
    generated = (frame[0] for frame in frames_made)
    optimum = None
    if prompt is None and out.suffix.lower() != ".npy":
        best = optimal_predictor(task)
        optimum = best and (frame[0] for frame in rollout(best, shown[None], num_frames))
    return video.write_generated(
        out, shown, generated, num_frames, task.value_range, truth if len(truth) else None, optimum, fps
    )


def _test_clip(clips: Tensor, index: int) -> Tensor:
    if not 0 <= index < len(clips):
        raise OptionError(f"--clip {index}: the test clips are numbered 0 to {len(clips) - 1}")
    return to_float(clips[index])
