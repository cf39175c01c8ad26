"""All pictures and videos of a run, made from its model, data and results."""

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from framegen.data.clips import Data, to_float
from framegen.data.sine import WINDOWS_APART
from framegen.evaluation.scores import Results
from framegen.models.mlp import MemorylessNet
from framegen.models.predictor import Predictor, device_of
from framegen.models.recurrent import RecurrentNet
from framegen.models.rollout import generate
from framegen.report.figures import curves, network, style
from framegen.report.video import enlarge, to_levels, write_generated
from framegen.runs.folder import Run
from framegen.runs.tracking import read_metrics


def write_continuations(run: Run, outs: list[Path]) -> None:
    """The first test clip, continued to its end by the model and by the optimum, in each of the files."""
    assert run.data.test_frames is not None
    clip, context = to_float(run.data.test_frames[0]), run.data.context
    num_frames = len(clip) - context
    prompt, truth = clip[:context], clip[context:]
    generated, optimum = (
        generate(run.model, prompt, num_frames),
        generate(run.references["optimum"], prompt, num_frames),
    )
    for out in outs:
        write_generated(out, prompt, generated, num_frames, run.config.task.value_range, truth, optimum)


def draw_epoch(run: Run, epoch: int, windows: dict[int, Tensor]) -> dict[str, Path]:
    """The model as it is after an epoch: a video and a film strip; of a sine the windows as they were trained on.

    Args:
        windows: by training window, (1, T, C, H, W), the predictions made when the window was trained on.
    """
    if run.data.carry_state:
        return {
            "media/windows": _draw_windows(
                run.folder / "figures" / f"windows-epoch-{epoch:03}.png", run.data, windows
            )
        }
    folder = run.folder / "media"
    media = {
        "media/video": folder / f"epoch-{epoch:03}.gif",
        "media/filmstrip": folder / f"epoch-{epoch:03}.png",
    }
    write_continuations(run, list(media.values()))
    return media


def draw_run(run: Run, results: Results) -> list[Path]:
    """Make every picture that fits the run; returns their paths: `figures` and, where it can generate, `generated.gif`."""
    folder = run.folder / "figures"
    made = [style.save(_losses(run.folder, results), folder / "loss.png")]
    if len(results["members"]) > 1:
        made.append(style.save(_members(results), folder / "members.png"))
    if results["closed_loop"] is not None:
        loop = results["closed_loop"]
        references = {
            name: scores["per_horizon"]["mse"]
            for name, scores in loop["predictors"].items()
            if name != "model"
        }
        members = [member["closed_loop"]["per_horizon"]["mse"] for member in results["members"]]
        made.append(
            style.save(
                curves.error_over_horizon(members, references, loop["context"]), folder / "horizon.png"
            )
        )
        video = [folder / "filmstrip.png", run.folder / "generated.gif"]
        outs = [folder / "continuation.png"] if run.data.carry_state else video
        write_continuations(run, outs)
        made += outs
    if isinstance(run.model, RecurrentNet):
        made.append(style.save(_trajectories(run.model, run.data), folder / "hidden.png"))
    made.extend(_drawings(run))
    return made


def _losses(folder: Path, results: Results) -> Any:
    rows = read_metrics(folder)

    def curve(name: str) -> curves.Curve:
        chosen = [row for row in rows if name in row]
        ends = (f"{name}_min", f"{name}_max") if f"{name}_min" in chosen[0] else ()
        return curves.Curve(*([row[key] for row in chosen] for key in ("step", name, *ends)))

    return curves.loss_curves(
        curve("train/loss"), curve("val/mse"), results["validation"], len(results["members"])
    )


def _members(results: Results) -> Any:
    """Every seed's skill, beside the references that come near."""
    predictors = {"one step ahead": results["one_step"]}
    if results["closed_loop"] is not None:
        predictors["closed loop"] = results["closed_loop"]["predictors"]
    parts = dict(zip(predictors, ("one_step", "closed_loop"), strict=False))
    skills = {
        what: {member["seed"]: member[part]["skill"] for member in results["members"]}
        for what, part in parts.items()
    }
    nearest = [name for name in results["one_step"] if name.startswith("linear")][-1:]
    references = {
        what: {name: each[name]["skill"] for name in [*nearest, "optimum"]}
        for what, each in predictors.items()
    }
    return curves.members(skills, references, results["median_seed"])


