"""Let a run's model generate."""

import os
import sys
from pathlib import Path

import torch
from torch import Tensor

from framegen.config.checks import MAX_SEED, check, check_range, check_type
from framegen.config.models import Model, MotionFilter
from framegen.config.options import Look
from framegen.config.tasks import Orbit
from framegen.data.clips import to_float
from framegen.data.films.prompt import MAX_PROMPT_FRAMES, frame_rate, is_video, played_again, read_prompt
from framegen.data.loading import load_data
from framegen.evaluation.references import optimal_predictor
from framegen.machine.errors import OptionError, UserError
from framegen.machine.files import make_parents
from framegen.machine.plugins import command
from framegen.machine.progress import counted, say
from framegen.models.kernels import fused
from framegen.models.nets.recall import MEMORY, TRUSTED_AFTER
from framegen.models.predictor import Predictor
from framegen.models.rollout import continuation, rollout
from framegen.report.continuation import ENDINGS, FPS, Continuation, write_generated
from framegen.report.writers import FPS_RANGE, playable, refusal
from framegen.runs import checkpoint
from framegen.runs.checkpoint import Checkpoint
from framegen.runs.folder import CONFIG, Named, data_of, find

FRAMES, MAX_FRAMES = 40, 10_000_000
MAX_FUTURES, MAX_TEMPERATURE = 64, 100


def generate(
    run: Named,
    num_frames: int | None,
    out: Path | str,
    prompt: Path | str | None = None,
    clip: int | None = None,
    context: int | None = None,
    fps: float | None = None,
    device: str = "auto",
    seed: int | None = None,
    force: bool = False,
    seconds: float | None = None,
    look: Look = "compare",
    scale: int | None = None,
    sample: bool = False,
    temperature: float | None = None,
    futures: int | None = None,
    sample_seed: int | None = None,
    strict: bool = False,
    runs_dir: Path | str = "runs",
) -> Path:
    """Let a run's model continue a prompt and write what it generates, as the ending of `out` says.

    Args:
        run: the run folder, or its name in `runs_dir`; with a `prompt`, a checkpoint file alone is enough.
        num_frames: frames to generate, at least 1; None takes `seconds`, or 40.
        out: a file ending in .gif, .mp4, .webm, .webp, .png (film strip) or .npy, (T, C, H, W) or with
            `futures` (T, futures, C, H, W); a name without ending is a folder of PNG.
        prompt: a video, picture, folder of pictures or array (see `read_prompt`); None takes a test clip.

    The others are the options of `framegen generate`, and mean what its --help says. Returns `out`.

    Raises:
        UserError: the run, prompt or output cannot be used; OptionError: a number cannot work.
        `framegen.machine.files.Taken`: something came to be at `out` meanwhile; what was made is beside it.
    """
    run, out, prompt = find(run, runs_dir), Path(out), None if prompt is None else Path(prompt)
    check_output(out, prompt, force)
    _check(prompt, clip, strict, out, look, scale)
    _check_drawing(sample, temperature, futures, sample_seed)
    fps = _rate(fps, prompt)
    num_frames = _length(num_frames, seconds, playable(fps, out.suffix.lower()))
    check_range("context", context, 1, MAX_PROMPT_FRAMES, " frames to go on from")
    saved = _load(run)
    model, best = _model(run, saved, seed, device, sample), None
    if prompt is None:
        frames, context, best = _test_clip(run, saved, clip or 0, context)
    else:
        frames, context = _from_file(prompt, saved, context, num_frames, strict)
    given = f"the prompt {prompt or f'--clip {clip or 0}'}"
    check(len(frames) >= context, f"--context {context}: {given} has only {len(frames)} frames")
    shown, truth = frames[:context], frames[context : context + num_frames]
    if sample:
        clips, generator = shown.expand(futures or 1, *shown.shape), torch.Generator()
        drawn = rollout(model, clips, num_frames, generator.manual_seed(sample_seed or 0), temperature or 1.0)
        generated = drawn if futures else (frame[0] for frame in drawn)
    else:
        generated = continuation(model, shown, num_frames)
    generated = counted(generated, num_frames, "generating")
    task, forecast = saved.config.task, best and continuation(best, shown, num_frames)
    told = truth if len(truth) else None, forecast, not sample, futures, isinstance(task, Orbit)
    continued = Continuation(shown, generated, num_frames, task.value_range, *told)
    make_parents(out)
    return write_generated(out, continued, fps, look == "clean", scale, exclusive=not force)


def _check_drawing(
    sample: bool, temperature: float | None, futures: int | None, sample_seed: int | None
) -> None:
    """Raises OptionError where frames cannot be drawn like this."""
    given = {"--temperature": temperature, "--futures": futures, "--sample-seed": sample_seed}
    for name, value in given.items():
        unused = f"{name} {value}: says how frames are drawn; --sample draws them"
        check(value is None or sample, unused)
    hot = f"--temperature {temperature}: must lie above 0, and at {MAX_TEMPERATURE} or below"
    check(temperature is None or 0 < temperature <= MAX_TEMPERATURE, hot)
    check_range("futures", futures, 1, MAX_FUTURES)
    check_range("sample_seed", sample_seed, 0, MAX_SEED)


def _rate(fps: float | None, prompt: Path | None) -> float:
    """Frames a second: what is asked for, else the prompt's own where it can be played."""
    low, high = FPS_RANGE
    if fps is None:
        own = None if prompt is None else frame_rate(prompt)
        return own if own is not None and low <= own <= high else FPS
    check(low <= fps <= high, f"--fps {fps:g}: must lie between {low:g} and {high:g}")
    return fps


