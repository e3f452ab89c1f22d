"""Kernels of the symmetry functions: one program for each atom, forward and backward.

Those of an environment find the neighbours themselves; those of a neighbourhood are given them. The
forward kernel builds the lists of neighbours, waits for its own writes and sums the terms. The
backward kernel gathers all that acts on its atom through radial functions, its own and those of its
neighbours; of the angular functions it leaves, for each neighbour, the gradient on that neighbour,
which `reduction` gathers. Sums over neighbours of one kind are products with a matrix of zeros and
ones. So no atomic operation is needed, and every order is fixed.
"""

from __future__ import annotations

import triton
import triton.language as tl

from nnpmm.models.ani.triton.functions import (
    angular_gradient,
    angular_terms,
    radial_slope,
    radial_terms,
)
from nnpmm.models.ani.triton.neighbours import search_cells, search_region

__all__ = [
    "environment_backward",
    "environment_forward",
    "neighbourhood_backward",
    "neighbourhood_forward",
]


@triton.jit
def _load_vectors(vectors, slots, mask, M: tl.constexpr):
    """Vectors and distances of neighbours; where masked, a vector that gives finite numbers."""
    x = tl.load(vectors + slots, mask=mask, other=1.0)
    y = tl.load(vectors + M.list_length + slots, mask=mask, other=0.0)
    z = tl.load(vectors + 2 * M.list_length + slots, mask=mask, other=0.0)
    return x, y, z, tl.sqrt(x * x + y * y + z * z)


@triton.jit
def _slots_of_pairs(pairs):
    """Slots a < b of pair number b (b - 1) / 2 + a.

    The root lies far enough from an integer for an approximate square root to do.
    """
    b = ((tl.sqrt(8.0 * pairs.to(tl.float32) + 2.0) + 1.0) * 0.5).to(tl.int32)
    return pairs - b * (b - 1) // 2, b


@triton.jit
def _kinds_of_pairs(index, species, a, b, mask, M: tl.constexpr):
    """Block of the AEV for each pair of neighbours: upper triangle of elements, row by row."""
    first = tl.load(species + tl.load(index + a, mask=mask, other=0), mask=mask, other=0)
    second = tl.load(species + tl.load(index + b, mask=mask, other=0), mask=mask, other=0)
    low, high = tl.minimum(first, second), tl.maximum(first, second)
    return low * M.elements - low * (low - 1) // 2 + high - low


@triton.jit
def _cosine(x_a, y_a, z_a, r_a, x_b, y_b, z_b, r_b):
    return 0.95 * (x_a * x_b + y_a * y_b + z_a * z_b) / (r_a * r_b)


@triton.jit
def _sum_by_kind(kinds, mask, terms, total, M: tl.constexpr):
    """Add terms (p, c) to the row of ``total`` that is their kind (p,); masked ones to none."""
    rows = tl.arange(0, total.shape[0])[:, None]
    chosen = ((kinds[None, :] == rows) & mask[None, :]).to(M.dtype)
    return tl.dot(chosen, terms, total, input_precision="ieee", out_dtype=M.dtype)


@triton.jit
def _write_radial(index, vectors, species, shifts, aev, count, M: tl.constexpr):
    """Sum equation 3 over one atom's neighbours, element by element, into its AEV."""
    total = tl.zeros((M.kinds, M.shifts_padded), M.dtype)
    for start in range(0, count, M.radial):
        slots = start + tl.arange(0, M.radial)
        mask = slots < count
        _, _, _, r = _load_vectors(vectors, slots, mask, M)
        element = tl.load(species + tl.load(index + slots, mask=mask, other=0), mask=mask, other=0)
        total = _sum_by_kind(element, mask, radial_terms(r, shifts, M), total, M)
    kinds = tl.arange(0, M.kinds)[:, None]
    columns = tl.arange(0, M.shifts_padded)[None, :]
    wanted = (kinds < M.elements) & (columns < M.shifts)
    tl.store(aev + kinds * M.shifts + columns, total, mask=wanted)


