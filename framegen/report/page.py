"""The report of all claims: one HTML file that needs nothing else, not even a network."""

import base64
import html
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from PIL import Image

from framegen.files import write_text
from framegen.report.figures.style import DPI

Verdict = Literal["holds", "holds in part", "does not hold"]


@dataclass(frozen=True)
class Claim:
    """One claim of the article, and what its experiment found."""

    number: int
    title: str
    sentence: str
    """What is claimed, and how it was tried."""
    found: str
    """What came out: a number with its spread."""
    verdict: Verdict
    """What that says of the claim, by a rule that the claim's code states."""
    pictures: Sequence[Path]
    captions: Sequence[str]
    """What each picture shows."""
    commands: Sequence[str]
    """What makes it alone."""
    values: dict[str, float]
    """The numbers, for W&B, by name."""


STYLE = """
* { box-sizing: border-box }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif }
body { color: #222; background: #fff }
a { color: #0060a8 }
h2 { margin: 3rem 0 .3rem }
figure { margin: 1rem 0 }
img { max-width: 100%; height: auto; background: #fff }
figcaption, footer { color: #555; font-size: .9rem }
.found { font-size: 1.15rem; font-weight: 600; border-left: 4px solid #D55E00; padding-left: .8rem }
.verdict { margin-top: .2rem }
pre { background: #f2f2f2; padding: .6rem .8rem; overflow-x: auto; font-size: .85rem }
@media (prefers-color-scheme: dark) {
  body { color: #ddd; background: #161616 }
  a { color: #7cc4ff }
  pre { background: #262626 }
  figcaption, footer { color: #aaa }
  img { padding: .4rem }
}
"""


def write_report(path: Path, claims: Sequence[Claim]) -> None:
    """Write the claims as one page; pictures and videos are inside."""
    contents = "".join(
        f'<li><a href="#claim-{claim.number}">{html.escape(claim.title)}</a></li>' for claim in claims
    )
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    machine = f"{platform.machine()}, {torch.get_num_threads()} CPU threads, {versions}"
    write_text(
        path,
        f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>The article's claims, measured</title><style>{STYLE}</style></head><body>
<h1>The article's claims, measured</h1>
<p>The article explains recurrent networks with videos of 2 by 2 pixels that a net of 4, 5 and 4 units continues, and with a
sine that another turns into a lagged one. Each of its claims is an experiment here. <b>Skill</b> is the part of the
possible gain that a predictor reaches: 0 copies the last frame, 1 is the best that any predictor can do. Numbers are mean
± standard deviation over seeds, each seed with its own initial weights and its own order of the clips.</p>
<ol>{contents}</ol>
{"".join(map(_section, claims))}
<footer><p>Made by <code>framegen reproduce</code> on {html.escape(machine)}.</p></footer>
</body></html>
""",
    )


def _section(claim: Claim) -> str:
    figures = "".join(
        _figure(picture, caption) for picture, caption in zip(claim.pictures, claim.captions, strict=True)
    )
    commands = "\n".join(html.escape(f"uv run {command}") for command in claim.commands)
    return f"""<section id="claim-{claim.number}"><h2>{claim.number}. {html.escape(claim.title)}</h2>
<p>{html.escape(claim.sentence)}</p><p class="found">{html.escape(claim.found)}</p>
<p class="verdict">The claim <b>{claim.verdict}</b>.</p>
{figures}<pre>{commands}</pre></section>
"""


def _figure(picture: Path, caption: str) -> str:
    content = base64.b64encode(picture.read_bytes()).decode()
    with Image.open(picture) as image:
        width = (
            round(image.width * 96 / DPI) if picture.suffix == ".png" else image.width
        )  # so that letters have one size
    source = f"data:image/{picture.suffix[1:]};base64,{content}"
    shown = f'<img src="{source}" width="{width}" alt="{html.escape(caption, quote=True)}">'
    return f"<figure>{shown}<figcaption>{html.escape(caption)}</figcaption></figure>"
