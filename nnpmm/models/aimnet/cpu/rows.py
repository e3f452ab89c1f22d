"""Rows of numbers copied and added by loops.

numba would compile the error message of an assignment to a slice with every function that has one,
which takes seconds.
"""

from __future__ import annotations

from nnpmm.models.cpu.compilation import inner

__all__ = ["add", "copy"]

_FAST = {"contract", "reassoc", "nsz"}  # NaN must survive


@inner(fastmath=_FAST)
def add(x, y):
    """Add to x the first numbers of y, which has as many or more."""
    for k in range(len(x)):
        x[k] += y[k]


@inner()
def copy(x, y):
    """Write to x the first numbers of y, which has as many or more."""
    for k in range(len(x)):
        x[k] = y[k]
