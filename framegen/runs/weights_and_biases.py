"""Weights & Biases as a tracker: offline unless the user says otherwise."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from framegen.config.experiments import EXPERIMENTS
from framegen.config.training import Mode
from framegen.machine.errors import UserError
from framegen.runs.folder import Description
from framegen.runs.metrics import METRICS
from framegen.runs.tracking import Tracker, Untracked

PROJECT = "framegen"
ONLINE_TIMEOUT = 5
"""Seconds that W&B's server may take to answer at the start."""
FINISH_TIMEOUT = 30
"""Seconds that an upload may take after the end of a training; the rest waits on disk for `wandb sync`."""


def resolve_mode(track: Mode | None, before: Mode | None = None) -> Mode:
    """The option, else WANDB_MODE, else as `before`; a new run is offline, under `wandb agent` online."""
    usual = before or ("online" if os.environ.get("WANDB_SWEEP_ID") else "offline")
    mode = track or os.environ.get("WANDB_MODE") or usual
    match mode:
        case "online" | "offline" | "disabled":
            return mode
        case "dryrun":
            return "offline"
        case _:
            said = f"--track {mode}" if track else f"WANDB_MODE={mode}"
            raise UserError(f"{said}: is none of online, offline, disabled")


class About(NamedTuple):
    """W&B's settings of a run, unless the environment has them."""

    identity: str
    """W&B's id, the same when a run is resumed."""
    group: str
    tags: tuple[str, ...]
    job_type: str
    notes: str


def about_run(description: Description) -> About:
    """A training as W&B's run."""
    config = description.config
    name, known = config.experiment, EXPERIMENTS.get(config.experiment)
    kinds = (type(part).__name__.lower() for part in (config.task, config.model))
    return About(
        description.wandb_id,
        group=description.group or name,
        tags=(*kinds, *description.tags),
        job_type="population" if config.seeds else "train",
        notes=f"{name}: {known.description}" if known else config.description,
    )


def tracker_of(track: Mode | Tracker, about: About) -> Tracker:
    """W&B, where it is disabled nothing, or a tracker of the caller's own."""
    if not isinstance(track, str):
        return track
    return Untracked() if track == "disabled" else WandB(track, about)


