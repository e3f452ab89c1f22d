"""Kernels of the element networks: dense layers with CELU, forward and backward.

Three launches: the first layers of all members, cut into many tiles because they are the widest;
the rest, forward and backward, in one program for each tile of atoms and member, whose activations
stay in the cache; and the products with the first layers' weights that give dE/dAEV. Sums are
float32 without TF32 (or float64); energies are added up in float64.

The derivative of CELU, a = alpha (exp(z / alpha) - 1) for z < 0, is 1 + a / alpha there. So only
activations are kept, and gradients take their place as the backward pass goes down.
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
def _celu_slope(a, M: tl.constexpr):
    """Derivative of CELU, from its value."""
    return tl.where(a > 0, 1.0, 1.0 + a / M.celu_alpha)


@triton.jit
def _load_tile(tiles, tile, M: tl.constexpr):
    """Element of a tile, its rows and which of them exist."""
    element = tl.load(tiles + 3 * tile)
    offsets = tl.arange(0, M.rows)
    mask = offsets < tl.load(tiles + 3 * tile + 2)
    return element, (tl.load(tiles + 3 * tile + 1) + offsets).to(tl.int64), mask


@triton.jit
def _load_layer(layers, element, layer, M: tl.constexpr):
    """One row of `layout.NetworkTables.layers`, as multiples of 32, so that loads are wide.

    Only the outputs of the last layer are not, and they are never used.

    Returns:
        inputs, outputs, where weights as (inputs, outputs), weights as (outputs, inputs) and biases
        begin, and where inputs and outputs begin among the activations.
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
    """Add left (rows, length) times weights (length, width) to a tile of sums.

    Args:
        left: pointers to the first element of each row.
        mask: rows that exist.
        weights: pointer to the weights.
        length: terms of each sum, a multiple of the padding.
        width: length of a row of weights.
        columns: columns of the tile; those beyond the width give zero.
        total: (rows, columns).
        M: `constants.Constants`.
    """
    wanted = (columns < width)[None, :]
    for start in range(0, length, M.inputs):
        inner = start + tl.arange(0, M.inputs)
        a = tl.load(left[:, None] + inner[None, :], mask=mask[:, None], other=0.0)
        b = tl.load(weights + inner[:, None] * width + columns[None, :], mask=wanted, other=0.0)
        total = tl.dot(a, b, total, input_precision="ieee", out_dtype=M.dtype)
    return total


@triton.jit
def _activate(total, biases, target, mask, columns, width, M: tl.constexpr):
    """Add biases, apply CELU and store; ``target`` points at each row's first column."""
    wanted = columns < width
    total += tl.load(biases + columns, mask=wanted, other=0.0)[None, :]
    places = target[:, None] + columns[None, :]
    tl.store(places, _celu(total, M), mask=mask[:, None] & wanted[None, :])


@triton.jit
def first_forward(aev, parameters, tiles, blocks, layers, activations, n_rows, M: tl.constexpr):
    """First layer of one member for one tile of atoms and one block of columns.

    Args:
        aev: (n, aev_padded).
        parameters, layers: of `layout.NetworkTables`.
        tiles, blocks: of `layout.Tiles`.
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
    """One hidden layer for a tile of atoms; ``activations`` points at each row."""
    length, width, weights, _, biases, source, target = _load_layer(layers, element, layer, M)
    for start in range(0, width, M.columns):
        columns = start + tl.arange(0, M.columns)
        total = tl.zeros((M.rows, M.columns), M.dtype)
        left = activations + source
        total = _product(left, mask, parameters + weights, length, width, columns, total, M)
        _activate(total, parameters + biases, activations + target, mask, columns, width, M)


@triton.jit
def _layer_backward(activations, mask, parameters, layers, element, layer, M: tl.constexpr):
    """Replace the inputs' activations of one layer by the gradient before their CELU."""
    width, length, _, weights, _, source, target = _load_layer(layers, element, layer, M)
    for start in range(0, width, M.columns):
        columns = start + tl.arange(0, M.columns)
        total = tl.zeros((M.rows, M.columns), M.dtype)
        left = activations + target
        total = _product(left, mask, parameters + weights, length, width, columns, total, M)
        places = (activations + source)[:, None] + columns[None, :]
        both = mask[:, None] & (columns < width)[None, :]
        value = tl.load(places, mask=both, other=0.0)
        tl.store(places, total * _celu_slope(value, M), mask=both)


@triton.jit
def _output_layer(activations, mask, parameters, layers, element, layer, M: tl.constexpr):
    """Return the energies of a tile of atoms; leave the gradient in place of its inputs."""
    inputs, _, weights, _, bias, source, _ = _load_layer(layers, element, layer, M)
    energy = tl.zeros((M.rows,), M.dtype)
    for start in range(0, inputs, M.columns):
        columns = start + tl.arange(0, M.columns)
        wanted = columns < inputs
        weight = tl.load(parameters + weights + columns, mask=wanted, other=0.0)[None, :]
        places = (activations + source)[:, None] + columns[None, :]
        both = mask[:, None] & wanted[None, :]
        value = tl.load(places, mask=both, other=0.0)
        energy += tl.sum(value * weight, 1)
        tl.store(places, weight * _celu_slope(value, M), mask=both)
    return energy + tl.load(parameters + bias)


@triton.jit
def hidden_layers(
    parameters, tiles, layers, depths, activations, energies, n_rows, M: tl.constexpr
):
    """All layers of one member above the first, forward and backward, for one tile of atoms.

    Args:
        parameters, layers, depths: of `layout.NetworkTables`.
        tiles: of `layout.Tiles`.
        activations: (m, n, activation_width); first layer in, its gradient out.
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
        # What other threads of this program have written is read after a barrier, here and below.
        tl.debug_barrier()
        _layer_forward(activations, mask, parameters, layers, element, layer, M)
    tl.debug_barrier()
    energy = _output_layer(activations, mask, parameters, layers, element, output, M)
    tl.store(energies + rows * M.members + member, energy.to(tl.float64), mask=mask)
    for step in range(1, output):
        tl.debug_barrier()
        _layer_backward(activations, mask, parameters, layers, element, output - step, M)


@triton.jit
def first_backward(parameters, tiles, layers, activations, gradients, n_rows, M: tl.constexpr):
    """One group of members' share of dE/dAEV for a tile of atoms and a block of columns.

    Args:
        parameters, layers: of `layout.NetworkTables`.
        tiles: of `layout.Tiles`.
        activations: gradient before the first CELU, (m, n, activation_width).
        gradients: (groups, n, aev_padded), hartree, summed over the members of the group.
        n_rows: n.
        M: `constants.Constants`.
    """
    element, rows, mask = _load_tile(tiles, tl.program_id(0), M)
    columns = tl.program_id(1) * M.first_columns + tl.arange(0, M.first_columns)
    group = tl.program_id(2)
    _, length, _, weights, _, _, _ = _load_layer(layers, element, 0, M)
    total = tl.zeros((M.rows, M.first_columns), M.dtype)
    share: tl.constexpr = M.members // M.groups
    for step in range(0, share):
        member = group * share + step
        left = activations + (member * n_rows + rows) * M.activation_width
        matrix = parameters + member * M.member_size + weights
        total = _product(left, mask, matrix, length, M.aev_padded, columns, total, M)
    target = gradients + (group * n_rows + rows) * M.aev_padded
    both = mask[:, None] & (columns < M.aev_padded)[None, :]
    tl.store(target[:, None] + columns[None, :], total, mask=both)
