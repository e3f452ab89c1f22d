"""The networks as tensors on the device: members stacked, biases within, columns in our order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nnpmm.core.constants import EV_TO_KJ_PER_MOL
from nnpmm.models.aimnet.parameters import PASSES, AimnetParameters, Network
from nnpmm.models.ani.parameters import Layer

__all__ = ["CONSTANT", "HEADS", "Dense", "Model", "pack_model"]

#: Columns after the features that a pass gives: a charge and its weight.
HEADS = 2
#: What the column after a layer's inputs contains, so that a product adds the biases too. GELU does
#: not change it, in any precision, and a division by it is exact.
CONSTANT = 16.0
_MULTIPLE = 8  # of rows and columns, for aligned loads


@dataclass(frozen=True)
class Dense:
    """A layer of all members.

    Args:
        weight: (m, inputs, outputs); after the rows of the inputs that of the column `CONSTANT`,
            then zeros. After the outputs it makes this column again, for the next layer.
        inputs: number of inputs, without that column.
        gelu: whether GELU follows.
    """

    weight: Tensor
    inputs: int
    gelu: bool


@dataclass(frozen=True)
class Model:
    """The ensemble for a list of atoms.

    Args:
        passes: layers of each pass; those after the last pass belong to it.
        features: of the atoms before the first pass, charges of zero among them, (g, n, m, f).
        combinations: of radial functions into vectors, (m f, g, h).
        shifted_energies: sums of each member's own self energies less the mean ones, (m,), kJ/mol,
            float64.
    """

    passes: tuple[tuple[Dense, ...], ...]
    features: Tensor
    combinations: Tensor
    shifted_energies: Tensor


def pack_model(
    parameters: AimnetParameters, symbols: Sequence[str], device: str, dtype: torch.dtype
) -> Model:
    """Stack the members' networks, for these atoms.

    Args:
        parameters: the ensemble.
        symbols: chemical symbol of each atom.
        device: of torch.
        dtype: of all but energies.
    """
    members = parameters.members
    species = [parameters.elements.index(symbol) for symbol in symbols]

    def tensor(arrays: list[NDArray[Any]], kind: torch.dtype = dtype) -> Tensor:
        return torch.from_numpy(np.stack(arrays)).to(device, kind)

    groups = [
        [(*m.passes[:-1], (*m.passes[-1], *m.output))[p] for m in members] for p in range(PASSES)
    ]
    n_features, n_radial, _ = members[0].feature_combinations.shape
    features = np.zeros((n_radial, len(symbols), len(members), n_features + 1), np.float32)
    for row, member in enumerate(members):
        features[:, :, row, :-1] = member.embedding[species].transpose(2, 0, 1)
    combinations = [
        np.concatenate([m.feature_combinations, m.charge_combinations]) for m in members
    ]
    mean = [parameters.self_energies[symbol] for symbol in symbols]
    own = [m.self_energies[species].astype(np.float64) - mean for m in members]
    return Model(
        tuple(_pack_pass(p, groups[p], members[0], tensor) for p in range(PASSES)),
        torch.from_numpy(features).to(device, dtype),
        tensor(combinations).flatten(0, 1),
        EV_TO_KJ_PER_MOL * tensor([each.sum() for each in own], torch.float64),
    )


def _pack_pass(
    p: int, group: list[tuple[Layer, ...]], member: Network, tensor: Callable[..., Tensor]
) -> tuple[Dense, ...]:
    """Return the layers of a pass of all members."""
    n_features, n_radial, n_combinations = member.feature_combinations.shape
    rows = _input_rows(n_features, n_radial, n_combinations, with_charge=p > 0)
    n_rows = (n_features + 1) * (2 * n_radial + n_combinations)
    found, depth = [], len(group[0])
    for number in range(depth):
        last = number == depth - 1
        layers = [each[number] for each in group]
        columns = np.arange(len(layers[0].bias))
        if last and p < PASSES - 1:
            columns = _output_columns(n_features, n_radial)
        shape = (len(layers), _padded(n_rows + 1), _padded(len(columns) + (not last)))
        weights = np.zeros(shape, np.float32)
        for weight, layer in zip(weights, layers, strict=True):
            weight[np.ix_(rows, columns)] = layer.weight.T
            weight[n_rows, columns] = layer.bias / np.float32(CONSTANT)
        if not last:
            weights[:, n_rows, len(columns)] = 1
        found.append(Dense(tensor(list(weights)), n_rows, gelu=not last or p == 1))
        rows, n_rows = columns, len(columns)
    return tuple(found)


def _input_rows(
    n_features: int, n_radial: int, n_combinations: int, *, with_charge: bool
) -> NDArray[np.int64]:
    """Return for each published input of a pass the row that is its here.

    Here they are an atom's own features, (g, f), sums of scalars over its neighbours, (g, f), and
    squared lengths of vectors, (f, h); the charge is the last feature. Its own value is there for
    each radial function, of which the first is read.
    """
    with_charges = n_features + 1
    own = np.add.outer(np.arange(with_charges), with_charges * np.arange(n_radial))
    lengths = np.arange(with_charges * n_combinations).reshape(with_charges, n_combinations)
    scalars = own + own.size
    lengths += 2 * own.size
    found = [own[:-1], scalars[:-1], lengths[:-1]]
    if with_charge:
        found += [own[-1, :1], scalars[-1], lengths[-1]]
    return np.concatenate([each.ravel() for each in found])


def _output_columns(n_features: int, n_radial: int) -> NDArray[np.int64]:
    """Return for each published output of a pass its column: features (g, f), then the heads."""
    features = np.add.outer(np.arange(n_features), n_features * np.arange(n_radial))
    return np.concatenate([features.size + np.arange(HEADS), features.ravel()])


def _padded(count: int) -> int:
    return -(-count // _MULTIPLE) * _MULTIPLE
