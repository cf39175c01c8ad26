"""One HTML file from a template, style sheets and programs of this folder: it needs nothing else."""

import base64
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import torch
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from torch import Tensor

MAX_SIDE = 32
"""Pixels of a frame that a page shows, in height and in width."""


def rendered(template: str, styles: Sequence[str], programs: Sequence[str], **values: Any) -> str:
    """The template's HTML; of style sheets the later wins, each program knows those before it."""
    environment = Environment(
        loader=PackageLoader(__package__ or "framegen.live", package_path=""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(
        style=_joined(styles), script=_joined(programs), **values
    )


def _joined(names: Sequence[str]) -> Markup:
    """Files of this folder, one after another."""
    folder = files(__package__ or "framegen.live")
    return Markup("\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in names))


def base64_of(values: Tensor) -> str:
    """Bytes as they are, all else as little-endian float32."""
    array = values.detach().cpu().contiguous().numpy()
    return base64.b64encode(
        (array if values.dtype == torch.uint8 else array.astype("<f4")).tobytes()
    ).decode()
