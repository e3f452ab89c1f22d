"""The graph of a molecule that the policy reads: atoms, pairs of atoms, and rotors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from nnpmm.conformers.monte_carlo import Turns

__all__ = ["ATOM_FEATURES", "PAIR_FEATURES", "MoleculeGraph"]

_ELEMENTS = (1, 6, 7, 8, 9, 15, 16, 17, 35)  # all others share one more feature
_HYBRIDIZATIONS = (
    Chem.HybridizationType.SP,
    Chem.HybridizationType.SP2,
    Chem.HybridizationType.SP3,
)
_BONDS = (
    Chem.BondType.SINGLE,
    Chem.BondType.DOUBLE,
    Chem.BondType.TRIPLE,
    Chem.BondType.AROMATIC,
)
_FAR = 5  # bonds between two atoms; larger numbers share one feature
#: Element, hybridisation, aromatic, in a ring, charge, hydrogens, heavy neighbours.
ATOM_FEATURES = len(_ELEMENTS) + 1 + len(_HYBRIDIZATIONS) + 5
#: Bonds between the two atoms, and the kind of bond if it is one.
PAIR_FEATURES = _FAR + len(_BONDS)

_Floats = NDArray[np.float32]
_Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class MoleculeGraph:
    """The part of the policy's input that all conformers of a molecule share.

    Attributes:
        atoms: which of the molecule's atoms are nodes, (n,): heavy ones, and those of torsions.
        atom_features: (n, f).
        pairs: of nodes, both ways, (2, p).
        pair_features: (p, g).
        torsions: nodes of each rotor's torsion, (r, 4).
        neighbours: pairs of rotors whose bonds share an atom or are joined by a bond, (2, q).
        angles: that each rotor may take, radians, (r, a); NaN where there are fewer.
    """

    atoms: _Rows
    atom_features: _Floats
    pairs: _Rows
    pair_features: _Floats
    torsions: _Rows
    neighbours: _Rows
    angles: NDArray[np.float64]

    @classmethod
    def of(cls, molecule: Chem.Mol, turns: Turns) -> MoleculeGraph:
        """Return the graph of a molecule with n atoms."""
        heavy = {a.GetIdx() for a in molecule.GetAtoms() if a.GetAtomicNum() > 1}
        chosen = sorted(heavy | set(turns.torsions.ravel().tolist()))
        place = {atom: node for node, atom in enumerate(chosen)}
        distances = Chem.GetDistanceMatrix(molecule)[np.ix_(chosen, chosen)]
        i, j = np.nonzero(~np.eye(len(chosen), dtype=bool))
        features = np.zeros((len(i), PAIR_FEATURES), dtype=np.float32)
        features[np.arange(len(i)), np.minimum(distances[i, j], _FAR).astype(int) - 1] = 1.0
        for row in np.flatnonzero(distances[i, j] == 1).tolist():
            bond = molecule.GetBondBetweenAtoms(chosen[i[row]], chosen[j[row]])
            if bond.GetBondType() in _BONDS:
                features[row, _FAR + _BONDS.index(bond.GetBondType())] = 1.0
        torsions = [[place[atom] for atom in row] for row in turns.torsions.tolist()]
        nodes = np.array(torsions, dtype=np.int64).reshape(-1, 4)
        ends = nodes[:, 1:3]
        between = distances[ends[:, None, :, None], ends[None, :, None, :]].min(axis=(2, 3))
        return cls(
            atoms=np.array(chosen, dtype=np.int64),
            atom_features=np.array([_features(molecule, a) for a in chosen], dtype=np.float32),
            pairs=np.array([i, j]),
            pair_features=features,
            torsions=nodes,
            neighbours=np.array(np.nonzero((between <= 1) & ~np.eye(len(nodes), dtype=bool))),
            angles=turns.angles,
        )


def _features(molecule: Chem.Mol, index: int) -> list[float]:
    atom = molecule.GetAtomWithIdx(index)
    number = atom.GetAtomicNum()
    kinds = [number == element for element in _ELEMENTS]
    hydrogens = sum(a.GetAtomicNum() == 1 for a in atom.GetNeighbors())
    return [
        *map(float, (*kinds, not any(kinds))),
        *(float(atom.GetHybridization() == kind) for kind in _HYBRIDIZATIONS),
        float(atom.GetIsAromatic()),
        float(atom.IsInRing()),
        float(atom.GetFormalCharge()),
        hydrogens / 4.0,
        (atom.GetDegree() - hydrogens) / 4.0,
    ]
