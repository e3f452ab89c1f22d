"""Neighbour lists on the device.

Every row has a list of neighbours within the radial cutoff and one of those within the angular
cutoff, with the vectors to them. In small regions, all pairs of atoms are tested. In larger
regions, a cell list with cells at least as wide as the cutoff makes time and memory linear in the
number of atoms.
"""

from __future__ import annotations

import triton
import triton.language as tl

__all__ = ["assign_cells", "search_cells", "search_region"]


@triton.jit
def _load_position(positions, atoms, mask):
    x = tl.load(positions + 3 * atoms, mask=mask, other=0.0)
    y = tl.load(positions + 3 * atoms + 1, mask=mask, other=0.0)
    z = tl.load(positions + 3 * atoms + 2, mask=mask, other=0.0)
    return x, y, z


@triton.jit
def _vectors_to(positions, box, atom, others, mask, M: tl.constexpr, PERIODIC: tl.constexpr):
    """Return vectors in angstrom from an atom to others, with minimum images in a reduced box.

    Differences are calculated in float64, because float32 positions far from the origin have too
    few digits.
    """
    here_x, here_y, here_z = _load_position(positions, atom, True)
    x, y, z = _load_position(positions, others, mask)
    x, y, z = x - here_x, y - here_y, z - here_z
    if PERIODIC:
        images = tl.floor(z / tl.load(box + 8) + 0.5)
        x -= images * tl.load(box + 6)
        y -= images * tl.load(box + 7)
        z -= images * tl.load(box + 8)
        images = tl.floor(y / tl.load(box + 4) + 0.5)
        x -= images * tl.load(box + 3)
        y -= images * tl.load(box + 4)
        images = tl.floor(x / tl.load(box) + 0.5)
        x -= images * tl.load(box)
    return (10.0 * x).to(M.dtype), (10.0 * y).to(M.dtype), (10.0 * z).to(M.dtype)


@triton.jit
def _append(index, vectors, count, keep, rows, x, y, z, BOUND: tl.constexpr, M: tl.constexpr):
    """Append the neighbours to keep to a list; return their number, which may exceed the bound."""
    slots = count + tl.cumsum(keep.to(tl.int32), 0) - 1
    stored = keep & (slots < BOUND)
    tl.store(index + slots, rows, mask=stored)
    tl.store(vectors + slots, x, mask=stored)
    tl.store(vectors + M.list_length + slots, y, mask=stored)
    tl.store(vectors + 2 * M.list_length + slots, z, mask=stored)
    return count + tl.sum(keep.to(tl.int32), 0)


@triton.jit
def _add_candidates(
    positions, box, rows, index, vectors, atom, others, mask, n_radial, n_angular,
    M: tl.constexpr, PERIODIC: tl.constexpr,
):  # fmt: skip
    """Append those of the other atoms that are within the cutoffs to the lists of one row.

    ``index`` and ``vectors`` point at that row's lists: radial slots first, then angular ones.
    """
    x, y, z = _vectors_to(positions, box, atom, others, mask, M, PERIODIC)
    squared = x * x + y * y + z * z
    near = mask & (others != atom) & (squared < M.radial_cutoff * M.radial_cutoff)
    found = tl.load(rows + others, mask=near, other=0)
    n_radial = _append(index, vectors, n_radial, near, found, x, y, z, M.radial_bound, M)
    near = near & (squared < M.angular_cutoff * M.angular_cutoff)
    index += M.radial_bound
    vectors += M.radial_bound
    n_angular = _append(index, vectors, n_angular, near, found, x, y, z, M.angular_bound, M)
    return n_radial, n_angular


@triton.jit
def search_region(
    positions, box, rows, index, vectors, atom, n_atoms, M: tl.constexpr, PERIODIC: tl.constexpr
):
    """Find an atom's neighbours among all atoms of its geometry; return both counts."""
    first = atom // n_atoms * n_atoms
    n_radial = tl.full((), 0, tl.int32)
    n_angular = tl.full((), 0, tl.int32)
    for start in range(0, n_atoms, M.search):
        others = first + start + tl.arange(0, M.search)
        mask = others < first + n_atoms
        n_radial, n_angular = _add_candidates(
            positions, box, rows, index, vectors, atom, others, mask, n_radial, n_angular,
            M, PERIODIC,
        )  # fmt: skip
    return n_radial, n_angular


