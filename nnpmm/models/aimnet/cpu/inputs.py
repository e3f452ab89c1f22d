"""Inputs of a pass, an atom's features and sums over its neighbours, and their derivatives."""

from __future__ import annotations

from nnpmm.models.aimnet.cpu.contraction import (
    FEATURES,
    GATHERED,
    NEIGHBOURS,
    differentiate_basis,
    differentiate_features,
    sum_neighbours,
)
from nnpmm.models.aimnet.cpu.rows import add, copy
from nnpmm.models.cpu.compilation import inner
from nnpmm.models.cpu.functions import like
from nnpmm.models.cpu.simd import MAX_ROWS, multiply_narrow_tile, tile_edge

__all__ = ["collect_inputs", "differentiate_inputs", "differentiate_sums"]

_FAST = {"contract", "reassoc", "nsz"}  # NaN must survive


@inner()
def collect_inputs(p, m, first, rows, workspace, networks, pairs, state):
    """Write the inputs of pass p for a block of atoms.

    The inputs contain the sums of scalars, and the squared lengths of combinations of the sums of
    vectors.
    """
    width, radial, size = networks.widths[p, 0], networks.radial, networks.n_features
    n = size if p == 0 else size + 1  # the charge is the last feature
    for row in range(rows):
        i, start = first + row, row * width
        if p == 0:
            _sum_elements(m, i, row, workspace, networks, pairs)
            for e in range(networks.elements):
                place = start + e * radial
                copy(workspace.inputs[place : place + radial], pairs.sums[i, e, 0])
        else:
            features = state.features[p - 1, m]
            copy(workspace.inputs[start : start + size * radial], features[i])
            after = (2 * size + 1) * radial + n * networks.n_combinations
            workspace.inputs[start + after] = state.charges[p - 1, m, i]
            workspace.inputs[start + after + 1 : start + width] = 0
            _sum_atoms(i, row, start + size * radial, features, workspace, networks, pairs)
    lengths = networks.elements * radial if p == 0 else (2 * size + 1) * radial
    for f in range(n):
        _combine(p, m, f, first, rows, workspace, networks, state)
        column = lengths + f * networks.n_combinations
        _write_lengths(p, m, f, first, rows, column, width, workspace, networks, state)
    if p == 0:
        for row in range(rows):
            workspace.inputs[
                row * width + lengths + n * networks.n_combinations : (row + 1) * width
            ] = 0