def _draw_windows(out: Path, data: Data, predictions: dict[int, Tensor]) -> Path:
    """Input, target and prediction of the windows that were looked at."""
    inputs, targets = data.train.batch(slice(None))  # (windows, T, 1, 1, 1)
    made = torch.full_like(inputs, math.nan)
    for window, prediction in predictions.items():
        made[window] = prediction[0]
    shown = range(0, len(inputs), WINDOWS_APART)
    return style.save(curves.sine_windows(inputs.flatten(1), targets.flatten(1), made.flatten(1), shown), out)


def _shown(data: Data) -> Tensor:
    """The frames on which a net is drawn: 20 test clips, or three windows of a stream; (B, T, C, H, W)."""
    if data.carry_state or data.test_frames is None:
        return to_float(data.train.inputs[:3]).flatten(0, 1)[None]
    return to_float(data.test_frames[:20])


@torch.inference_mode()
def _trajectories(model: RecurrentNet, data: Data) -> Any:
    frames = _shown(data)
    return curves.hidden_trajectories(
        model.hidden_states(frames.to(device_of(model))).cpu(), None if data.carry_state else _turning(frames)
    )


def _turning(frames: Tensor) -> Tensor:
    """Whether the brightness goes round counter-clockwise as drawn (rows downward), (B,) bool."""
    brightness = frames.mean(2) - frames.mean((1, 2, 3, 4))[:, None, None, None]
    height, width = brightness.shape[2:]
    x = (brightness * torch.linspace(-1, 1, width)).sum((2, 3))
    y = -(brightness * torch.linspace(-1, 1, height)[:, None]).sum((2, 3))
    return (x[:, :-1] * y[:, 1:] - x[:, 1:] * y[:, :-1]).sum(1) > 0


@torch.inference_mode()
def _drawings(run: Run) -> list[Path]:
    """The spatial and the temporal view, where the net is small enough to be seen."""
    folder, task = run.folder / "figures", run.config.task
    layers, head = _weights(run.model)
    if (
        max(len(head), layers[0].forward.shape[1], *(len(layer.forward) for layer in layers))
        > network.MAX_UNITS
    ):
        return []
    inputs = _shown(run.data)[:1]
    numbers = [1, 2, 3, inputs.shape[1]] if inputs.shape[1] > 4 else list(range(1, inputs.shape[1] + 1))
    predictions = run.model(inputs.to(device_of(run.model)))[0][0].cpu()
    frames = [enlarge(to_levels(inputs[0, n - 1], task.value_range), 64) for n in numbers]
    outputs = [enlarge(to_levels(predictions[n - 1], task.value_range), 64) for n in numbers]
    next_frame = task.next_frame
    settled = min(10, inputs.shape[1]) - 1  # by then the net knows where the light goes
    pair = [
        enlarge(to_levels(frame, task.value_range), 64)
        for frame in (inputs[0, settled], predictions[settled])
    ]
    spatial = network.spatial_view(layers, head, pair[0], pair[1], next_frame)
    temporal = network.temporal_view(layers, head, frames, outputs, numbers, next_frame)
    return [style.save(spatial, folder / "spatial.png"), style.save(temporal, folder / "temporal.png")]


def _weights(model: Predictor) -> tuple[list[network.Layer], Tensor]:
    """The weights that the drawings show: of a GRU or LSTM, the size over its gates."""
    match model:
        case RecurrentNet():
            units = model.rnn.hidden_size
            gates = len(model.rnn.all_weights[0][0]) // units

            def folded(name: str) -> Tensor:
                weight = getattr(model.rnn, name).detach().cpu()
                return weight if gates == 1 else weight.view(gates, units, -1).square().sum(0).sqrt()

            names = [f"_l{index}" for index in range(model.rnn.num_layers)]
            layers = [
                network.Layer(folded(f"weight_ih{n}"), folded(f"weight_hh{n}"), gates == 1) for n in names
            ]
            return layers, model.head.weight.detach().cpu()
        case MemorylessNet():
            return [
                network.Layer(model.hidden.weight.detach().cpu(), None, True)
            ], model.head.weight.detach().cpu()
        case _:
            raise TypeError(f"no drawing of a {type(model).__name__}")
