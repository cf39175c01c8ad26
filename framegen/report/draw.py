"""All pictures and videos of a run, made from its model, data and results."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from framegen.data.clips import Data, to_float
from framegen.evaluation.metrics import numbers, ratio
from framegen.evaluation.references import COPY_LAST, MEAN_FRAME, OPTIMUM
from framegen.evaluation.results import Results
from framegen.machine.errors import UserError
from framegen.machine.progress import say
from framegen.models.nets.mingru import MinGRU
from framegen.models.nets.recurrent import FullyConnected, MemorylessNet, RecurrentNet
from framegen.models.predictor import Predictor, device_of
from framegen.report.clip_films import continued_clip
from framegen.report.continuation import to_picture, write_generated
from framegen.report.figures import calibration, curves, network, style
from framegen.report.figures.permanence import error_when_back
from framegen.runs.metrics import METRICS
from framegen.runs.run import Run

SHOWN_CLIPS = 20


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
    if (hidden := results.permanence) is not None:
        figures[folder / "permanence.png"] = lambda: error_when_back({"model": hidden})
    if (sure := results.calibration) is not None:
        figures[folder / "calibration.png"] = lambda: calibration.coverage({"": sure})
    if isinstance(model := run.model, RecurrentNet):
        figures[folder / "hidden.png"] = lambda: _trajectories(model, run.data)
    if _drawable(run.model):
        figures[folder / "spatial.png"] = lambda: _spatial(run)
        figures[folder / "temporal.png"] = lambda: _temporal(run)
    made = [
        path
        for path, figure in figures.items()
        if not (missing and path.exists()) and could_make(path, lambda f=figure, p=path: style.save(f(), p))
    ]
    last = run.folder / "generated.gif", folder / "continuation.png"
    if results.closed_loop is not None and not (missing and any(path.exists() for path in last)):
        video = [folder / "filmstrip.png", last[0]]
        outs = [last[1]] if run.data.carry_state else video
        made += outs if could_make(outs[0], lambda: write_continuations(run, outs)) else []
    return made


def draw_epoch(run: Run, epoch: int, windows: Mapping[int, Tensor]) -> dict[str, Path]:
    """The model as it is after an epoch: a video and a film strip; of a stream the windows as they were
    trained on.

    Args:
        windows: by training window, (1, T, C, H, W), the predictions made when the window was trained on.

    Returns:
        What was made, by its name in W&B.
    """
    if run.data.carry_state:
        out = run.folder / "figures" / f"windows-epoch-{epoch:03}.png"
        drawn = run.data.frame_shape == (1, 1, 1) and could_make(
            out, lambda: _draw_windows(out, run.data, windows)
        )
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
    return curves.loss_curves(training, validation, results.validation, len(results.members))


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


def _draw_windows(out: Path, data: Data, predictions: Mapping[int, Tensor]) -> Path:
    """Input, target and prediction of the windows that were looked at."""
    shown = sorted(predictions)
    inputs, targets = data.train.batch(torch.tensor(shown))  # (windows, T, 1, 1, 1)
    made = torch.cat([predictions[window] for window in shown])
    return style.save(curves.sine_windows(inputs.flatten(1), targets.flatten(1), made.flatten(1), shown), out)


def _shown(data: Data) -> Tensor:
    """The frames on which a net is drawn: some test clips, or three windows of a stream; (B, T, C, H, W)."""
    if data.test_frames is not None and not data.carry_state:
        return to_float(data.test_frames[:SHOWN_CLIPS])
    inputs, _ = data.train.batch(slice(0, 3))
    return inputs.flatten(0, 1)[None] if data.carry_state else inputs


@torch.inference_mode()
def _trajectories(model: RecurrentNet, data: Data) -> Figure:
    frames = _shown(data)
    kinds = {} if data.carry_state else {name: which[:SHOWN_CLIPS] for name, which in data.kinds.items()}
    return curves.hidden_trajectories(model.hidden_states(frames.to(device_of(model))).cpu(), kinds)


def _drawable(model: Predictor) -> bool:
    """Whether the spatial and the temporal view know such a net, and it is small enough to be seen."""
    if not isinstance(model, FullyConnected):
        return False
    layers, head = _weights(model)
    units = (len(head), layers[0].forward.shape[1], *(len(layer.forward) for layer in layers))
    return max(units) <= network.MAX_UNITS


def _spatial(run: Run) -> Figure:
    layers, head = _weights(run.model)
    inputs, predictions = _predicted(run)
    settled = min(10, len(inputs)) - 1  # by then the net knows what the clip shows
    return network.spatial_view(
        layers,
        head,
        _picture(run, inputs[settled]),
        _picture(run, predictions[settled]),
        run.config.task.next_frame,
    )


def _temporal(run: Run) -> Figure:
    layers, head = _weights(run.model)
    inputs, predictions = _predicted(run)
    numbers = [1, 2, 3, len(inputs)] if len(inputs) > 4 else list(range(1, len(inputs) + 1))
    frames, outputs = ([_picture(run, each[n - 1]) for n in numbers] for each in (inputs, predictions))
    return network.temporal_view(layers, head, frames, outputs, numbers, run.config.task.next_frame)


@torch.inference_mode()
def _predicted(run: Run) -> tuple[Tensor, Tensor]:
    """A clip and what the model says of it, (T, C, H, W) each."""
    inputs = _shown(run.data)[:1]
    return inputs[0], run.model(inputs.to(device_of(run.model)))[0][0].cpu()


def _picture(run: Run, frame: Tensor) -> network.Picture:
    return to_picture(frame, run.config.task.value_range, 64)


def _weights(model: Predictor) -> tuple[list[network.Layer], Tensor]:
    """The weights that the drawings show: of a GRU or LSTM, the size over its gates."""
    match model:
        case RecurrentNet(rnn=MinGRU() as rnn):
            folded = [_folded(weight, 2) for weight in rnn.parameters() if weight.dim() == 2]
            # Each unit keeps a share of itself, and knows of no other's past.
            layers = [network.Layer(weight, torch.eye(len(weight)), False) for weight in folded]
            return layers, model.head.weight.detach().cpu()
        case RecurrentNet(rnn=nn.RNNBase() as rnn):
            gates = len(rnn.all_weights[0][0]) // rnn.hidden_size
            layers = [
                network.Layer(_folded(forward, gates), _folded(recurrent, gates), gates == 1)
                for forward, recurrent, *_ in rnn.all_weights
            ]
            return layers, model.head.weight.detach().cpu()
        case MemorylessNet():
            return [
                network.Layer(model.hidden.weight.detach().cpu(), None, True)
            ], model.head.weight.detach().cpu()
        case _:
            raise TypeError(f"no drawing of a {type(model).__name__}")


def _folded(weight: Tensor, gates: int) -> Tensor:
    """(gates * units, inputs) -> (units, inputs)."""
    weight = weight.detach().cpu()
    return weight if gates == 1 else weight.unflatten(0, (gates, -1)).square().sum(0).sqrt()
