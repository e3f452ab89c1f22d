"""Read-only tables of the kernels: order of the atoms, tiles, packed networks.

Atoms are sorted by element, so that all rows of a tile are multiplied by the same weights.
Everything that is stored per atom is in this order, except positions and forces, which keep the
caller's order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nnpmm.core.errors import ModelError
from nnpmm.models.ani.parameters import AniParameters, SymmetryFunctions
from nnpmm.models.ani.triton.availability import interpreted

__all__ = [
    "LAYER_FIELDS",
    "PADDING",
    "AtomTables",
    "NetworkTables",
    "Tiles",
    "pack_atoms",
    "pack_networks",
    "pack_shifts",
    "pack_tiles",
    "padded",
]

#: Layers and the AEV are padded with zeros to a multiple of this width. The result stays exact, and
#: the inner loops over inputs need no mask. In Triton's interpreter, fewer iterations are faster.
PADDING = 64 if interpreted() else 32

#: Numbers per layer in `NetworkTables.layers`: inputs and outputs (both padded); offsets, among a
#: member's parameters, of its weights as (inputs, outputs), as (outputs, inputs) and of its biases;
#: offsets of its inputs and outputs in a row of activations.
LAYER_FIELDS = 7


@dataclass(frozen=True)
class AtomTables:
    """Order of the n atoms, which may belong to several geometries.

    Args:
        atoms: atom of each row, (n,), int32.
        rows: row of each atom, (n,), int32.
        species: element of each row, (n,), int32.
        starts: first row of each element, with a last entry n.
    """

    atoms: Tensor
    rows: Tensor
    species: Tensor
    starts: tuple[int, ...]


@dataclass(frozen=True)
class NetworkTables:
    """Networks of all members.

    Args:
        parameters: weights and biases of each member, (m, size).
        layers: (elements, depth, LAYER_FIELDS), int32; zeros after an element's last layer.
        depths: number of layers of each element's network, (elements,), int32.
        first_widths: padded outputs of each element's first layer.
        activation_width: length of a row of activations.
    """

    parameters: Tensor
    layers: Tensor
    depths: Tensor
    first_widths: tuple[int, ...]
    activation_width: int


@dataclass(frozen=True)
class Tiles:
    """Tiles of rows, and blocks of columns of the first layer.

    Args:
        rows: element, first row and number of rows of each tile, (tiles, 3), int32.
        blocks: tile and first column of each block of the first layer, (blocks, 2), int32.
    """

    rows: Tensor
    blocks: Tensor


def padded(width: int) -> int:
    """Return the smallest multiple of `PADDING` that contains a width."""
    return -(-width // PADDING) * PADDING


def pack_atoms(species: list[int], n_elements: int, geometries: int, device: str) -> AtomTables:
    """Sort the atoms of some geometries of one molecule by element.

    Args:
        species: index of each atom's element, (n,).
        n_elements: number of elements.
        geometries: number of geometries.
        device: torch device of the tables.
    """
    elements = np.tile(np.array(species, dtype=np.int32), geometries)
    order = np.argsort(elements, kind="stable").astype(np.int32)
    rows = np.empty_like(order)
    rows[order] = np.arange(len(order), dtype=np.int32)
    starts = np.searchsorted(elements[order], np.arange(n_elements + 1))
    return AtomTables(
        _table(order, device),
        _table(rows, device),
        _table(elements[order], device),
        tuple(int(start) for start in starts),
    )


def pack_tiles(
    atoms: AtomTables, networks: NetworkTables, height: int, width: int, device: str
) -> Tiles:
    """Divide the rows of every element, and the columns of its first layer, into tiles.

    Args:
        atoms: the sorted atoms.
        networks: contain the widths of the first layers.
        height, width: rows and columns of a tile.
        device: torch device of the tables.
    """
    tiles: list[tuple[int, int, int]] = []
    blocks: list[tuple[int, int]] = []
    for element, first_width in enumerate(networks.first_widths):
        end = atoms.starts[element + 1]
        for start in range(atoms.starts[element], end, height):
            blocks += [(len(tiles), column) for column in range(0, first_width, width)]
            tiles.append((element, start, min(height, end - start)))
    return Tiles(_table(np.array(tiles), device), _table(np.array(blocks), device))


def pack_networks(parameters: AniParameters, device: str, dtype: torch.dtype) -> NetworkTables:
    """Pack the networks of all elements and members, padded with zeros.

    A padded unit has zero weights and bias. Its activation is zero, so it does not change the
    result. Weights are stored both as they are and transposed, because reading a transposed tile
    from shared memory causes bank conflicts.

    Args:
        parameters: the ensemble.
        device: torch device of the tables.
        dtype: float32 or float64.

    Raises:
        ModelError: a network without a hidden layer.
    """
    elements = parameters.elements
    depths = [len(parameters.members[0][element]) for element in elements]
    if min(depths) < 2:
        raise ModelError("found a network without a hidden layer; use backend='reference' for it")
    layers = np.zeros((len(elements), max(depths), LAYER_FIELDS), dtype=np.int32)
    chunks: list[list[NDArray[np.float32]]] = [[] for _ in parameters.members]
    size = 0
    for e, element in enumerate(elements):
        source = target = 0
        for d in range(depths[e]):
            weight = parameters.members[0][element][d].weight
            last = d == depths[e] - 1
            outputs = weight.shape[0] if last else padded(weight.shape[0])
            inputs = padded(weight.shape[1])
            offsets = size + np.array([0, 1, 2]) * outputs * inputs
            layers[e, d] = inputs, outputs, *offsets, source, target
            size += 2 * outputs * inputs + padded(outputs)
            source, target = target, target + outputs
            for member, chunk in zip(parameters.members, chunks, strict=True):
                layer = member[element][d]
                chunk += [
                    _zero_padded(layer.weight.T, (inputs, outputs)),
                    _zero_padded(layer.weight, (outputs, inputs)),
                    _zero_padded(layer.bias, (padded(outputs),)),
                ]
    packed = np.stack([np.concatenate(chunk) for chunk in chunks])
    # A row of activations contains the outputs of all hidden layers.
    width = max(int(layers[e, depths[e] - 1, -1]) for e in range(len(elements)))
    return NetworkTables(
        torch.from_numpy(packed).to(device, dtype),
        _table(layers, device),
        _table(np.array(depths), device),
        tuple(int(outputs) for outputs in layers[:, 0, 1]),
        width,
    )


def pack_shifts(functions: SymmetryFunctions, device: str, dtype: torch.dtype) -> Tensor:
    """Return radial shifts, angular shifts, and cosine and sine of the angle shifts, one row each.

    Shorter rows are padded with zeros; the table is (4, length).
    """
    angles = np.array(functions.angle_shifts)
    rows = [functions.radial_shifts, functions.angular_shifts, np.cos(angles), np.sin(angles)]
    length = max(len(row) for row in rows)
    table = np.stack([np.pad(np.asarray(row), (0, length - len(row))) for row in rows])
    return torch.from_numpy(table).to(device, dtype)


def _zero_padded(array: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the array, padded with zeros to a shape, flat."""
    margins = [(0, wanted - found) for wanted, found in zip(shape, array.shape, strict=True)]
    return np.pad(array, margins).ravel()


def _table(array: NDArray[np.integer], device: str) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.int32)).to(device)
