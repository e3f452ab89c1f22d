"""How members and atoms are shared out to threads."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Share", "divide"]

_BALANCED = 1.15  # longest share over the mean, up to which threads take whole networks


class Share(NamedTuple):
    """What one thread does.

    Attributes:
        tasks: a member and first and last of its atoms, (t, 3).
        touched: first and last of the atoms that are in any task, each once, (r, 2).
        rows: first and last of the atoms for which it does what members share, (2,).
    """

    tasks: NDArray[np.int64]
    touched: NDArray[np.int64]
    rows: NDArray[np.int64]


def divide(
    n_members: int, n_geometries: int, n_atoms: int, n_threads: int
) -> tuple[bool, list[Share]]:
    """Share out the work of an evaluation.

    A network's passes wait for all atoms of a geometry. Threads that have whole networks of whole
    geometries wait for nobody; where these cannot be shared out evenly, atoms are.

    Returns:
        Whether every share is of whole networks, and the shares.
    """
    rows = n_geometries * n_atoms
    units = n_members * n_geometries
    n_shares = min(n_threads, n_members * rows)
    whole = -(-units // n_shares) * n_shares <= _BALANCED * units
    step = n_atoms if whole else 1
    ends = np.arange(n_shares + 1) * (n_members * rows // step) // n_shares * step
    row_ends = np.arange(n_shares + 1) * rows // n_shares
    shares = [
        _share(int(ends[s]), int(ends[s + 1]), rows, row_ends[s : s + 2]) for s in range(n_shares)
    ]
    return whole, shares


def _share(first: int, last: int, rows: int, own: NDArray[np.int64]) -> Share:
    tasks = []
    while first < last:
        end = min(last, (first // rows + 1) * rows)
        tasks.append((first // rows, first % rows, end - first // rows * rows))
        first = end
    covered: list[list[int]] = []
    for begin, end in sorted((begin, end) for _, begin, end in tasks):
        if covered and begin <= covered[-1][1]:
            covered[-1][1] = max(covered[-1][1], end)
        else:
            covered.append([begin, end])
    return Share(np.array(tasks, np.int64), np.array(covered, np.int64), own.astype(np.int64))
