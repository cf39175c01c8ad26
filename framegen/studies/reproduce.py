"""Every claim of the article as an experiment: trains what is missing, two runs at a time, and writes a
report."""

import base64
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import torch
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from framegen.commands.playing import play
from framegen.config.config import Config
from framegen.config.keywords import Keywords
from framegen.config.models import Recurrent
from framegen.config.tasks import Sine
from framegen.config.training import Mode
from framegen.data.loading import load_data
from framegen.evaluation.results import finished
from framegen.machine.device import processor
from framegen.machine.errors import OptionError, UserError
from framegen.machine.files import write_text
from framegen.machine.interrupts import Interrupts
from framegen.machine.progress import advancing, answer, say
from framegen.models import build
from framegen.models.kernels import fused
from framegen.models.kernels.build import FusedUnavailable
from framegen.report.figures.style import DPI
from framegen.report.tables import Screen
from framegen.runs.folder import CONFIG, lock, read_config
from framegen.runs.tracking import Tracker, tracked
from framegen.runs.weights_and_biases import About, resolve_mode, tracker_of
from framegen.studies.claims import CLAIMS
from framegen.studies.claims.runs import Claim, Finding, Runs, planned_runs
from framegen.studies.pool import Tracked, cost, part_done, train_one, workers

FOLDER, REPORT = "reproduce", "report.html"
TEMPLATE = "report.html.jinja"
NEURON = "neuron.png"
WANDB_ID = "wandb-id.txt"
"""W&B's id of the whole, kept beside the runs: what goes on after an interruption is the same run."""
PLAYED = "video"
"""The run that the report lets one play with, where a claim has it trained."""
NOTES = "every claim of the article as an experiment"

FEW_SEEDS = 2

CLAIM_COST = 1.0
"""Cost of a claim, in the unit of a run's `cost`."""


def reproduce(
    runs_dir: Path,
    data_dir: Path,
    claims: Sequence[int] = (),
    seeds: int = 32,
    track: Mode | None = None,
    **options: Unpack[Keywords],
) -> dict[int, Finding]:
    """Run the claims of the article and write runs_dir/reproduce/report.html.

    Finished runs are used again; a run that was stopped is resumed.

    Args:
        claims: their numbers; none: all of them.
        seeds: nets a run where the fused engine trains them, at least 2.
        track: whether W&B is "online", "offline" or "disabled"; None asks WANDB_MODE, else offline.
        options: values for the fields of every run's task, model or training, such as epochs=1.

    Returns:
        What was found, by the claims' numbers.

    Raises:
        UserError: an option that cannot work, a damaged run, a disk that refuses. Interrupted: SIGINT or
            SIGTERM came.
    """
    numbers = sorted(set(claims)) or list(CLAIMS)
    if unknown := [number for number in numbers if number not in CLAIMS]:
        raise OptionError(f"--claims {unknown[0]}: the claims are numbered 1 to {len(CLAIMS)}")
    if seeds < 2:
        raise OptionError(f"--seeds {seeds}: a spread needs at least 2")
    folder, mode = runs_dir / FOLDER, resolve_mode(track)
    runs = Runs(folder, planned_runs(_affordable(seeds), options))
    needed = {name for number in numbers for name in CLAIMS[number].needs}
    configs = {name: _unseen(run.config) for name, run in runs.planned.items() if name in needed}
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made: {error.strerror}") from error
    for name, config in configs.items():
        if (folder / name / CONFIG).exists() and read_config(folder / name).config != config:
            raise UserError(
                f"{folder / name}: was made with other options; move it away, or choose another --runs-dir"
            )
    if not (folder / WANDB_ID).exists():
        write_text(folder / WANDB_ID, f"reproduce-{time.time_ns():x}\n")
    identity = (folder / WANDB_ID).read_text(encoding="utf-8").strip()
    commands = {name: run.command for name, run in runs.planned.items()}
    tracker = tracker_of(mode, About(identity, identity, ("reproduce",), "reproduce", NOTES))
    total = sum(map(cost, configs.values())) + CLAIM_COST * len(numbers)
    with (
        lock(folder),
        tracked(tracker, folder, {"runs": commands}),
        Interrupts() as interrupts,
        advancing(total, "training and measuring", True) as advance,
    ):
        interrupts.advice = "; all is saved, and the same command resumes it"
        _train_all(configs, Tracked(mode, identity), folder, data_dir, advance)
        findings = {}
        for number in numbers:
            finding = CLAIMS[number].measure(runs)
            trainings = [runs.command(name) for name in CLAIMS[number].needs]
            findings[number] = replace(finding, commands=[*trainings, *finding.commands])
            advance(CLAIM_COST)
        live = play(folder / PLAYED).read_text(encoding="utf-8") if PLAYED in needed else None
        write_report(folder / REPORT, CLAIMS, findings, live)
        _track(findings, tracker)
    return findings


