"""Distribute members and atoms over threads."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["ThreadWork", "partition"]

_MAX_IMBALANCE = 1.15  # largest load over the mean, up to which threads evaluate whole networks


class ThreadWork(NamedTuple):
    """The work of one thread.

    Attributes:
        tasks: a member, and the range of its atoms, (t, 3).
        atom_ranges: disjoint ranges of the atoms that are in any task, (r, 2).
        rows: range of the atoms for which the thread calculates what all members share, (2,).
    """

    tasks: NDArray[np.int64]
    atom_ranges: NDArray[np.int64]
    rows: NDArray[np.int64]


def partition(
    n_members: int, n_geometries: int, n_atoms: int, n_threads: int
) -> tuple[bool, list[ThreadWork]]:
    """Distribute the work of an evaluation.

    A pass of a network needs the previous pass for all atoms of a geometry. Threads with whole
    networks and geometries need not wait for each other. If these cannot be distributed evenly,
    atoms are.

    Returns:
        Whether every thread has whole networks, and the work of each thread.
    """
    rows = n_geometries * n_atoms
    n_networks = n_members * n_geometries
    n_used = min(n_threads, n_members * rows)
    whole_networks = -(-n_networks // n_used) * n_used <= _MAX_IMBALANCE * n_networks
    step = n_atoms if whole_networks else 1
    ends = np.arange(n_used + 1) * (n_members * rows // step) // n_used * step
    row_ends = np.arange(n_used + 1) * rows // n_used
    thread_work = [
        _thread_work(int(ends[s]), int(ends[s + 1]), rows, row_ends[s : s + 2])
        for s in range(n_used)
    ]
    return whole_networks, thread_work


def _thread_work(first: int, last: int, rows: int, shared_rows: NDArray[np.int64]) -> ThreadWork:
    """Return the work on elements first to last of the flattened array (member, row)."""
    tasks = []
    while first < last:
        end = min(last, (first // rows + 1) * rows)
        tasks.append((first // rows, first % rows, end - first // rows * rows))
        first = end
    ranges: list[list[int]] = []
    for begin, end in sorted((begin, end) for _, begin, end in tasks):
        if ranges and begin <= ranges[-1][1]:
            ranges[-1][1] = max(ranges[-1][1], end)
        else:
            ranges.append([begin, end])
    return ThreadWork(
        np.array(tasks, np.int64), np.array(ranges, np.int64), shared_rows.astype(np.int64)
    )
