"""A molecule as a graph with features of its atoms and bonds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from rdkit import Chem
from torch import Tensor

from nnpmm.core.errors import InputFileError

__all__ = ["ATOM_FEATURES", "BOND_FEATURES", "GraphBatch", "MolecularGraph", "collate", "graph_of"]

_ELEMENTS = ("B", "C", "N", "O", "F", "Si", "P", "S", "Cl", "Se", "Br", "I")
_DEGREES, _HYDROGENS = (0, 1, 2, 3, 4, 5, 6), (0, 1, 2, 3, 4)
_CHARGES = (-1, 0, 1)
_HYBRIDIZATIONS = (
    Chem.HybridizationType.SP,
    Chem.HybridizationType.SP2,
    Chem.HybridizationType.SP3,
    Chem.HybridizationType.SP3D,
    Chem.HybridizationType.SP3D2,
)
_CENTERS = ("R", "S")
_RINGS = (3, 4, 5, 6, 7)
_BONDS = (
    Chem.BondType.SINGLE,
    Chem.BondType.DOUBLE,
    Chem.BondType.TRIPLE,
    Chem.BondType.AROMATIC,
)
_STEREO = (Chem.BondStereo.STEREOE, Chem.BondStereo.STEREOZ)

#: Number of features of each atom: one-hot encodings, then ring sizes and aromaticity.
ATOM_FEATURES = (
    sum(map(len, (_ELEMENTS, _DEGREES, _HYDROGENS, _CHARGES, _HYBRIDIZATIONS, _CENTERS, _RINGS)))
    + 1
)
#: Number of features of each bond.
BOND_FEATURES = len(_BONDS) + len(_STEREO) + 2


class MolecularGraph(NamedTuple):
    """A molecule of n heavy atoms and m bonds; each bond appears in both directions.

    Attributes:
        atoms: (n, ATOM_FEATURES).
        bonds: (2 m, BOND_FEATURES).
        source: (2 m,) atom at which a bond begins.
        target: (2 m,) atom at which it ends.
    """

    atoms: NDArray[np.float32]
    bonds: NDArray[np.float32]
    source: NDArray[np.int64]
    target: NDArray[np.int64]


class GraphBatch(NamedTuple):
    """Several molecules as one graph of n atoms and m directed bonds.

    Attributes:
        atoms: (n, ATOM_FEATURES).
        bonds: (m, BOND_FEATURES).
        source: (m,) index of an atom.
        target: (m,) index of an atom.
        molecule: (n,) to which each atom belongs.
        molecules: number of them.
    """

    atoms: Tensor
    bonds: Tensor
    source: Tensor
    target: Tensor
    molecule: Tensor
    molecules: int


def graph_of(smiles: str) -> MolecularGraph:
    """Return the graph of a molecule's heavy atoms, in the order of its SMILES.

    Args:
        smiles: canonical.

    Raises:
        InputFileError: an element or a charge that graphs do not know.
    """
    molecule = Chem.MolFromSmiles(smiles)
    Chem.AssignStereochemistry(molecule, cleanIt=True, force=True)
    atoms = np.array([_atom(atom, smiles) for atom in molecule.GetAtoms()], dtype=np.float32)
    ends, bonds = [], []
    for bond in molecule.GetBonds():
        i, j = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        ends += [(i, j), (j, i)]
        bonds += [_bond(bond)] * 2
    source, target = np.array(ends, dtype=np.int64).reshape(-1, 2).T
    return MolecularGraph(
        atoms,
        np.array(bonds, dtype=np.float32).reshape(-1, BOND_FEATURES),
        np.ascontiguousarray(source),
        np.ascontiguousarray(target),
    )


def collate(graphs: Sequence[MolecularGraph]) -> GraphBatch:
    """Return several molecules as one graph."""
    sizes = np.array([len(graph.atoms) for graph in graphs])
    first = np.cumsum(sizes) - sizes
    bonds = [len(graph.source) for graph in graphs]
    shifts = np.repeat(first, bonds)
    return GraphBatch(
        torch.from_numpy(np.concatenate([graph.atoms for graph in graphs])),
        torch.from_numpy(np.concatenate([graph.bonds for graph in graphs])),
        torch.from_numpy(np.concatenate([graph.source for graph in graphs]) + shifts),
        torch.from_numpy(np.concatenate([graph.target for graph in graphs]) + shifts),
        torch.from_numpy(np.repeat(np.arange(len(graphs)), sizes)),
        len(graphs),
    )


def _atom(atom: Chem.Atom, smiles: str) -> list[float]:
    symbol, charge = atom.GetSymbol(), atom.GetFormalCharge()
    if symbol not in _ELEMENTS:
        raise InputFileError(
            f"{smiles}: found the element {symbol}, allowed: {', '.join(_ELEMENTS)} and hydrogen"
        )
    if charge not in _CHARGES:
        raise InputFileError(
            f"{smiles}: found a charge of {charge:+d} on {symbol}, allowed: -1, 0 and +1"
        )
    center = atom.GetProp("_CIPCode") if atom.HasProp("_CIPCode") else ""
    return [
        *_one_hot(symbol, _ELEMENTS),
        *_one_hot(min(atom.GetDegree(), _DEGREES[-1]), _DEGREES),
        *_one_hot(min(atom.GetTotalNumHs(), _HYDROGENS[-1]), _HYDROGENS),
        *_one_hot(charge, _CHARGES),
        *_one_hot(atom.GetHybridization(), _HYBRIDIZATIONS),
        *_one_hot(center, _CENTERS),
        *(float(atom.IsInRingSize(size)) for size in _RINGS),
        float(atom.GetIsAromatic()),
    ]


def _bond(bond: Chem.Bond) -> list[float]:
    return [
        *_one_hot(bond.GetBondType(), _BONDS),
        *_one_hot(bond.GetStereo(), _STEREO),
        float(bond.GetIsConjugated()),
        float(bond.IsInRing()),
    ]


def _one_hot(found: Any, allowed: Sequence[Any]) -> list[float]:
    return [float(found == value) for value in allowed]
