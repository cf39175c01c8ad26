"""framegen probe: from a run to its table, its file and its figures."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import framegen as public
from framegen.commands.training import train
from framegen.config.config import Config
from framegen.config.experiments import EXPERIMENTS
from framegen.config.models import MLP, ConvRecurrent
from framegen.config.tasks import Drift, Sprites
from framegen.machine.files import read_json
from framegen.studies.probe.beliefs import JOINT
from framegen.studies.probe.long_loops import VERDICTS
from framegen.studies.probe.results import PROBE, Probe
from framegen.studies.probe.run import probe
from framegen.studies.probe.tables import CAUSES, cause
from tests.conftest import SMALL_CONFIG

Runner = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def population(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three nets, trained long enough to know something."""
    folder = tmp_path_factory.mktemp("probed")
    training = replace(SMALL_CONFIG.training, engine="auto", epochs=60, learning_rate=0.01)
    config = replace(SMALL_CONFIG, training=training, seeds=(0, 1, 2))
    return train(config, "run", "disabled", folder, folder, show=False, draw=False).folder


def test_a_run_is_probed_from_the_shell(population: Path, framegen: Runner) -> None:
    before = {path: path.read_bytes() for path in population.glob("*.jsonl")}
    code, out, err = framegen("probe", population, "--num-frames", "60", "--track", "disabled")
    assert code == 0, err
    for word in ("direction x position", "Lyapunov exponents", "drifts", "un-", "= 5 numbers"):
        assert word in out
    found = read_json(population / PROBE, Probe)
    for path in (
        population / "probe.json",
        *(population / "figures" / f"{n}.png" for n in ("belief", "dynamics")),
    ):
        assert str(path) in out
        assert path.stat().st_size > 2000
    assert {path: path.read_bytes() for path in population.glob("*.jsonl")} == before
    assert [member.seed for member in found.members] == [0, 1, 2]
    assert not {member.seed for member in found.untrained} & {0, 1, 2}
    alone = found.frames["last frame"].r2[JOINT] or 0.0
    assert max(value or 0 for value in found.values(JOINT)) > alone + 0.2
    json.loads((population / "probe.json").read_text(), parse_constant=pytest.fail)  # strict JSON
    assert found.dynamics is not None
    assert found.dynamics.horizons[-1] == 60
    for loop in found.dynamics.members:
        assert set(loop.verdicts) == set(VERDICTS)
        assert sum(loop.verdicts.values()) == pytest.approx(1)
        assert len(loop.ahead) == len(loop.amplitude) == len(found.dynamics.horizons)
    assert found.dynamics.ranked[1] == found.median_seed
    assert [len(each.exponents) for each in found.dynamics.attractors] == [5, 5, 5]
    said = cause(found.dynamics.members)
    assert said in CAUSES.values()
    assert said[:30] in out


def test_the_same_from_python_and_without_the_long_loops(population: Path) -> None:
    found = public.probe(population, num_frames=0, track="disabled", show=False, draw=False)
    assert isinstance(found, public.Probe)
    assert found.dynamics is None
    assert found == read_json(population / PROBE, Probe)
    assert probe(population, 0, "disabled", show=False, draw=False) == found  # nothing is drawn by chance


def test_a_tracked_run_gets_the_numbers(population: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: dict[str, object] = {}

    class Wandb:
        summary = sent

        def log(self, row: dict[str, object]) -> None:
            sent.update(row)

        def finish(self, exit_code: int) -> None:
            sent["ended"] = exit_code

    monkeypatch.setattr("framegen.runs.weights_and_biases.start", lambda *_: Wandb())
    monkeypatch.setattr("wandb.Table", lambda columns, data: (columns, data))
    before = {path: path.read_bytes() for path in population.glob("*.jsonl")}
    found = probe(population, 20, "offline", show=False, draw=False)
    assert {path: path.read_bytes() for path in population.glob("*.jsonl")} == before
    columns, rows = sent["probe/members"]  # pyright: ignore[reportGeneralTypeIssues]
    assert columns[0] == "seed"
    assert [row[columns.index(f"r2 {JOINT}")] for row in rows] == found.values(JOINT)
    mean = math.fsum(value or 0 for value in found.values(JOINT)) / 3
    assert sent[f"probe/{JOINT}"] == pytest.approx(mean, rel=1e-5)
    assert sent["ended"] == 0


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (replace(SMALL_CONFIG, model=MLP(4)), "keeps nothing from frame to frame"),
        (EXPERIMENTS["sine-next"], "nothing to compare a net with"),
    ],
)
def test_what_cannot_be_probed_is_told_with_the_way_out(
    config: Config, reason: str, framegen: Runner, tmp_path: Path
) -> None:
    short = replace(config, training=replace(config.training, epochs=1, media_every=0))
    train(short, "run", "disabled", tmp_path, tmp_path, show=False, draw=False)
    code, _, err = framegen("probe", "run", "--runs-dir", tmp_path)
    assert code == 1
    assert reason in err
    assert "probe a" in err.splitlines()[-1]


@pytest.mark.parametrize("world", [Sprites, Drift])
def test_worlds_in_which_nothing_goes_round_are_read_too(
    world: type[Sprites | Drift], framegen: Runner, tmp_path: Path
) -> None:
    clips: dict[str, Any] = {"num_clips": 40, "num_val_clips": 2, "num_test_clips": 10}
    task = world(size=8, num_frames=8, context=4, reach=1, **clips)
    model = ConvRecurrent("minconvgru", 4, 1, 3, 2, "frame")
    config = Config(task, model, replace(SMALL_CONFIG.training, epochs=1))
    run = train(config, "run", "disabled", tmp_path, tmp_path, show=False, draw=False).folder
    code, out, err = framegen("probe", run)
    assert code == 0, err
    found = read_json(run / PROBE, Probe)
    assert found.dynamics is None
    assert "Running on" not in out
    assert (run / "figures" / "belief.png").exists()
    assert "velocity" in found.meanings
    assert ("shape" in found.meanings) == (world is Sprites)
    assert found.features == "4x4x4 = 64 numbers"


def test_a_number_of_frames_that_cannot_be_is_refused(population: Path, framegen: Runner) -> None:
    code, _, err = framegen("probe", population, "--num-frames", "7")
    assert code == 2
    assert err == "framegen: --num-frames 7: 0 for none, or 20 to 100000\n"
    assert framegen("probe", population.parent / "none")[0] == 1


def test_a_run_that_was_not_measured_is_told_so(population: Path, tmp_path: Path, framegen: Runner) -> None:
    for name in ("config.json", "checkpoint.safetensors"):
        (tmp_path / name).write_bytes((population / name).read_bytes())
    code, _, err = framegen("probe", tmp_path)
    assert code == 1
    assert f"framegen evaluate {tmp_path}" in err