@dataclass
class WandB(Tracker):
    """Shows a run in Weights & Biases; its files go to `wandb` beside the run's folder.

    What goes wrong there once the run has begun never stops a training.
    """

    mode: Literal["online", "offline"]
    about: About
    run: Any = None
    run_name: str = ""
    summarized: set[str] = field(default_factory=set)
    """Names of values whose least, greatest and last W&B keeps."""

    def begin(self, run_dir: Path, config: Mapping[str, Any]) -> None:
        """Raises UserError where W&B does not start."""
        self.run, self.run_name = start(run_dir, self.mode, self.about, config), run_dir.name

    def log(self, step: int, values: Mapping[str, float]) -> None:
        def send(run: Any) -> None:
            new = {name for name in values if name.startswith("val/")} - self.summarized
            for name in sorted(new):  # by its name, since of two globs W&B takes either
                run.define_metric(name, step_metric="step", summary="min,max,last")
            self.summarized |= new
            run.log({"step": step, **values})

        self._tell(send)

    def media(self, step: int, media: Mapping[str, Path]) -> None:
        self._tell(
            lambda run: run.log({"step": step, **{name: _shown(path) for name, path in media.items()}})
        )

    def table(self, step: int, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        def send(run: Any) -> None:
            import wandb

            cells = [[_shown(cell) if isinstance(cell, Path) else cell for cell in row] for row in rows]
            run.log({"step": step, name: wandb.Table(columns=[*columns], data=cells)})

        self._tell(send)

    def summary(self, values: Mapping[str, float]) -> None:
        self._tell(lambda run: run.summary.update(dict(values)))

    def file(self, name: str, kind: str, path: Path, metadata: Mapping[str, Any]) -> None:
        """As a version of an artifact. W&B lets a run use a data set that many share online alone; offline it
        is kept as one that this run made, and the same content is the same version once uploaded."""

        def send(run: Any) -> None:
            import wandb

            artifact = wandb.Artifact(name, type=kind, metadata=dict(metadata))
            (artifact.add_dir if path.is_dir() else artifact.add_file)(str(path))
            if kind != "dataset":
                run.log_artifact(artifact, aliases=["latest", self.run_name])
            elif run.offline:
                run.log_artifact(artifact)
            else:
                run.use_artifact(artifact)

        self._tell(send)

    def finish(self, well: bool) -> None:
        self._tell(lambda run: run.finish(exit_code=0 if well else 1))

    def _tell(self, send: Callable[[Any], object]) -> None:
        """Do something with the W&B run, if there is one."""
        if self.run is None:
            return
        try:
            send(self.run)
        except Exception as error:  # W&B raises whatever its service process dies of
            self.run = None
            said = f"W&B broke off ({error!r}); the run goes on, its metrics are in {METRICS}"
            print(f"framegen: {said}", file=sys.stderr)


def _shown(path: Path) -> Any:
    """A picture or a video as W&B shows it; from a file, since W&B's encoder needs more packages."""
    import wandb

    ending = path.suffix.removeprefix(".")
    return wandb.Image(str(path)) if ending == "png" else wandb.Video(str(path), format=cast(Any, ending))


def start(run_dir: Path, mode: Literal["online", "offline"], about: About, config: Mapping[str, Any]) -> Any:
    """W&B's run, or None where wandb is not installed. Raises UserError where it does not start.

    WANDB_NAME, WANDB_TAGS, WANDB_NOTES, WANDB_PROJECT, WANDB_ENTITY and the folders that WANDB_DIR,
    WANDB_DATA_DIR, WANDB_CACHE_DIR and WANDB_ARTIFACT_DIR name are respected.
    """
    wandb = _import_wandb(run_dir, mode)
    if wandb is None:
        return None
    given = map(str.strip, os.environ.get("WANDB_TAGS", "").split(","))
    later = "nothing is lost: `wandb sync` uploads the run later"
    way_out = f"choose --track offline ({later}) or --track disabled"
    try:
        if mode == "online" and not wandb.login(prompt=False, verify=False, timeout=ONLINE_TIMEOUT):
            no_key = "--track online: no W&B key on this machine"
            raise UserError(f"{no_key}; run `uv run wandb login` once, or {way_out}")
        run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            dir=os.environ.get("WANDB_DIR") or str(run_dir.parent),
            mode=mode,
            id=about.identity,
            name=os.environ.get("WANDB_NAME") or run_dir.name,
            group=about.group,
            tags=list(dict.fromkeys([*about.tags, *filter(None, given)])),
            job_type=os.environ.get("WANDB_JOB_TYPE") or about.job_type,
            notes=os.environ.get("WANDB_NOTES") or about.notes,
            config=dict(config),
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
    return run


_set_here: dict[str, str] = {}
"""Variables of the environment that a run of this process has set; others are the user's."""


def _import_wandb(run_dir: Path, mode: Mode) -> Any:
    """The wandb module, told to keep everything beside the runs; None where it is neither here nor needed."""
    # W&B stages tables and artifacts in a folder of the user's, unless these point elsewhere.
    root = run_dir.parent.absolute() / "wandb"
    root.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("WANDB_SILENT", "true")
    if mode != "online":  # W&B would tell its server of its own errors and counts, whatever a run's mode
        os.environ["WANDB_ERROR_REPORTING"] = "false"
    for name in ("DATA", "CACHE", "ARTIFACT"):
        key, folder = f"WANDB_{name}_DIR", str(root / name.lower())
        if os.environ.get(key) in (None, _set_here.get(key)):
            os.environ[key] = _set_here[key] = folder
    try:
        Path.home()
    except RuntimeError:  # neither HOME nor an entry in passwd: W&B would look for its settings there
        os.environ.setdefault("WANDB_CONFIG_DIR", str(root / "config"))
    try:
        import wandb
        import wandb.errors
    except ImportError as error:
        missing = "wandb is not installed here"
        if mode == "online":
            way_out = "install it, or choose --track disabled"
            raise UserError(f"--track online: {missing}; {way_out}") from error
        print(f"framegen: {missing}; the run's values are in {METRICS} alone", file=sys.stderr)
        return None
    return wandb