def _length(num_frames: int | None, seconds: float | None, fps: float) -> int:
    if seconds is None:
        num_frames = FRAMES if num_frames is None else num_frames
        check_range("num_frames", num_frames, 1, MAX_FRAMES)
        return num_frames
    both = f"--seconds {seconds:g}: cannot be combined with --num-frames {num_frames}"
    check(num_frames is None, both)
    ends = f"{1 / fps:.2g} and {MAX_FRAMES / fps:.2g} at {fps:.4g} frames a second"
    check(0.5 < seconds * fps < MAX_FRAMES, f"--seconds {seconds:g}: must lie between {ends}")
    return round(seconds * fps)


def _check(
    prompt: Path | None, clip: int | None, strict: bool, out: Path, look: Look, scale: int | None
) -> None:
    """Raises OptionError where options contradict each other."""
    both = f"--clip {clip}: is given beside --prompt {prompt}; give one of the two"
    check(prompt is None or clip is None, both)
    check(not strict or prompt is not None, "--strict: is about a --prompt; name one")
    check_type("look", look, Look)
    ending, strip = out.suffix.lower(), f"--look clean: {out} would be a film strip, which has labels"
    check(ending != ".png" or look != "clean", f"{strip}; a name without ending makes a folder of PNG")
    kept = f"--scale {scale}: {out} is not enlarged; videos and folders of PNG are"
    check(ending not in (".png", ".npy") or scale is None, kept)
    check(scale is None or scale >= 1, f"--scale {scale}: must be at least 1")


def check_output(out: Path, prompt: Path | None, force: bool) -> None:
    """Raises OptionError where writing `out` would cost a file that nobody gave up."""
    if out.suffix.lower() not in ENDINGS:
        known = ", ".join(ending for ending in ENDINGS if ending)
        raise OptionError(f"--out {out}: the ending says what to write: {known}, or none for a folder of PNG")
    if prompt is not None and os.path.realpath(out) in map(os.path.realpath, _files(prompt)):
        raise OptionError(f"--out {out}: is the prompt itself; choose another name")
    if reason := refusal(out, force):
        raise OptionError(f"--out {out}: {reason}")


def _files(prompt: Path) -> list[Path]:
    """A prompt's files: itself, what lies in its folder, and the folders that it lies in."""
    try:
        inside = prompt.iterdir() if prompt.is_dir() else ()
        return [prompt, *inside, *prompt.resolve().parents]
    except OSError:  # reading it will say why
        return [prompt]


def _load(run: Path) -> Checkpoint:
    """The models of a run that can continue a prompt."""
    ours = CONFIG, f"*/{CONFIG}", checkpoint.CHECKPOINT
    if is_video(run) and not any(any(run.glob(name)) for name in ours):
        first = f"{run}: is a video; the run comes first, the video after --prompt"
        raise OptionError(f"{first}: {command('generate', 'RUN', '--prompt', run)}")
    saved = checkpoint.load(run)
    if not saved.config.task.next_frame:
        lagged = "its model predicts a lagged value, not the next frame"
        raise UserError(f"{run}: {lagged}, so it cannot run on from a prompt")
    return saved


def _model(run: Path, saved: Checkpoint, seed: int | None, device: str, sample: bool) -> Predictor:
    """The member that is asked for, where it is to compute."""
    seed, seeds = saved.shown if seed is None else seed, ", ".join(map(str, saved.models))
    check(seed in saved.models, f"--seed {seed}: {run} has no such member; its seeds are {seeds}")
    member = saved.models[seed]
    way_out = f"framegen train {saved.config.experiment} --density 4 trains one that says more"
    check(member.has_density or not sample, f"--sample: the model of {run} says its mean alone; {way_out}")
    engine = saved.config.training.engine
    return fused.compiled(member.to(fused.device_for(member, engine, device)), engine)


def _from_file(
    prompt: Path, saved: Checkpoint, context: int | None, num_frames: int, strict: bool
) -> tuple[Tensor, int]:
    """A user's video (T, C, H, W), and how many of its frames are the prompt. Says what was read."""
    say(f"reading {prompt}", sys.stderr.isatty())
    value_range = saved.config.task.value_range
    read = read_prompt(prompt, saved.frame_shape, value_range, context, num_frames, strict=strict)
    for note in read.notes:
        say(note, True)
    frames = read.frames if context else as_it_plays(saved.config.model, prompt, read.frames)
    say(f"it begins again where it ends: {len(frames)} frames", len(frames) > len(read.frames))
    return frames, context or len(frames)


def as_it_plays(model: Model, film: Path, frames: Tensor) -> Tensor:
    """All frames of a file, (T, C, H, W); a loop comes again until a model that remembers must notice it."""
    if not isinstance(model, MotionFilter) or len(frames) > MEMORY:
        return frames
    return played_again(film, frames, TRUSTED_AFTER)


def _test_clip(
    run: Path, saved: Checkpoint, index: int, context: int | None
) -> tuple[Tensor, int, Predictor | None]:
    """A test clip (T, C, H, W), how many of its frames are the prompt, and its best predictor if known."""
    alone = f"{run}: is a checkpoint alone, without test clips; give it a --prompt to continue"
    check(run.is_dir(), alone)
    data = load_data(saved.config.task, data_of(run))
    clips = data.test_frames
    if clips is None:
        raise OptionError(f"{run}: its task has no test clips to continue; give it a --prompt")
    check(0 <= index < len(clips), f"--clip {index}: the test clips are numbered 0 to {len(clips) - 1}")
    return to_float(clips[index]), context or data.context, optimal_predictor(saved.config.task, data)
