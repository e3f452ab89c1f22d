"""Neighbours of an atom: by a cell list, or from a given neighbour list.

Few atoms are in a single cell, so that the search is a plain loop over all atoms.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numba.extending import overload
from numpy.typing import NDArray

__all__ = [
    "Cells",
    "NeighbourList",
    "Neighbours",
    "build_cells",
    "find_neighbours",
    "neighbours_of",
]

_MAX_ATOMS_ONE_CELL = 200  # for fewer atoms, cells cost more than they save


class Cells(NamedTuple):
    """Atoms sorted by cell. A batch of geometries has one cell for each geometry.

    Attributes:
        n_atoms: atoms of one geometry.
        counts: number of cells along each box vector, (3,).
        origin: corner of the first cell, (3,), angstrom.
        inverse: matrix from positions to fractional coordinates, (3, 3).
        box: reduced box vectors as rows, (3, 3), angstrom; zeros without a box.
        periodic: whether there is a box.
        start: index in ``atoms`` of each cell's first atom, and a last entry for the end.
        atoms: atoms sorted by cell.
    """

    n_atoms: int
    counts: NDArray[np.int64]
    origin: NDArray[np.float64]
    inverse: NDArray[np.float64]
    box: NDArray[np.float64]
    periodic: bool
    start: NDArray[np.int64]
    atoms: NDArray[np.int64]


class NeighbourList(NamedTuple):
    """A given neighbour list of some atoms, the centres, in place of `Cells`.

    With this list, positions are the vectors from centres to neighbours, (p, 3), angstrom, and
    forces are those on the c centres, followed by those on the p neighbours.

    Attributes:
        n_atoms: 1, because every centre counts as a geometry with its own energy.
        n_centres: c.
        start: index of the first neighbour of each centre, and a last entry for the end, (c + 1,).
        kind: element of each neighbour, (p,).
    """

    n_atoms: int
    n_centres: int
    start: NDArray[np.int64]
    kind: NDArray[np.int64]


class Neighbours(NamedTuple):
    """Buffer for one atom's neighbours: index, element, vector and distance, angstrom."""

    atom: NDArray[np.int64]
    kind: NDArray[np.int64]
    x: NDArray[np.floating]
    y: NDArray[np.floating]
    z: NDArray[np.floating]
    r: NDArray[np.floating]

    @classmethod
    def allocate(cls, capacity: int, dtype: np.dtype) -> Neighbours:
        """Allocate a buffer for up to ``capacity`` neighbours."""
        index, kind = np.empty((2, capacity), np.int64)
        return cls(index, kind, *np.empty((4, capacity), dtype))


def build_cells(
    positions: NDArray[np.float64], box: NDArray[np.float64] | None, cutoff: float
) -> Cells:
    """Sort atoms into cells that are no narrower than the cutoff.

    Args:
        positions: (k, n, 3) of k geometries, angstrom; k = 1 if they are large or periodic.
        box: reduced box vectors as rows, angstrom, or None.
        cutoff: cutoff of the neighbours, angstrom.
    """
    n_geometries, n_atoms = positions.shape[:2]
    counts, origin, inverse = np.ones(3, np.int64), np.zeros(3), np.zeros((3, 3))
    start = np.arange(n_geometries + 1) * n_atoms
    atoms = np.arange(n_geometries * n_atoms)
    vectors = np.zeros((3, 3)) if box is None else box
    if n_geometries == 1 and n_atoms > _MAX_ATOMS_ONE_CELL:
        if box is None:
            origin = positions[0].min(axis=0)
            inverse = np.diag(1 / np.maximum(np.ptp(positions[0], axis=0), cutoff))
        else:
            inverse = np.asarray(np.linalg.inv(box), np.float64)
        widths = 1 / np.linalg.norm(inverse, axis=0)
        # About as many cells as atoms are enough; more would be empty and cost memory.
        counts = np.clip((widths / cutoff).astype(np.int64), 1, max(1, round(n_atoms ** (1 / 3))))
        cell = _cell_of(positions[0], origin, inverse, counts, box is not None)
        atoms = np.argsort(cell, kind="stable")
        start = np.searchsorted(cell[atoms], np.arange(counts.prod() + 1))
    return Cells(n_atoms, counts, origin, inverse, vectors, box is not None, start, atoms)


def _cell_of(
    positions: NDArray[np.float64],
    origin: NDArray[np.float64],
    inverse: NDArray[np.float64],
    counts: NDArray[np.int64],
    periodic: bool,
) -> NDArray[np.int64]:
    fractional = (positions - origin) @ inverse
    if periodic:
        fractional -= np.floor(fractional)
    index = np.clip((fractional * counts).astype(np.int64), 0, counts - 1)
    return (index[:, 0] * counts[1] + index[:, 1]) * counts[2] + index[:, 2]


