"""The report of all claims: one HTML file that needs nothing else, not even a network."""

import base64
import platform
from collections.abc import Mapping
from pathlib import Path

import torch
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from framegen.machine.device import processor
from framegen.machine.files import write_text
from framegen.report.figures.style import DPI
from framegen.studies.claims.runs import Claim, Finding

TEMPLATE = "report.html.jinja"
NEURON = "neuron.png"


def write_report(
    path: Path, claims: Mapping[int, Claim], findings: Mapping[int, Finding], live: str | None = None
) -> None:
    """Write what was found of the claims, by their numbers, as one page; pictures and videos are inside, that
    of a neuron first.

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
