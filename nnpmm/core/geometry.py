"""Joins a region that the periodic boundary has split."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["WholeRegion", "make_whole", "spanning_trees"]


class WholeRegion:
    """Joins the same region again and again; what depends on the bonds alone is done once.

    Args:
        n_atoms: number of atoms in the region.
        bonds: pairs of 0-based indices within the region, shape (m, 2).
        gather: also move fragments that no bond joins to the image nearest to the first one.
    """

    def __init__(
        self, n_atoms: int, bonds: Iterable[Sequence[int]], *, gather: bool = True
    ) -> None:
        self._steps, fragments = spanning_trees(n_atoms, bonds)
        self.n_molecules = len(fragments)
        self._fragments = fragments if gather else []

    def __call__(
        self, positions: NDArray[np.float64], box: NDArray[np.float64] | None
    ) -> NDArray[np.float64]:
        """Return positions (n, 3) with every bond at its nearest image and fragments close.

        Args:
            positions: (n, 3), nm.
            box: periodic box vectors as rows of a lower-triangular (3, 3) matrix, or None.
        """
        if box is None:
            return positions
        whole = positions
        if len(self._steps):
            half = 0.5 * np.diag(box)
            parents, children = self._steps[:, 0], self._steps[:, 1]
            if (np.abs(positions[children] - positions[parents]) > half).any():
                whole = positions.copy()
                for parent, child in self._steps:  # parents come before their children
                    whole[child] -= _lattice_shift(whole[child] - whole[parent], box)
        if len(self._fragments) > 1:
            whole = whole.copy()
            anchor = whole[self._fragments[0]].mean(axis=0)
            for fragment in self._fragments[1:]:
                whole[fragment] -= _lattice_shift(whole[fragment].mean(axis=0) - anchor, box)
        return whole


def make_whole(
    positions: NDArray[np.float64],
    box: NDArray[np.float64] | None,
    bonds: Iterable[Sequence[int]],
    *,
    gather: bool = True,
) -> NDArray[np.float64]:
    """Return a copy of the positions with bonded atoms joined across the periodic boundary.

    The first atom of each fragment stays where it is, unless fragments are gathered.

    Args:
        positions: (n, 3), nm.
        box: periodic box vectors as rows of a lower-triangular (3, 3) matrix in nm, or None.
        bonds: pairs of 0-based row numbers, shape (m, 2).
        gather: also move fragments that no bond joins, whole, to the image nearest to the first.
    """
    join = WholeRegion(len(positions), bonds, gather=gather)
    return np.array(join(np.asarray(positions, dtype=float), box))


def spanning_trees(
    n_atoms: int, bonds: Iterable[Sequence[int]]
) -> tuple[NDArray[np.int64], list[NDArray[np.int64]]]:
    """Return bonds (parent, child) that reach every atom, parents first, and each fragment's atoms.

    Args:
        n_atoms: number of atoms in the region.
        bonds: pairs of 0-based indices within the region, shape (m, 2).
    """
    neighbours: list[list[int]] = [[] for _ in range(n_atoms)]
    for i, j in bonds:
        neighbours[int(i)].append(int(j))
        neighbours[int(j)].append(int(i))
    steps, fragments, seen = [], [], [False] * n_atoms
    for root in range(n_atoms):
        if seen[root]:
            continue
        seen[root], queue, fragment = True, deque([root]), [root]
        while queue:
            parent = queue.popleft()
            for child in neighbours[parent]:
                if not seen[child]:
                    seen[child] = True
                    steps.append((parent, child))
                    fragment.append(child)
                    queue.append(child)
        fragments.append(np.array(fragment, dtype=np.int64))
    return np.array(steps, dtype=np.int64).reshape(-1, 2), fragments


def _lattice_shift(vector: NDArray[np.float64], box: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lattice vector from a difference vector's nearest image to itself (reduced box)."""
    shift = np.round(vector[2] / box[2, 2]) * box[2]
    shift = shift + np.round((vector[1] - shift[1]) / box[1, 1]) * box[1]
    return shift + np.round((vector[0] - shift[0]) / box[0, 0]) * box[0]
