"""Pack AIMNet2's weights in the order in which the compiled loops read them.

Three exact transformations save work. Before the first pass an atom's features depend only on its
element: the contribution of its own features is added to the biases, and sums over neighbours
become sums over elements, with the features multiplied into the weights. The charge of an atom is
treated as one more feature. The two outputs of a pass for the charges are calculated separately.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnpmm.models.aimnet.parameters import AimnetParameters, Network
from nnpmm.models.cpu.packing import fill, joined, padded, panels
from nnpmm.models.cpu.simd import panel_width
from nnpmm.models.cpu.vectors import lanes

__all__ = ["HEADS", "Networks", "pack_networks"]

#: Outputs of a pass for the charges: a charge, and the weight for the missing charge.
HEADS = 2


class Networks(NamedTuple):
    """All members' networks, packed.

    Attributes:
        panel: number of columns of a panel.
        lanes: numbers in a vector register.
        n_features: features of an atom, without the charge.
        radial: number of radial functions, padded to whole vectors.
        combinations: number of combinations of radial functions, padded likewise.
        n_combinations: the same without padding.
        elements: number of elements of the region.
        widths: padded inputs of each layer, and outputs of the last one, (passes, layers + 1).
        depth: number of layers of each pass.
        weights: consecutive panels of weights, and of transposed weights.
        forward, backward: index of a layer's first weight, and of its first transposed weight,
            (passes, members, layers).
        bias: consecutive biases.
        bias_start: index of a layer's first bias; the first layer of the first pass has biases for
            each element, one after the other.
        heads: weights of the charge columns, (2, members, 2, widest).
        head_bias: (2, members, 2).
        last: weights of the last layer, which has one output, (members, widest).
        last_bias: (members,).
        embedding: (members, elements, features, radial).
        combine: matrices from radial functions to combinations, (members, features + 1), in panels
            of one vector.
        spread: the transposed matrices.
    """

    panel: int
    lanes: int
    n_features: int
    radial: int
    combinations: int
    n_combinations: int
    elements: int
    widths: NDArray[np.int64]
    depth: NDArray[np.int64]
    weights: NDArray[np.floating]
    forward: NDArray[np.int64]
    backward: NDArray[np.int64]
    bias: NDArray[np.floating]
    bias_start: NDArray[np.int64]
    heads: NDArray[np.floating]
    head_bias: NDArray[np.floating]
    last: NDArray[np.floating]
    last_bias: NDArray[np.float64]
    embedding: NDArray[np.floating]
    combine: NDArray[np.floating]
    spread: NDArray[np.floating]


class _Columns(NamedTuple):
    """Columns in padded rows."""

    features: NDArray[np.int64]  # an atom's features in the output of a pass
    first: NDArray[np.int64]  # inputs of the first pass: sums by element, lengths
    later: NDArray[np.int64]  # inputs of a later pass, in the published order
    first_width: int
    later_width: int


def pack_networks(parameters: AimnetParameters, present: list[int], dtype: np.dtype) -> Networks:
    """Pack all networks in the order in which they are read.

    Args:
        parameters: the ensemble.
        present: elements of the region, as indices of the tables' rows.
        dtype: working precision.
    """
    members = parameters.members
    n_features, n_radial, n_combinations = members[0].feature_combinations.shape
    width, panel = lanes(dtype), panel_width(dtype)
    radial, combinations = padded(n_radial, width), padded(n_combinations, width)
    columns = _columns(n_features, n_radial, n_combinations, radial, len(present), panel)
    layers = [_layers(member, present, columns, panel) for member in members]
    widths, depth = _widths(layers[0])
    shape = (len(depth), len(members), max(depth))
    forward, backward, bias_start = (np.zeros(shape, np.int64) for _ in range(3))
    weights: list[Any] = []
    biases: list[Any] = []
    for p, m, layer in np.ndindex(shape):
        if layer < depth[p]:
            matrix, bias = layers[m][p][layer]
            forward[p, m, layer] = sum(part.size for part in weights)
            bias_start[p, m, layer] = sum(part.size for part in biases)
            weights.append(panels(matrix.astype(dtype), panel))
            biases.append(bias.astype(dtype).ravel())
    for p in reversed(range(shape[0])):
        for m in range(shape[1]):
            for layer in reversed(range(depth[p])):
                backward[p, m, layer] = sum(part.size for part in weights)
                weights.append(panels(layers[m][p][layer][0].T.astype(dtype), panel))
    combine = np.zeros((len(members), n_features + 1, radial, combinations), dtype)
    embedding = np.zeros((len(members), len(present), n_features, radial), dtype)
    for m, member in enumerate(members):
        combine[m, :-1, :n_radial, :n_combinations] = member.feature_combinations
        combine[m, -1:, :n_radial, :n_combinations] = member.charge_combinations
        embedding[m, ..., :n_radial] = member.embedding[present]
    heads, head_bias, last, last_bias = _output_layers(members, int(widths.max()), dtype)
    return Networks(
        panel, width, n_features, radial, combinations, n_combinations, len(present),
        widths, depth, joined(weights, dtype), forward, backward,
        np.concatenate(biases), bias_start, heads, head_bias, last, last_bias, embedding,
        _narrow_panels(combine, width), _narrow_panels(combine.swapaxes(2, 3), width),
    )  # fmt: skip


def _columns(
    n_features: int, n_radial: int, n_combinations: int, radial: int, n_elements: int, panel: int
) -> _Columns:
    by_feature = np.add.outer(radial * np.arange(n_features + 1), np.arange(n_radial))
    features, all_features = by_feature[:-1].ravel(), by_feature.ravel()
    by_element = np.add.outer(radial * np.arange(n_elements), np.arange(n_radial)).ravel()
    lengths = np.arange(n_features * n_combinations)
    sums = n_features * radial
    after = sums + (n_features + 1) * radial
    charge = after + (n_features + 1) * n_combinations
    later: list[Any] = [
        features, sums + features, after + lengths, [charge], sums + all_features[len(features) :],
        after + len(lengths) + np.arange(n_combinations),
    ]  # fmt: skip
    return _Columns(
        features,
        np.concatenate([by_element, n_elements * radial + lengths]),
        np.concatenate(later),
        padded(n_elements * radial + len(lengths), panel),
        padded(charge + 1, panel),
    )


def _layers(
    member: Network, present: list[int], columns: _Columns, panel: int
) -> list[list[tuple[NDArray[Any], NDArray[Any]]]]:
    """Return weights (inputs, outputs) and biases of each layer of each pass, padded, float64.

    The output network, except for its last layer, counts as part of the last pass.
    """
    passes = []
    groups = [member.passes[0], member.passes[1], (*member.passes[2], *member.output[:-1])]
    for p, group in enumerate(groups):
        inputs, width = (
            (columns.later, columns.later_width) if p else (columns.first, columns.first_width)
        )
        packed = []
        for depth, layer in enumerate(group):
            weight, bias = layer.weight.T.astype(np.float64), layer.bias.astype(np.float64)
            if depth == 0 and p == 0:
                weight, bias = _fold_embedding(weight, bias, member.embedding[present])
            outputs, n_outputs = np.arange(bias.shape[-1]), bias.shape[-1]
            if p < 2 and depth == len(group) - 1:
                weight, bias = weight[:, HEADS:], bias[HEADS:]
                outputs, n_outputs = columns.features, int(columns.features.max()) + 1
            n_outputs = padded(n_outputs, panel)
            matrix = np.zeros((width, n_outputs))
            matrix[np.ix_(inputs, outputs)] = weight
            padded_bias = np.zeros((*bias.shape[:-1], n_outputs))
            padded_bias[..., outputs] = bias
            packed.append((matrix, padded_bias))
            inputs, width = outputs, n_outputs
        passes.append(packed)
    return passes


def _fold_embedding(
    weight: NDArray[np.float64], bias: NDArray[np.float64], embedding: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the first layer for sums by element, and its biases for each element."""
    n_elements, n_features, n_radial = embedding.shape
    size = n_features * n_radial
    own, scalars, lengths = weight[:size], weight[size : 2 * size], weight[2 * size :]
    biases = bias + embedding.reshape(n_elements, size).astype(np.float64) @ own
    folded = np.einsum(
        "efg,fgo->ego", embedding.astype(np.float64), scalars.reshape(n_features, n_radial, -1)
    )
    return np.concatenate([folded.reshape(n_elements * n_radial, -1), lengths]), biases


