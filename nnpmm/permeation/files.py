"""Pictures on disk."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from nnpmm.core.files import write_atomically

__all__ = ["save_figure"]


def save_figure(figure: Any, path: Path, *, dpi: float | None = None) -> None:
    """Write a matplotlib figure to a PNG file, atomically; create its folder if necessary.

    Raises:
        UnwritableError: the file cannot be written.
    """
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=dpi or figure.dpi)
    write_atomically(path, picture.getvalue())