@triton.jit
def _grid(box, cells, M: tl.constexpr, PERIODIC: tl.constexpr):
    """Return the number of cells along each box vector, at most ``cells``.

    The cells of a periodic box are at least as thick as the cutoff. The distance between opposite
    faces of the box is the inverse length of a reciprocal vector. Without a box, cells as wide as
    the cutoff are numbered modulo ``cells``. Distant cells can share a number, which costs time but
    does not change the result.
    """
    if PERIODIC:
        a, b, c = tl.load(box), tl.load(box + 4), tl.load(box + 8)
        b_x, c_x, c_y = tl.load(box + 3), tl.load(box + 6), tl.load(box + 7)
        tilt = (b_x * c_y - b * c_x) / (b * c)
        width_x = a / tl.sqrt(1.0 + b_x * b_x / (b * b) + tilt * tilt)
        width_y = b / tl.sqrt(1.0 + c_y * c_y / (c * c))
        n_x = tl.minimum(cells, (width_x * (10.0 / M.radial_cutoff)).to(tl.int32))
        n_y = tl.minimum(cells, (width_y * (10.0 / M.radial_cutoff)).to(tl.int32))
        n_z = tl.minimum(cells, (c * (10.0 / M.radial_cutoff)).to(tl.int32))
    else:
        n_x, n_y, n_z = cells, cells, cells
    return n_x, n_y, n_z


@triton.jit
def _cell_of(positions, box, atoms, mask, n_x, n_y, n_z, M: tl.constexpr, PERIODIC: tl.constexpr):
    """Return the index of each atom's cell along the three box vectors."""
    x, y, z = _load_position(positions, atoms, mask)
    if PERIODIC:
        z = z / tl.load(box + 8)
        y = (y - z * tl.load(box + 7)) / tl.load(box + 4)
        x = (x - z * tl.load(box + 6) - y * tl.load(box + 3)) / tl.load(box)
        x, y, z = x * n_x, y * n_y, z * n_z
    else:
        width: tl.constexpr = 10.0 / M.radial_cutoff
        x, y, z = x * width, y * width, z * width
    return _wrap(x, n_x), _wrap(y, n_y), _wrap(z, n_z)


@triton.jit
def _wrap(value, n):
    """Return the floor of a value modulo n, which is never negative."""
    remainder = tl.floor(value).to(tl.int64) % n
    return ((remainder + n) % n).to(tl.int32)


@triton.jit
def assign_cells(positions, box, keys, n_atoms, cells, M: tl.constexpr, PERIODIC: tl.constexpr):
    """Write the number of each atom's cell."""
    atoms = tl.program_id(0) * M.search + tl.arange(0, M.search)
    mask = atoms < n_atoms
    n_x, n_y, n_z = _grid(box, cells, M, PERIODIC)
    x, y, z = _cell_of(positions, box, atoms, mask, n_x, n_y, n_z, M, PERIODIC)
    tl.store(keys + atoms, (x * n_y + y) * n_z + z, mask=mask)


@triton.jit
def search_cells(
    positions, box, rows, sorted_atoms, cell_starts, index, vectors, atom, cells,
    M: tl.constexpr, PERIODIC: tl.constexpr,
):  # fmt: skip
    """Find an atom's neighbours in its own and the adjacent cells; return both counts.

    Along a box vector with one or two cells, each cell is visited only once.
    """
    n_x, n_y, n_z = _grid(box, cells, M, PERIODIC)
    here_x, here_y, here_z = _cell_of(positions, box, atom, True, n_x, n_y, n_z, M, PERIODIC)
    n_radial = tl.full((), 0, tl.int32)
    n_angular = tl.full((), 0, tl.int32)
    visits_y = tl.minimum(n_y, 3)
    visits_z = tl.minimum(n_z, 3)
    for visit in range(0, tl.minimum(n_x, 3) * visits_y * visits_z):
        x = (here_x + visit // (visits_y * visits_z) + n_x - 1) % n_x
        y = (here_y + visit // visits_z % visits_y + n_y - 1) % n_y
        z = (here_z + visit % visits_z + n_z - 1) % n_z
        cell = (x * n_y + y) * n_z + z
        end = tl.load(cell_starts + cell + 1)
        for start in range(tl.load(cell_starts + cell), end, M.cell_search):
            offsets = start + tl.arange(0, M.cell_search)
            mask = offsets < end
            others = tl.load(sorted_atoms + offsets, mask=mask, other=0)
            n_radial, n_angular = _add_candidates(
                positions, box, rows, index, vectors, atom, others, mask, n_radial, n_angular,
                M, PERIODIC,
            )  # fmt: skip
    return n_radial, n_angular