def _widths(
    layers: list[list[tuple[NDArray[Any], NDArray[Any]]]],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    depth = np.array([len(group) for group in layers])
    widths = np.zeros((len(layers), depth.max() + 1), np.int64)
    for p, group in enumerate(layers):
        widths[p, : len(group)] = [matrix.shape[0] for matrix, _ in group]
        widths[p, len(group)] = group[-1][0].shape[1]
    return widths, depth


def _output_layers(members: tuple[Network, ...], widest: int, dtype: np.dtype) -> tuple[Any, ...]:
    """Return weights and biases of the charge columns and of the last layer."""
    ends = [[member.passes[p][-1] for member in members] for p in (0, 1)]
    heads = [
        [[fill(layer.weight[h], widest, dtype) for h in range(HEADS)] for layer in group]
        for group in ends
    ]
    head_bias = [[layer.bias[:HEADS] for layer in group] for group in ends]
    last = [fill(member.output[-1].weight[0], widest, dtype) for member in members]
    last_bias = [member.output[-1].bias[0] for member in members]
    return (
        np.array(heads, dtype),
        np.array(head_bias, dtype),
        np.array(last, dtype),
        np.array(last_bias, np.float64),
    )


def _narrow_panels(matrices: NDArray[np.floating], width: int) -> NDArray[np.floating]:
    """Return stacked matrices as a flat array of panels that are one vector wide."""
    *outer, rows, columns = matrices.shape
    blocks = matrices.reshape(*outer, rows, columns // width, width)
    return np.ascontiguousarray(blocks.swapaxes(-3, -2)).ravel()
