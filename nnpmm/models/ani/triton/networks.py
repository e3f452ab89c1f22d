"""Kernels of the element networks: dense layers with CELU, forward and backward.

There are three launches. The first evaluates the first layers of all members, in many tiles because
they are the widest. The second evaluates the other layers, forward and backward, with one program
for each tile of atoms and member, whose activations stay in the cache. The third multiplies by the
first layers' weights, which gives dE/dAEV. Sums are float32 without TF32 (or float64); energies are
summed in float64.

The derivative of CELU, a = alpha (exp(z / alpha) - 1) for z < 0, is 1 + a / alpha there. So only
activations are stored, and the backward pass overwrites them with gradients.
"""

from __future__ import annotations

import triton
import triton.language as tl

from nnpmm.models.ani.triton.layout import LAYER_FIELDS as FIELDS

__all__ = ["first_backward", "first_forward", "hidden_layers"]

LAYER_FIELDS = tl.constexpr(FIELDS)


@triton.jit
def _celu(z, M: tl.constexpr):
    negative = tl.where(z > 0, 0.0, z)
    return tl.where(z > 0, z, (tl.exp(negative / M.celu_alpha) - 1.0) * M.celu_alpha)


@triton.jit
def _celu_derivative(a, M: tl.constexpr):
    """Return the derivative of CELU from its value."""
    return tl.where(a > 0, 1.0, 1.0 + a / M.celu_alpha)


@triton.jit
def _load_tile(tiles, tile, M: tl.constexpr):
    """Return the element of a tile, its rows, and the mask of rows that exist."""
    element = tl.load(tiles + 3 * tile)
    offsets = tl.arange(0, M.rows)
    mask = offsets < tl.load(tiles + 3 * tile + 2)
    return element, (tl.load(tiles + 3 * tile + 1) + offsets).to(tl.int64), mask


@triton.jit
def _load_layer(layers, element, layer, M: tl.constexpr):
    """Return one row of `layout.NetworkTables.layers`.

    Except the offset of the biases, all numbers that the kernels use are multiples of 32, so that
    loads can be vectorised. The number of outputs of the last layer is not, but it is never used.

    Returns:
        Inputs and outputs; offsets of the weights as (inputs, outputs), of those as (outputs,
        inputs), and of the biases; offsets of inputs and outputs in a row of activations.
    """
    layers += (element * M.depth + layer) * LAYER_FIELDS
    inputs = tl.multiple_of(tl.load(layers), 32)
    forward = tl.multiple_of(tl.load(layers + 2), 32)
    backward = tl.multiple_of(tl.load(layers + 3), 32)
    source = tl.multiple_of(tl.load(layers + 5), 32)
    target = tl.multiple_of(tl.load(layers + 6), 32)
    outputs = tl.multiple_of(tl.load(layers + 1), 32)
    biases = tl.load(layers + 4)
    return inputs, outputs, forward, backward, biases, source, target


@triton.jit
def _product(left, mask, weights, length, width, columns, total, M: tl.constexpr):
    """Add left (rows, length) times weights (length, width) to an accumulator.

    Args:
        left: pointers to the first element of each row.
        mask: rows that exist.
        weights: pointer to the weights.
        length: inner dimension, a multiple of the padding.
        width: length of a row of weights.
        columns: columns of the tile; those beyond the width give zero.
        total: accumulator, (rows, columns).
        M: `constants.Constants`.
    """
    column_mask = (columns < width)[None, :]
    for start in range(0, length, M.inputs):
        inner = start + tl.arange(0, M.inputs)
        a = tl.load(left[:, None] + inner[None, :], mask=mask[:, None], other=0.0)
        pointers = weights + inner[:, None] * width + columns[None, :]
        b = tl.load(pointers, mask=column_mask, other=0.0)
        total = tl.dot(a, b, total, input_precision="ieee", out_dtype=M.dtype)
    return total


@triton.jit
def _activate(total, biases, target, mask, columns, width, M: tl.constexpr):
    """Add biases, apply CELU and store; ``target`` points at each row's first column."""
    column_mask = columns < width
    total += tl.load(biases + columns, mask=column_mask, other=0.0)[None, :]
    pointers = target[:, None] + columns[None, :]
    tl.store(pointers, _celu(total, M), mask=mask[:, None] & column_mask[None, :])


@triton.jit
def first_forward(aev, parameters, tiles, blocks, layers, activations, n_rows, M: tl.constexpr):
    """Evaluate the first layer of one member for one tile of atoms and one block of columns.

    Args:
        aev: (n, aev_padded).
        parameters, layers: see `layout.NetworkTables`.
        tiles, blocks: ``rows`` and ``blocks`` of `layout.Tiles`.
        activations: (m, n, activation_width).
        n_rows: n.
        M: `constants.Constants`.
    """
    block, member = tl.program_id(0), tl.program_id(1)
    element, rows, mask = _load_tile(tiles, tl.load(blocks + 2 * block), M)
    _, width, weights, _, biases, _, _ = _load_layer(layers, element, 0, M)
    parameters += member * M.member_size
    start = tl.multiple_of(tl.load(blocks + 2 * block + 1), 32)
    columns = start + tl.arange(0, M.first_columns)
    total = tl.zeros((M.rows, M.first_columns), M.dtype)
    left = aev + rows * M.aev_padded
    total = _product(left, mask, parameters + weights, M.aev_padded, width, columns, total, M)
    target = activations + (member * n_rows + rows) * M.activation_width
    _activate(total, parameters + biases, target, mask, columns, width, M)


