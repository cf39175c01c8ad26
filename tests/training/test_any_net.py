"""What a net of one's own may be: with frozen, unused and shared parameters, buffers, and draws."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import pytest
import torch
from torch import Tensor, nn

from framegen.commands import evaluation, training
from framegen.config.config import Config
from framegen.config.models import Model
from framegen.config.training import Training
from framegen.machine.errors import UserError
from framegen.models import build, module
from framegen.models.predictor import Predictor, State
from framegen.runs import checkpoint
from framegen.runs.run import Run, load
from framegen.training.engine import TorchEngine
from tests.conftest import rows_of
from tests.training.test_population import TINY
from tests.training.test_training import STREAM

Part = Literal["frozen", "buffers", "dropout", "drawn"]
PARTS: tuple[Part, ...] = get_args(Part)


@dataclass(frozen=True)
class Odd(Model):
    """A net with a part that none of framegen's has."""

    part: Part = "frozen"


class OddNet(Predictor):
    def __init__(self, config: Odd, frame_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.part, size = config.part, torch.Size(frame_shape).numel()
        self.hidden, self.head = nn.Linear(size, size), nn.Linear(size, size)
        match self.part:
            case "frozen":
                self.hidden.requires_grad_(False)
                self.unused, self.again = nn.Linear(size, 1), nn.Linear(size, size)
                self.again.weight = self.head.weight  # one parameter under two names
            case "buffers":
                self.norm = nn.BatchNorm1d(size)
                self.register_buffer("mask", torch.zeros(size).index_fill(0, torch.tensor(0), -torch.inf))
                self.register_buffer("scale", torch.ones(size), persistent=False)
            case "dropout":
                self.dropout, self.extra = nn.Dropout(0.3), nn.Linear(size, size)
            case "drawn":
                pass

    def forward(self, frames: Tensor, state: State = None) -> tuple[Tensor, State]:
        values = self.hidden(frames.flatten(2)).tanh()
        match self.part:
            case "frozen":
                values = self.again(values)
            case "buffers":
                values = self.norm(values.flatten(0, 1)).view_as(values)
                values = values + (values + self.mask).exp() * self.scale
            case "dropout":
                values = self.dropout(values)
                if not self.training or torch.rand(()) < 0.5:  # a layer that is not there at times
                    values = values + self.extra(values)
            case "drawn":  # in evaluation too, as a net with latent variables does
                values = values + 0.1 * torch.randn(values.shape, device=values.device)
        return self.head(values).view_as(frames), None


module.register(Odd, OddNet)


def _config(part: Part, **changes: object) -> Config:
    usual = replace(TINY.training, epochs=3, batch_size=5, learning_rate=0.1, ema=0.5, keep="best")
    return replace(TINY, model=Odd(part), training=replace(usual, **changes), seeds=(0, 1))


def _train(config: Config, folder: Path, name: str) -> Run:
    places = (folder / "runs", folder / "data")
    return training.train(config, name, "disabled", *places, show=False, draw=False)


def _same(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.fixture(scope="module", params=PARTS)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two nets with such a part. Read only."""
    return _train(_config(request.param), tmp_path_factory.mktemp("any"), "never-killed")


def test_a_member_is_what_its_seed_gives_alone(trained: Run) -> None:
    torch.rand(3)  # whatever else was drawn
    before = torch.get_rng_state()
    alone = _train(replace(trained.config, seeds=()), trained.folder.parents[1], "alone")
    assert torch.equal(torch.get_rng_state(), before)
    assert _same(alone.model.state_dict(), trained.models[0].state_dict())
    assert not _same(trained.models[1].state_dict(), trained.models[0].state_dict())


def test_killed_and_resumed_equals_never_killed(trained: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    save, calls = checkpoint.save_progress, 0

    def killed(*arguments) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        save(*arguments)

    monkeypatch.setattr(checkpoint, "save_progress", killed)
    with pytest.raises(KeyboardInterrupt):
        _train(trained.config, trained.folder.parents[1], "killed")
    monkeypatch.undo()
    again = training.resume(trained.folder.parent / "killed", show=False, draw=False)
    assert rows_of(again.folder) == rows_of(trained.folder)
    for seed, model in trained.models.items():
        assert _same(again.models[seed].state_dict(), model.state_dict())
    resumes = [
        checkpoint.load_progress(each.folder / "resume.safetensors", each.config, 12)[0]
        for each in (again, trained)
    ]
    assert _same(*resumes)


def test_what_was_saved_measures_the_same_again(trained: Run) -> None:
    first, again = trained.results, evaluation.measure(load(trained.folder))[0]
    for part in ("one_step", "closed_loop"):
        assert again.values(part, "mse") == pytest.approx(first.values(part, "mse"), rel=1e-6)


@pytest.mark.parametrize("trained", ["frozen"], indirect=True)
def test_what_is_frozen_stays_and_is_counted_apart(trained: Run) -> None:
    first = build(trained.config.model, (1, 2, 2), 0).state_dict()
    weights = trained.models[0].state_dict()
    assert torch.equal(weights["hidden.weight"], first["hidden.weight"])
    assert not torch.equal(weights["head.weight"], first["head.weight"])
    facts = trained.results.training
    assert facts is not None
    assert (facts.parameters, facts.frozen_parameters) == (29, 20)


@pytest.mark.parametrize("trained", ["dropout"], indirect=True)
def test_dropout_is_drawn_anew_each_step_and_for_each_seed(trained: Run) -> None:
    clips = TorchEngine([build(Odd("dropout"), (1, 2, 2), 0)], trained.data.train, Training(), False)
    order = torch.arange(10)[None]
    losses = [clips.run(order, [0.0])[0].item() for _ in range(2)]
    assert losses[0] != losses[1]
    other = TorchEngine(
        [build(Odd("dropout"), (1, 2, 2), 0)], trained.data.train, Training(), False, seeds=[1]
    )
    assert other.run(order, [0.0])[0].item() != losses[0]


def test_averaged_weights_come_with_the_running_statistics_of_all_that_was_seen(tmp_path: Path) -> None:
    run = _train(_config("buffers", keep="last"), tmp_path, "run")
    normed = run.model.get_submodule("norm")
    assert isinstance(normed, nn.BatchNorm1d)
    assert normed.num_batches_tracked == 12
    assert normed.running_mean is not None
    assert normed.running_mean.abs().max() > 0


def test_looking_at_a_stream_changes_no_running_statistics(tmp_path: Path) -> None:
    config = replace(STREAM, model=Odd("buffers"), training=replace(STREAM.training, epochs=1))
    run = _train(config, tmp_path, "run")
    assert run.model.get_submodule("norm").num_batches_tracked == 6


def test_moments_are_where_the_weights_are() -> None:
    model = build(Odd("frozen"), (1, 2, 2), 0).to("meta")
    engine = TorchEngine([model], None, Training(), False)  # pyright: ignore
    assert engine.state_dict()["adam.mean"].device.type == "meta"


def test_a_net_of_another_shape_is_refused_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = OddNet.forward
    monkeypatch.setattr(OddNet, "forward", lambda *given: (whole(*given)[0].mean((3, 4), keepdim=True), None))
    said = r"OddNet: returns \(5, \d+, 1, 1, 1\) for frames of \(5, \d+, 1, 2, 2\); both must have one shape"
    with pytest.raises(UserError, match=said):
        _train(_config("frozen"), tmp_path, "pooled")
