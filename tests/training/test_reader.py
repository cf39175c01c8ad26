import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from framegen.commands.training import resume, train
from framegen.config.tasks import Task
from framegen.data import load_data
from framegen.data.clips import Clips, Data
from framegen.evaluation.results import read_results
from framegen.machine.errors import UserError
from framegen.runs import checkpoint
from framegen.training import distributed, engine
from framegen.training.reader import Reader
from tests.conftest import SMALL_CONFIG, rows_of

CPU = torch.device("cpu")


@dataclass
class Numbers:
    """Clips that hold their number; it is noted which thread asks for which."""

    burn_in: int = 0
    frame_shape: tuple[int, int, int] = (1, 1, 1)
    asked: list[tuple[str, list[int]]] = field(default_factory=list)

    def __len__(self) -> int:
        return 10

    def batch(self, index: Tensor | slice) -> tuple[Tensor, Tensor]:
        assert isinstance(index, Tensor)
        if 9 in index:
            raise UserError("clip 9: is gone")
        self.asked.append((threading.current_thread().name, index.tolist()))
        values = index.float()[:, None, None, None, None]
        return values, -values


def _numbers(batch: tuple[Tensor, Tensor]) -> list[float]:
    inputs, targets = batch
    assert torch.equal(targets, -inputs)
    return inputs.flatten().tolist()


def test_what_is_announced_is_read_by_another_thread_and_no_further_than_asked() -> None:
    clips, parts = Numbers(), list(torch.arange(8).split(2))
    reader = Reader(clips, CPU, ahead=2)
    reader.announce(parts)
    assert _numbers(reader.batch(parts[0])) == [0, 1]
    assert _numbers(reader.batch(parts[1])) == [2, 3]
    assert _numbers(reader.batch(torch.tensor([5]))) == [5]  # the plan was left: nothing of it is handed out
    assert _numbers(reader.batch(parts[2])) == [4, 5]
    main = threading.current_thread().name
    assert [index for name, index in clips.asked if name == main] == [[5], [4, 5]]
    assert [index for name, index in clips.asked if name != main][:2] == [[0, 1], [2, 3]]
    assert reader.waited > 0
    alone = Reader(clips := Numbers(), CPU, ahead=0)
    alone.announce(parts)
    assert _numbers(alone.batch(parts[0])) == [0, 1]
    assert clips.asked == [(main, [0, 1])]


def test_what_goes_wrong_ahead_is_said_when_its_turn_comes() -> None:
    parts = [torch.tensor([0]), torch.tensor([9])]
    reader = Reader(Numbers(), CPU, ahead=2)
    reader.announce(parts)
    assert _numbers(reader.batch(parts[0])) == [0]
    with pytest.raises(UserError, match="clip 9: is gone"):
        reader.batch(parts[1])


@dataclass(frozen=True)
class OnDisk:
    """Training clips that do not lie in tensors; of what a thread reads the ninth batch may be missing."""

    clips: Clips
    fails: bool = False
    read: list[Tensor | slice] = field(default_factory=list)
    burn_in: int = 0

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        return self.clips.frame_shape

    def __len__(self) -> int:
        return len(self.clips)

    def batch(self, index: Tensor | slice) -> tuple[Tensor, Tensor]:
        if threading.current_thread() is not threading.main_thread():
            self.read.append(index)
            if self.fails and len(self.read) == 9:
                raise UserError("clips: are gone")
        return self.clips.batch(index)


def test_reading_ahead_changes_nothing_and_an_error_there_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def trained(name: str, ahead: int, fails: bool = False) -> Path:
        def loaded(task: Task, data_dir: Path) -> Data:
            data = load_data(task, data_dir)
            return replace(data, train=OnDisk(data.train, fails))

        monkeypatch.setattr(distributed, "load_data", loaded)
        # by itself a thread reads ahead for a GPU alone
        monkeypatch.setattr(engine, "Reader", lambda clips, device, _: Reader(clips, device, ahead))
        options = replace(SMALL_CONFIG.training, accumulate=2, read_ahead=ahead)
        config = replace(SMALL_CONFIG, training=options)
        return train(config, name, "disabled", tmp_path, tmp_path / "data", draw=False).folder

    def same(one: Path, other: Path) -> bool:
        ends = [checkpoint.load(folder).model.state_dict() for folder in (one, other)]
        equal = all(torch.equal(value, ends[1][name]) for name, value in ends[0].items())
        return equal and rows_of(one) == rows_of(other)

    ahead = trained("ahead", 2)
    assert "float32, the next clips read meanwhile\n" in capsys.readouterr().err
    facts = read_results(ahead).training
    assert facts is not None
    assert facts.options == {
        "epochs": 2,
        "media_every": 0,
        "device": "cpu",
        "engine": "torch",
        "accumulate": 2,
    }
    assert facts.waiting is not None
    assert 0 < facts.waiting < 1
    assert facts.processes == 1
    assert min(facts.clips_per_second or 0, facts.peak_memory or 0) > 0
    assert same(ahead, trained("each", 0))
    assert "meanwhile" not in capsys.readouterr().err
    with pytest.raises(UserError, match="clips: are gone"):
        trained("stopped", 2, fails=True)  # in the second epoch
    monkeypatch.undo()
    resume(tmp_path / "stopped", "disabled", show=False, draw=False)
    assert same(tmp_path / "stopped", ahead)
