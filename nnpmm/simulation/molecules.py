"""Join molecules that a coordinate file has split atom by atom over the periodic boundary."""

from __future__ import annotations

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import app

__all__ = ["bonded_pairs", "join_molecules"]


def bonded_pairs(topology: app.Topology, system: openmm.System | None = None) -> NDArray[np.int64]:
    """Return the pairs of atoms that a bond or a constraint joins.

    Args:
        topology: gives the bonds.
        system: gives constraints, which hold rigid water together where a topology has no bonds.

    Returns:
        (n_pairs, 2) atom indices, 0-based.
    """
    pairs = [(a.index, b.index) for a, b in topology.bonds()]
    if system is not None:
        for k in range(system.getNumConstraints()):
            i, j, _ = system.getConstraintParameters(k)
            pairs.append((i, j))
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _image_shifts(vectors: NDArray[np.float64], box: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return (n, 3) numbers of box vectors that bring each vector to its nearest image.

    The box is in OpenMM's reduced form (a along x, b in the xy plane), so the components can be
    reduced one after the other.
    """
    rest = vectors.copy()
    shifts = np.zeros(vectors.shape, dtype=np.int64)
    for axis in (2, 1, 0):
        shifts[:, axis] = -np.round(rest[:, axis] / box[axis, axis]).astype(np.int64)
        rest += shifts[:, axis, None] * box[axis]
    return shifts


def join_molecules(
    positions: NDArray[np.float64], box: NDArray[np.float64] | None, pairs: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return positions in which every bond spans its minimum image.

    Walks along the bonds from the first atom of each molecule, O(atoms + bonds).

    Args:
        positions: (n_atoms, 3) in nm.
        box: (3, 3) box vectors as rows in nm, or None without periodic boundaries.
        pairs: (n_pairs, 2) bonded atoms.

    Returns:
        (n_atoms, 3) in nm; the first atom of a molecule stays where it is.
    """
    if box is None or len(pairs) == 0:
        return positions.copy()
    shifts = _image_shifts(positions[pairs[:, 1]] - positions[pairs[:, 0]], box)
    if not shifts.any():
        return positions.copy()
    neighbours: list[list[tuple[int, int, int]]] = [[] for _ in range(len(positions))]
    for k, (i, j) in enumerate(pairs.tolist()):
        neighbours[i].append((j, k, 1))
        neighbours[j].append((i, k, -1))
    images = np.zeros((len(positions), 3), dtype=np.int64)
    visited = np.zeros(len(positions), dtype=bool)
    for start in range(len(positions)):
        if visited[start]:
            continue
        visited[start] = True
        stack = [start]
        while stack:
            atom = stack.pop()
            for other, k, sign in neighbours[atom]:
                if not visited[other]:
                    visited[other] = True
                    images[other] = images[atom] + sign * shifts[k]
                    stack.append(other)
    return positions + images @ box
