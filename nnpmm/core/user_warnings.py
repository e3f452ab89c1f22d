"""Warnings that point to the user's line."""

from __future__ import annotations

import os
import sys
import warnings
from types import FrameType

__all__ = ["warn_user"]

_PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep


def warn_user(text: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line outside nnpmm that led here, however many calls of nnpmm lie between.

    Python 3.12 has ``skip_file_prefixes`` of `warnings.warn` for this.

    Args:
        text: the warning.
        category: its class.
    """
    level, frame = 1, sys._getframe()
    while _is_ours(frame) and frame.f_back is not None:
        level, frame = level + 1, frame.f_back
    warnings.warn(text, category, stacklevel=level)


def _is_ours(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(_PACKAGE)
