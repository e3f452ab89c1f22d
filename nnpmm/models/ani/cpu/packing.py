"""Pack the networks' weights in the order in which the compiled loops read them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnpmm.models.ani.parameters import AniParameters
from nnpmm.models.cpu.packing import fill, joined, padded, panels
from nnpmm.models.cpu.simd import panel_width

__all__ = ["ColumnLayout", "Networks", "pack_networks"]


class ColumnLayout(NamedTuple):
    """Columns of the symmetry functions in a row that is padded to whole panels.

    Attributes:
        panel: number of columns of a panel.
        width: columns of a row.
        columns: padded column of each column of the parameters, (aev_length,).
        pair_index: number of each pair of elements, (elements, elements).
        group_start: first column of each pair of elements by its number, with a last entry for the
            end. The columns of these groups may all be zero; the radial ones before them never are.
    """

    panel: int
    width: int
    columns: NDArray[np.int64]
    pair_index: NDArray[np.int64]
    group_start: NDArray[np.int64]

    @classmethod
    def of(cls, parameters: AniParameters, dtype: np.dtype) -> ColumnLayout:
        """Lay out the columns: the radial ones, then each pair of elements, each padded."""
        functions = parameters.symmetry_functions
        panel = panel_width(dtype)
        n_pairs = int(functions.pair_index().max()) + 1
        radial_width = padded(functions.radial_length, panel)
        group_width = padded(functions.functions_per_pair, panel)
        starts = radial_width + group_width * np.arange(n_pairs + 1)
        angular = np.add.outer(starts[:-1], np.arange(functions.functions_per_pair)).ravel()
        return cls(
            panel,
            int(starts[-1]),
            np.concatenate([np.arange(functions.radial_length), angular]),
            functions.pair_index(),
            starts,
        )


class Networks(NamedTuple):
    """All members' networks, packed.

    Attributes:
        panel: number of columns of a panel.
        widths: padded number of inputs of each layer, (elements, layers).
        forward, backward: consecutive panels of weights, and of transposed weights.
        weight_start: index of a layer's first weight in both, (elements, members, layers).
        bias: consecutive biases of the hidden layers.
        bias_start: index of a layer's first bias, (elements, members, layers - 1).
        last: weights of the last layer, which has one output. They begin at ``bias_start`` of the
            last hidden layer, because there are as many as this layer has biases.
        last_bias: (elements, members).
    """

    panel: int
    widths: NDArray[np.int64]
    forward: NDArray[np.floating]
    backward: NDArray[np.floating]
    weight_start: NDArray[np.int64]
    bias: NDArray[np.floating]
    bias_start: NDArray[np.int64]
    last: NDArray[np.floating]
    last_bias: NDArray[np.float64]


def pack_networks(parameters: AniParameters, layout: ColumnLayout, dtype: np.dtype) -> Networks:
    """Pack all networks in the order in which they are read.

    Raises:
        ValueError: the networks of different elements or members differ in depth.
    """
    elements, members = parameters.elements, parameters.members
    depths = {len(layers) for member in members for layers in member.values()}
    if len(depths) != 1:
        raise ValueError(f"found networks of depths {sorted(depths)}, expected one depth")
    hidden = depths.pop() - 1
    widths = np.zeros((len(elements), hidden + 1), np.int64)
    weight_start = np.zeros((len(elements), len(members), hidden), np.int64)
    bias_start = np.zeros((len(elements), len(members), hidden), np.int64)
    last_bias = np.zeros((len(elements), len(members)))
    forward: list[Any] = []
    backward: list[Any] = []
    bias: list[Any] = []
    last: list[Any] = []
    n_weights = n_biases = 0
    for e, element in enumerate(elements):
        for m, member in enumerate(members):
            columns, width = layout.columns, layout.width
            for depth, layer in enumerate(member[element][:-1]):
                n_outputs = len(layer.bias)
                matrix = np.zeros((width, padded(n_outputs, layout.panel)), dtype)
                matrix[columns, :n_outputs] = layer.weight.T
                widths[e, depth], widths[e, depth + 1] = matrix.shape
                weight_start[e, m, depth], bias_start[e, m, depth] = n_weights, n_biases
                forward.append(panels(matrix, layout.panel))
                backward.append(panels(matrix.T, layout.panel))
                bias.append(fill(layer.bias, matrix.shape[1], dtype))
                final = member[element][-1]
                is_last = depth == hidden - 1
                last.append(fill(final.weight[0] if is_last else [], matrix.shape[1], dtype))
                n_weights, n_biases = n_weights + matrix.size, n_biases + matrix.shape[1]
                columns, width = np.arange(n_outputs), matrix.shape[1]
            last_bias[e, m] = member[element][-1].bias[0]
    return Networks(
        layout.panel,
        widths,
        joined(forward, dtype),
        joined(backward, dtype),
        weight_start,
        np.concatenate(bias),
        bias_start,
        np.concatenate(last),
        last_bias,
    )
