"""What a pass takes in: an atom's features and sums over its neighbours; and the way back."""

from __future__ import annotations

import numba

from nnpmm.models.aimnet.cpu.contraction import (
    FEATURES,
    GATHERED,
    NEIGHBOURS,
    differentiate_basis,
    differentiate_features,
    sum_neighbours,
)
from nnpmm.models.cpu.functions import like
from nnpmm.models.cpu.simd import MAX_ROWS, multiply_narrow_tile, tile_edge

__all__ = ["collect_inputs", "gather_derivatives", "return_derivatives"]

_FAST = {"contract", "reassoc", "nsz"}  # NaN must survive


@numba.njit(nogil=True, error_model="numpy")
def collect_inputs(p, m, first, rows, room, networks, pairs, state):
    """Write the inputs of pass p for a block of atoms.

    Sums of scalars enter as they are. Those of vectors enter by the squared lengths of their
    combinations.
    """
    width, radial, size = networks.widths[p, 0], networks.radial, networks.n_features
    n = size if p == 0 else size + 1  # the charge is the last feature
    for row in range(rows):
        i, start = first + row, row * width
        if p == 0:
            _sum_elements(m, i, row, rows, room, networks, pairs)
            for e in range(networks.elements):
                place = start + e * radial
                room.inputs[place : place + radial] = pairs.sums[i, e, 0]
        else:
            features = state.features[p - 1, m]
            room.inputs[start : start + size * radial] = features[i, : size * radial]
            after = (2 * size + 1) * radial + n * networks.n_combinations
            room.inputs[start + after] = state.charges[p - 1, m, i]
            room.inputs[start + after + 1 : start + width] = 0
            _sum_atoms(i, row, rows, start + size * radial, features, room, networks, pairs)
    lengths = networks.elements * radial if p == 0 else (2 * size + 1) * radial
    for f in range(n):
        _combine(p, m, f, first, rows, room, networks, state)
        _write_lengths(
            p,
            m,
            f,
            first,
            rows,
            lengths + f * networks.n_combinations,
            width,
            room,
            networks,
            state,
        )
    if p == 0:
        for row in range(rows):
            room.inputs[row * width + lengths + n * networks.n_combinations : (row + 1) * width] = 0


