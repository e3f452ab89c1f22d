"""Figures as files."""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib.figure import Figure

from nnpmm.core.files import write_atomically

__all__ = ["save_figure"]


def save_figure(figure: Figure, path: Path) -> None:
    """Write a picture as PNG and as SVG, whose suffixes are added to the path.

    Raises:
        UnwritableError: a file cannot be written.
    """
    for kind in ("png", "svg"):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind)
        write_atomically(path.with_name(f"{path.name}.{kind}"), buffer.getvalue())
