"""The layers of a pass for a block of atoms: forward and backward."""

from __future__ import annotations

import numpy as np

from nnpmm.models.aimnet.cpu.activation import activate
from nnpmm.models.aimnet.cpu.packing import HEADS
from nnpmm.models.aimnet.cpu.rows import add, copy
from nnpmm.models.aimnet.parameters import PASSES
from nnpmm.models.cpu.compilation import inner
from nnpmm.models.cpu.functions import like
from nnpmm.models.cpu.simd import multiply_packed

__all__ = ["apply_layers", "differentiate_layers"]

_FAST = {"contract", "reassoc", "nsz"}  # NaN must survive


@inner()
def apply_layers(p, m, first, rows, workspace, networks, region, state):
    """Apply the layers of pass p of member m to a block of atoms.

    The inputs are in ``workspace.inputs``. The state receives the results (features, charges and
    weights; after the last pass, atomic energies) and the derivatives of the activations.

    Args:
        first: first atom of the block.
        rows: number of atoms.
        workspace, networks, region, state: see their classes.
    """
    depth = networks.depth[p]
    below = workspace.inputs
    for layer in range(depth):
        above = workspace.hidden[layer % 2]
        n_in, n_out = networks.widths[p, layer], networks.widths[p, layer + 1]
        if layer == depth - 1 and p < PASSES - 1:
            _read_heads(p, m, first, rows, below, n_in, networks, state)
        start = networks.forward[p, m, layer]
        multiply_packed(above, below, networks.weights, start, n_in, n_out, rows, networks.panel)
        bias = networks.bias_start[p, m, layer]
        slopes = state.slope_start[p, layer] * state.n_rows
        for row in range(rows):
            by_element = region.element[(first + row) % len(region.element)] * n_out
            start = bias + (by_element if p == 0 and layer == 0 else 0)
            values, biases = _row(above, row, n_out), networks.bias[start : start + n_out]
            if layer == depth - 1 and p == 0:
                add(values, biases)
            else:
                place = slopes + (first + row) * n_out
                activate(values, biases, state.slopes[m, place : place + n_out])
        below = above
    width = networks.widths[p, depth]
    if p < PASSES - 1:
        _update_features(p, m, first, rows, below, width, networks, region, state)
    else:
        _read_energies(m, first, rows, below, width, networks, state)


@inner()
def differentiate_layers(p, m, first, rows, scale, workspace, networks, state):
    """Write the derivatives by the inputs of pass p to ``workspace.inputs``.

    Args:
        p, m, first, rows: see `apply_layers`.
        scale: derivative of the result by an atomic energy.
        workspace, networks, state: see their classes; the state has the derivatives by features and
            heads.
    """
    depth = networks.depth[p]
    above = workspace.hidden[depth % 2]
    width = networks.widths[p, depth]
    for row in range(rows):
        values = _row(above, row, width)
        if p == PASSES - 1:
            _scale(values, scale, networks.last[m])
        else:
            copy(values, state.by_features[m, first + row])
    if p > 0:
        _chain(p, m, depth - 1, first, rows, above, networks, state)
    for layer in range(depth - 1, -1, -1):
        below = workspace.inputs if layer == 0 else workspace.hidden[layer % 2]
        n_in, n_out = networks.widths[p, layer], networks.widths[p, layer + 1]
        start = networks.backward[p, m, layer]
        multiply_packed(below, above, networks.weights, start, n_out, n_in, rows, networks.panel)
        if layer == depth - 1 and p < PASSES - 1:
            for row in range(rows):
                for head in range(HEADS):
                    factor = state.by_heads[m, first + row, head]
                    _add_scaled(_row(below, row, n_in), factor, networks.heads[p, m, head])
        if layer > 0:
            _chain(p, m, layer - 1, first, rows, below, networks, state)
        above = below


@inner()
def _row(x, row, width):
    return x[row * width : (row + 1) * width]


@inner()
def _read_heads(p, m, first, rows, x, width, networks, state):
    """Compute the outputs of a pass for charge and weight, and the derivatives of activations."""
    for row in range(rows):
        heads, slopes = state.heads[p, m, first + row], state.head_slopes[p, m, first + row]
        for head in range(HEADS):
            heads[head] = _dot(_row(x, row, width), networks.heads[p, m, head])
        if p > 0:
            activate(heads, networks.head_bias[p, m], slopes)
        else:
            add(heads, networks.head_bias[p, m])
            slopes[:] = 1


@inner()
def _update_features(p, m, first, rows, x, width, networks, region, state):
    """Add the outputs of a pass to the features before it."""
    size = networks.n_features * networks.radial
    for row in range(rows):
        after = state.features[p, m, first + row, :size]
        copy(after, _row(x, row, width))
        if p == 0:
            element = region.element[(first + row) % len(region.element)]
            add(after, networks.embedding[m, element].reshape(size))
        else:
            add(after, state.features[p - 1, m, first + row])


@inner()
def _read_energies(m, first, rows, x, width, networks, state):
    """Compute the atomic energies, eV."""
    for row in range(rows):
        total = _dot(_row(x, row, width), networks.last[m])
        state.energies[m, first + row] = networks.last_bias[m] + np.float64(total)


@inner()
def _chain(p, m, layer, first, rows, x, networks, state):
    """Convert derivatives by a layer's values to those by its inputs before activation."""
    width = networks.widths[p, layer + 1]
    start = state.slope_start[p, layer] * state.n_rows + first * width
    _multiply_by(x[: rows * width], state.slopes[m, start : start + rows * width])


@inner(fastmath=_FAST)
def _dot(x, y):
    total = like(0, x[0])
    for k in range(len(x)):
        total += x[k] * y[k]
    return total


@inner(fastmath=_FAST)
def _add_scaled(x, factor, y):
    for k in range(len(x)):
        x[k] += factor * y[k]


@inner(fastmath=_FAST)
def _scale(x, factor, y):
    for k in range(len(x)):
        x[k] = factor * y[k]


@inner(fastmath=_FAST)
def _multiply_by(x, y):
    for k in range(len(x)):
        x[k] *= y[k]
