"""The article's claims: the parallel computation against the sequential one, and the report."""

import json
import math
import re
import signal
import threading
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch

from framegen.commands import training
from framegen.config.config import Config
from framegen.config.models import MLP, Recurrent
from framegen.config.reading import parse_train
from framegen.config.tasks import Orbit, Sprites
from framegen.config.training import Training
from framegen.data import orbit
from framegen.machine.errors import OptionError, UserError
from framegen.models import build
from framegen.models.kernels import fused
from framegen.models.kernels.build import FusedUnavailable
from framegen.models.nets.mingru import MinGRU, scan_by_doubling, scan_by_steps
from framegen.models.nets.recurrent import RecurrentNet
from framegen.runs import checkpoint
from framegen.runs.run import load
from framegen.studies import pool
from framegen.studies.claims import CLAIMS, generation, newton, parallel, running_on
from framegen.studies.claims.learning import _dead_units
from framegen.studies.claims.permanence import NETS
from framegen.studies.claims.rules import share
from framegen.studies.claims.runs import Finding, Runs, over_optimum, planned_runs
from framegen.studies.reproduce import reproduce, write_report
from tests.conftest import SMALL_CONFIG, rows_of
from tests.forked import Forked
from tests.runs.test_tracking import records_of

Runner = Callable[..., tuple[int, str, str]]
SMALL: dict[str, Any] = {
    "epochs": 1,
    "num_clips": 40,
    "num_val_clips": 4,
    "num_test_clips": 6,
    "num_frames": 24,
}


def test_the_scan_is_the_recurrence_step_by_step() -> None:
    random = torch.Generator().manual_seed(0)
    for steps in (1, 2, 7, 64, 100):
        matrices = torch.randn(steps, 3, 3, generator=random, dtype=torch.float64) / 2
        offsets = torch.randn(steps, 3, generator=random, dtype=torch.float64)
        state, expected = torch.zeros(3, dtype=torch.float64), []
        for matrix, offset in zip(matrices, offsets, strict=True):
            state = matrix @ state + offset
            expected.append(state)
        torch.testing.assert_close(newton.linear_recurrence(matrices, offsets), torch.stack(expected))


