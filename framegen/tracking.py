"""What a run leaves behind: metrics.jsonl always, Weights & Biases offline unless the user says otherwise."""

import json
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from framegen.errors import UserError

METRICS = "metrics.jsonl"
PROJECT = "framegen"
ONLINE_TIMEOUT = 12
"""Seconds that W&B's server may take to answer at the start."""
FINISH_TIMEOUT = 60
"""Seconds that an upload may take after the end of a training; the rest waits on disk for `wandb sync`."""

Mode = Literal["online", "offline", "disabled"]


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
        config: what W&B shows as the run's configuration.
        group: W&B's group of runs; tags: W&B's tags.
        metrics_bytes: length to which an earlier metrics.jsonl is cut back: a resumed run writes the rest again.
    """

    def __init__(
        self, run_dir: Path, mode: Mode, config: Mapping[str, Any], group: str, tags: list[str], metrics_bytes: int = 0
    ) -> None:
        self.run_dir = run_dir
        self.wandb_run = None if mode == "disabled" else _start_wandb(run_dir, mode, config, group, tags)
        self.pending: list[bytes] = []
        with (run_dir / METRICS).open("ab") as file:
            file.truncate(metrics_bytes)

    def __enter__(self) -> "Tracker":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with suppress(UserError):  # what brought us here says more
            self.flush()
        if self.wandb_run is not None:
            _finish(self.wandb_run, exit_code=0 if kind is None else 1)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Write one row of values that belong to an optimizer step."""
        row = {"step": step, **values}
        self.pending.append(json.dumps(row).encode() + b"\n")
        if self.wandb_run is not None:
            self.wandb_run.log(row)

    def flush(self) -> int:
        """Write all rows to metrics.jsonl and return its length in bytes. Raises UserError where the disk refuses."""
        path = self.run_dir / METRICS
        try:
            with path.open("ab") as file:
                file.write(b"".join(self.pending))
        except OSError as error:
            raise UserError(f"{path}: cannot be written: {error.strerror}") from error
        self.pending.clear()
        return path.stat().st_size

    def log_media(self, step: int, media: Mapping[str, Path]) -> None:
        """Show pictures (.png) and videos (.gif) in W&B; they are on disk already."""
        if self.wandb_run is not None:
            import wandb

            kinds = {".png": wandb.Image, ".gif": lambda path: wandb.Video(path, format="gif")}
            self.wandb_run.log({"step": step, **{name: kinds[path.suffix](str(path)) for name, path in media.items()}})

    def log_table(self, step: int, name: str, columns: list[str], rows: list[list[Any]]) -> None:
        """Show a table in W&B."""
        if self.wandb_run is not None:
            import wandb

            self.wandb_run.log({"step": step, name: wandb.Table(columns=[*columns], data=rows)})

    def log_summary(self, values: Mapping[str, float]) -> None:
        """Set the values by which W&B compares runs."""
        if self.wandb_run is not None:
            self.wandb_run.summary.update(dict(values))

    def log_file(self, name: str, kind: str, path: Path) -> None:
        """Keep a file as a W&B artifact."""
        if self.wandb_run is not None:
            import wandb

            artifact = wandb.Artifact(name, type=kind)
            artifact.add_file(str(path))
            self.wandb_run.log_artifact(artifact)


def _start_wandb(run_dir: Path, mode: Mode, config: Mapping[str, Any], group: str, tags: list[str]) -> Any:
    # W&B stages tables and artifacts in a folder of the user's, unless these point elsewhere.
    root = run_dir.parent.absolute() / "wandb"
    root.mkdir(parents=True, exist_ok=True)
    for name in ("DATA", "CACHE", "ARTIFACT"):
        os.environ.setdefault(f"WANDB_{name}_DIR", str(root / name.lower()))

    import wandb
    import wandb.errors

    way_out = "choose --track offline (nothing is lost: `wandb sync` uploads the run later) or --track disabled"
    try:
        if mode == "online" and not wandb.login(prompt=False, verify=False, timeout=ONLINE_TIMEOUT):
            raise UserError(f"--track online: no W&B key on this machine; run `wandb login` once, or {way_out}")
        run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            dir=str(run_dir.parent),
            mode=mode,
            id=run_dir.name,
            name=run_dir.name,
            group=group,
            tags=tags,
            config=dict(config),
            resume="allow" if mode == "online" else None,
            settings=wandb.Settings(console="off", silent=True, init_timeout=ONLINE_TIMEOUT),
        )
    except (wandb.errors.Error, wandb.errors.UsageError, TimeoutError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"--track {mode}: W&B does not start ({reason}); {way_out}") from error
    run.define_metric("*", step_metric="step")
    return run


def _finish(run: Any, exit_code: int) -> None:
    """Close the W&B run; an upload that hangs is left behind on the disk, never waited for without end."""
    thread = threading.Thread(target=run.finish, kwargs={"exit_code": exit_code}, daemon=True)
    thread.start()
    thread.join(FINISH_TIMEOUT)
