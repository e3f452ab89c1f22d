"""The element networks: forward and backward passes, one member at a time.

A member's weights of one element fit into the second-level cache. Many columns of the symmetry
functions are zero for all atoms of a tile, because none of the atoms has neighbours of this pair of
elements. A tile skips these columns, which does not change the result.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from nnpmm.models.ani.cpu.packing import ColumnLayout, Networks
from nnpmm.models.ani.parameters import CELU_ALPHA
from nnpmm.models.cpu.functions import exponential, like
from nnpmm.models.cpu.packing import aligned
from nnpmm.models.cpu.simd import (
    MAX_ROWS,
    multiply_packed,
    multiply_tile,
    next_panel,
    tile_edge,
)

__all__ = ["NetworkScratch", "apply_networks"]

_FAST = {"contract", "reassoc", "nsz"}  # NaN must survive


class NetworkScratch(NamedTuple):
    """Buffers for a block of atoms of one element."""

    rows: NDArray[np.floating]  # (block, width): symmetry functions
    gradient: NDArray[np.floating]  # (block, width)
    pattern: NDArray[np.int64]  # (block,): one bit for each pair of elements among the neighbours
    active: NDArray[np.bool_]  # (tiles, panels): columns that are not zero
    runs: NDArray[np.int64]  # (tiles, runs, 2): first and last column of contiguous active panels
    n_runs: NDArray[np.int64]  # (tiles,)
    hidden: NDArray[np.floating]  # (layers - 1, block * widest)
    product: NDArray[np.floating]  # (block * widest,)

    @classmethod
    def allocate(
        cls, block: int, layout: ColumnLayout, networks: Networks, dtype: np.dtype
    ) -> NetworkScratch:
        """Allocate buffers for ``block`` atoms."""
        n_layers = networks.widths.shape[1]
        widest = int(networks.widths[:, 1:].max())
        tiles, panels = -(-block // MAX_ROWS), layout.width // layout.panel
        return cls(
            rows=aligned((block, layout.width), dtype),
            gradient=aligned((block, layout.width), dtype),
            pattern=np.zeros(block, np.int64),
            active=np.zeros((tiles, panels), np.bool_),
            runs=np.empty((tiles, panels, 2), np.int64),
            n_runs=np.empty(tiles, np.int64),
            hidden=aligned((n_layers - 1, block * widest), dtype),
            product=aligned((block * widest,), dtype),
        )


@numba.njit(nogil=True, error_model="numpy")
def apply_networks(e, rows, geometry, energies, with_gradient, layout, networks, scratch):
    """Evaluate every member for a block of atoms of element e.

    Args:
        e: the element.
        rows: number of atoms in the block; their symmetry functions are in the scratch space.
        geometry: index of the geometry that each atom belongs to.
        energies: (members, geometries), float64, hartree; added to.
        with_gradient: whether to write the sum over members of dE/d(symmetry functions) to the
            scratch space. Inactive columns of a tile are not written.
    """
    _find_active(rows, layout, scratch)
    top = networks.widths.shape[1] - 2
    width = networks.widths[e, top + 1]
    for m in range(networks.last_bias.shape[1]):
        _forward(e, m, rows, networks, scratch)
        _output_layer(
            scratch.hidden[top], networks.last, networks.bias_start[e, m, top], rows, width,
            networks.last_bias[e, m], energies[m], geometry,
        )  # fmt: skip
        if with_gradient:
            _backward(e, m, rows, networks, scratch)


@numba.njit(nogil=True, error_model="numpy")
def _find_active(rows, layout, scratch):
    """Mark each tile's panels that are not zero, and merge adjacent ones into runs."""
    panel, n_groups = layout.panel, len(layout.group_start) - 1
    for tile in range(-(-rows // MAX_ROWS)):
        pattern = 0
        for row in range(tile_edge(tile, rows), tile_edge(tile + 1, rows)):
            pattern |= scratch.pattern[row]
        active, runs = scratch.active[tile], scratch.runs[tile]
        active[: layout.group_start[0] // panel] = True
        for group in range(n_groups):
            first, last = layout.group_start[group], layout.group_start[group + 1]
            active[first // panel : last // panel] = pattern >> group & 1
        n = 0
        for index in range(len(active)):
            if active[index]:
                if n == 0 or runs[n - 1, 1] != index * panel:
                    runs[n, 0] = index * panel
                    n += 1
                runs[n - 1, 1] = (index + 1) * panel
        scratch.n_runs[tile] = n


@numba.njit(nogil=True, error_model="numpy")
def _forward(e, m, rows, networks, scratch):
    """Fill the hidden layers of one member."""
    widths = networks.widths[e]
    for layer in range(len(widths) - 1):
        depth, width = widths[layer], widths[layer + 1]
        start, hidden = networks.weight_start[e, m, layer], scratch.hidden[layer]
        if layer == 0:
            _multiply_first(hidden, networks.forward, start, depth, width, rows, networks, scratch)
        else:
            below, panel = scratch.hidden[layer - 1], networks.panel
            multiply_packed(hidden, below, networks.forward, start, depth, width, rows, panel)
        _activate(hidden, networks.bias, networks.bias_start[e, m, layer], rows, width)


@numba.njit(nogil=True, error_model="numpy")
def _backward(e, m, rows, networks, scratch):
    """Add one member's dE/d(symmetry functions) to the gradient."""
    widths = networks.widths[e]
    top = len(widths) - 2
    start = networks.bias_start[e, m, top]
    _differentiate_last(scratch.hidden[top], networks.last, start, rows, widths[top + 1])
    for layer in range(top, -1, -1):
        depth, width = widths[layer], widths[layer + 1]
        start, hidden = networks.weight_start[e, m, layer], scratch.hidden[layer]
        if layer > 0:
            product, panel = scratch.product, networks.panel
            multiply_packed(product, hidden, networks.backward, start, width, depth, rows, panel)
            _differentiate_activation(scratch.hidden[layer - 1], product, rows * depth)
        else:
            _multiply_first_transposed(m > 0, hidden, start, depth, width, rows, networks, scratch)


@numba.njit(nogil=True, error_model="numpy")
def _multiply_first(c, packed, start, depth, width, rows, networks, scratch):
    """Multiply the active columns of the symmetry functions by the first layer's weights."""
    a = scratch.rows.reshape(scratch.rows.size)
    for column in range(0, width, networks.panel):
        weights = start + column * depth
        for tile in range(-(-rows // MAX_ROWS)):
            first = tile_edge(tile, rows)
            count = tile_edge(tile + 1, rows) - first
            for run in range(scratch.n_runs[tile]):
                begin, end = scratch.runs[tile, run]
                multiply_tile(
                    c, first * width + column, width, a, first * depth + begin, depth, packed,
                    weights + begin * networks.panel, end - begin, count, run > 0,
                    next_panel(weights, depth, networks.panel, tile) + begin * networks.panel,
                )  # fmt: skip


@numba.njit(nogil=True, error_model="numpy")
def _multiply_first_transposed(add, a, start, depth, width, rows, networks, scratch):
    """Multiply the first layer's gradient by its weights, for the active columns."""
    c, panel = scratch.gradient.reshape(scratch.gradient.size), networks.panel
    for column in range(0, depth, panel):
        weights = start + column * width
        for tile in range(-(-rows // MAX_ROWS)):
            if not scratch.active[tile, column // panel]:
                continue
            first = tile_edge(tile, rows)
            count = tile_edge(tile + 1, rows) - first
            multiply_tile(
                c, first * depth + column, depth, a, first * width, width, networks.backward,
                weights, width, count, add, next_panel(weights, width, panel, tile),
            )  # fmt: skip


@numba.njit(nogil=True, error_model="numpy", fastmath=_FAST)
def _activate(x, bias, start, rows, width):
    """Add the biases and apply CELU, in place."""
    zero, one = like(0, x[0]), like(1, x[0])
    alpha, inverse = like(CELU_ALPHA, x[0]), like(1 / CELU_ALPHA, x[0])
    for row in range(rows):
        for j in range(width):
            value = x[row * width + j] + bias[start + j]
            low = value if value < zero else zero
            curved = alpha * (exponential(low * inverse) - one)
            # The comparison is false for NaN, which therefore stays NaN.
            x[row * width + j] = curved if value < zero else value


@numba.njit(nogil=True, error_model="numpy", fastmath=_FAST)
def _celu_derivative(y):
    """Return the derivative of CELU from its value."""
    one = like(1, y)
    return one + y * like(1 / CELU_ALPHA, y) if y < like(0, y) else one


@numba.njit(nogil=True, error_model="numpy", fastmath=_FAST)
def _output_layer(x, last, start, rows, width, bias, energies, geometry):
    """Evaluate the output layer; add each atom's energy to that of its geometry, in float64."""
    for row in range(rows):
        total = like(0, x[0])
        for j in range(width):
            total += x[row * width + j] * last[start + j]
        energies[geometry[row]] += bias + np.float64(total)


@numba.njit(nogil=True, error_model="numpy", fastmath=_FAST)
def _differentiate_last(x, last, start, rows, width):
    """Replace the last hidden layer's outputs by dE/d(its pre-activations)."""
    for row in range(rows):
        for j in range(width):
            x[row * width + j] = last[start + j] * _celu_derivative(x[row * width + j])


@numba.njit(nogil=True, error_model="numpy", fastmath=_FAST)
def _differentiate_activation(x, product, size):
    """Replace a layer's outputs by dE/d(pre-activations), given dE/d(its outputs)."""
    for j in range(size):
        x[j] = product[j] * _celu_derivative(x[j])