@triton.jit
def _layer_forward(activations, mask, parameters, layers, element, layer, M: tl.constexpr):
    """Evaluate one hidden layer for a tile of atoms; ``activations`` points at each row."""
    length, width, weights, _, biases, source, target = _load_layer(layers, element, layer, M)
    for start in range(0, width, M.columns):
        columns = start + tl.arange(0, M.columns)
        total = tl.zeros((M.rows, M.columns), M.dtype)
        left = activations + source
        total = _product(left, mask, parameters + weights, length, width, columns, total, M)
        _activate(total, parameters + biases, activations + target, mask, columns, width, M)


@triton.jit
def _layer_backward(activations, mask, parameters, layers, element, layer, M: tl.constexpr):
    """Replace a layer's inputs by the gradient with respect to their pre-activations."""
    width, length, _, weights, _, source, target = _load_layer(layers, element, layer, M)
    for start in range(0, width, M.columns):
        columns = start + tl.arange(0, M.columns)
        total = tl.zeros((M.rows, M.columns), M.dtype)
        left = activations + target
        total = _product(left, mask, parameters + weights, length, width, columns, total, M)
        pointers = (activations + source)[:, None] + columns[None, :]
        both = mask[:, None] & (columns < width)[None, :]
        value = tl.load(pointers, mask=both, other=0.0)
        tl.store(pointers, total * _celu_derivative(value, M), mask=both)


@triton.jit
def _output_layer(activations, mask, parameters, layers, element, layer, M: tl.constexpr):
    """Return the energies of a tile of atoms; replace the layer's inputs by their gradient."""
    inputs, _, weights, _, bias, source, _ = _load_layer(layers, element, layer, M)
    energy = tl.zeros((M.rows,), M.dtype)
    for start in range(0, inputs, M.columns):
        columns = start + tl.arange(0, M.columns)
        column_mask = columns < inputs
        weight = tl.load(parameters + weights + columns, mask=column_mask, other=0.0)[None, :]
        pointers = (activations + source)[:, None] + columns[None, :]
        both = mask[:, None] & column_mask[None, :]
        value = tl.load(pointers, mask=both, other=0.0)
        energy += tl.sum(value * weight, 1)
        tl.store(pointers, weight * _celu_derivative(value, M), mask=both)
    return energy + tl.load(parameters + bias)


@triton.jit
def hidden_layers(
    parameters, tiles, layers, depths, activations, energies, n_rows, M: tl.constexpr
):
    """Evaluate one member's layers above the first, forward and backward, for a tile of atoms.

    Args:
        parameters, layers, depths: see `layout.NetworkTables`.
        tiles: ``rows`` of `layout.Tiles`.
        activations: (m, n, activation_width). The first layer's outputs are read, and overwritten
            by the gradient with respect to their pre-activations.
        energies: of each atom and member, (n, m), hartree, float64.
        n_rows: n.
        M: `constants.Constants`.
    """
    member = tl.program_id(1)
    element, rows, mask = _load_tile(tiles, tl.program_id(0), M)
    output = tl.load(depths + element) - 1
    parameters += member * M.member_size
    activations += (member * n_rows + rows) * M.activation_width
    for layer in range(1, output):
        # Barriers, because each layer reads what other threads of the program have written.
        tl.debug_barrier()
        _layer_forward(activations, mask, parameters, layers, element, layer, M)
    tl.debug_barrier()
    energy = _output_layer(activations, mask, parameters, layers, element, output, M)
    tl.store(energies + rows * M.members + member, energy.to(tl.float64), mask=mask)
    for step in range(1, output):
        tl.debug_barrier()
        _layer_backward(activations, mask, parameters, layers, element, output - step, M)


@triton.jit
def first_backward(
    parameters, tiles, layers, activations, partial_gradients, n_rows, M: tl.constexpr
):
    """Calculate dE/dAEV of one group of members for a tile of atoms and a block of columns.

    Args:
        parameters, layers: see `layout.NetworkTables`.
        tiles: ``rows`` of `layout.Tiles`.
        activations: gradient with respect to the first layer's pre-activations, (m, n,
            activation_width).
        partial_gradients: (groups, n, aev_padded), hartree, summed over the members of the group.
        n_rows: n.
        M: `constants.Constants`.
    """
    element, rows, mask = _load_tile(tiles, tl.program_id(0), M)
    columns = tl.program_id(1) * M.first_columns + tl.arange(0, M.first_columns)
    group = tl.program_id(2)
    _, length, _, weights, _, _, _ = _load_layer(layers, element, 0, M)
    total = tl.zeros((M.rows, M.first_columns), M.dtype)
    group_size: tl.constexpr = M.members // M.groups
    for step in range(0, group_size):
        member = group * group_size + step
        left = activations + (member * n_rows + rows) * M.activation_width
        matrix = parameters + member * M.member_size + weights
        total = _product(left, mask, matrix, length, M.aev_padded, columns, total, M)
    target = partial_gradients + (group * n_rows + rows) * M.aev_padded
    both = mask[:, None] & (columns < M.aev_padded)[None, :]
    tl.store(target[:, None] + columns[None, :], total, mask=both)
