"""Run folders: their names, and the config.json that says how a run came to be."""

import itertools
import os
import platform
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from framegen.config import checks
from framegen.config.config import Config, SavedConfig, to_dict
from framegen.config.film import Film
from framegen.config.tasks import World
from framegen.config.training import Mode
from framegen.machine.device import processor, versions
from framegen.machine.errors import OptionError, UserError
from framegen.machine.files import read_json, to_json, write_bytes

CONFIG = "config.json"
MAX_PATH = 4096
TAKEN = "wandb", "reproduce"
"""Folders among the runs that are none: W&B's, and that of the claims."""

Named = str | os.PathLike[str]
"""A run: its folder, its name in the folder of the runs, or a `Run`."""
PACKAGES = ("framegen", "torch", "numpy", "safetensors")


def create(runs_dir: Path, experiment: str, name: str | None) -> Path:
    """A new, empty run folder: `name`, or the next free EXPERIMENT-N. Raises UserError where none can be."""
    if name is not None:
        check_name(name)
    try:
        if runs_dir.exists() and not runs_dir.is_dir():
            raise UserError(f"{runs_dir}: is not a folder, so it cannot keep runs")
        runs_dir.mkdir(parents=True, exist_ok=True)
        for each in [name] if name else (f"{experiment}-{number}" for number in itertools.count(1)):
            with suppress(FileExistsError):
                (runs_dir / each).mkdir()
                return runs_dir / each
    except OSError as error:
        raise UserError(f"{runs_dir}: no run folder can be made there: {error.strerror}") from error
    taken = runs_dir / str(name)
    if not never_began(taken):
        raise OptionError(f"--name {name}: {taken} exists already; choose another, or --resume it")
    return taken


def check_name(name: str) -> None:
    """Raises OptionError where a folder among the runs cannot have this name."""
    checks.check_name(name, f"--name {name}")
    own = f"--name {name}: is a folder of framegen's own among the runs; choose another"
    checks.check(name not in TAKEN, own)


def never_began(folder: Path) -> bool:
    """Whether a folder is what a run that was killed as it began leaves: hidden files alone, or nothing."""
    return folder.is_dir() and all(path.name.startswith(".") for path in folder.iterdir())


def find(run: Named, runs_dir: Path | str = "runs") -> Path:
    """A run folder (or checkpoint file) by its path, or its name in `runs_dir`. Raises UserError for none."""
    runs_dir = Path(runs_dir)
    for path in (Path(run), runs_dir / run):
        if run and os.path.exists(path):  # noqa: PTH110 (says False where a name is too long)
            return path
    looked = f"{run}: no such run, neither as a path nor in {runs_dir.resolve()}"
    raise UserError(f"{looked}; {runs_in(runs_dir)}; --runs-dir names another folder of runs")


def runs_in(folder: Path) -> str:
    """Which runs a folder holds, in words."""
    known = sorted(str(path.parent) for path in folder.glob(f"*/{CONFIG}"))
    return f"runs there: {', '.join(known)}" if known else "no run is there; `framegen train` makes one"


@dataclass(frozen=True)
class Description:
    """The content of config.json."""

    config: Config
    track: Mode
    wandb_id: str
    group: str | None
    tags: tuple[str, ...]
    data_dir: Path
    """As it is found from here; `data_of` says whether it is there."""
    made_with: dict[str, Any]
    """Versions, commit and uncommitted diff."""


@dataclass(frozen=True)
class _Content(SavedConfig):
    """config.json as it stands on disk."""

    track: Mode
    wandb_id: str
    data_dir: str
    command: list[str]
    versions: dict[str, str | None]
    machine: dict[str, str]
    commit: str | None
    uncommitted_diff: str | None
    group: str | None = None
    tags: tuple[str, ...] = ()
    data_dir_from: Literal["run", "start"] = "start"
    """The base of a relative data_dir: the run's folder; in older runs the folder of the start."""


