"""Send the forces on ghost atoms back to the ranks that own these atoms.

LAMMPS does so before it calls a fix, and not again for the forces of ``fix external``. Without this
exchange every rank would also have to evaluate the atoms of its neighbours: two to three times the
work in a box of 3,000 atoms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mpi4py import MPI

__all__ = ["GhostExchange"]


class GhostExchange:
    """Adds up forces on the owned atoms and their ghosts on all ranks.

    The owners of ghosts are looked up when the atoms of any rank change. The directory of owners is
    distributed: atom i is listed on rank i modulo the number of ranks, so none lists all atoms.

    Args:
        comm: the ranks.
    """

    def __init__(self, comm: MPI.Comm) -> None:
        self._comm = comm
        self._tags = np.zeros(0, np.int64)
        self._n_owned = -1

    def has_changed(self, tags: NDArray[np.integer], n_owned: int) -> bool:
        """Return whether this rank's atoms differ from those of the last plan.

        Args:
            tags: (n,), numbers of the owned atoms and then of the ghosts.
            n_owned: number of owned atoms.
        """
        return n_owned != self._n_owned or not np.array_equal(tags, self._tags)

    def make_plan(self, tags: NDArray[np.integer], n_owned: int) -> None:
        """Find the owners of the ghosts; all ranks call this together.

        Args:
            tags: (n,), numbers of the owned atoms and then of the ghosts.
            n_owned: number of owned atoms.
        """
        self._tags, self._n_owned = tags.astype(np.int64), n_owned
        owned, ghosts = self._tags[:n_owned], self._tags[n_owned:]
        size, rank = self._comm.size, self._comm.rank
        # Enter every owned atom in the directory: number, owner, row there.
        entries = np.stack([owned, np.full(n_owned, rank), np.arange(n_owned)], axis=1)
        order, counts = _by_rank(owned % size, size)
        entries = self._send(entries[order], counts)[0]
        entries = entries[np.argsort(entries[:, 0])]
        # Look up every ghost there; the answers come back in the order of the questions.
        order, counts = _by_rank(ghosts % size, size)
        questions, asked = self._send(ghosts[order, None], counts)
        found = entries[np.searchsorted(entries[:, 0], questions[:, 0]), 1:]
        answers = np.empty((len(ghosts), 2), np.int64)
        answers[order] = self._send(found, asked)[0]
        # Sort the ghosts by owner, and tell each owner which of its rows they are.
        self._order, self._counts = _by_rank(answers[:, 0], size)
        rows, self._received = self._send(answers[self._order, 1:], self._counts)
        self._rows = rows[:, 0]

    def add_up(self, forces: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the forces on the owned atoms, including those on their ghosts.

        Args:
            forces: (n, 3), on the owned atoms and then on the ghosts.
        """
        owned, ghosts = forces[: self._n_owned].copy(), forces[self._n_owned :]
        back = self._send(ghosts[self._order], self._counts, self._received)[0]
        np.add.at(owned, self._rows, back)
        return owned

    def _send(
        self,
        rows: NDArray,
        counts: NDArray[np.int64],
        received: NDArray[np.int64] | None = None,
    ) -> tuple[NDArray, NDArray[np.int64]]:
        """Send rows (n, k), sorted by rank; return those received, and how many from each rank.

        Args:
            rows: to be sent.
            counts: (size,), how many go to each rank.
            received: (size,), how many come from each, where that is known.
        """
        if received is None:
            received = np.empty_like(counts)
            self._comm.Alltoall(counts, received)
        width = rows.shape[1]
        incoming = np.empty((int(received.sum()), width), rows.dtype)
        self._comm.Alltoallv(
            [np.ascontiguousarray(rows), counts * width], [incoming, received * width]
        )
        return incoming, received


def _by_rank(ranks: NDArray[np.int64], size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the order that sorts by rank, and how many there are of each."""
    return np.argsort(ranks, kind="stable"), np.bincount(ranks, minlength=size).astype(np.int64)
