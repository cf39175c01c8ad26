"""Results as tables: the words and numbers that the terminal and a notebook show."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from pathlib import Path

from framegen.evaluation.blending import MODEL
from framegen.evaluation.references import ONE_FRAME
from framegen.evaluation.results import Results, Scores

NOTE = "skill: 0 copies the last frame, 1 is optimal"
EXCESS_NOTE = "excess: the error as a multiple of the optimum's, the noise subtracted from both"
OBSERVER_NOTE = "observer: an optimum that has seen the last frames alone"
MEMORY_NOTE = "memory: skill where something comes back into sight, 0 has seen one frame"
WITH_ERROR = ("skill", "regret")
"""In a table their standard error stands behind them."""

FORMATS = {
    **dict.fromkeys(("mse", "mae"), "{:#.3g}"),
    "excess": "{:.1f}",
    **dict.fromkeys(("mse_frame", "mae_frame"), "{:.1f}"),
    "psnr": "{:.2f} dB",
    **dict.fromkeys(("bits", "regret"), "{:.2f}"),
    **dict.fromkeys(("coverage_50", "coverage_90"), "{:.3f}"),
    **dict.fromkeys(
        ("skill", "memory", "memory_se", "ssim", "ssim_literature", "motion_ratio", "sharpness_ratio"),
        "{:.3f}",
    ),
}


def overview(results: Results) -> tuple[str, list[str], dict[str, list[str]]]:
    """A title, headings and a row for each predictor: mse and skill one step ahead, and closed-loop where the
    task has that. Without a known optimum, of pictures mse and ssim."""
    headings = {"one_step": "1 step", "closed_loop": "closed\nloop"}
    wanted = ["mse", *[m for m in ("skill", "ssim") if m in results.convention][:1], "memory", "excess"]
    metrics = {part: [m for m in wanted if m in results.metrics(part)] for part in results.parts()}
    columns = [f"{metric},\n{headings[part]}" for part, each in metrics.items() for metric in each]
    parts = {part: rows_of(results, part, each) for part, each in metrics.items()}
    rows = {name: [each for part in parts.values() for each in part[name]] for name in parts["one_step"]}
    more = {"memory": MEMORY_NOTE, "excess": EXCESS_NOTE}
    observers = [OBSERVER_NOTE] if ONE_FRAME in results.one_step else []
    said = "; ".join(
        [NOTE, *observers, *(text for metric, text in more.items() if metric in results.convention)]
    )
    note = f" {said}; ±: standard error over the clips." if results.has_skill else ""
    return f"Test clips.{note}", columns, rows


def as_html(results: Results, video: Path) -> str:
    """The overview, and a GIF where it is there, as HTML that needs no other file."""
    title, columns, rows = overview(results)
    lines = [("predictor", *columns), *((name, *cells) for name, cells in rows.items())]
    table = "".join(f"<tr>{''.join(f'<td>{escape(each)}</td>' for each in line)}</tr>" for line in lines)
    shown = f"<p>{escape(title)}</p><table>{table}</table>"
    if not video.exists():
        return shown
    content = b64encode(video.read_bytes()).decode()
    return f'{shown}<img alt="{escape(video.name)}" src="data:image/gif;base64,{content}">'


def rows_of(results: Results, part: str, metrics: Sequence[str]) -> dict[str, list[str]]:
    """What a table shows, by predictor; of a population mean and sd, and best, median and worst seed on
    validation."""
    predictors = results.parts()[part]
    rows: dict[str, Scores] = {MODEL: predictors["model"]}
    statistics: dict[str, Scores] = {}
    if len(results.members) > 1:
        ranking = results.by_validation
        chosen = {"best": ranking[0], "median": results.median, "worst": ranking[-1]}
        rows = {f"{name}: seed {member.seed}": getattr(member, part) for name, member in chosen.items()}
        over_seeds = results.spread[part]
        statistics[f"{len(results.members)} seeds: mean"] = {
            metric: over_seeds[metric].mean for metric in metrics
        }
        statistics["± sd over seeds"] = {metric: over_seeds[metric].sd for metric in metrics}
    rows |= {name: scores for name, scores in predictors.items() if name != "model"}
    return {
        name: [cell(metric, scores) for metric in metrics] for name, scores in (statistics | rows).items()
    }


def cell(metric: str, scores: Scores) -> str:
    if metric == "psnr" and scores.get("mse") == 0:
        return "exact"
    return formatted(metric, scores.get(metric), scores.get(f"{metric}_se"))


def formatted(metric: str, value: float | None, error: float | None = None) -> str:
    if value is None:
        return "-"
    behind = f" ±{error:.1g}".replace("±0.", "±.") if error and metric in WITH_ERROR else ""
    return FORMATS[metric].format(value) + behind