@numba.njit(nogil=True, error_model="numpy")
def _neighbour_cells(position, cells, axis, found):
    """Write the indices along one axis of the cells next to a position; return how many."""
    count = cells.counts[axis]
    if count == 1:
        found[axis, 0] = 0
        return 1
    fractional = 0.0
    for d in range(3):
        fractional += (position[d] - cells.origin[d]) * cells.inverse[d, axis]
    if cells.periodic:
        fractional -= np.floor(fractional)
    own = min(max(int(fractional * count), 0), count - 1)
    n = 0
    for step in range(-1, 2):
        index = own + step
        if cells.periodic:
            if count == 2 and step == -1:
                continue  # with two cells, the next and the previous cell are the same
            index %= count
        elif index < 0 or index >= count:
            continue
        found[axis, n] = index
        n += 1
    return n


@numba.njit(nogil=True, error_model="numpy")
def find_neighbours(i, positions, species, cells, cutoff, index, neighbours):
    """Write the neighbours of atom i within the cutoff; return how many there are.

    Args:
        i: the atom, counted through all geometries.
        positions: (k n, 3), angstrom, float64.
        species: element of each atom of one geometry, (n,).
        cells: see `Cells`.
        cutoff: angstrom.
        index: buffer of (3, 3) integers.
        neighbours: buffer for n - 1 neighbours.
    """
    centre = positions[i]
    first = i // cells.n_atoms  # the cell of its geometry in a batch
    nx = _neighbour_cells(centre, cells, 0, index)
    ny = _neighbour_cells(centre, cells, 1, index)
    nz = _neighbour_cells(centre, cells, 2, index)
    n = 0
    for a in range(nx):
        for b in range(ny):
            for c in range(nz):
                cell = (index[0, a] * cells.counts[1] + index[1, b]) * cells.counts[2] + index[2, c]
                cell += first
                for slot in range(cells.start[cell], cells.start[cell + 1]):
                    j = cells.atoms[slot]
                    x = positions[j, 0] - centre[0]
                    y = positions[j, 1] - centre[1]
                    z = positions[j, 2] - centre[2]
                    if cells.periodic:
                        x, y, z = _nearest_image(x, y, z, cells.box)
                    square = x * x + y * y + z * z
                    if square < cutoff * cutoff and j != i:
                        neighbours.atom[n] = j
                        neighbours.kind[n] = species[j - first * cells.n_atoms]
                        neighbours.x[n] = x
                        neighbours.y[n] = y
                        neighbours.z[n] = z
                        neighbours.r[n] = np.sqrt(square)
                        n += 1
    return n


@numba.njit(nogil=True, error_model="numpy")
def _nearest_image(x, y, z, box):
    """Return the nearest image of a vector; exact up to half the diagonal of a reduced box."""
    shift = np.rint(z / box[2, 2])
    x -= shift * box[2, 0]
    y -= shift * box[2, 1]
    z -= shift * box[2, 2]
    shift = np.rint(y / box[1, 1])
    x -= shift * box[1, 0]
    y -= shift * box[1, 1]
    x -= np.rint(x / box[0, 0]) * box[0, 0]
    return x, y, z


@numba.njit(nogil=True, error_model="numpy")
def _read_neighbour_list(i, vectors, species, cells, cutoff, index, neighbours):
    """Write the neighbours of centre i from a `NeighbourList` that are within the cutoff."""
    n = 0
    for p in range(cells.start[i], cells.start[i + 1]):
        x, y, z = vectors[p, 0], vectors[p, 1], vectors[p, 2]
        square = x * x + y * y + z * z
        if square < cutoff * cutoff:
            neighbours.atom[n] = cells.n_centres + p
            neighbours.kind[n] = cells.kind[p]
            neighbours.x[n] = x
            neighbours.y[n] = y
            neighbours.z[n] = z
            neighbours.r[n] = np.sqrt(square)
            n += 1
    return n


def neighbours_of(i, positions, species, cells, cutoff, index, neighbours):
    """Write the neighbours of atom i, from `Cells` or from a `NeighbourList`."""
    raise NotImplementedError  # compiled code calls the overload


@overload(neighbours_of)
def _neighbours_of(i, positions, species, cells, cutoff, index, neighbours):
    search = _read_neighbour_list if cells.instance_class is NeighbourList else find_neighbours

    def write(i, positions, species, cells, cutoff, index, neighbours):
        return search(i, positions, species, cells, cutoff, index, neighbours)

    return write
