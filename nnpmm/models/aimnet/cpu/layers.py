"""The layers of a pass for a block of atoms: forward, and back to what the pass takes in."""

from __future__ import annotations

import numba
import numpy as np

from nnpmm.models.aimnet.cpu.activation import gelu
from nnpmm.models.cpu.functions import like
from nnpmm.models.cpu.simd import MAX_ROWS, multiply_tile, next_panel, tile_edge

__all__ = ["apply_layers", "differentiate_layers"]

_FAST = {"contract", "reassoc", "nsz"}  # NaN must survive
_PASSES = 3


@numba.njit(nogil=True, error_model="numpy")
def apply_layers(p, m, first, rows, room, networks, region, state):
    """Apply the layers of pass p of member m to a block of atoms.

    The inputs are in the room's ``inputs``; features, charges and weights after the pass, or after
    the last one atomic energies, go into the state, and so do the derivatives of the activations.

    Args:
        first: first atom of the block.
        rows: number of atoms.
        room, networks, region, state: see their classes.
    """
    depth = networks.depth[p]
    below = room.inputs
    for layer in range(depth):
        above = room.hidden[layer % 2]
        n_in, n_out = networks.widths[p, layer], networks.widths[p, layer + 1]
        if layer == depth - 1 and p < _PASSES - 1:
            _read_heads(p, m, first, rows, below, n_in, networks, state)
        _multiply(
            above,
            below,
            networks.weights,
            networks.forward[p, m, layer],
            n_in,
            n_out,
            rows,
            networks.panel,
        )
        bias = networks.bias_start[p, m, layer]
        slopes = state.slope_start[p, layer] * state.n_rows
        for row in range(rows):
            by_element = region.element[(first + row) % len(region.element)] * n_out
            start = bias + (by_element if p == 0 and layer == 0 else 0)
            if layer == depth - 1 and p == 0:
                _add_bias(above, row * n_out, networks.bias, start, n_out)
            else:
                _activate(
                    above, row * n_out, networks.bias, start, n_out,
                    state.slopes[m], slopes + (first + row) * n_out,
                )  # fmt: skip
        below = above
    width = networks.widths[p, depth]
    if p < _PASSES - 1:
        _update_features(p, m, first, rows, below, width, networks, region, state)
    else:
        _read_energies(m, first, rows, below, width, networks, state)


@numba.njit(nogil=True, error_model="numpy")
def differentiate_layers(p, m, first, rows, scale, room, networks, state):
    """Leave the derivatives by the inputs of pass p in the room's ``inputs``.

    Args:
        p, m, first, rows: as above.
        scale: derivative of the result by an atomic energy.
        room, networks, state: see their classes. The state has the derivatives by features, heads.
    """
    depth = networks.depth[p]
    last = room.hidden[depth % 2]
    width = networks.widths[p, depth]
    slopes = state.slope_start[p, depth - 1] * state.n_rows + first * width
    if p == _PASSES - 1:
        _begin(last, rows, width, scale, networks.last[m], state.slopes[m], slopes)
    else:
        for row in range(rows):
            _copy(last, row * width, state.by_features[m, first + row], 0, width)
        if p > 0:
            _chain(last, state.slopes[m], slopes, rows * width)
    above = last
    for layer in range(depth - 1, -1, -1):
        below = room.inputs if layer == 0 else room.hidden[layer % 2]
        n_in, n_out = networks.widths[p, layer], networks.widths[p, layer + 1]
        _multiply(
            below,
            above,
            networks.weights,
            networks.backward[p, m, layer],
            n_out,
            n_in,
            rows,
            networks.panel,
        )
        if layer == depth - 1 and p < _PASSES - 1:
            for row in range(rows):
                for head in range(2):
                    _add_scaled(
                        below, row * n_in, networks.heads[p, m, head],
                        state.by_heads[m, first + row, head], n_in,
                    )  # fmt: skip
        if layer > 0:
            slopes = state.slope_start[p, layer - 1] * state.n_rows + first * n_in
            _chain(below, state.slopes[m], slopes, rows * n_in)
        above = below


@numba.njit(nogil=True, error_model="numpy")
def _multiply(c, a, packed, start, depth, width, rows, panel):
    """Multiply a block of rows with a packed matrix (depth, width): C = A W."""
    for column in range(0, width, panel):
        weights = start + column * depth
        for tile in range(-(-rows // MAX_ROWS)):
            first = tile_edge(tile, rows)
            count = tile_edge(tile + 1, rows) - first
            multiply_tile(
                c, first * width + column, width, a, first * depth, depth, packed, weights, depth,
                count, False, next_panel(weights, depth, panel, tile),
            )  # fmt: skip


@numba.njit(nogil=True, error_model="numpy", fastmath=_FAST)
def _read_heads(p, m, first, rows, x, width, networks, state):
    """Compute the two columns of a pass that yield charges, and their derivatives."""
    for row in range(rows):
        for head in range(2):
            weights = networks.heads[p, m, head]
            total = networks.head_bias[p, m, head]
            for k in range(width):
                total += x[row * width + k] * weights[k]
            slope = like(1, total)
            if p > 0:
                total, slope = gelu(total)
            state.heads[p, m, first + row, head] = total
            state.head_slopes[p, m, first + row, head] = slope


@numba.njit(nogil=True, error_model="numpy", fastmath=_FAST)
def _add_bias(x, x_start, bias, start, width):
    for k in range(width):
        x[x_start + k] += bias[start + k]


@numba.njit(nogil=True, error_model="numpy", fastmath=_FAST)
def _activate(x, x_start, bias, start, width, slopes, slope_start):
    """Add the biases and apply GELU, in place; keep its derivative."""
    for k in range(width):
        value, slope = gelu(x[x_start + k] + bias[start + k])
        x[x_start + k] = value
        slopes[slope_start + k] = slope


@numba.njit(nogil=True, error_model="numpy", fastmath=_FAST)
def _update_features(p, m, first, rows, x, width, networks, region, state):
    """Add what a pass found to the features before it."""
    size = networks.n_features * networks.radial
    for row in range(rows):
        after = state.features[p, m, first + row]
        if p == 0:
            element = region.element[(first + row) % len(region.element)]
            before = networks.embedding[m, element].reshape(size)
        else:
            before = state.features[p - 1, m, first + row]
        for k in range(size):
            after[k] = before[k] + x[row * width + k]


@numba.njit(nogil=True, error_model="numpy", fastmath=_FAST)
def _read_energies(m, first, rows, x, width, networks, state):
    """Compute the atomic energies, eV."""
    for row in range(rows):
        total = like(0, x[0])
        for k in range(width):
            total += x[row * width + k] * networks.last[m, k]
        state.energies[m, first + row] = networks.last_bias[m] + np.float64(total)


@numba.njit(nogil=True, error_model="numpy", fastmath=_FAST)
def _begin(x, rows, width, scale, last, slopes, start):
    """Write the derivatives by the sums of the layer before the last one."""
    for row in range(rows):
        for k in range(width):
            x[row * width + k] = scale * last[k] * slopes[start + row * width + k]


@numba.njit(nogil=True, error_model="numpy", fastmath=_FAST)
def _chain(x, slopes, start, size):
    """Turn derivatives by a layer's values into those by its sums."""
    for k in range(size):
        x[k] *= slopes[start + k]


@numba.njit(nogil=True, error_model="numpy", fastmath=_FAST)
def _add_scaled(x, start, row, factor, width):
    for k in range(width):
        x[start + k] += factor * row[k]


@numba.njit(nogil=True, error_model="numpy")
def _copy(x, start, row, first, width):
    for k in range(width):
        x[start + k] = row[first + k]