def print_findings(findings: Mapping[int, Finding], runs_dir: Path, **_: Any) -> None:
    """Print the result of `reproduce`."""
    for number, finding in findings.items():
        text = f"\n{number}. {CLAIMS[number].title}. {finding.sentence} The claim {finding.verdict}."
        Screen().print(text, markup=False)
    answer("", f"The report, to open in a browser: {runs_dir / FOLDER / REPORT}")


def _unseen(config: Config) -> Config:
    """A run's config without the pictures that are made while it is trained, which nobody looks at here; but
    for those of the sines, which a claim shows."""
    if isinstance(config.task, Sine):
        return config
    return replace(config, training=replace(config.training, media_every=0))


def _track(findings: Mapping[int, Finding], tracker: Tracker) -> None:
    """Leave what was found in W&B: pictures, values, and a table of all."""
    for number, finding in findings.items():
        pictures = {
            f"claim-{number}/{place}-{path.stem}": path
            for place, (path, _) in enumerate(finding.pictures, start=1)
        }
        tracker.media(0, pictures)
        tracker.summary(finding.values)
    rows = [[CLAIMS[number].title, each.sentence, each.verdict] for number, each in findings.items()]
    tracker.table(0, "claims", ["claim", "found", "verdict"], rows)


def _affordable(seeds: int) -> int:
    """The seeds that are asked for, or a few where only PyTorch can train them."""
    try:
        fused.FusedPredictor(build(Recurrent(), (1, 2, 2), 0))
    except FusedUnavailable as reason:
        say(f"{FEW_SEEDS} seeds a result, since PyTorch must train them all ({reason})", True)
        return min(seeds, FEW_SEEDS)
    return seeds


def _train_all(
    configs: dict[str, Config],
    tracked: Tracked,
    folder: Path,
    data_dir: Path,
    advance: Callable[[float], None],
) -> None:
    """Train what is not finished, as many runs at a time as there are CPU threads, the longest first; tells
    how much of the `cost` of all is behind."""
    for task in {config.task: None for config in configs.values()}:
        load_data(task, data_dir)  # made here, once, where a damaged file is named at once
    waiting = [name for name in configs if not finished(folder / name)]
    waiting.sort(key=lambda name: -cost(configs[name]))
    told = sum(cost(config) for name, config in configs.items() if name not in waiting)
    advance(told)
    say(f"{folder}: {len(waiting)} of {len(configs)} runs are to be trained", True)
    with workers(min(len(waiting), torch.get_num_threads())) as pool:
        futures = {
            pool.submit(train_one, name, configs[name], tracked, folder, data_dir): name for name in waiting
        }
        pending: set[Future[None]] = set(futures)
        while pending:
            done, pending = wait(pending, timeout=0.5, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
                say(f"trained {futures[future]}, {len(pending)} left", not sys.stderr.isatty())
            names = (futures[each] for each in pending)
            going = {name: part_done(folder / name, configs[name]) for name in names}
            behind = sum(cost(config) * going.get(name, 1.0) for name, config in configs.items())
            advance(behind - told)
            told = behind


def write_report(
    path: Path, claims: Mapping[int, Claim], findings: Mapping[int, Finding], live: str | None = None
) -> None:
    """Write what was found of the claims, by their numbers, as one HTML page that needs nothing else, not
    even a network; pictures and videos are inside, that of a neuron first.

    Args:
        live: a whole page of its own, HTML, which is shown in a frame of the report; None: there is none.
    """
    loader = PackageLoader(__package__ or "framegen.studies", package_path="")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    computed_with = f"Python {platform.python_version()}, torch {torch.__version__}"
    pictures = [each for finding in findings.values() for each in finding.pictures]
    first = next((each for each in pictures if each[0].name == NEURON), None)
    sections = [
        (number, claims[number], finding, [each for each in finding.pictures if each != first])
        for number, finding in findings.items()
    ]
    page = environment.get_template(TEMPLATE).render(
        sections=sections,
        first=first,
        live=live,
        source=_source,
        width=_width,
        machine=f"{processor()}, {torch.get_num_threads()} CPU threads, {computed_with}",
    )
    write_text(path, page)


def _source(picture: Path) -> str:
    """The picture itself, as the address of an image."""
    content = base64.b64encode(picture.read_bytes()).decode()
    return f"data:image/{picture.suffix[1:]};base64,{content}"


def _width(picture: Path) -> int:
    """CSS pixels at which the letters of all figures have one size."""
    with Image.open(picture) as image:
        return round(image.width * 96 / DPI) if picture.suffix == ".png" else image.width
