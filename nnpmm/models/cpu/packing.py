"""Alignment, padding and order of arrays for the innermost loops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["aligned", "fill", "joined", "padded", "panels"]


def aligned(shape: tuple[int, ...], dtype: np.dtype) -> NDArray[np.floating]:
    """Return an array of zeros that begins at a cache line."""
    size = int(np.prod(shape)) * dtype.itemsize
    raw = np.zeros(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(dtype).reshape(shape)


def padded(length: int, multiple: int) -> int:
    """Return the smallest multiple of a number that is not less than ``length``."""
    return -(-length // multiple) * multiple


def fill(values: Any, length: int, dtype: np.dtype) -> NDArray[np.floating]:
    """Return values padded with zeros to a length."""
    row = np.zeros(length, dtype)
    row[: len(values)] = values
    return row


def panels(matrix: NDArray[np.floating], panel: int) -> NDArray[np.floating]:
    """Return a matrix as consecutive panels of ``panel`` columns, each row by row."""
    depth, columns = matrix.shape
    return matrix.reshape(depth, columns // panel, panel).transpose(1, 0, 2).ravel()


def joined(parts: Sequence[NDArray[np.floating]], dtype: np.dtype) -> NDArray[np.floating]:
    """Return flat arrays concatenated into one that begins at a cache line."""
    target = aligned((sum(part.size for part in parts),), dtype)
    return np.concatenate(parts, out=target)
