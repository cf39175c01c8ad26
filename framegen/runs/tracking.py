"""What a run leaves behind: metrics.jsonl always, Weights & Biases offline unless the user says otherwise."""

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framegen.config.experiments import EXPERIMENTS
from framegen.config.training import Mode
from framegen.machine.errors import UserError
from framegen.runs.folder import Description
from framegen.runs.metrics import MEMBERS, METRICS, MetricsFiles, finite

PROJECT = "framegen"

ONLINE_TIMEOUT = 5
"""Seconds that W&B's server may take to answer at the start."""

FINISH_TIMEOUT = 30
"""Seconds that an upload may take after the end of a training; the rest waits on disk for `wandb sync`."""


def resolve_mode(track: Mode | None) -> Mode:
    """The option where it is given, else WANDB_MODE, else online under `wandb agent`, else offline."""
    usual = "online" if os.environ.get("WANDB_SWEEP_ID") else "offline"
    mode = track or os.environ.get("WANDB_MODE") or usual
    match mode:
        case "online" | "offline" | "disabled":
            return mode
        case "dryrun":
            return "offline"
        case _:
            said = f"--track {mode}" if track else f"WANDB_MODE={mode}"
            raise UserError(f"{said}: is none of online, offline, disabled")


def resolve_again(track: Mode | None, before: Mode) -> Mode:
    """Of a run that is there already: the option or WANDB_MODE where one is given, else as it was tracked
    before."""
    return resolve_mode(track) if track or "WANDB_MODE" in os.environ else before


@dataclass(frozen=True)
class About:
    """What W&B says of a run."""

    identity: str
    """W&B's id of the run, the same when a run is resumed."""
    config: Mapping[str, Any]
    group: str
    tags: tuple[str, ...]
    """Beside those of WANDB_TAGS."""
    job_type: str
    """Train, population or reproduce."""
    notes: str = ""
    """A line that says what the run is, where WANDB_NOTES does not."""


def about_run(description: Description, shown: Mapping[str, Any]) -> About:
    """What W&B says of a run; `shown` is its config there."""
    config = description.config
    kinds = (type(part).__name__.lower() for part in (config.task, config.model))
    return About(
        description.wandb_id,
        shown,
        group=description.group or config.experiment,
        tags=tuple(dict.fromkeys((*kinds, *description.tags))),
        job_type="population" if config.seeds else "train",
        notes=f"{config.experiment}: {EXPERIMENTS[config.experiment].description}"
        if config.experiment in EXPERIMENTS
        else config.description,
    )


class Tracker:
    """Writes a run's values to metrics.jsonl and, unless disabled, to W&B. Use it as a context manager.

    Args:
        run_dir: the run's folder; W&B's own files go to `wandb` beside it.
        mode: "online" asks for W&B's server before anything else and raises UserError where it cannot be had.
        about: what W&B says of the run.
        lengths: bytes to which earlier files of metrics are cut back: a resumed run writes the rest again.
    """

    def __init__(
        self,
        run_dir: Path,
        mode: Mode,
        about: About,
        lengths: Mapping[str, int] | None = None,
    ) -> None:
        self.run_dir = run_dir
        self.wandb_run: Any = None
        if mode != "disabled":
            self.wandb_run = start_wandb(run_dir, mode, about)
        self.files = MetricsFiles(run_dir, lengths or {})

    def __enter__(self) -> "Tracker":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with suppress(UserError):  # what brought us here says more
            self.flush()
        self._wandb(lambda run: run.finish(exit_code=0 if kind is None else 1))

    @property
    def tells_wandb(self) -> bool:
        """Whether there is a W&B run: what nothing but it would show need not be made."""
        return self.wandb_run is not None

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Write one row of values that belong to an optimizer step; one that is not finite is left out."""
        row = {"step": step, **finite(values)}
        self.files.add(METRICS, row)
        self._wandb(lambda run: run.log(row))

    def log_members(self, rows: Iterable[Mapping[str, float]]) -> None:
        """Write rows of values that belong to an epoch and a member, like `log`."""
        for row in rows:
            self.files.add(MEMBERS, finite(row))

    def flush(self) -> dict[str, int]:
        """Write all rows to the run's files and return their lengths in bytes. Raises UserError where the
        disk refuses."""
        return self.files.flush()

    def log_media(self, step: int, media: Mapping[str, Path]) -> None:
        """Show pictures (.png) and videos (.gif, .mp4) in W&B; they are on disk already."""
        self._wandb(
            lambda run: run.log({"step": step, **{name: _shown(path) for name, path in media.items()}})
        )

    def log_table(self, step: int, name: str, columns: list[str], rows: list[list[Any]]) -> None:
        """Show a table in W&B; a path in it is the picture or the video that lies there."""

        def send(run: Any) -> None:
            import wandb

            cells = [[_shown(cell) if isinstance(cell, Path) else cell for cell in row] for row in rows]
            run.log({"step": step, name: wandb.Table(columns=[*columns], data=cells)})

        self._wandb(send)

    def log_summary(self, values: Mapping[str, float]) -> None:
        """Set the values by which W&B compares runs."""
        self._wandb(lambda run: run.summary.update(finite(values)))

    def log_file(
        self, name: str, kind: str, path: Path, metadata: Mapping[str, Any], alias: str | None = None
    ) -> None:
        """Keep a file, or a folder's, as a version of a W&B artifact."""
        aliases = ["latest", *([alias] if alias else [])]
        self._wandb(lambda run: run.log_artifact(_artifact(name, kind, path, metadata), aliases=aliases))

    def use_file(self, name: str, kind: str, path: Path, metadata: Mapping[str, Any]) -> None:
        """Say that the run works on a file, an artifact that many runs share.

        W&B uses artifacts online alone; offline the file is kept as one that this run made, and the same
        content
        becomes the same version when runs are uploaded.
        """

        def send(run: Any) -> None:
            artifact = _artifact(name, kind, path, metadata)
            (run.log_artifact if run.offline else run.use_artifact)(artifact)

        self._wandb(send)

    def _wandb(self, send: Callable[[Any], object]) -> None:
        """Do something with the W&B run, if there is one. What goes wrong there never stops a training."""
        if self.wandb_run is None:
            return
        try:
            send(self.wandb_run)
        except Exception as error:  # W&B raises whatever its service process dies of
            self.wandb_run = None
            print(
                f"framegen: W&B broke off ({error!r}); the run goes on, its metrics are in {METRICS}",
                file=sys.stderr,
            )