def write_config(
    run_dir: Path,
    config: Config,
    track: Mode,
    data_dir: Path,
    group: str | None = None,
    tags: tuple[str, ...] = (),
) -> None:
    """Write config.json: everything needed to make the run again. A relative `data_dir` is kept relative to
    the run's folder, so that both can be moved together. Raises OptionError where JSON cannot hold it."""
    commit, diff = _changes(Path(__file__).parents[2])
    try:
        str(data_dir).encode()
    except UnicodeEncodeError as error:
        reason = f"is no UTF-8, so that {CONFIG} cannot name it"
        raise OptionError(f"--data-dir {data_dir}: {reason}; choose another") from error
    if not data_dir.is_absolute():
        named = data_dir.parent.resolve() / data_dir.name  # which may be a link
        data_dir = Path(os.path.relpath(named, run_dir.resolve()))
    content = _Content(
        **to_dict(config),
        track=track,
        wandb_id=_wandb_id(run_dir.name),
        data_dir=data_dir.as_posix(),
        data_dir_from="run",
        group=group,
        tags=tags,
        command=[word.encode(errors="backslashreplace").decode() for word in sys.argv],
        versions=versions(*PACKAGES),
        machine={"system": platform.platform(), "processor": processor()},
        commit=commit,
        uncommitted_diff=diff,
    )
    write_bytes(run_dir / CONFIG, to_json(content))


def read_config(run_dir: Path) -> Description:
    """Read the file of `write_config`. Raises UserError where the folder holds no run or a damaged one."""
    path = run_dir / CONFIG
    if not path.exists():
        raise UserError(f"{run_dir}: is not a run folder (no {CONFIG}); {runs_in(run_dir)}")
    content = read_json(path, _Content)
    if "\0" in content.data_dir or len(content.data_dir) > MAX_PATH:
        raise UserError(f"{path}: is damaged: data_dir cannot be a folder")
    folder, data_dir = run_dir.resolve(), Path(content.data_dir)
    if content.data_dir_from == "run":
        data_dir = Path(os.path.normpath(folder / data_dir))
    elif (beside := folder.parent.parent / data_dir).is_dir():  # where the folder of runs lies, as usual
        data_dir = beside
    made_with = {name: getattr(content, name) for name in ("versions", "commit", "uncommitted_diff")}
    wandb = content.track, content.wandb_id, content.group, content.tags
    return Description(content.opened(str(path)), *wandb, data_dir, made_with)


def data_of(run_dir: Path) -> Path:
    """The folder of a trained run's data. Raises UserError where it is gone: none is made elsewhere."""
    described = read_config(run_dir)
    folder = described.data_dir
    if isinstance(described.config.task, World | Film) and not folder.is_dir():
        way_out = f"move it there too, or name where it is as data_dir in {run_dir / CONFIG}"
        gone = f"{folder}: is missing, the folder of the data that {run_dir} was trained on"
        raise UserError(f"{gone}; {way_out}")
    return folder


_given_ids: set[str] = set()
"""Values of WANDB_RUN_ID that runs of this process have used: each names one run only."""


def _wandb_id(name: str) -> str:
    """W&B's id of a new run: of a sweep the one that its agent chose, since W&B takes no other there."""
    given = os.environ.get("WANDB_RUN_ID", "")
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", given) and given not in _given_ids:
        _given_ids.add(given)
        return given
    return f"{name}-{secrets.token_hex(4)}"  # names come again on other machines, ids never


@contextmanager
def lock(run_dir: Path) -> Iterator[None]:
    """Keeps a second process from working on the same run. Raises UserError where one does already."""
    try:
        held = FileLock(run_dir / ".lock").acquire(timeout=0)
    except Timeout as error:
        other = f"{run_dir}: another process trains or measures this run"
        raise UserError(f"{other}; wait until it has ended") from error
    except OSError as error:
        raise UserError(f"{run_dir}: cannot be locked: {error.strerror}") from error
    with held:
        yield


def _changes(root: Path) -> tuple[str | None, str | None]:
    """The commit of a checkout, and what differs from it: also files of framegen that git does not know yet,
    such as a new model's. None where it is no checkout, or git cannot say."""
    if not (root / ".git").exists():
        return None, None

    def git(*words: str) -> str:
        # "diff --no-index" ends in 1 where there is a difference.
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, check=False)
        if done.returncode > 1:
            raise OSError(done.returncode)
        return done.stdout.decode(errors="replace")

    try:
        new = git("ls-files", "-z", "--others", "--exclude-standard", "framegen").split("\0")[:-1]
        added = [git("diff", "--no-index", os.devnull, path) for path in new]
        return git("rev-parse", "HEAD").strip(), git("diff", "HEAD") + "".join(added)
    except OSError:
        return None, None