@triton.jit
def _write_angular(index, vectors, species, shifts, aev, count, M: tl.constexpr):
    """Sum equation 4 over pairs of one atom's neighbours, by their elements, into its AEV.

    ``index`` and ``vectors`` point at the angular list, ``aev`` at the angular columns.
    """
    width: tl.constexpr = M.angular_padded * M.angles_padded
    total = tl.zeros((M.pair_kinds, width), M.dtype)
    n_pairs = count * (count - 1) // 2
    for start in range(0, n_pairs, M.pairs):
        pairs = start + tl.arange(0, M.pairs)
        mask = pairs < n_pairs
        a, b = _slots_of_pairs(pairs)
        x_a, y_a, z_a, r_a = _load_vectors(vectors, a, mask, M)
        x_b, y_b, z_b, r_b = _load_vectors(vectors, b, mask, M)
        cosine = _cosine(x_a, y_a, z_a, r_a, x_b, y_b, z_b, r_b)
        kinds = _kinds_of_pairs(index, species, a, b, mask, M)
        total = _sum_by_kind(kinds, mask, angular_terms(r_a, r_b, cosine, shifts, M), total, M)
    kinds = tl.arange(0, M.pair_kinds)[:, None]
    shift = tl.arange(0, width)[None, :] // M.angles_padded
    angle = tl.arange(0, width)[None, :] % M.angles_padded
    columns = (kinds * M.angular_shifts + shift) * M.angles + angle
    wanted = (shift < M.angular_shifts) & (angle < M.angles)
    wanted = wanted & (columns < M.aev_length - M.radial_length)
    tl.store(aev + columns, total, mask=wanted)


@triton.jit
def _write_aev(index, vectors, species, shifts, aev, n_radial, n_angular, M: tl.constexpr):
    """Sum both kinds of terms of one row into its AEV, from lists that may have overflowed."""
    n_radial = tl.minimum(n_radial, M.radial_bound)
    n_angular = tl.minimum(n_angular, M.angular_bound)
    _write_radial(index, vectors, species, shifts, aev, n_radial, M)
    index += M.radial_bound
    vectors += M.radial_bound
    _write_angular(index, vectors, species, shifts, aev + M.radial_length, n_angular, M)


@triton.jit
def environment_forward(
    positions, box, atoms, rows, species, sorted_atoms, cell_starts, shifts, index, vectors, counts,
    aev, n_atoms, cells, M: tl.constexpr, PERIODIC: tl.constexpr, CELLS: tl.constexpr,
):  # fmt: skip
    """Write the lists of neighbours, their counts and the AEV of one row.

    Args:
        positions, box: (n, 3) and (3, 3), float64, nm.
        atoms, rows, species: tables of `layout.AtomTables`.
        sorted_atoms, cell_starts: atoms in the order of their cells; used if CELLS.
        shifts: table of the model's shifts.
        index: rows of radial, then of angular neighbours, (n, list_length).
        vectors: from the atom to them, angstrom, (n, 3, list_length).
        counts: how many of each were found, (n, 2).
        aev: (n, aev_padded).
        n_atoms: atoms of one geometry.
        cells: largest number of cells along a box vector.
        M: `constants.Constants`.
        PERIODIC: whether atoms meet the images of others.
        CELLS: whether to search through cells.
    """
    row = tl.program_id(0).to(tl.int64)
    index += row * M.list_length
    vectors += row * 3 * M.list_length
    aev += row * M.aev_padded
    atom = tl.load(atoms + row)
    if CELLS:
        n_radial, n_angular = search_cells(
            positions, box, rows, sorted_atoms, cell_starts, index, vectors, atom, cells, M,
            PERIODIC,
        )  # fmt: skip
    else:
        n_radial, n_angular = search_region(
            positions, box, rows, index, vectors, atom, n_atoms, M, PERIODIC
        )
    tl.store(counts + 2 * row, n_radial)
    tl.store(counts + 2 * row + 1, n_angular)
    tl.debug_barrier()
    _write_aev(index, vectors, species, shifts, aev, n_radial, n_angular, M)


@triton.jit
def neighbourhood_forward(species, shifts, index, vectors, counts, aev, M: tl.constexpr):
    """Write the AEV of one row from lists that the host has filled.

    Args:
        species: element of every atom that a list names.
        shifts, index, vectors, counts, aev: as in `environment_forward`.
        M: `constants.Constants`.
    """
    row = tl.program_id(0).to(tl.int64)
    n_radial, n_angular = tl.load(counts + 2 * row), tl.load(counts + 2 * row + 1)
    index += row * M.list_length
    vectors += row * 3 * M.list_length
    _write_aev(index, vectors, species, shifts, aev + row * M.aev_padded, n_radial, n_angular, M)


@triton.jit
def _sum_groups(gradients, total, row, n_rows, M: tl.constexpr):
    """Add up the parts of dE/dAEV of one row, so that pairs of neighbours can look them up.

    The padding, which stays zero, is left alone: what takes the sum is the AEV's own memory.
    """
    columns = tl.arange(0, M.aev_power)
    mask = columns < M.aev_length
    gradient = tl.zeros((M.aev_power,), M.dtype)
    for group in range(0, M.groups):
        part = gradients + (group * n_rows + row) * M.aev_padded
        gradient += tl.load(part + columns, mask=mask, other=0.0)
    tl.store(total + columns, gradient, mask=mask)


