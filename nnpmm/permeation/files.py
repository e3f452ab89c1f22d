"""Pictures on disk."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from nnpmm.core.files import write_atomically

__all__ = ["save_figure"]


def save_figure(figure: Any, path: Path, *, dpi: float | None = None) -> None:
    """Write a figure of matplotlib to a PNG file, atomically; its folder is made if need be.

    Raises:
        UnwritableError: the file cannot be written.
    """
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=dpi or figure.dpi)
    write_atomically(path, picture.getvalue())
