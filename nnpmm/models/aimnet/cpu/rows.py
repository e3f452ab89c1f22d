"""Copy and add rows of numbers by loops.

An assignment to a slice would be compiled together with its error message in every function that
contains one, which takes seconds.
"""

from __future__ import annotations

from nnpmm.models.cpu.compilation import inner

__all__ = ["add", "copy"]

_FAST = {"contract", "reassoc", "nsz"}  # NaN must survive


@inner(fastmath=_FAST)
def add(x, y):
    """Add the first elements of y to x; y may be longer."""
    for k in range(len(x)):
        x[k] += y[k]


@inner()
def copy(x, y):
    """Copy the first elements of y to x; y may be longer."""
    for k in range(len(x)):
        x[k] = y[k]
