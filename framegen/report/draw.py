"""All pictures and videos of a run, made from its model, data and results."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import torch
from matplotlib.figure import Figure
from safetensors import safe_open
from torch import Tensor

from framegen.config.tasks import Sprites
from framegen.data.clips import Data, evenly, to_float
from framegen.evaluation.metrics import numbers, ratio
from framegen.evaluation.references import COPY_LAST, MEAN_FRAME, OPTIMUM
from framegen.evaluation.results import Results
from framegen.machine.errors import UserError
from framegen.machine.progress import say
from framegen.models.nets.moving_memory import MovingMemoryNet
from framegen.models.nets.recurrent import RecurrentNet
from framegen.models.predictor import device_of
from framegen.report import hiding
from framegen.report.clip_films import continued_clip
from framegen.report.continuation import FPS, write_generated
from framegen.report.data_pictures import chosen_clips, moving, sheet
from framegen.report.figures import calibration, curves, network, sine, style
from framegen.report.figures.blend import shares
from framegen.report.figures.comparisons import memory_when_back
from framegen.report.figures.neuron import neuron
from framegen.report.figures.trace import Trace
from framegen.report.traces import is_plain, is_small, trace_of
from framegen.report.writers import write_gif, write_picture
from framegen.runs.checkpoint import RESUME, SHOWN
from framegen.runs.metrics import METRICS
from framegen.runs.run import Run

SHOWN_CLIPS = 20
PANELS_APART = 15
"""Every 15th window of an epoch has a panel, as in the article."""
TRAINING_FPS = 3.0


def draw_run(run: Run, results: Results, missing: bool = False) -> list[Path]:
    """Make every picture that fits the run: in `figures` and, where it can generate, `generated.gif`.

    With `missing` no more than what is not there; then no data is loaded where all is.
    Returns the paths of what was made. A picture that fails is named in one line and stops nothing.
    """
    folder = run.folder / "figures"
    figures: dict[Path, Callable[[], Figure]] = {folder / "loss.png": lambda: _losses(run, results)}
    if len(results.members) > 1:
        figures[folder / "members.png"] = lambda: _members(results)
    if results.closed_loop is not None:
        figures[folder / "horizon.png"] = lambda: _horizon(results)
    if results.closed_loop is not None and "ssim" in results.convention:
        figures[folder / "pictures.png"] = lambda: _pictures(results)
    if (hidden := results.permanence) is not None and hidden.memory:
        figures[folder / "permanence.png"] = lambda: memory_when_back({"model": hidden})
    if hidden is not None and isinstance(run.config.task, Sprites):
        figures[folder / "world.png"] = lambda: hiding.world(run)
        if isinstance(run.model, MovingMemoryNet):
            figures[folder / "velocities.png"] = lambda: hiding.velocities(run)
    if results.blend is not None:
        weights = results.blend
        figures[folder / "blend.png"] = lambda: shares(weights)
    if (sure := results.calibration) is not None:
        figures[folder / "calibration.png"] = lambda: calibration.coverage({"": sure})
    if isinstance(model := run.model, RecurrentNet):
        figures[folder / "hidden.png"] = lambda: _trajectories(model, run.data)
    trace = cache(lambda: trace_of(run))
    if is_plain(run.model):
        figures[folder / "neuron.png"] = lambda: neuron(trace(), _settled(trace()))
    if is_small(run.model):
        figures[folder / "spatial.png"] = lambda: network.spatial_view(trace(), _settled(trace()))
        figures[folder / "temporal.png"] = lambda: network.temporal_view(trace())

    def wanted(*paths: Path) -> bool:
        return not missing or not any(path.exists() for path in paths)

    made = [
        path
        for path, figure in figures.items()
        if wanted(path) and could_make(path, lambda f=figure, p=path: style.save(f(), p))
    ]
    if wanted(folder / "data.png"):
        made += _draw_data(run, results)
    video, line = [folder / "filmstrip.png", run.folder / "generated.gif"], [folder / "continuation.png"]
    if results.closed_loop is not None and wanted(video[1], *line):
        outs = line if run.data.carry_state else video
        made += outs if could_make(outs[0], lambda: write_continuations(run, outs)) else []
    return made


def draw_epoch(run: Run, epoch: int, windows: Mapping[int, Tensor]) -> dict[str, Path]:
    """The model as it is after an epoch: a video and a film strip; of a stream the windows as they were
    trained on.

    Args:
        windows: see `framegen.training.loop.Epoch`.

    Returns:
        What was made, by its name in W&B.
    """
    if run.data.carry_state:
        if not _is_signal(run.data):
            return {}
        out = run.folder / "figures" / f"windows-epoch-{epoch:03}.png"
        drawn = could_make(out, lambda: _draw_windows(out, run.data, epoch, windows))
        return {"media/windows": out} if drawn else {}
    if run.data.test_frames is None:
        return {}
    start = run.folder / "media" / f"epoch-{epoch:03}"
    media = {"media/video": start.with_suffix(".gif"), "media/filmstrip": start.with_suffix(".png")}
    drawn = could_make(media["media/video"], lambda: write_continuations(run, list(media.values())))
    return media if drawn else {}


def write_continuations(run: Run, outs: list[Path]) -> None:
    """The first test clip, continued to its end by the model and by the optimum, in each of the files."""
    shown = continued_clip(run, 0)
    outs[0].parent.mkdir(exist_ok=True)
    for out in outs:
        write_generated(out, shown)


def could_make(path: Path, make: Callable[[], object]) -> bool:
    """Whether a picture could be made; what went wrong is said in one line."""
    try:
        make()
    except Exception as error:  # a failed picture must never stop a run
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        say(f"{path}: was not drawn ({reason})", True)
        return False
    return True


def _losses(run: Run, results: Results) -> Figure:
    metrics = run.metrics()

    def curve(rows: Sequence[Mapping[str, float]], name: str) -> curves.Curve:
        if not any(name in row for row in rows):
            raise UserError(f"{run.folder / METRICS}: holds no value of {name}")
        ends = (f"{name}_min", f"{name}_max") if f"{name}_min" in rows[0] else ()
        chosen = [row for row in rows if all(key in row for key in (name, *ends))]
        return curves.Curve(*([row[key] for row in chosen] for key in ("step", name, *ends)))

    training = curve(metrics.steps, "train/loss")
    if results.calibration is not None:
        best = results.one_step.get(OPTIMUM, {}).get("bits")
        known = {} if best is None else {"optimum, test clips": best}
        values = math.prod(run.data.frame_shape)
        return calibration.bits_curves(training, curve(metrics.epochs, "val/bits"), known, values)
    validation = curve(metrics.epochs, "val/mse")
    return curves.loss_curves(
        training, validation, results.validation, len(results.members), run.data.carry_state
    )


def _horizon(results: Results) -> Figure:
    assert results.closed_loop is not None
    loop = results.closed_loop
    references: dict[str, Sequence[float]] = {
        n: numbers(each["mse"]) for n, each in loop.per_horizon.items() if n != "model"
    }
    members = [numbers(each.per_horizon["mse"]) for each in results.members if each.per_horizon is not None]
    return curves.error_over_horizon(members, references, loop.context)


def _pictures(results: Results) -> Figure:
    assert results.closed_loop is not None
    loop = results.closed_loop
    # The mean frame stands still behind one jump, which is all that a figure would show of it.
    shown = {name: each for name, each in loop.per_horizon.items() if name != MEAN_FRAME}
    panels = {
        metric.replace("_", " "): {name: numbers(each[metric]) for name, each in shown.items()}
        for metric in ("ssim", "motion_ratio", "sharpness_ratio")
    }
    return curves.pictures_over_horizon(panels, loop.context)


def _members(results: Results) -> Figure:
    """Every seed's skill, beside the references that come near; without a known optimum, its error over
    copying's, or where nothing moves the error itself."""
    titles = {"one_step": "one step ahead", "closed_loop": "closed loop"}
    ranking = results.by_validation
    marked = {"best": ranking[0].seed, "median": results.median_seed, "worst": ranking[-1].seed}
    order = [member.seed for member in reversed(ranking)]
    metric, label = ("skill", "skill") if results.has_skill else ("mse", "mean squared error")
    copied = [scores[COPY_LAST]["mse"] for scores in results.parts().values()]
    if over_copying := not results.has_skill and all(ratio(1, each) for each in copied):
        label += " over copy last's"
    values: dict[str, dict[int, float]] = {}
    references: dict[str, dict[str, float]] = {}
    for (part, scores), unit in zip(results.parts().items(), copied, strict=True):
        seeds = [member.seed for member in results.members]
        near = [name for name in scores if name.startswith("linear")][-1:]
        near += [OPTIMUM] if results.has_skill else [COPY_LAST]
        of_seeds, levels = results.values(part, metric), [scores[name][metric] for name in near]
        if over_copying:
            of_seeds, levels = ([ratio(each, unit) for each in some] for some in (of_seeds, levels))
        by_seed = dict(zip(seeds, numbers(of_seeds), strict=True))
        values[titles[part]] = {seed: by_seed[seed] for seed in order}
        references[titles[part]] = dict(zip(near, numbers(levels), strict=True))
    return curves.members(values, references, marked, label)