@numba.njit(nogil=True, error_model="numpy")
def _sum_elements(m, i, row, rows, room, networks, pairs):
    """Sum features of elements instead of atoms: the vectors; the scalars are of no use."""
    size, radial = networks.n_features, networks.radial
    n_blocks = -(-size // FEATURES)
    for block in range(n_blocks):
        f = size * block // n_blocks
        n = size * (block + 1) // n_blocks - f
        for k in range(0, radial, networks.lanes):
            sum_neighbours(
                room.unused, k, radial,
                room.vectors, (f * rows + row) * 3 * radial + k, rows * 3 * radial,
                pairs.sums, i * networks.elements * 4 * radial + k,
                networks.embedding, (m * networks.elements * size + f) * radial + k, size * radial,
                room.every_element, 0, networks.elements, n, radial,
            )  # fmt: skip


@numba.njit(nogil=True, error_model="numpy")
def _sum_atoms(i, row, rows, to_scalars, features, room, networks, pairs):
    """Sum the features of an atom's neighbours."""
    size, radial = networks.n_features + 1, networks.radial
    start, count = pairs.start[i], pairs.start[i + 1] - pairs.start[i]
    if count == 0:
        room.inputs[to_scalars : to_scalars + size * radial] = 0
        for f in range(size):
            place = (f * rows + row) * 3 * radial
            room.vectors[place : place + 3 * radial] = 0
        return
    n_blocks = -(-size // FEATURES)
    for block in range(n_blocks):
        f = size * block // n_blocks
        n = size * (block + 1) // n_blocks - f
        for k in range(0, radial, networks.lanes):
            sum_neighbours(
                room.inputs, to_scalars + f * radial + k, radial,
                room.vectors, (f * rows + row) * 3 * radial + k, rows * 3 * radial,
                pairs.basis, start * 4 * radial + k,
                features, f * radial + k, size * radial,
                pairs.atom, start, count, n, radial,
            )  # fmt: skip


@numba.njit(nogil=True, error_model="numpy")
def _combine(p, m, f, first, rows, room, networks, state):
    """Multiply a feature's vectors with the combinations of radial functions."""
    radial, combinations, lanes = networks.radial, networks.combinations, networks.lanes
    matrix = (m * (networks.n_features + 1) + f) * radial * combinations
    to = (f * state.n_rows + first) * 3 * combinations
    for column in range(0, combinations, lanes):
        for tile in range(-(-3 * rows // MAX_ROWS)):
            row = tile_edge(tile, 3 * rows)
            count = tile_edge(tile + 1, 3 * rows) - row
            multiply_narrow_tile(
                state.combined[p, m], to + row * combinations + column, combinations,
                room.vectors, (f * rows * 3 + row) * radial, radial,
                networks.combine, matrix + column * radial, radial, count, False,
            )  # fmt: skip


@numba.njit(nogil=True, error_model="numpy", fastmath=_FAST)
def _write_lengths(p, m, f, first, rows, column, width, room, networks, state):
    """Write the squared lengths of a feature's combinations."""
    combinations, n = networks.combinations, networks.n_combinations
    for row in range(rows):
        start = (f * state.n_rows + first + row) * 3 * combinations
        parts = state.combined[p, m, start : start + 3 * combinations].reshape(3, combinations)
        lengths = room.inputs[row * width + column : row * width + column + n]
        for k in range(len(lengths)):
            lengths[k] = parts[0, k] ** 2 + parts[1, k] ** 2 + parts[2, k] ** 2


@numba.njit(nogil=True, error_model="numpy")
def return_derivatives(p, m, first, rows, room, networks, pairs, state):
    """Turn derivatives by the inputs of pass p into those by features, charges and sums.

    Those by sums over neighbours are left for `gather_derivatives`; in the first pass the room
    collects those by sums over elements, of all members.
    """
    width, radial, size = networks.widths[p, 0], networks.radial, networks.n_features
    n = size if p == 0 else size + 1
    lengths = networks.elements * radial if p == 0 else (2 * size + 1) * radial
    for row in range(rows):
        i, start = first + row, row * width
        if p > 0:
            by_features = state.by_features[m, i]
            # Features go on to the next pass; nothing takes in those of the last.
            if p == 1:
                _add(by_features, room.inputs[start : start + size * radial])
            else:
                by_features[: size * radial] = room.inputs[start : start + size * radial]
            by_features[size * radial :] = 0
            state.by_scalars[m, i] = room.inputs[start + size * radial : start + lengths]
            state.by_charges[m, i] += room.inputs[start + lengths + n * networks.n_combinations]
    for f in range(n):
        column = lengths + f * networks.n_combinations
        _spread(p, m, f, first, rows, column, width, room, networks, state)
    if p == 0:
        for row in range(rows):
            i, start = first + row, row * width
            for k in range(0, radial, networks.lanes):
                _add_element_derivatives(m, i, k, room, networks, state)
            for e in range(networks.elements):
                place = start + e * radial
                _add(room.by_sums[i, e, 0], room.inputs[place : place + radial])


@numba.njit(nogil=True, error_model="numpy", fastmath=_FAST)
def _spread(p, m, f, first, rows, column, width, room, networks, state):
    """Go from derivatives by squared lengths to those by the vectors of a feature."""
    radial, combinations, lanes = networks.radial, networks.combinations, networks.lanes
    n, two = networks.n_combinations, like(2, room.inputs[0])
    for row in range(rows):
        by_lengths = room.inputs[row * width + column : row * width + column + n]
        for c in range(3):
            start = ((f * state.n_rows + first + row) * 3 + c) * combinations
            parts = state.combined[p, m, start : start + combinations]
            place = (row * 3 + c) * combinations
            by_parts = room.vectors[place : place + combinations]
            for k in range(len(by_lengths)):
                by_parts[k] = two * parts[k] * by_lengths[k]
            by_parts[n:] = 0
    matrix = (m * (networks.n_features + 1) + f) * radial * combinations
    to = (f * state.n_rows + first) * 3 * radial
    for k in range(0, radial, lanes):
        for tile in range(-(-3 * rows // MAX_ROWS)):
            row = tile_edge(tile, 3 * rows)
            count = tile_edge(tile + 1, 3 * rows) - row
            multiply_narrow_tile(
                state.by_vectors[m], to + row * radial + k, radial,
                room.vectors, row * combinations, combinations,
                networks.spread, matrix + k * combinations, combinations, count, False,
            )  # fmt: skip


@numba.njit(nogil=True, error_model="numpy")
def _add_element_derivatives(m, i, k, room, networks, state):
    """Add the derivatives by an atom's sums over elements, for one vector of radial functions."""
    radial, size, elements = networks.radial, networks.n_features, networks.elements
    for e in range(0, elements, NEIGHBOURS):
        differentiate_basis(
            room.by_sums, (i * elements + e) * 4 * radial + k,
            room.zeros, 0,
            state.by_vectors[m], i * 3 * radial + k, state.n_rows * 3 * radial,
            networks.embedding, m * elements * size * radial + k, size * radial,
            room.every_element, e, min(NEIGHBOURS, elements - e), size, radial,
        )  # fmt: skip


@numba.njit(nogil=True, error_model="numpy", fastmath=_FAST)
def gather_derivatives(p, m, i, room, networks, pairs, state):
    """Go from derivatives by the sums of pass p to those by basis, features and charge of atom i.

    All atoms must have theirs. Derivatives by the basis add up in the room, for all members.
    """
    radial, size = networks.radial, networks.n_features + 1
    start, count = pairs.start[i], pairs.start[i + 1] - pairs.start[i]
    by_features = state.by_features[m]
    if count == 0:
        return
    n_blocks = -(-size // GATHERED)
    for k in range(0, radial, networks.lanes):
        for p_first in range(0, count, NEIGHBOURS):
            differentiate_basis(
                room.by_basis, (start + p_first) * 4 * radial + k,
                state.by_scalars[m], i * size * radial + k,
                state.by_vectors[m], i * 3 * radial + k, state.n_rows * 3 * radial,
                state.features[p - 1, m], k, size * radial,
                pairs.atom, start + p_first, min(NEIGHBOURS, count - p_first), size, radial,
            )  # fmt: skip
        for block in range(n_blocks):
            f = size * block // n_blocks
            n = size * (block + 1) // n_blocks - f
            differentiate_features(
                by_features, (i * size + f) * radial + k,
                state.by_scalars[m], f * radial + k, size * radial,
                state.by_vectors[m], f * state.n_rows * 3 * radial + k, state.n_rows * 3 * radial,
                pairs.basis, start * 4 * radial + k,
                pairs.atom, start, count, n, radial,
            )  # fmt: skip
    state.by_charges[m, i] += by_features[i, (size - 1) * radial :].sum()


@numba.njit(nogil=True, error_model="numpy", fastmath=_FAST)
def _add(x, y):
    for k in range(len(y)):
        x[k] += y[k]