def _artifact(name: str, kind: str, path: Path, metadata: Mapping[str, Any]) -> Any:
    import wandb

    artifact = wandb.Artifact(name, type=kind, metadata=dict(metadata))
    (artifact.add_dir if path.is_dir() else artifact.add_file)(str(path))
    return artifact


def _shown(path: Path) -> Any:
    """A picture or a video as W&B shows it. From a file: W&B's own encoder needs packages that are not
    here."""
    import wandb

    match path.suffix:
        case ".png":
            return wandb.Image(str(path))
        case ".gif":
            return wandb.Video(str(path), format="gif")
        case ".mp4":
            return wandb.Video(str(path), format="mp4")
        case _:
            raise ValueError(f"{path}: is no picture or video that W&B shows")


def start_wandb(run_dir: Path, mode: Mode, about: About) -> Any:
    """W&B's run, or None where wandb is not installed. Raises UserError where it does not start.

    WANDB_NAME, WANDB_TAGS, WANDB_NOTES, WANDB_PROJECT and WANDB_ENTITY are respected.
    """
    wandb = _import_wandb(run_dir, mode)
    if wandb is None:
        return None
    way_out = (
        "choose --track offline (nothing is lost: `wandb sync` uploads the run later) or --track disabled"
    )
    try:
        if mode == "online" and not wandb.login(prompt=False, verify=False, timeout=ONLINE_TIMEOUT):
            raise UserError(
                f"--track online: no W&B key on this machine; run `uv run wandb login` once, or {way_out}"
            )
        run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            dir=str(run_dir.parent),
            mode=mode,
            id=about.identity,
            name=os.environ.get("WANDB_NAME") or run_dir.name,
            group=about.group,
            tags=_tags(about),
            job_type=os.environ.get("WANDB_JOB_TYPE") or about.job_type,
            notes=os.environ.get("WANDB_NOTES") or about.notes,
            config=dict(about.config),
            resume="allow" if mode == "online" else None,
            settings=wandb.Settings(
                console="off",
                silent=True,
                init_timeout=ONLINE_TIMEOUT,
                finish_timeout=FINISH_TIMEOUT,
                finish_timeout_raises=True,
            ),
        )
    except (wandb.errors.Error, TimeoutError, OSError, ValueError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"--track {mode}: W&B does not start ({reason}); {way_out}") from error
    run.define_metric("*", step_metric="step")
    run.define_metric("val/*", step_metric="step", summary="min,max,last")
    return run


def _import_wandb(run_dir: Path, mode: Mode) -> Any:
    """The wandb module, told to keep everything beside the runs; None where it is not installed and not asked
    for."""
    # W&B stages tables and artifacts in a folder of the user's, unless these point elsewhere.
    root = run_dir.parent.absolute() / "wandb"
    root.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("WANDB_SILENT", "true")
    if mode != "online":  # W&B would tell its server of its own errors and counts, whatever a run's mode
        os.environ["WANDB_ERROR_REPORTING"] = "false"
    for name in ("DATA", "CACHE", "ARTIFACT"):
        os.environ[f"WANDB_{name}_DIR"] = str(root / name.lower())
    try:
        Path.home()
    except RuntimeError:  # neither HOME nor an entry in passwd: W&B would look for its settings there
        os.environ.setdefault("WANDB_CONFIG_DIR", str(root / "config"))
    try:
        import wandb
        import wandb.errors
    except ImportError as error:
        if mode == "online":
            way_out = "install it, or choose --track disabled"
            raise UserError(f"--track online: wandb is not installed here; {way_out}") from error
        print(
            f"framegen: wandb is not installed here; the run's values are in {METRICS} alone", file=sys.stderr
        )
        return None
    return wandb


def _tags(about: About) -> list[str]:
    given = os.environ.get("WANDB_TAGS", "").split(",")
    return list(dict.fromkeys([*about.tags, *(tag.strip() for tag in given if tag.strip())]))