def test_newton_finds_the_hidden_states_of_a_trained_net(small_run: Path) -> None:
    model = checkpoint.load(small_run).models[0]
    assert isinstance(model, RecurrentNet)
    clip = torch.rand(10_000, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    solution = newton.hidden_states(model, clip)
    assert len(solution.changes) <= 8
    torch.testing.assert_close(
        solution.hidden, model.hidden_states(clip[None])[0].detach(), atol=1e-5, rtol=0
    )


def test_newton_fails_in_chaos_and_says_so() -> None:
    clip = torch.rand(300, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    needed = newton.iterations_by_gain([0.3, 3.0], clip)
    assert all(calm < 8 and wild == newton.MAX_ITERATIONS for calm, wild in needed)


def test_every_way_is_timed_at_every_length() -> None:
    model = build(Recurrent(), (1, 2, 2), 0)
    assert isinstance(model, RecurrentNet)
    times = parallel.measure(parallel._ways(model, "torch"), torch.rand(100, 1, 2, 2))
    assert {name: list(by_length) for name, by_length in times.items()} == {
        "PyTorch, one after another": [10, 100],
        "Newton, parallel scan": [10, 100],
    }


@pytest.mark.parametrize("way", [scan_by_steps, scan_by_doubling])
@torch.inference_mode()
def test_the_states_of_another_cell_are_those_of_the_net(way: Callable[..., torch.Tensor]) -> None:
    model = build(Recurrent(cell="mingru", hidden_size=6, num_layers=2), (1, 2, 2), 0)
    assert isinstance(model, RecurrentNet)
    assert isinstance(model.rnn, MinGRU)
    clip = torch.rand(300, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        parallel.linear_states(model.rnn, clip, way), model.hidden_states(clip[None])[0]
    )


def test_every_run_that_a_claim_needs_is_one_that_the_command_line_takes() -> None:
    planned = planned_runs(16)
    assert set(CLAIMS) == set(range(1, 13))
    assert {name for claim in CLAIMS.values() for name in claim.needs} == set(planned)
    for name, run in planned.items():
        assert run.command.startswith("framegen train ")
        experiment, *options = run.command.split()[2:]
        config = parse_train(experiment, options)[1]
        assert config == run.config, name
        fused = (
            isinstance(config.model, Recurrent | MLP)
            and not config.training.special
            and config.model.hidden_size <= 64
            and not config.training.clips_per_epoch  # one, beside the one that closed its loop
        )
        assert (len(config.members) > 4) == fused, name


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Runs, dict[int, Finding]]:
    """Every claim made from small runs: the claims do not look at what their runs are called."""
    folder = tmp_path_factory.mktemp("claims")
    short = replace(SMALL_CONFIG, seeds=(0, 1), training=replace(SMALL_CONFIG.training, engine="auto"))
    video = training.train(short, "one", "disabled", folder / "runs", folder / "data", show=False, draw=False)
    config = parse_train("sine-lag", ["--seeds", "2", "--epochs", "2", "--media-every", "1"])[1]
    sine = training.train(config, "two", "disabled", folder / "runs", folder / "data", show=False, draw=False)
    dense = replace(short, model=Recurrent(density=2))
    sure = training.train(dense, "four", "disabled", folder / "runs", folder / "data", show=False, draw=False)
    other = replace(short, model=Recurrent(cell="mingru"))  # the one whose kind a claim looks at
    mingru = training.train(
        other, "three", "disabled", folder / "runs", folder / "data", show=False, draw=False
    )
    behind = Sprites(size=12, bar=8, reach=1, num_frames=12, num_clips=20, num_val_clips=2, num_test_clips=99)
    without = Config(behind, MLP(), Training(epochs=1, media_every=0), "hidden")
    without = replace(without, seeds=(0, 1))
    hidden = training.train(
        without, None, "disabled", folder / "runs", folder / "data", show=False, draw=False
    )
    shared = Runs(folder, planned_runs(2))
    kinds = dict.fromkeys(NETS.values(), hidden)
    kinds |= {"sine-lag": sine, "sine-next": sine, "mingru": mingru, "bits": sure, "bits-gru": sure}
    for name in shared.planned:
        (folder / name).symlink_to(kinds.get(name, video).folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parallel, "LENGTH", 1000)
        patch.setattr(generation, "LENGTHS", (5, 50, 100))
        patch.setattr(generation, "HORIZONS", (14, 60))
        return shared, {number: claim.measure(shared) for number, claim in CLAIMS.items()}


def test_each_claim_has_a_sentence_a_number_and_figures(made: tuple[Runs, dict[int, Finding]]) -> None:
    for number, finding in made[1].items():
        assert CLAIMS[number].text.endswith((".", "?"))
        assert re.search(r"\d", finding.sentence)
        assert finding.verdict in ("holds", "holds in part", "does not hold")
        assert finding.values
        assert finding.pictures
        assert all(picture.exists() and caption.endswith(".") for picture, caption in finding.pictures)
        assert all(command.startswith("framegen ") for command in finding.commands)


def test_what_a_claim_says_is_what_its_runs_found(made: tuple[Runs, dict[int, Finding]]) -> None:
    shared, by_number = made
    results = shared.results("video")
    skill = results.spread["one_step"]["skill"]
    said = f"{skill.mean:.3f} ± {skill.sd:.3f}"
    for number in (1, 2, 3, 8):
        assert said in by_number[number].sentence
    assert results.closed_loop is not None
    optimum = results.closed_loop.predictors["optimum"]["mse"] or math.nan
    ratios = [(mse or math.nan) / optimum for mse in results.values("closed_loop", "mse")]
    assert by_number[4].values["generation/error_over_optimum"] == pytest.approx(sum(ratios) / 2)
    assert f"is {sum(ratios) / 2:.3g} (" in by_number[4].sentence
    excess = sum(value or math.nan for value in results.values("closed_loop", "excess")) / 2
    for number in (4, 9):
        assert f"{excess:.1f}" in by_number[number].sentence
    # On as many frames as the test clips have, a net's skill on new clips is about what it was on those.
    assert by_number[5].values["length/50"] == pytest.approx(skill.mean, abs=0.3)
    assert by_number[6].values["parallel/difference"] < 1e-5
    assert by_number[6].values["parallel/mingru_difference"] < 1e-5
    median = sum(ratios) / 2
    assert by_number[9].sentence.count(f"{median:.2f} at {skill.mean:.3f}") == len(running_on.TRIED)
    behind = shared.results("hidden-gru")
    memory = behind.spread["one_step"]["memory"]
    assert by_number[11].values["permanence/hidden-gru"] == memory.mean
    assert f"{memory.mean:.2f} ± {memory.sd:.2f}, where" in by_number[11].sentence
    assert f"{behind.one_step['observer, 8 frames']['memory']:.2f} of 8 frames" in by_number[11].sentence
    assert by_number[11].verdict == "does not hold"  # its nets are here those without memory
    assert by_number[9].verdict == "does not hold"  # the recipe's run is here the same as all others

    dense = shared.results("bits").spread["one_step"]["regret"]
    assert by_number[12].sentence.count(f"{dense.mean:.2f} ± {dense.sd:.2f}") == 2
    assert by_number[12].verdict == "does not hold"  # hardly trained


@pytest.mark.parametrize(
    ("recipe", "skill", "verdict"),
    [
        ([1.8, 1.9, 9.0], 0.975, "holds"),
        ([1.8, 2.1, 2.2], 0.975, "holds in part"),
        ([1.8, 1.9], 0.94, "holds in part"),
        ([5.0, 5.2], 0.99, "does not hold"),
    ],
)
def test_a_net_is_taught_to_run_on_by_this_rule(recipe: list[float], skill: float, verdict: str) -> None:
    medians = {"usual": 6.0, "other": 5.0, "recipe": sum(recipe) / len(recipe)}
    skills = {"usual": [0.974, 0.976], "other": [0.98], "recipe": [skill]}
    within = share(ratio < 2 for ratio in recipe)
    assert running_on._verdict(within, medians, skills) == verdict


def test_the_error_over_the_optimums_is_that_of_the_results(made: tuple[Runs, dict[int, Finding]]) -> None:
    results = made[0].results("video")
    assert results.closed_loop is not None
    curves, optimum = running_on._at_each_horizon(results), results.closed_loop.per_horizon["optimum"]["mse"]
    for curve, ratio in zip(curves, over_optimum(results), strict=True):
        weights = torch.tensor([value or math.nan for value in optimum])
        mean = (torch.tensor(curve) * weights).sum() / weights.sum()  # the horizons count by their errors
        assert mean.item() == pytest.approx(ratio, rel=1e-5)


def test_the_phases_of_clips_are_those_that_they_were_rendered_with(
    made: tuple[Runs, dict[int, Finding]],
) -> None:
    run = load(made[0].folder / "video")
    assert isinstance(run.config.task, Orbit)
    clean = (orbit.render(run.config.task, orbit.phases(run.config.task, "test")) * 255).round()
    assert (clean - orbit.sample(replace(run.config.task, noise=0.0), "test")).abs().max() == 0


def test_dead_units_are_those_that_never_fire(tmp_path: Path) -> None:
    run = training.train(
        "video-relu", "relu", "disabled", tmp_path, tmp_path, False, seeds=2, draw=False, **SMALL
    )
    before = _dead_units(run)
    for number, model in enumerate(run.models.values()):
        assert isinstance(model, RecurrentNet)
        with torch.no_grad():
            for name in ("bias_ih_l0", "bias_hh_l0"):
                getattr(model.rnn, name)[: 2 + number] = -1000.0
    trained, untrained = _dead_units(run)
    assert untrained == before[1]
    assert all(
        dead >= max(2 + number, was)
        for number, (dead, was) in enumerate(zip(trained, before[0], strict=True))
    )


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.sources += [values["src"] or ""] if "src" in values else []
        self.links += [values["href"] or ""] if "href" in values else []


def test_the_report_needs_nothing_but_itself(made: tuple[Runs, dict[int, Finding]], tmp_path: Path) -> None:
    by_number = {**made[1], 8: replace(made[1][8], sentence="a < b & c", commands=["framegen draw <run>"])}
    write_report(tmp_path / "report.html", CLAIMS, by_number)
    text, page = (tmp_path / "report.html").read_text(), _Page()
    page.feed(text)
    neuron = next(path for path, _ in by_number[8].pictures if path.name == "neuron.png")
    assert page.sources[0].endswith(b64encode(neuron.read_bytes()).decode())
    assert len(page.sources) == sum(len(finding.pictures) for finding in by_number.values())
    assert all(
        source.startswith(("data:image/png;base64,", "data:image/gif;base64,")) for source in page.sources
    )
    assert all(link.startswith("#claim-") for link in page.links)
    assert not re.search(r"https?://|url\(", text)
    assert all(f'id="claim-{number}"' in text for number in CLAIMS)
    assert "a &lt; b &amp; c" in text
    assert "uv run framegen draw &lt;run&gt;\n" in text


@pytest.mark.parametrize(
    ("options", "reason"),
    [(["--claims", "13"], "--claims 13"), (["--claims", "0"], "--claims 0"), (["--seeds", "1"], "--seeds 1")],
)
def test_what_cannot_be_reproduced_is_named(
    options: list[str], reason: str, framegen: Runner, tmp_path: Path
) -> None:
    code, _, err = framegen("reproduce", "--runs-dir", tmp_path / "runs", *options)
    assert code == 2
    assert reason in err
    assert not (tmp_path / "runs").exists()


PROGRAM = """
import json, os, signal, sys
from pathlib import Path
import torch
from framegen.studies import pool
from framegen.studies import reproduce
from framegen.machine.interrupts import Interrupted

part_done, begun = pool.part_done, set()

def stop_when_two_have_begun(folder, config):
    part = part_done(folder, config)
    begun.update([folder.name] if part > 0 else [])
    if len(begun) == 2:
        try:
            os.kill(os.getpid(), signal.SIGINT)
        finally:  # `uv run` and a terminal send one each
            os.kill(os.getpid(), signal.SIGINT)
    return part

if __name__ == "__main__":
    if sys.argv[2] == "stop":
        reproduce.part_done, wait = stop_when_two_have_begun, reproduce.wait
        reproduce.wait = lambda pending, **how: wait(pending, **how | {"timeout": 0.05})
    else:
        torch.set_num_threads(1)  # one process for both
    folder, options = Path(sys.argv[1]), json.loads(sys.argv[3])
    try:
        reproduce.reproduce(folder / "runs", folder / "data", [12], 2, "offline", **options)
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        sys.exit(stop.exit_code)
"""


LONG: dict[str, Any] = {**SMALL, "num_clips": 20, "num_frames": 12, "epochs": 30, "engine": "torch"}


def test_interrupted_and_started_again_it_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "reproduce"
    stopped = Forked(PROGRAM, tmp_path, "stop", json.dumps(LONG)).ended()
    assert stopped.returncode == 128 + signal.SIGINT, stopped.stderr
    said = stopped.stderr.splitlines()
    assert said[-1] == "stopped by SIGINT; all is saved, and the same command resumes it"
    assert "Traceback" not in stopped.stderr
    before = {name: (folder / name / "config.json").read_bytes() for name in CLAIMS[12].needs}
    assert len(list(folder.glob("*/results.json"))) < 2  # one may be done before the other begins
    assert not (folder / "report.html").exists()
    with pytest.raises(UserError, match="was made with other options"):
        reproduce(tmp_path / "runs", tmp_path / "data", [12], 3, "disabled", **LONG)

    Forked(PROGRAM, tmp_path, "go on", json.dumps(LONG)).succeeded()
    assert before == {name: (folder / name / "config.json").read_bytes() for name in CLAIMS[12].needs}
    assert (folder / "report.html").exists()
    steps = [row["step"] for row in rows_of(folder / "bits") if "train/loss" in row]
    assert steps == list(range(1, 61))
    # In W&B the runs of the claims are one group, and the report is one run, begun twice.
    records = [each for file in tmp_path.rglob("offline-run-*/*.wandb") for each in records_of(file)]
    runs = [each["run"] for each in records if each["type"] == "run" and "config" in each["run"]]
    assert [run["job_type"] for run in runs].count("reproduce") == 2
    assert {run["display_name"] for run in runs if run["job_type"] == "population"} == set(CLAIMS[12].needs)
    (group,) = {run["run_group"] for run in runs}
    assert {run["run_id"] for run in runs if run["job_type"] == "reproduce"} == {group}


def test_stopped_it_begins_no_other_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Event()
    monkeypatch.setattr(pool, "_stopped", stop)
    stop.set()
    pool.train_one("video", SMALL_CONFIG, pool.Tracked("disabled", "it"), tmp_path, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_named(framegen: Runner, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    code, _, err = framegen("reproduce", "--runs-dir", tmp_path / "runs", "--claims", "8")
    assert code == 1
    assert f"{tmp_path / 'runs' / 'reproduce'}: cannot be made" in err


def test_without_the_fused_engine_there_are_fewer_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unavailable(*_: object) -> None:
        raise FusedUnavailable("no C++ compiler was found")

    def planned(configs: dict[str, Config], *_: object) -> None:
        assert configs["video"].members == (0, 1)
        raise UserError("seen")

    monkeypatch.setattr(fused, "library", unavailable)
    monkeypatch.setattr("framegen.studies.reproduce._train_all", planned)
    with pytest.raises(UserError, match="seen"):
        reproduce(tmp_path / "runs", tmp_path / "data", [8], 16, "disabled", **SMALL)
    assert "2 seeds a result, since PyTorch must train them all (no C++ compiler" in capsys.readouterr().err


def test_an_impossible_extra_is_named(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--learning-rate"):
        reproduce(tmp_path / "runs", tmp_path / "data", [8], 2, "disabled", learning_rate=-1.0)
