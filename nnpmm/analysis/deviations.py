"""Deviations of structures from a reference, and fluctuations of atoms."""

from __future__ import annotations

import mdtraj
import numpy as np
from numpy.typing import NDArray

__all__ = ["Fluctuations", "best_rmsd", "gyration_radius", "lowest_rmsd"]

Positions = NDArray[np.float32]


def lowest_rmsd(
    positions: Positions, reference: Positions, orders: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the root mean square deviation (f,), nm, without alignment, of the best symmetry.

    Args:
        positions: (f, n, 3), nm, aligned by the caller.
        reference: (n, 3), nm.
        orders: (s, h) rows in each order that is chemically the same; the first one is that of the
            reference.
    """
    target = reference[orders[0]]
    found = np.full(len(positions), np.inf)
    for order in orders:
        square = ((positions[:, order].astype(np.float64) - target) ** 2).sum(axis=-1)
        np.minimum(found, square.mean(axis=-1), out=found)
    return np.sqrt(found)


def best_rmsd(
    positions: Positions, reference: Positions, orders: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the root mean square deviation (f,), nm, of the best alignment and symmetry.

    Args:
        positions: (f, n, 3), nm.
        reference: (n, 3), nm.
        orders: as for ``lowest_rmsd``.
    """
    target = mdtraj.Trajectory(reference[orders[0]][None], None)
    found = np.full(len(positions), np.inf)
    for order in orders:
        chosen = mdtraj.Trajectory(positions[:, order], None)
        np.minimum(found, mdtraj.rmsd(chosen, target), out=found)
    return found


def gyration_radius(positions: Positions, masses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the radius of gyration (f,), sqrt(sum m |r - r_c|^2 / sum m), nm.

    Args:
        positions: (f, n, 3), nm.
        masses: (n,), amu.
    """
    weights = masses / masses.sum()
    values = positions.astype(np.float64)
    center = np.einsum("n,fnx->fx", weights, values)
    squares = ((values - center[:, None]) ** 2).sum(axis=-1)
    return np.asarray(np.sqrt(squares @ weights))


class Fluctuations:
    """Root mean square fluctuations about the average structure, from frames that are added.

    Args:
        n_atoms: number of atoms.
        n_frames: approximate number of frames; they are divided into blocks for the error.
    """

    _BLOCKS = 10

    def __init__(self, n_atoms: int, n_frames: int) -> None:
        self._length = max(1, -(-n_frames // self._BLOCKS))
        self._count = np.zeros(self._BLOCKS)
        self._sum = np.zeros((self._BLOCKS, n_atoms, 3))
        self._square = np.zeros((self._BLOCKS, n_atoms))

    def add(self, first: int, positions: Positions) -> None:
        """Add frames, positions (f, n, 3) in nm, the first of which has this index."""
        blocks = np.minimum(
            np.arange(first, first + len(positions)) // self._length, self._BLOCKS - 1
        )
        for block in np.unique(blocks):
            chosen = positions[blocks == block].astype(np.float64)
            self._count[block] += len(chosen)
            self._sum[block] += chosen.sum(axis=0)
            self._square[block] += (chosen**2).sum(axis=(0, 2))

    def squares(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return <|r - <r>|^2> (n,) in nm^2, and the same without each of the blocks.

        The second array, (b, n) for b blocks with frames, gives jackknife errors of functions of
        the first.
        """
        filled = np.flatnonzero(self._count)
        total = self._over(filled)
        if len(filled) < 2:
            return total, np.zeros((0, len(total)))
        return total, np.array([self._over(filled[filled != block]) for block in filled])

    def _over(self, blocks: NDArray[np.int64]) -> NDArray[np.float64]:
        count = self._count[blocks].sum()
        mean = self._sum[blocks].sum(axis=0) / count
        square = self._square[blocks].sum(axis=0) / count
        return np.maximum(square - (mean**2).sum(axis=-1), 0.0)
