"""What a run leaves behind: metrics.jsonl always, Weights & Biases offline unless the user says otherwise."""

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from framegen.config.training import Mode
from framegen.errors import UserError
from framegen.runs.metrics import MEMBERS, METRICS, MetricsFiles

PROJECT = "framegen"

ONLINE_TIMEOUT = 5
"""Seconds that W&B's server may take to answer at the start."""

FINISH_TIMEOUT = 30
"""Seconds that an upload may take after the end of a training; the rest waits on disk for `wandb sync`."""


def resolve_mode(track: Mode | None) -> Mode:
    """The option where it is given, else WANDB_MODE, else offline."""
    mode = track or os.environ.get("WANDB_MODE") or "offline"
    match mode:
        case "online" | "offline" | "disabled":
            return mode
        case "dryrun":
            return "offline"
        case _:
            raise UserError(f"WANDB_MODE={mode}: is none of online, offline, disabled")


class Tracker:
    """Writes a run's values to metrics.jsonl and, unless disabled, to W&B. Use it as a context manager.

    Args:
        run_dir: the run's folder; W&B's own files go to `wandb` beside it.
        mode: "online" asks for W&B's server before anything else and raises UserError where it cannot be had.
        identity: W&B's id of the run, the same when a run is resumed.
        config: what W&B shows as the run's configuration.
        group: W&B's group of runs; tags: W&B's tags.
        lengths: bytes to which earlier files of metrics are cut back: a resumed run writes the rest again.
    """

    def __init__(
        self,
        run_dir: Path,
        mode: Mode,
        identity: str,
        config: Mapping[str, Any],
        group: str,
        tags: list[str],
        lengths: Mapping[str, int] | None = None,
    ) -> None:
        self.run_dir = run_dir
        self.wandb_run: Any = None
        if mode != "disabled":
            self.wandb_run = _start_wandb(run_dir, mode, identity, config, group, tags)
        self.files = MetricsFiles(run_dir, lengths or {})

    def __enter__(self) -> "Tracker":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with suppress(UserError):  # what brought us here says more
            self.flush()
        self._wandb(lambda run: run.finish(exit_code=0 if kind is None else 1))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Write one row of values that belong to an optimizer step."""
        row = {"step": step, **values}
        self.files.add(METRICS, row)
        self._wandb(lambda run: run.log(row))

    def log_members(self, rows: Iterable[Mapping[str, float]]) -> None:
        """Write rows of values that belong to an epoch and a member."""
        for row in rows:
            self.files.add(MEMBERS, row)

    def flush(self) -> dict[str, int]:
        """Write all rows to the run's files and return their lengths in bytes. Raises UserError where the disk refuses."""
        return self.files.flush()

    def log_media(self, step: int, media: Mapping[str, Path]) -> None:
        """Show pictures (.png) and videos (.gif) in W&B; they are on disk already."""

        def send(run: Any) -> None:
            import wandb

            kinds = {".png": wandb.Image, ".gif": lambda path: wandb.Video(path, format="gif")}
            run.log({"step": step, **{name: kinds[path.suffix](str(path)) for name, path in media.items()}})

        self._wandb(send)

    def log_table(self, step: int, name: str, columns: list[str], rows: list[list[Any]]) -> None:
        """Show a table in W&B."""

        def send(run: Any) -> None:
            import wandb

            run.log({"step": step, name: wandb.Table(columns=[*columns], data=rows)})

        self._wandb(send)

    def log_summary(self, values: Mapping[str, float]) -> None:
        """Set the values by which W&B compares runs."""
        self._wandb(lambda run: run.summary.update(dict(values)))

    def log_file(self, name: str, kind: str, path: Path) -> None:
        """Keep a file as a W&B artifact."""

        def send(run: Any) -> None:
            import wandb

            artifact = wandb.Artifact(name, type=kind)
            artifact.add_file(str(path))
            run.log_artifact(artifact)

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


def _start_wandb(
    run_dir: Path, mode: Mode, identity: str, config: Mapping[str, Any], group: str, tags: list[str]
) -> Any:
    # W&B stages tables and artifacts in a folder of the user's, unless these point elsewhere.
    root = run_dir.parent.absolute() / "wandb"
    root.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("WANDB_SILENT", "true")
    for name in ("DATA", "CACHE", "ARTIFACT"):
        os.environ[f"WANDB_{name}_DIR"] = str(root / name.lower())
    try:
        import wandb
        import wandb.errors
    except ImportError as error:
        if mode == "online":
            raise UserError(
                "--track online: wandb is not installed here; install it, or choose --track disabled"
            ) from error
        print(
            f"framegen: wandb is not installed here; the run's values are in {METRICS} alone", file=sys.stderr
        )
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
            id=identity,
            name=run_dir.name,
            group=group,
            tags=tags,
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
