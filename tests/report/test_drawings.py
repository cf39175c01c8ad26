"""The drawings that teach: a neuron, a net in space and in time, the sine's training, the data."""

import math
import re
from pathlib import Path
from typing import Any, cast

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.text import Text

from framegen.config.experiments import EXPERIMENTS
from framegen.config.models import MLP, Recurrent
from framegen.data.clips import evenly
from framegen.data.loading import load_data
from framegen.models import build
from framegen.report import data_pictures
from framegen.report.figures import network, sine, terms
from framegen.report.figures.neuron import neuron
from framegen.report.figures.style import BLUE, INPUT, RED
from framegen.report.traces import trace_of
from framegen.runs.run import Run, load
from tests.conftest import tensors


def _arrows(figure: Figure) -> list[tuple[float, str]]:
    """Width and colour of each weight's straight arrow, in the order in which they are drawn."""
    found = []
    for lines in figure.axes[0].collections:
        if isinstance(lines, LineCollection):
            colors = [to_hex(tuple(color)[:3]).upper() for color in np.asarray(lines.get_edgecolor())]
            found += zip(np.asarray(lines.get_linewidth()).tolist(), colors, strict=True)
    return found


def _said(figure: Figure) -> list[str]:
    return [text.get_text().replace("\N{MINUS SIGN}", "-") for axes in figure.axes for text in axes.texts]


def test_every_weight_is_an_arrow_of_its_width_and_colour(small_run: Path) -> None:
    trace = trace_of(load(small_run))
    layer, head = trace.layers[0], trace.head.forward
    assert layer.recurrent is not None
    space = network.spatial_view(trace, 10)
    bent = [patch for patch in space.axes[0].patches if isinstance(patch, FancyArrowPatch)]
    drawn = [(each.get_linewidth(), to_hex(each.get_edgecolor(), keep_alpha=False).upper()) for each in bent]
    off_diagonal = layer.recurrent[~torch.eye(5, dtype=torch.bool)]  # each unit's own loop is a circle
    weights = torch.cat([layer.forward.flatten(), head.flatten(), off_diagonal])
    largest = max(each.abs().max().item() for each in (layer.forward, layer.recurrent, head))
    for (width, color), weight in zip([*_arrows(space), *drawn], weights.tolist(), strict=True):
        assert width == pytest.approx(0.3 + 3 * abs(weight) / largest, rel=1e-4)
        assert color == (BLUE if weight > 0 else RED)
    # Into the steps 1, 2, 3 and the last; from h_0 to 1, on to 2 and 3, and both ends of the way on.
    assert len(_arrows(network.temporal_view(trace))) == 4 * (20 + 20) + 3 * 25 + 2 * 25


def test_units_have_the_values_of_the_step(small_run: Path) -> None:
    run = load(small_run)
    assert run.data.test_frames is not None
    clip = run.data.test_frames[:1] / 255
    model = cast(Any, run.model)
    hidden = model.hidden_states(clip[:, :10])[0, 9].tolist()
    made = run.model(clip[:, :10])[0][0, 9].flatten().tolist()
    said = _said(network.spatial_view(trace_of(run), 10))
    numbers = [float(text) for text in said if re.fullmatch(r"-?\d\.\d\d", text)]
    assert numbers == [round(value, 2) for value in (*clip[0, 9].flatten().tolist(), *hidden, *made)]
    for named in ("input $x_t$", "hidden $h_t$", "h_{t-1}", "output $y_t$", "simplifies one-to-many"):
        assert any(named in text for text in said)


def test_time_has_a_beginning_and_dots(small_run: Path) -> None:
    said = _said(network.temporal_view(trace_of(load(small_run))))
    assert {"$h_0 = 0$", r"$\cdots$", "$x_{1}$, frame 1", "$y_{24}$, predicted frame 25"} <= {*said}
    assert any("simplifies one-to-many to one-to-one; here all 25 weights" in text for text in said)


NUMBER = r"([+-]?\d\.\d{3})"
PRODUCT = re.compile(NUMBER + " \N{MULTIPLICATION SIGN} " + NUMBER + " = " + NUMBER)


def _signed(value: float) -> str:
    return f"{value:+.3f}" if value else "0.000"


