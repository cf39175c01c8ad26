"""The options of each command, by the names that Python's functions have for them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from framegen.config.models import Model
from framegen.config.tasks import Task
from framegen.config.training import Device, Mode, Training

Positional = tyro.conf.Positional
Look = Literal["compare", "clean"]
Films = Annotated[Positional[tuple[Path, ...]], tyro.conf.arg(metavar="FILM ...")]


@dataclass(frozen=True, kw_only=True)
class _Runs:
    """Options that several commands share; a class with an underscore is no command."""

    runs_dir: Path = Path("runs")
    """Folder of the runs."""


@dataclass(frozen=True, kw_only=True)
class _Data:
    data_dir: Path = Path("data")
    """Folder of the data sets."""


@dataclass(frozen=True, kw_only=True)
class _Tracked(_Runs):
    track: Mode | None = None
    """Weights & Biases; without it as WANDB_MODE says, else as the run was before; a new one is tracked
    offline, into files that do not leave the machine, or online under `wandb agent`."""


@dataclass(frozen=True, kw_only=True)
class _OfRun(_Runs):
    run: Annotated[Positional[str], tyro.conf.arg(metavar="RUN")]
    """The run: its folder, or its name in the folder of the runs."""


@dataclass(frozen=True, kw_only=True)
class _Films:
    size: int = 64
    """Longer side of imported films in pixels, a multiple of 4; the other keeps the first's aspect ratio.
    `continue` finds motion at this size, and writes frames of the film's own."""
    channels: Literal[1, 3] = 3
    """Channels of imported films: 1 is grey, 3 is colour."""
    fps: float | None = None
    """Frames per second of imported films; without it each film's own."""
    strict: bool = False
    """Leave out a film of which a part cannot be read, instead of taking the rest of it."""


@dataclass(frozen=True, kw_only=True)
class _Experiment(_Tracked, _Data):
    task: Task
    model: Model
    training: Training
    seeds: tuple[int, ...] = ()
    """A population: a number of nets at once, of seeds 0, 1, 2, ..., or a list of seeds; in a search each
    trial is one, and its value their mean."""
    name: str | None = None
    """Name of the run or the search; without it the experiment's, with the next free number or "search"."""
    tags: tuple[str, ...] = ()
    """W&B's tags, beside WANDB_TAGS and the names of the task and the model."""


@dataclass(frozen=True, kw_only=True)
class Train(_Experiment):
    """Train a model. Everything about the run is left in runs/NAME."""

    group: str | None = None
    """W&B's group of runs; without it WANDB_RUN_GROUP's, else the experiment."""


@dataclass(frozen=True, kw_only=True)
class TrainFilms(Train, _Films):
    """Train a model on films."""

    films: Films = ()
    """Films, or folders of them, to be imported first; none: --dataset names what was imported before."""


@dataclass(frozen=True, kw_only=True)
class Search(_Experiment):
    """Search for the best options of an experiment: an option with a range, low..high, or a list of values is
    searched; a positive range of a decade or more on a logarithmic scale. Results are in runs/NAME; the same
    command goes on, and joins where it runs already."""

    space: Path | None = None
    """TOML file with options and their ranges, as on the command line: hidden-size = "4..64"."""
    trials: int = 50
    """Trials in all, of every process that takes part."""
    workers: int = 1
    """Trials at a time, each in a process of its own."""
    prune: bool = True
    """End a trial early whose validation is worse than the median of the others after as many epochs."""
    sampler_seed: int = 0
    """Seed of the sampler; with one worker, a search with the same seed tries the same."""
    storage: str | None = None
    """Where trials are kept, as a database's URL (sqlite:///…, postgresql://…); without it OPTUNA_STORAGE's,
    else a journal file in runs/NAME, which machines with a shared folder share."""


@dataclass(frozen=True, kw_only=True)
class Continue(_Tracked, _Data, _Films):
    """Let a film go on: import it, train on it for some minutes, and generate from its end. Writes
    NAME-continued.mp4, the frames alone at its own size, and NAME-compare.mp4, beside the truth on a part
    that training never saw. The same command again trains no more."""

    films: Films
    """Films, or folders of them; the first one is continued."""
    seconds: float = 2.0
    """Seconds to generate, at the film's own rate."""
    minutes: float = 2.0
    """How long the training may take on this machine; reading, measuring and drawing come on top."""
    start: str | None = None
    """Where to go on from, as seconds, 0:12 or 1:02:03; without it the film's end."""
    last: int | None = None
    """Frames before that which the model sees; without it as many as clips have, or as show a loop."""
    seed: int = 0
    """Seed of the model that is trained."""
    experiment: str = "clips"
    """Which model is trained, and how."""
    out: Path | None = None
    """File to write: .mp4, .webm, .gif, .webp, a folder of PNG; without it NAME-continued.mp4, numbered."""
    force: bool = False
    """Replace files that are there."""


@dataclass(frozen=True, kw_only=True)
class Resume(_Tracked):
    """Take up a training where it was stopped. The run keeps the options that it began with."""

    run: Annotated[str, tyro.conf.arg(name="resume", metavar="RUN")]
    """The run: its folder, or its name in the folder of the runs."""


