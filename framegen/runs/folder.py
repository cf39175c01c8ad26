"""Run folders: their names, and the config.json that says how a run came to be."""

import json
import os
import platform
import re
import secrets
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TextIO

from framegen.config.config import Config, from_dict, to_dict
from framegen.config.training import Mode
from framegen.data.clips import Data
from framegen.errors import OptionError, UserError
from framegen.files import write_text
from framegen.models.predictor import Predictor

CONFIG = "config.json"

PACKAGES = ("framegen", "torch", "numpy", "safetensors")


def create(runs_dir: Path, experiment: str, name: str | None) -> Path:
    """Make a new, empty run folder: `name`, or the experiment with the next free number.

    Raises UserError where the name is taken or the folder cannot be made.
    """
    if name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise OptionError(
            f"--name {name}: letters, digits, dots, dashes and underscores make a name, at most 100"
        )
    try:
        if runs_dir.exists() and not runs_dir.is_dir():
            raise UserError(f"{runs_dir}: is not a folder, so it cannot keep runs")
        runs_dir.mkdir(parents=True, exist_ok=True)
        if name is not None:
            (runs_dir / name).mkdir()
            return runs_dir / name
        number = 1
        while True:
            try:
                (runs_dir / f"{experiment}-{number}").mkdir()
                return runs_dir / f"{experiment}-{number}"
            except FileExistsError:
                number += 1
    except FileExistsError as error:
        raise OptionError(
            f"--name {name}: {runs_dir / str(name)} exists already; choose another, or --resume it"
        ) from error
    except OSError as error:
        raise UserError(f"{runs_dir}: no run folder can be made there: {error.strerror}") from error


def find(run: str, runs_dir: Path) -> Path:
    """A run folder (or a checkpoint file) by its path or by its name in `runs_dir`. Raises UserError where there is none."""
    for path in (Path(run), runs_dir / run):
        if run and os.path.exists(path):  # noqa: PTH110 (says False where a name is too long)
            return path
    known = sorted(path.parent.name for path in runs_dir.glob(f"*/{CONFIG}"))
    hint = f"runs there: {', '.join(known)}" if known else "there are none yet; `framegen train` makes one"
    raise UserError(f"{run}: no such run, neither as a path nor in {runs_dir}; {hint}")


@dataclass(frozen=True)
class Description:
    """What config.json says of a run."""

    config: Config
    track: Mode
    wandb_id: str
    data_dir: Path


def write_config(run_dir: Path, config: Config, track: Mode, data_dir: Path) -> None:
    """Write config.json: everything needed to make the run again."""
    commit, diff = _git()
    content = {
        **to_dict(config),
        "track": track,
        "wandb_id": f"{run_dir.name}-{secrets.token_hex(4)}",  # names come again on other machines, ids never
        "data_dir": str(data_dir),
        "command": sys.argv,
        "versions": {
            "python": platform.python_version(),
            **{package: _version(package) for package in PACKAGES},
        },
        "machine": {"system": platform.platform(), "processor": platform.machine()},
        "commit": commit,
        "uncommitted_diff": diff,
    }
    write_text(run_dir / CONFIG, json.dumps(content, indent=2))


def read_config(run_dir: Path) -> Description:
    """What `write_config` wrote. Raises UserError where the folder holds no run or a damaged one."""
    path = run_dir / CONFIG
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise UserError(f"{run_dir}: is not a run folder (no {CONFIG})") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from error
    config = from_dict(content, str(path))
    try:
        return Description(config, content["track"], content["wandb_id"], Path(content["data_dir"]))
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: lacks a value, or has one of a wrong type ({error})") from error


def lock(run_dir: Path) -> TextIO:
    """Keeps a second process from training the same run, as long as the file is open."""
    file = (run_dir / ".lock").open("w")
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            raise UserError(f"{run_dir}: is being trained by another process") from error
    return file


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:  # framegen run from a checkout that is not installed
        return None


def _git() -> tuple[str | None, str | None]:
    """The commit that framegen runs from and what differs from it; None where it does not run from a checkout."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None, None
    try:
        commit, diff = (
            subprocess.run(
                ["git", "-C", str(root), *arguments],
                capture_output=True,
                text=True,
                errors="replace",
                check=True,
            ).stdout
            for arguments in (["rev-parse", "HEAD"], ["diff", "HEAD"])
        )
    except (OSError, subprocess.CalledProcessError):
        return None, None
    return commit.strip(), diff


@dataclass(frozen=True)
class Run:
    """A run folder with its config, its data, its models and the reference predictors, by name, fitted on that data."""

    folder: Path
    config: Config
    data: Data
    models: Mapping[int, Predictor]
    """By seed: one, or a population."""
    references: dict[str, Predictor]
    shown: int
    """The seed of the model that pictures and videos show."""

    @property
    def model(self) -> Predictor:
        """The model that pictures and videos show."""
        return self.models[self.shown]