@inner()
def _sum_elements(m, i, row, workspace, networks, pairs):
    """Sum the vectors of elements instead of atoms; the sums of scalars are not needed."""
    size, radial = networks.n_features, networks.radial
    n_blocks = -(-size // FEATURES)
    for block in range(n_blocks):
        f = size * block // n_blocks
        n = size * (block + 1) // n_blocks - f
        for k in range(0, radial, networks.lanes):
            sum_neighbours(
                workspace.unused, k,
                workspace.vectors, (row * (size + 1) + f) * 3 * radial + k,
                pairs.sums, i * networks.elements * 4 * radial + k,
                networks.embedding, (m * networks.elements * size + f) * radial + k, size * radial,
                workspace.every_element, 0, networks.elements, n, radial,
            )  # fmt: skip


@inner()
def _sum_atoms(i, row, to_scalars, features, workspace, networks, pairs):
    """Sum the features of an atom's neighbours."""
    size, radial = networks.n_features + 1, networks.radial
    start, count = pairs.start[i], pairs.start[i + 1] - pairs.start[i]
    if count == 0:
        workspace.inputs[to_scalars : to_scalars + size * radial] = 0
        workspace.vectors[row * size * 3 * radial : (row + 1) * size * 3 * radial] = 0
        return
    n_blocks = -(-size // FEATURES)
    for block in range(n_blocks):
        f = size * block // n_blocks
        n = size * (block + 1) // n_blocks - f
        for k in range(0, radial, networks.lanes):
            sum_neighbours(
                workspace.inputs, to_scalars + f * radial + k,
                workspace.vectors, (row * size + f) * 3 * radial + k,
                pairs.basis, start * 4 * radial + k,
                features, f * radial + k, size * radial,
                pairs.atom, start, count, n, radial,
            )  # fmt: skip


@inner()
def _combine(p, m, f, first, rows, workspace, networks, state):
    """Multiply a feature's vectors by the matrix of combinations of radial functions."""
    radial, combinations, size = networks.radial, networks.combinations, networks.n_features + 1
    matrix = (m * size + f) * radial * combinations
    for column in range(0, combinations, networks.lanes):
        for tile in range(-(-rows // MAX_ROWS)):
            row = tile_edge(tile, rows)
            count = tile_edge(tile + 1, rows) - row
            for c in range(3):
                to, place = ((first + row) * size + f) * 3 + c, (row * size + f) * 3 + c
                multiply_narrow_tile(
                    state.combined[p, m], to * combinations + column, size * 3 * combinations,
                    workspace.vectors, place * radial, size * 3 * radial,
                    networks.combine, matrix + column * radial, radial, count, False,
                )  # fmt: skip


@inner(fastmath=_FAST)
def _write_lengths(p, m, f, first, rows, column, width, workspace, networks, state):
    """Write the squared lengths of a feature's combinations."""
    combinations, n = networks.combinations, networks.n_combinations
    for row in range(rows):
        start = ((first + row) * (networks.n_features + 1) + f) * 3 * combinations
        parts = state.combined[p, m, start : start + 3 * combinations].reshape(3, combinations)
        lengths = workspace.inputs[row * width + column : row * width + column + n]
        for k in range(len(lengths)):
            lengths[k] = parts[0, k] ** 2 + parts[1, k] ** 2 + parts[2, k] ** 2


@inner()
def differentiate_inputs(p, m, first, rows, workspace, networks, pairs, state):
    """Convert derivatives by the inputs of pass p to those by features, charges and sums.

    `differentiate_sums` uses those by sums over neighbours. In the first pass the workspace
    accumulates those by sums over elements, of all members.
    """
    width, radial, size = networks.widths[p, 0], networks.radial, networks.n_features
    n = size if p == 0 else size + 1
    lengths = networks.elements * radial if p == 0 else (2 * size + 1) * radial
    for row in range(rows):
        i, start = first + row, row * width
        if p > 0:
            by_features = state.by_features[m, i, : size * radial]
            # The features before pass 1 are also part of those after it, which enter pass 2.
            if p == 1:
                add(by_features, workspace.inputs[start:])
            else:
                copy(by_features, workspace.inputs[start:])
            state.by_features[m, i, size * radial :] = 0
            copy(state.by_scalars[m, i], workspace.inputs[start + size * radial :])
            state.by_charges[m, i] += workspace.inputs[
                start + lengths + n * networks.n_combinations
            ]
    for f in range(n):
        column = lengths + f * networks.n_combinations
        _differentiate_lengths(p, m, f, first, rows, column, width, workspace, networks, state)
    if p == 0:
        for row in range(rows):
            i, start = first + row, row * width
            for k in range(0, radial, networks.lanes):
                _add_element_derivatives(m, i, k, workspace, networks, state)
            for e in range(networks.elements):
                place = start + e * radial
                add(workspace.by_sums[i, e, 0], workspace.inputs[place:])


@inner(fastmath=_FAST)
def _differentiate_lengths(p, m, f, first, rows, column, width, workspace, networks, state):
    """Convert derivatives by squared lengths to those by the vectors of a feature."""
    radial, combinations, size = networks.radial, networks.combinations, networks.n_features + 1
    n, two = networks.n_combinations, like(2, workspace.inputs[0])
    for row in range(rows):
        by_lengths = workspace.inputs[row * width + column : row * width + column + n]
        for c in range(3):
            start = (((first + row) * size + f) * 3 + c) * combinations
            parts = state.combined[p, m, start : start + combinations]
            place = (row * 3 + c) * combinations
            by_parts = workspace.vectors[place : place + combinations]
            for k in range(len(by_lengths)):
                by_parts[k] = two * parts[k] * by_lengths[k]
            by_parts[n:] = 0
    matrix = (m * size + f) * radial * combinations
    for k in range(0, radial, networks.lanes):
        for tile in range(-(-rows // MAX_ROWS)):
            row = tile_edge(tile, rows)
            count = tile_edge(tile + 1, rows) - row
            for c in range(3):
                multiply_narrow_tile(
                    state.by_vectors[m], (((first + row) * size + f) * 3 + c) * radial + k,
                    size * 3 * radial,
                    workspace.vectors, (row * 3 + c) * combinations, 3 * combinations,
                    networks.spread, matrix + k * combinations, combinations, count, False,
                )  # fmt: skip


@inner()
def _add_element_derivatives(m, i, k, workspace, networks, state):
    """Add the derivatives by an atom's sums over elements, for one vector of radial functions."""
    radial, size, elements = networks.radial, networks.n_features, networks.elements
    for e in range(0, elements, NEIGHBOURS):
        differentiate_basis(
            workspace.by_sums, (i * elements + e) * 4 * radial + k,
            workspace.zeros, 0,
            state.by_vectors[m], i * (size + 1) * 3 * radial + k,
            networks.embedding, m * elements * size * radial + k, size * radial,
            workspace.every_element, e, min(NEIGHBOURS, elements - e), size, radial,
        )  # fmt: skip


@inner(fastmath=_FAST)
def differentiate_sums(p, m, i, workspace, networks, pairs, state):
    """Convert derivatives by the sums of pass p to those by basis, features and charge of atom i.

    The derivatives by the sums of all atoms must be complete. Those by the basis are accumulated in
    the workspace for all members.
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
                workspace.by_basis, (start + p_first) * 4 * radial + k,
                state.by_scalars[m], i * size * radial + k,
                state.by_vectors[m], i * size * 3 * radial + k,
                state.features[p - 1, m], k, size * radial,
                pairs.atom, start + p_first, min(NEIGHBOURS, count - p_first), size, radial,
            )  # fmt: skip
        for block in range(n_blocks):
            f = size * block // n_blocks
            n = size * (block + 1) // n_blocks - f
            differentiate_features(
                by_features, (i * size + f) * radial + k,
                state.by_scalars[m], f * radial + k,
                state.by_vectors[m], f * 3 * radial + k, size * radial,
                pairs.basis, start * 4 * radial + k,
                pairs.atom, start, count, n, radial,
            )  # fmt: skip
    state.by_charges[m, i] += by_features[i, (size - 1) * radial :].sum()