@triton.jit
def _radial_backward(
    index, vectors, species, shifts, gradients, own, row, count, n_rows, M: tl.constexpr
):
    """Gradient of the energy on one atom through its own and its neighbours' radial functions."""
    here = tl.load(species + row)
    columns = tl.arange(0, M.shifts_padded)[None, :]
    sum_x = tl.zeros((M.radial,), M.dtype)
    sum_y = tl.zeros((M.radial,), M.dtype)
    sum_z = tl.zeros((M.radial,), M.dtype)
    for start in range(0, count, M.radial):
        slots = start + tl.arange(0, M.radial)
        mask = slots < count
        x, y, z, r = _load_vectors(vectors, slots, mask, M)
        others = tl.load(index + slots, mask=mask, other=0).to(tl.int64)
        element = tl.load(species + others, mask=mask, other=0)
        wanted = mask[:, None] & (columns < M.shifts)
        gradient = tl.load(own + element[:, None] * M.shifts + columns, mask=wanted, other=0.0)
        for group in range(0, M.groups):
            theirs = (group * n_rows + others) * M.aev_padded + here * M.shifts
            gradient += tl.load(gradients + theirs[:, None] + columns, mask=wanted, other=0.0)
        scale = radial_slope(r, shifts, gradient, M) / r
        sum_x -= scale * x
        sum_y -= scale * y
        sum_z -= scale * z
    return tl.sum(sum_x, 0), tl.sum(sum_y, 0), tl.sum(sum_z, 0)


@triton.jit
def _pair_gradient(index, vectors, species, shifts, own, start, n_pairs, M: tl.constexpr):
    """Slots of neighbour pairs and the gradient on both ends through one atom's functions."""
    pairs = start + tl.arange(0, M.pairs)
    mask = pairs < n_pairs
    a, b = _slots_of_pairs(pairs)
    x_a, y_a, z_a, r_a = _load_vectors(vectors, a, mask, M)
    x_b, y_b, z_b, r_b = _load_vectors(vectors, b, mask, M)
    cosine = _cosine(x_a, y_a, z_a, r_a, x_b, y_b, z_b, r_b)
    block = own + _kinds_of_pairs(index, species, a, b, mask, M) * (M.angular_shifts * M.angles)
    shift = tl.arange(0, M.angular_padded)[None, :, None]
    angle = tl.arange(0, M.angles_padded)[None, None, :]
    wanted = mask[:, None, None] & (shift < M.angular_shifts) & (angle < M.angles)
    places = block[:, None, None] + shift * M.angles + angle
    gradient = tl.load(places, mask=wanted, other=0.0)
    by_a, by_b, by_cosine = angular_gradient(r_a, r_b, cosine, shifts, gradient, M)
    # dc/dv_a = 0.95 v_b / (r_a r_b) - c v_a / r_a^2, and likewise for b.
    mixed = 0.95 * by_cosine / (r_a * r_b)
    own_a = (by_a - by_cosine * cosine / r_a) / r_a
    own_b = (by_b - by_cosine * cosine / r_b) / r_b
    on_a = own_a * x_a + mixed * x_b, own_a * y_a + mixed * y_b, own_a * z_a + mixed * z_b
    on_b = own_b * x_b + mixed * x_a, own_b * y_b + mixed * y_a, own_b * z_b + mixed * z_a
    return a, b, on_a, on_b


@triton.jit
def _by_slot(slots, a, b, on_a, on_b):
    """Sum over pairs of what acts on each slot."""
    first = tl.where(slots[:, None] == a[None, :], on_a[None, :], 0.0)
    return tl.sum(first + tl.where(slots[:, None] == b[None, :], on_b[None, :], 0.0), 1)


@triton.jit
def _angular_backward(index, vectors, species, shifts, own, pulls, count, M: tl.constexpr):
    """Write the gradient on each angular neighbour of one atom; return that on the atom itself."""
    slots = tl.arange(0, M.angular_bound)
    x = tl.zeros((M.angular_bound,), M.dtype)
    y = tl.zeros((M.angular_bound,), M.dtype)
    z = tl.zeros((M.angular_bound,), M.dtype)
    n_pairs = count * (count - 1) // 2
    for start in range(0, n_pairs, M.pairs):
        a, b, on_a, on_b = _pair_gradient(index, vectors, species, shifts, own, start, n_pairs, M)
        x += _by_slot(slots, a, b, on_a[0], on_b[0])
        y += _by_slot(slots, a, b, on_a[1], on_b[1])
        z += _by_slot(slots, a, b, on_a[2], on_b[2])
    tl.store(pulls + slots, x, mask=slots < count)
    tl.store(pulls + M.angular_bound + slots, y, mask=slots < count)
    tl.store(pulls + 2 * M.angular_bound + slots, z, mask=slots < count)
    return -tl.sum(x, 0), -tl.sum(y, 0), -tl.sum(z, 0)