@dataclass(frozen=True, kw_only=True)
class Evaluate(_OfRun):
    """Measure a run's model and every baseline on the test clips, one step ahead and closed-loop."""

    device: Device = "auto"
    """Where to compute."""


@dataclass(frozen=True, kw_only=True)
class Probe(_OfRun, _Tracked):
    """Read what the optimal observer knows from the states of a run's nets, by a linear map, and follow what
    the nets do when they run on by themselves for long. Writes probe.json and figures."""

    num_frames: int = 1000
    """Frames that a net generates by itself, in worlds with a circling light (Orbit); 0: none."""


@dataclass(frozen=True, kw_only=True)
class Compare(_Runs):
    """Put finished runs side by side: one line each, with their results on the test clips."""

    runs: Annotated[Positional[tuple[str, ...]], tyro.conf.arg(metavar="RUN RUN ...")]
    """The runs: their folders, or their names in the folder of the runs."""
    out: Path | None = None
    """File to write: .png (errors over the horizon, and over a numeric option), .csv, .json or .tex."""
    force: bool = False
    """Replace --out where it exists."""


@dataclass(frozen=True, kw_only=True)
class Draw(_OfRun):
    """Draw a run: its net in space and in time, losses, film strip, error over horizon, hidden states."""


@dataclass(frozen=True, kw_only=True)
class Generate(_OfRun):
    """Let a run's model continue a prompt, frame by frame. With --prompt, a checkpoint file is enough."""

    out: Path
    """File to write: .gif, .mp4, .webm, .webp, .png (film strip), .npy (numbers), or a folder of PNG."""
    num_frames: int | None = None
    """Frames to generate; without it 40, or as many as --seconds says."""
    seconds: float | None = None
    """Seconds to generate, instead of --num-frames."""
    prompt: Path | None = None
    """Video, GIF, picture, folder of pictures, .npy or .npz to continue; without it a test clip."""
    strict: bool = False
    """Refuse a prompt of which a part cannot be read, instead of taking the rest of it."""
    clip: int | None = None
    """Which test clip to continue, instead of a --prompt; without it the first, 0."""
    context: int | None = None
    """Frames of the prompt that the model sees, the rest is truth; without it all, or evaluation's choice."""
    fps: float | None = None
    """Frames per second of a video, 0.1 to 240; without it the prompt's own rate, or 10."""
    look: Look = "compare"
    """compare: labels, the prompt, and truth and error where known; clean: the generated frames alone."""
    scale: int | None = None
    """Enlargement: width of one of the model's pixels; without it small frames are enlarged to be visible."""
    sample: bool = False
    """Draw each frame from the model's density, instead of its mean; needs train --density 4."""
    temperature: float | None = None
    """Temperature of --sample: 1, as without it, draws from the density; less draws likelier frames."""
    futures: int | None = None
    """Number of futures of one prompt, each drawn by --sample, side by side."""
    sample_seed: int | None = None
    """Seed of --sample: the same seed draws the same frames; without it 0."""
    device: Device = "auto"
    """Where to compute."""
    seed: int | None = None
    """Which member of a population; without it the median one."""
    force: bool = False
    """Replace --out where it exists; a prompt is never replaced."""


@dataclass(frozen=True, kw_only=True)
class Play(_OfRun):
    """Write a page in which a run's net runs live, in a browser: paint its prompt, switch its memory off,
    push its units. One file, which needs no network."""

    out: Path | None = None
    """File to write, .html; without it play.html in the run's folder."""
    force: bool = False
    """Replace --out where it exists."""


@dataclass(frozen=True, kw_only=True)
class Reproduce(_Tracked, _Data):
    """Run every claim of the article as an experiment; the report is runs/reproduce/report.html."""

    claims: tuple[int, ...] = ()
    """Which: 1 memory, 2 tanh and relu, 3 width, depth, 4 generation, 5 length, 6 parallel, 7 sines, 8
    drawings, 9 running on, 10 belief, 11 permanence, 12 bits; none: all."""
    seeds: int = 32
    """Nets per result, where the fused engine trains them (8 with a density, 1 of 128 units or more)."""


@dataclass(frozen=True, kw_only=True)
class Import(_Films, _Data):
    """Bring films into a data set: decoded once, cut into shots, split, kept in data/NAME. The same films
    again are known; an import that was stopped goes on."""

    paths: Films
    """Films (MP4, MOV, MKV, WebM, AVI, GIF, APNG, WebP, …), folders of them, folders of pictures."""
    name: str
    """Name of the data set."""


@dataclass(frozen=True, kw_only=True)
class ListData(_Data):
    """List the data sets of films."""


@dataclass(frozen=True, kw_only=True)
class ShowData(_Data):
    """Show what a data set holds, or how a film is read: statistics, a contact sheet, a GIF of a data set."""

    what: Annotated[Positional[str], tyro.conf.arg(metavar="NAME|FILM")]
    """Name of a data set, or a film, or a folder of pictures."""
    size: int = 64
    """Longer side at which a film is shown, in pixels; a data set has its own."""
    out: Path | None = None
    """Folder for the pictures; without it the data set's own, or for a film the folder of the data sets."""