@pytest.mark.parametrize("options", [{}, {"cell": "relu"}, {"hidden_size": 9}, {"num_layers": 2}, None])
def test_a_neuron_can_be_computed_along(
    options: dict[str, Any] | None, small_run: Path, tmp_path: Path
) -> None:
    """What is written follows from what is written, and is what the net computes."""
    run = load(small_run)
    config = MLP() if options is None else Recurrent(**options)
    torch.manual_seed(0)
    run.models = {0: build(config, (1, 2, 2), 3)}
    trace = trace_of(run)
    found = terms.at(trace, terms.listening(trace), 10)
    said = _said(neuron(trace, 10))
    lines = [match for text in said if (match := PRODUCT.fullmatch(text))]
    products = [tuple(float(each) for each in line.groups()) for line in lines]
    assert not any(re.search(r"[+-]0\.000\b", text) for text in said)
    for weight, value, product in products:
        assert round(value * weight, 3) == pytest.approx(product, abs=1e-9)
    coming_in = [*found.inputs, *found.memory]
    assert len([term for term in coming_in if term.number is not None]) <= 9
    assert len(products) == len([t for t in coming_in if t.number is not None]) + len(found.outputs)
    total = sum(term.product for term in coming_in) + found.bias
    assert f"sum\n{_signed(found.sum)}" in said
    assert found.sum == pytest.approx(total, abs=1e-9)
    function = math.tanh if trace.activation == "tanh" else lambda x: max(0.0, x)
    assert found.state == round(function(found.sum), 3)
    shown = "relu" if trace.activation == "relu" else "tanh"
    assert f"$h_t$ = {shown}({_signed(found.sum)})\n= {_signed(found.state)}" in said
    # The net itself, which rounds nothing
    assert found.state == pytest.approx(trace.hidden[0][10, found.unit - 1].item(), abs=5e-3)
    for term, others, output in zip(found.outputs, found.others, found.totals, strict=True):
        assert term.product + others == pytest.approx(output, abs=1e-9)
        assert term.number is not None
        assert output == pytest.approx(trace.outputs[9, term.number - 1].item(), abs=6e-4)
    assert bool(found.memory) == (options is not None)
    assert bool(found.outputs) == (len(trace.layers) == 1)


def test_the_neuron_is_the_one_that_listens_most(small_run: Path) -> None:
    trace = trace_of(load(small_run))
    recurrent = cast(Any, load(small_run).model).rnn.weight_hh_l0
    assert terms.listening(trace) == max(range(5), key=lambda n: recurrent[n].abs().sum().item()) + 1


def test_a_wide_net_has_images_for_its_weights(small_run: Path) -> None:
    run = load(small_run)
    run.models = {0: build(Recurrent(hidden_size=32), (1, 2, 2), 0)}
    trace = trace_of(run)
    recurrent = trace.layers[0].recurrent
    assert recurrent is not None
    for figure, most in ((network.spatial_view(trace, 10), 1), (network.temporal_view(trace), 3)):
        images = [np.asarray(image.get_array()) for image in figure.axes[0].images]
        same = [image for image in images if image.shape == (32, 32) and np.allclose(image, recurrent)]
        assert len(same) == most
        assert not _arrows(figure)


def test_the_sine_has_samples_and_labels(tmp_path: Path) -> None:
    config = EXPERIMENTS["sine-next"]
    run = Run(tmp_path, config, {0: build(config.model, (1, 1, 1), 0)}, 0)
    run.data = load_data(config.task, tmp_path)
    trace = trace_of(run)
    said = _said(network.temporal_view(trace)) + _said(network.spatial_view(trace, 10))
    assert any("1-32-1, 20 steps" in text for text in said)
    assert not any("frame" in text for text in said)
    data = sine.first_window(trace.inputs[:, 0], trace.labels[:, 0], True).axes[0]
    expected = np.sin(np.arange(21) * np.pi / 20)
    for line, values, color in zip(data.lines, (expected[:-1], expected[1:]), (INPUT, BLUE), strict=True):
        np.testing.assert_allclose(np.asarray(line.get_ydata(), float), values, atol=1e-6)
        assert line.get_color() == color
    assert [str(line.get_label()).split(":")[0] for line in data.lines] == ["input", "label"]


def test_the_training_names_epoch_window_and_error(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    draw = Figure.draw_artist

    def listen(self: Figure, artist: Any) -> None:
        said.extend([artist.get_text()] if isinstance(artist, Text) else [])
        draw(self, artist)

    monkeypatch.setattr(Figure, "draw_artist", listen)
    inputs, labels = torch.zeros(2, 6, 20)
    pictures = list(sine.training_pictures(inputs, labels, {0: torch.ones(20), 9: 0.1 * torch.ones(20)}, 3))
    assert len(pictures) == 2
    assert [text for text in said if "epoch" in text] == [
        "epoch 1 of 3, window 1 of 6: mean squared error 1.0e+00",
        "epoch 2 of 3, window 4 of 6: mean squared error 1.0e-02",
    ]


def test_the_data_are_clips_side_by_side(small_run: Path) -> None:
    """Each pixel of each clip stands where it should, still and moving."""
    run = load(small_run)
    numbers, _ = data_pictures.chosen_clips(run.data, True)
    assert numbers == evenly(40, 24).tolist()
    frames = tensors(run.data.train).inputs[numbers][:, :, 0]  # (24, 23, 2, 2)
    figures = small_run / "figures"
    pictures = list(iio.imiter(figures / "data.gif", plugin="pillow", mode="RGB"))
    assert len(pictures) == 24
    step = (data_pictures.GIF_WIDTH - data_pictures.GAP) // 8
    side = step - data_pictures.GAP
    for number, clip in enumerate(frames):
        top, left = 44 + number // 8 * (side + 29) + 19, 10 + number % 8 * step
        corners = np.ix_((top + side // 4, top + 3 * side // 4), (left + side // 4, left + 3 * side // 4))
        assert [picture[corners][..., 0].tolist() for picture in pictures[:23]] == clip.tolist()
    still = iio.imread(figures / "data.png")
    assert still.shape[1] == data_pictures.SHEET_WIDTH
    levels = still[:, :, 0]
    assert {*np.unique(frames[:, :12]).tolist()} <= {*np.unique(levels).tolist()}