@triton.jit
def environment_backward(
    species, shifts, index, vectors, counts, gradients, own, pulls, on_centres, n_rows,
    M: tl.constexpr,
):  # fmt: skip
    """Turn dE/dAEV into gradients by position, hartree/angstrom, for one row.

    Args:
        species, shifts, index, vectors, counts: as in `environment_forward`.
        gradients: parts of dE/dAEV, (groups, n, aev_padded).
        own: room for their sum, (n, aev_padded).
        pulls: gradient on every angular neighbour, (n, 3, angular_bound).
        on_centres: the rest of the gradient on this row's atom, (n, 3).
        n_rows: number of rows.
        M: `constants.Constants`.
    """
    row = tl.program_id(0).to(tl.int64)
    index += row * M.list_length
    vectors += row * 3 * M.list_length
    own += row * M.aev_padded
    _sum_groups(gradients, own, row, n_rows, M)
    n_radial = tl.minimum(tl.load(counts + 2 * row), M.radial_bound)
    n_angular = tl.minimum(tl.load(counts + 2 * row + 1), M.angular_bound)
    tl.debug_barrier()
    x, y, z = _radial_backward(
        index, vectors, species, shifts, gradients, own, row, n_radial, n_rows, M
    )
    pulls += row * 3 * M.angular_bound
    index += M.radial_bound
    vectors += M.radial_bound
    angular = own + M.radial_length
    on_x, on_y, on_z = _angular_backward(
        index, vectors, species, shifts, angular, pulls, n_angular, M
    )
    tl.store(on_centres + 3 * row, x + on_x)
    tl.store(on_centres + 3 * row + 1, y + on_y)
    tl.store(on_centres + 3 * row + 2, z + on_z)


@triton.jit
def _radial_pulls(index, vectors, species, shifts, own, slopes, count, M: tl.constexpr):
    """Write the gradient on each radial neighbour of one atom through that atom's functions."""
    columns = tl.arange(0, M.shifts_padded)[None, :]
    for start in range(0, count, M.radial):
        slots = start + tl.arange(0, M.radial)
        mask = slots < count
        x, y, z, r = _load_vectors(vectors, slots, mask, M)
        element = tl.load(species + tl.load(index + slots, mask=mask, other=0), mask=mask, other=0)
        wanted = mask[:, None] & (columns < M.shifts)
        gradient = tl.load(own + element[:, None] * M.shifts + columns, mask=wanted, other=0.0)
        scale = radial_slope(r, shifts, gradient, M) / r
        tl.store(slopes + slots, scale * x, mask=mask)
        tl.store(slopes + M.radial_bound + slots, scale * y, mask=mask)
        tl.store(slopes + 2 * M.radial_bound + slots, scale * z, mask=mask)


@triton.jit
def neighbourhood_backward(
    species, shifts, index, vectors, counts, gradients, own, slopes, pulls, n_rows,
    M: tl.constexpr,
):  # fmt: skip
    """Turn dE/dAEV of one row into gradients by the vectors to its neighbours.

    Args:
        species: as in `neighbourhood_forward`.
        shifts, index, vectors, counts, gradients, own, pulls: as in `environment_backward`.
        slopes: gradient by every radial vector through radial functions, (n, 3, radial_bound).
        n_rows: number of rows that there is room for.
        M: `constants.Constants`.
    """
    row = tl.program_id(0).to(tl.int64)
    index += row * M.list_length
    vectors += row * 3 * M.list_length
    own += row * M.aev_padded
    _sum_groups(gradients, own, row, n_rows, M)
    n_radial = tl.minimum(tl.load(counts + 2 * row), M.radial_bound)
    n_angular = tl.minimum(tl.load(counts + 2 * row + 1), M.angular_bound)
    tl.debug_barrier()
    slopes += row * 3 * M.radial_bound
    _radial_pulls(index, vectors, species, shifts, own, slopes, n_radial, M)
    index += M.radial_bound
    vectors += M.radial_bound
    pulls += row * 3 * M.angular_bound
    _angular_backward(index, vectors, species, shifts, own + M.radial_length, pulls, n_angular, M)
