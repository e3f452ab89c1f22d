"""Kernels of the symmetry functions: one program for each atom, forward and backward.

The kernels ``environment_*`` find the neighbours themselves; the kernels ``neighbourhood_*`` read
given neighbour lists. The forward kernel builds the lists and sums the terms. The backward kernel
calculates the gradient on its atom through the radial functions of the atom and of its neighbours.
Of the atom's angular functions, it stores the gradient on each neighbour, which `reduction`
gathers. Sums over neighbours of one element are products with a matrix of zeros and ones. So there
are no atomic operations, and the order of every sum is fixed.
"""

from __future__ import annotations

import triton
import triton.language as tl

from nnpmm.models.ani.triton.functions import (
    angular_gradient,
    angular_terms,
    radial_derivative,
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
    """Return vectors and distances of neighbours; (1, 0, 0) where masked, to avoid NaN."""
    x = tl.load(vectors + slots, mask=mask, other=1.0)
    y = tl.load(vectors + M.list_length + slots, mask=mask, other=0.0)
    z = tl.load(vectors + 2 * M.list_length + slots, mask=mask, other=0.0)
    return x, y, z, tl.sqrt(x * x + y * y + z * z)


@triton.jit
def _pair_slots(pairs):
    """Return the slots a < b of pair number b (b - 1) / 2 + a.

    The + 2 keeps the root away from integers, so that an approximate square root is sufficient.
    """
    b = ((tl.sqrt(8.0 * pairs.to(tl.float32) + 2.0) + 1.0) * 0.5).to(tl.int32)
    return pairs - b * (b - 1) // 2, b


@triton.jit
def _pair_types(index, species, a, b, mask, M: tl.constexpr):
    """Return each pair's block of the AEV: its place in the upper triangle of element pairs."""
    first = tl.load(species + tl.load(index + a, mask=mask, other=0), mask=mask, other=0)
    second = tl.load(species + tl.load(index + b, mask=mask, other=0), mask=mask, other=0)
    low, high = tl.minimum(first, second), tl.maximum(first, second)
    return low * M.elements - low * (low - 1) // 2 + high - low


@triton.jit
def _cosine(x_a, y_a, z_a, r_a, x_b, y_b, z_b, r_b):
    """Return c = 0.95 cos(theta)."""
    return 0.95 * (x_a * x_b + y_a * y_b + z_a * z_b) / (r_a * r_b)


@triton.jit
def _sum_by_type(types, mask, terms, total, M: tl.constexpr):
    """Add terms (p, c) to the rows of ``total`` given by their types (p,), except masked ones."""
    rows = tl.arange(0, total.shape[0])[:, None]
    one_hot = ((types[None, :] == rows) & mask[None, :]).to(M.dtype)
    return tl.dot(one_hot, terms, total, input_precision="ieee", out_dtype=M.dtype)


@triton.jit
def _radial_forward(index, vectors, species, shifts, aev, count, M: tl.constexpr):
    """Write the radial part of one atom's AEV: equation 3, summed over neighbours by element."""
    total = tl.zeros((M.elements_padded, M.shifts_padded), M.dtype)
    for start in range(0, count, M.radial):
        slots = start + tl.arange(0, M.radial)
        mask = slots < count
        _, _, _, r = _load_vectors(vectors, slots, mask, M)
        element = tl.load(species + tl.load(index + slots, mask=mask, other=0), mask=mask, other=0)
        total = _sum_by_type(element, mask, radial_terms(r, shifts, M), total, M)
    elements = tl.arange(0, M.elements_padded)[:, None]
    columns = tl.arange(0, M.shifts_padded)[None, :]
    valid = (elements < M.elements) & (columns < M.shifts)
    tl.store(aev + elements * M.shifts + columns, total, mask=valid)


@triton.jit
def _angular_forward(index, vectors, species, shifts, aev, count, M: tl.constexpr):
    """Write the angular part of one atom's AEV: equation 4, summed over pairs by their elements.

    ``index`` and ``vectors`` point at the angular list, ``aev`` at the angular columns.
    """
    width: tl.constexpr = M.angular_padded * M.angles_padded
    total = tl.zeros((M.pairs_padded, width), M.dtype)
    n_pairs = count * (count - 1) // 2
    for start in range(0, n_pairs, M.pairs):
        pairs = start + tl.arange(0, M.pairs)
        mask = pairs < n_pairs
        a, b = _pair_slots(pairs)
        x_a, y_a, z_a, r_a = _load_vectors(vectors, a, mask, M)
        x_b, y_b, z_b, r_b = _load_vectors(vectors, b, mask, M)
        cosine = _cosine(x_a, y_a, z_a, r_a, x_b, y_b, z_b, r_b)
        types = _pair_types(index, species, a, b, mask, M)
        total = _sum_by_type(types, mask, angular_terms(r_a, r_b, cosine, shifts, M), total, M)
    types = tl.arange(0, M.pairs_padded)[:, None]
    shift = tl.arange(0, width)[None, :] // M.angles_padded
    angle = tl.arange(0, width)[None, :] % M.angles_padded
    columns = (types * M.angular_shifts + shift) * M.angles + angle
    valid = (shift < M.angular_shifts) & (angle < M.angles)
    valid = valid & (columns < M.aev_length - M.radial_length)
    tl.store(aev + columns, total, mask=valid)


@triton.jit
def _aev_forward(index, vectors, species, shifts, aev, n_radial, n_angular, M: tl.constexpr):
    """Write the AEV of one row from its neighbour lists, which may have overflowed."""
    n_radial = tl.minimum(n_radial, M.radial_bound)
    n_angular = tl.minimum(n_angular, M.angular_bound)
    _radial_forward(index, vectors, species, shifts, aev, n_radial, M)
    index += M.radial_bound
    vectors += M.radial_bound
    _angular_forward(index, vectors, species, shifts, aev + M.radial_length, n_angular, M)


@triton.jit
def environment_forward(
    positions, box, atoms, rows, species, sorted_atoms, cell_starts, shifts, index, vectors, counts,
    aev, n_atoms, cells, M: tl.constexpr, PERIODIC: tl.constexpr, CELLS: tl.constexpr,
):  # fmt: skip
    """Write the neighbour lists, the neighbour counts and the AEV of one row.

    Args:
        positions, box: (n, 3) and (3, 3), float64, nm.
        atoms, rows, species: tables of `layout.AtomTables`.
        sorted_atoms, cell_starts: atoms in the order of their cells; used if CELLS.
        shifts: table of the model's shifts.
        index: rows of radial, then of angular neighbours, (n, list_length).
        vectors: from the atom to its neighbours, angstrom, (n, 3, list_length).
        counts: numbers of radial and of angular neighbours, (n, 2).
        aev: (n, aev_padded).
        n_atoms: atoms of one geometry.
        cells: largest number of cells along a box vector.
        M: `constants.Constants`.
        PERIODIC: whether to use the minimum images in the box.
        CELLS: whether to use the cell list.
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
    _aev_forward(index, vectors, species, shifts, aev, n_radial, n_angular, M)


@triton.jit
def neighbourhood_forward(species, shifts, index, vectors, counts, aev, M: tl.constexpr):
    """Write the AEV of one row from lists that the host has filled.

    Args:
        species: element of every atom in the lists.
        shifts, index, vectors, counts, aev: as in `environment_forward`.
        M: `constants.Constants`.
    """
    row = tl.program_id(0).to(tl.int64)
    n_radial, n_angular = tl.load(counts + 2 * row), tl.load(counts + 2 * row + 1)
    index += row * M.list_length
    vectors += row * 3 * M.list_length
    _aev_forward(index, vectors, species, shifts, aev + row * M.aev_padded, n_radial, n_angular, M)


@triton.jit
def _sum_groups(partial_gradients, total, row, n_rows, M: tl.constexpr):
    """Sum the partial gradients of one row to dE/dAEV, from which pairs of neighbours load.

    The sum overwrites the AEV. The padding is not written, because it must stay zero.
    """
    columns = tl.arange(0, M.aev_power)
    mask = columns < M.aev_length
    gradient = tl.zeros((M.aev_power,), M.dtype)
    for group in range(0, M.groups):
        part = partial_gradients + (group * n_rows + row) * M.aev_padded
        gradient += tl.load(part + columns, mask=mask, other=0.0)
    tl.store(total + columns, gradient, mask=mask)


@triton.jit
def _radial_backward(
    index,
    vectors,
    species,
    shifts,
    partial_gradients,
    aev_gradient,
    row,
    count,
    n_rows,
    M: tl.constexpr,
):
    """Return the gradient on one atom through its own and its neighbours' radial functions."""
    own_element = tl.load(species + row)
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
        valid = mask[:, None] & (columns < M.shifts)
        pointers = aev_gradient + element[:, None] * M.shifts + columns
        gradient = tl.load(pointers, mask=valid, other=0.0)
        for group in range(0, M.groups):
            offsets = (group * n_rows + others) * M.aev_padded + own_element * M.shifts
            pointers = partial_gradients + offsets[:, None] + columns
            gradient += tl.load(pointers, mask=valid, other=0.0)
        scale = radial_derivative(r, shifts, gradient, M) / r
        sum_x -= scale * x
        sum_y -= scale * y
        sum_z -= scale * z
    return tl.sum(sum_x, 0), tl.sum(sum_y, 0), tl.sum(sum_z, 0)


@triton.jit
def _pair_gradient(index, vectors, species, shifts, aev_gradient, start, n_pairs, M: tl.constexpr):
    """Return the slots of pairs, and the gradient on both neighbours of each.

    The gradient is that through the angular functions of the atom whose neighbours they are.
    """
    pairs = start + tl.arange(0, M.pairs)
    mask = pairs < n_pairs
    a, b = _pair_slots(pairs)
    x_a, y_a, z_a, r_a = _load_vectors(vectors, a, mask, M)
    x_b, y_b, z_b, r_b = _load_vectors(vectors, b, mask, M)
    cosine = _cosine(x_a, y_a, z_a, r_a, x_b, y_b, z_b, r_b)
    types = _pair_types(index, species, a, b, mask, M)
    block = aev_gradient + types * (M.angular_shifts * M.angles)
    shift = tl.arange(0, M.angular_padded)[None, :, None]
    angle = tl.arange(0, M.angles_padded)[None, None, :]
    valid = mask[:, None, None] & (shift < M.angular_shifts) & (angle < M.angles)
    pointers = block[:, None, None] + shift * M.angles + angle
    gradient = tl.load(pointers, mask=valid, other=0.0)
    d_a, d_b, d_cosine = angular_gradient(r_a, r_b, cosine, shifts, gradient, M)
    # dc/dv_a = 0.95 v_b / (r_a r_b) - c v_a / r_a^2, and likewise for b.
    cross = 0.95 * d_cosine / (r_a * r_b)
    along_a = (d_a - d_cosine * cosine / r_a) / r_a
    along_b = (d_b - d_cosine * cosine / r_b) / r_b
    on_a = along_a * x_a + cross * x_b, along_a * y_a + cross * y_b, along_a * z_a + cross * z_b
    on_b = along_b * x_b + cross * x_a, along_b * y_b + cross * y_a, along_b * z_b + cross * z_a
    return a, b, on_a, on_b


@triton.jit
def _sum_by_slot(slots, a, b, on_a, on_b):
    """Sum the gradients of pairs for each slot."""
    first = tl.where(slots[:, None] == a[None, :], on_a[None, :], 0.0)
    return tl.sum(first + tl.where(slots[:, None] == b[None, :], on_b[None, :], 0.0), 1)


@triton.jit
def _angular_backward(
    index, vectors, species, shifts, aev_gradient, angular_gradients, count, M: tl.constexpr
):
    """Write the gradient on each angular neighbour of one atom; return that on the atom itself."""
    slots = tl.arange(0, M.angular_bound)
    x = tl.zeros((M.angular_bound,), M.dtype)
    y = tl.zeros((M.angular_bound,), M.dtype)
    z = tl.zeros((M.angular_bound,), M.dtype)
    n_pairs = count * (count - 1) // 2
    for start in range(0, n_pairs, M.pairs):
        a, b, on_a, on_b = _pair_gradient(
            index, vectors, species, shifts, aev_gradient, start, n_pairs, M
        )
        x += _sum_by_slot(slots, a, b, on_a[0], on_b[0])
        y += _sum_by_slot(slots, a, b, on_a[1], on_b[1])
        z += _sum_by_slot(slots, a, b, on_a[2], on_b[2])
    tl.store(angular_gradients + slots, x, mask=slots < count)
    tl.store(angular_gradients + M.angular_bound + slots, y, mask=slots < count)
    tl.store(angular_gradients + 2 * M.angular_bound + slots, z, mask=slots < count)
    return -tl.sum(x, 0), -tl.sum(y, 0), -tl.sum(z, 0)


@triton.jit
def environment_backward(
    species, shifts, index, vectors, counts, partial_gradients, aev_gradient, angular_gradients,
    centre_gradients, n_rows, M: tl.constexpr,
):  # fmt: skip
    """Calculate gradients with respect to positions from dE/dAEV, hartree/angstrom, for one row.

    Args:
        species, shifts, index, vectors, counts: as in `environment_forward`.
        partial_gradients: dE/dAEV of each group of members, (groups, n, aev_padded).
        aev_gradient: output for their sum, (n, aev_padded).
        angular_gradients: output for the gradient on every angular neighbour through this row's
            functions, (n, 3, angular_bound).
        centre_gradients: output for the rest of the gradient on this row's atom, (n, 3).
        n_rows: number of rows.
        M: `constants.Constants`.
    """
    row = tl.program_id(0).to(tl.int64)
    index += row * M.list_length
    vectors += row * 3 * M.list_length
    aev_gradient += row * M.aev_padded
    _sum_groups(partial_gradients, aev_gradient, row, n_rows, M)
    n_radial = tl.minimum(tl.load(counts + 2 * row), M.radial_bound)
    n_angular = tl.minimum(tl.load(counts + 2 * row + 1), M.angular_bound)
    tl.debug_barrier()
    x, y, z = _radial_backward(
        index, vectors, species, shifts, partial_gradients, aev_gradient, row, n_radial, n_rows, M
    )
    angular_gradients += row * 3 * M.angular_bound
    index += M.radial_bound
    vectors += M.radial_bound
    aev_gradient += M.radial_length
    angular_x, angular_y, angular_z = _angular_backward(
        index, vectors, species, shifts, aev_gradient, angular_gradients, n_angular, M
    )
    tl.store(centre_gradients + 3 * row, x + angular_x)
    tl.store(centre_gradients + 3 * row + 1, y + angular_y)
    tl.store(centre_gradients + 3 * row + 2, z + angular_z)


@triton.jit
def _radial_neighbour_gradients(
    index, vectors, species, shifts, aev_gradient, radial_gradients, count, M: tl.constexpr
):
    """Write the gradient on each radial neighbour of one atom through that atom's functions."""
    columns = tl.arange(0, M.shifts_padded)[None, :]
    for start in range(0, count, M.radial):
        slots = start + tl.arange(0, M.radial)
        mask = slots < count
        x, y, z, r = _load_vectors(vectors, slots, mask, M)
        element = tl.load(species + tl.load(index + slots, mask=mask, other=0), mask=mask, other=0)
        valid = mask[:, None] & (columns < M.shifts)
        pointers = aev_gradient + element[:, None] * M.shifts + columns
        gradient = tl.load(pointers, mask=valid, other=0.0)
        scale = radial_derivative(r, shifts, gradient, M) / r
        tl.store(radial_gradients + slots, scale * x, mask=mask)
        tl.store(radial_gradients + M.radial_bound + slots, scale * y, mask=mask)
        tl.store(radial_gradients + 2 * M.radial_bound + slots, scale * z, mask=mask)


@triton.jit
def neighbourhood_backward(
    species, shifts, index, vectors, counts, partial_gradients, aev_gradient, radial_gradients,
    angular_gradients, n_rows, M: tl.constexpr,
):  # fmt: skip
    """Calculate gradients with respect to the vectors to one row's neighbours from dE/dAEV.

    Args:
        species: as in `neighbourhood_forward`.
        shifts, index, vectors, counts: as in `environment_forward`.
        partial_gradients, aev_gradient, angular_gradients: as in `environment_backward`.
        radial_gradients: output for the gradient on every radial neighbour through this row's
            radial functions, (n, 3, radial_bound).
        n_rows: number of rows for which memory is allocated.
        M: `constants.Constants`.
    """
    row = tl.program_id(0).to(tl.int64)
    index += row * M.list_length
    vectors += row * 3 * M.list_length
    aev_gradient += row * M.aev_padded
    _sum_groups(partial_gradients, aev_gradient, row, n_rows, M)
    n_radial = tl.minimum(tl.load(counts + 2 * row), M.radial_bound)
    n_angular = tl.minimum(tl.load(counts + 2 * row + 1), M.angular_bound)
    tl.debug_barrier()
    radial_gradients += row * 3 * M.radial_bound
    _radial_neighbour_gradients(
        index, vectors, species, shifts, aev_gradient, radial_gradients, n_radial, M
    )
    index += M.radial_bound
    vectors += M.radial_bound
    angular_gradients += row * 3 * M.angular_bound
    _angular_backward(
        index,
        vectors,
        species,
        shifts,
        aev_gradient + M.radial_length,
        angular_gradients,
        n_angular,
        M,
    )
