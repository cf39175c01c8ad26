"""The linear map that reads a state: against numpy, and on states that hold everything or nothing."""

import pytest
import torch

from framegen.config.models import ConvRecurrent, Recurrent
from framegen.config.tasks import Orbit
from framegen.data import orbit
from framegen.data.clips import Data, TensorClips
from framegen.evaluation.references import optimal_predictor
from framegen.models import build
from framegen.models.nets.recurrent import RecurrentNet
from framegen.studies.probe.beliefs import JOINT, POSITION
from framegen.studies.probe.linear import (
    MAX_FEATURES,
    Examination,
    Readout,
    examine,
    feature_text,
    frames_of,
    pooling,
    r_squared,
    read,
    read_frames,
    read_model,
    states_of,
)
from framegen.studies.probe.states import layout_of

RANDOM = torch.Generator().manual_seed(0)
WORLD = Orbit(num_clips=60, num_test_clips=40, num_frames=16)


@pytest.fixture(scope="module")
def examination() -> Examination:
    train, test = (orbit.sample(WORLD, split) for split in ("train", "test"))
    clips = [TensorClips(each[:, :-1], each[:, 1:]) for each in (train, test)]
    optimum = optimal_predictor(WORLD, Data(clips[0], clips[0], clips[1]))
    return examine(WORLD, optimum, *clips)


def test_r_squared_is_one_for_the_truth_nought_for_the_mean_and_none_where_nothing_varies() -> None:
    true = torch.randn(30, 4, 2, generator=RANDOM)
    assert r_squared(true, true) == 1
    assert r_squared(true.mean((0, 1)).expand_as(true), true) == pytest.approx(0, abs=1e-6)
    assert (r_squared(-true, true) or 0) < -1
    assert r_squared(true, torch.ones_like(true)) is None


def test_what_is_known_is_read_from_itself_and_not_from_what_was_shuffled(examination: Examination) -> None:
    known = [torch.cat(list(each.values()), 2) for each in (examination.known_train, examination.known_test)]
    whole, _ = read(known[0], known[1], examination)
    assert min(value or 0 for value in whole.r2.values()) > 1 - 1e-4
    shuffled = [each[torch.randperm(len(each), generator=RANDOM)] for each in known]
    nothing, _ = read(shuffled[0], shuffled[1], examination)
    assert abs(nothing.r2[JOINT] or 0) < 0.1
    assert whole.over_frames[JOINT][0] is None  # one frame says nothing of the direction
    assert whole.over_frames[POSITION][0] == pytest.approx(1, abs=1e-3)
    assert whole.after(5, JOINT) > 1 - 1e-4


def test_one_frame_tells_where_and_only_several_which_way(examination: Examination) -> None:
    found = read_frames(examination)
    assert list(found) == ["last frame", "last 2 frames", "last 4 frames"]
    one, two, four = (each.r2 for each in found.values())
    assert (one[POSITION] or 0) > 0.9
    assert abs(one[JOINT] or 0) < 0.1
    assert 0.6 < (two[JOINT] or 0) < (four[JOINT] or 0)
    frames = torch.arange(6.0).view(1, 6, 1, 1, 1).expand(1, 6, 1, 2, 2)
    assert frames_of(frames, 2)[0, :3, ::4].tolist() == [[0, 0], [1, 0], [2, 1]]
    assert frames_of(torch.rand(2, 3, 1, 32, 32), 4).shape == (2, 3, MAX_FEATURES)


def test_a_net_is_read_through_the_states_that_streaming_gives(examination: Examination) -> None:
    model = build(Recurrent(hidden_size=6), (1, 2, 2), 0)
    assert isinstance(model, RecurrentNet)
    layout = layout_of(model, (1, 2, 2))
    states = states_of(model, layout, examination.test)
    torch.testing.assert_close(states, model.hidden_states(examination.test), atol=1e-6, rtol=1e-5)
    readout, made = read_model(model, layout, examination)
    assert isinstance(readout, Readout)
    assert made[JOINT].shape == examination.known_test[JOINT].shape
    assert readout.r2[JOINT] == r_squared(made[JOINT], examination.known_test[JOINT])


def test_large_maps_are_pooled_until_they_are_few_enough() -> None:
    model = build(ConvRecurrent("minconvgru", 6, 2, 3, 2), (1, 32, 32), 0)
    layout = layout_of(model, (1, 32, 32))
    assert layout.size == 2 * 6 * 16 * 16
    assert pooling(layout) == 2
    states = states_of(model, layout, torch.rand(2, 3, 1, 32, 32, generator=RANDOM))
    assert states.shape == (2, 3, 2 * 6 * 8 * 8)
    assert feature_text(layout) == "6x16x16 + 6x16x16, maps averaged over 2x2 places: 768 numbers"
    assert feature_text(layout_of(build(Recurrent(), (1, 2, 2), 0), (1, 2, 2))) == "1x5 = 5 numbers"