def _draw_windows(out: Path, data: Data, epoch: int, predictions: Mapping[int, Tensor]) -> Path:
    """Input, label and prediction of windows of an epoch."""
    count = len(data.train)
    shown = [n % count for n in predictions if n // count == epoch - 1 and n % count % PANELS_APART == 0]
    inputs, labels = data.train.batch(torch.tensor(shown))  # (windows, T, 1, 1, 1)
    made = torch.cat([predictions[(epoch - 1) * count + window] for window in shown])
    return style.save(sine.sine_windows(inputs.flatten(1), labels.flatten(1), made.flatten(1), shown), out)


def animate_training(out: Path, run: Run, epochs: int) -> None:
    """Windows of the first epoch, and a few of the last one, as they were trained on."""
    with safe_open(run.folder / RESUME, "pt") as file:
        names = [name for name in file.keys() if name.startswith(SHOWN)]  # noqa: SIM118
        predictions = {int(name.removeprefix(SHOWN)): file.get_tensor(name).flatten() for name in names}
    if not predictions:
        raise UserError(f"{run.folder / RESUME}: holds no windows")
    count, every = len(run.data.train), sorted(predictions)
    early, late = ([n for n in every if (n < count) == first] for first in (True, False))
    chosen = [some[k] for some, most in ((early, 25), (late, 5)) if some for k in evenly(len(some), most)]
    inputs, labels = (each.flatten(1) for each in run.data.train.batch(slice(0, count)))
    pictures = sine.training_pictures(inputs, labels, {n: predictions[n] for n in chosen}, epochs)
    write_gif(out, pictures, TRAINING_FPS, of_lines=True)


def _draw_clips(run: Run, still: Path, animation: Path) -> None:
    """Training clips side by side, moving and still."""
    shown = chosen_clips(run.data, run.config.task.next_frame)
    total, value_range = len(run.data.train), run.config.task.value_range
    still.parent.mkdir(exist_ok=True)
    write_gif(animation, moving(*shown, total, value_range), FPS)
    write_picture(still, sheet(*shown, total, value_range))


def _draw_data(run: Run, results: Results) -> list[Path]:
    """The data: clips side by side; or of samples the first window, and how the training went through them.
    What is made last is there only where nothing is missing."""
    folder = run.folder / "figures"
    still, animation, training = (folder / name for name in ("data.png", "data.gif", "training.gif"))
    if not _is_signal(run.data):
        return [still, animation] if could_make(still, lambda: _draw_clips(run, still, animation)) else []
    epochs = (results.training and results.training.epochs) or run.config.training.epochs
    inputs, labels = (each.flatten() for each in run.data.train.batch(slice(0, 1)))
    figure = sine.first_window(inputs, labels, run.config.task.next_frame)
    made = {
        training: lambda: animate_training(training, run, epochs),
        still: lambda: style.save(figure, still),
    }
    return [path for path, make in made.items() if could_make(path, make)]


def _is_signal(data: Data) -> bool:
    """Whether it is one stream of samples, gone through in windows."""
    return data.carry_state and data.frame_shape == (1, 1, 1)


def _settled(trace: Trace) -> int:
    """A step, from 1, by which the net knows what the clip shows."""
    return min(10, len(trace.inputs))


@torch.inference_mode()
def _trajectories(model: RecurrentNet, data: Data) -> Figure:
    """The hidden states on some test clips, or on three windows of a stream."""
    kinds = {} if data.carry_state else {name: which[:SHOWN_CLIPS] for name, which in data.kinds.items()}
    if data.test_frames is not None and not data.carry_state:
        frames = to_float(data.test_frames[:SHOWN_CLIPS])
    else:
        frames, _ = data.train.batch(slice(0, 3))
        frames = frames.flatten(0, 1)[None] if data.carry_state else frames
    hidden = model.hidden_states(frames.to(device_of(model))).cpu()
    return curves.hidden_trajectories(hidden, kinds, "sample" if _is_signal(data) else "frame")
