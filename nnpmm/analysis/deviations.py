"""How far structures are from a reference, and how much atoms fluctuate."""

from __future__ import annotations

import mdtraj
import numpy as np
from numpy.typing import NDArray

__all__ = ["Fluctuations", "aligned", "best_rmsd", "gyration_radius", "lowest_rmsd"]

Positions = NDArray[np.float32]


def aligned(positions: Positions, reference: Positions, rows: NDArray[np.int64]) -> Positions:
    """Return positions (f, n, 3) moved and turned so that some atoms lie best on the reference.

    Args:
        positions: (f, n, 3), nm.
        reference: (n, 3), nm.
        rows: of the atoms that are laid on each other.
    """
    moved = mdtraj.Trajectory(np.array(positions, dtype=np.float32), None)
    moved.superpose(mdtraj.Trajectory(reference[None], None), atom_indices=rows)
    return np.asarray(moved.xyz)


def lowest_rmsd(
    positions: Positions, reference: Positions, orders: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the root mean square deviation (f,) as the atoms lie, of the best symmetry, nm.

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
    """Return the root mean square deviation (f,) of the best alignment and symmetry, nm.

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
    """Root mean square fluctuations about the average structure, from frames one after the other.

    Args:
        n_atoms: whose fluctuations are asked for.
        n_frames: that will come, about; they are cut into blocks for the error.
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
        """Return <|r - <r>|^2> (n,) in nm^2, and the same without one block after the other.

        The second one, (b, n) for b blocks with frames, gives the jackknife's error of what is
        made from the first.
        """
        filled = np.flatnonzero(self._count)
        whole = self._of(filled)
        if len(filled) < 2:
            return whole, np.zeros((0, len(whole)))
        return whole, np.array([self._of(filled[filled != block]) for block in filled])

    def _of(self, blocks: NDArray[np.int64]) -> NDArray[np.float64]:
        count = self._count[blocks].sum()
        mean = self._sum[blocks].sum(axis=0) / count
        square = self._square[blocks].sum(axis=0) / count
        return np.maximum(square - (mean**2).sum(axis=-1), 0.0)
