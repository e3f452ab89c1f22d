"""Nearest images, periodic boxes, and regions split by the boundary."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "WholeRegion",
    "images_around",
    "make_whole",
    "nearest_image",
    "reduced_box",
    "spanning_trees",
    "wrapped",
]


def nearest_image(vectors: NDArray[Any], box: NDArray[Any]) -> NDArray[Any]:
    """Return difference vectors between nearest images, by OpenMM's convention.

    In a triclinic box, a vector longer than half the smallest width need not be the shortest one.

    Args:
        vectors: (..., 3), nm.
        box: periodic box vectors as rows, (3, 3), nm, in OpenMM's reduced form; or boxes,
            (..., 3, 3), one for each vector or broadcast to them.
    """
    return np.asarray(vectors - _lattice_shift(vectors, box))


def reduced_box(box: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return vectors of the same lattice in OpenMM's reduced form, |b_x|, |c_x| <= a_x/2 and so on.

    Args:
        box: periodic box vectors as rows of a lower-triangular (3, 3) matrix in nm, with positive
            numbers on its diagonal.
    """
    a, b, c = reduced = np.array(box, dtype=float)  # views of its rows
    b -= np.round(b[0] / a[0]) * a
    c -= np.round(c[1] / b[1]) * b
    c -= np.round(c[0] / a[0]) * a
    return reduced


def wrapped(positions: NDArray[np.float64], box: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return positions (n, 3) moved into the periodic box, each atom by itself.

    Args:
        positions: (n, 3), nm.
        box: periodic box vectors as rows, (3, 3), nm.
    """
    fractions = positions @ np.linalg.inv(box)
    return np.asarray((fractions - np.floor(fractions)) @ box)


def images_around(positions: NDArray[np.float64], box: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return positions and their images in the 26 cells around, (27, n, 3).

    Element 13 contains the positions themselves.

    Args:
        positions: (n, 3), nm.
        box: periodic box vectors as rows, (3, 3), nm.
    """
    shifts = np.array(list(itertools.product((-1, 0, 1), repeat=3))) @ box
    return np.asarray(shifts[:, None] + positions)


class WholeRegion:
    """Joins a region that the periodic boundary has split, at many frames.

    The work that depends only on the bonds is done once.

    Args:
        n_atoms: number of atoms in the region.
        bonds: pairs of 0-based indices within the region, shape (m, 2).
        gather: also move unconnected fragments to the image nearest to the first one.
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
        gather: also move unconnected fragments to the image nearest to the first one.
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


def _lattice_shift(vectors: NDArray[Any], box: NDArray[Any]) -> NDArray[Any]:
    """Return the lattice vectors by which vectors (..., 3) differ from their nearest images."""
    shift = np.round(vectors[..., 2:] / box[..., 2, 2, None]) * box[..., 2, :]
    rest = vectors[..., 1:2] - shift[..., 1:2]
    shift = shift + np.round(rest / box[..., 1, 1, None]) * box[..., 1, :]
    rest = vectors[..., :1] - shift[..., :1]
    return np.asarray(shift + np.round(rest / box[..., 0, 0, None]) * box[..., 0, :])
