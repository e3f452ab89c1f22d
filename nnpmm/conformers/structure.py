"""Whether a relaxed geometry is still the same molecule."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from nnpmm.conformers.screening import with_conformers
from nnpmm.structures.elements import covalent_radius

__all__ = ["same_chemistry"]

# Relative to the sum of the covalent radii: bonds are shorter than the first, and distances between
# atoms that are not bonded are longer than the second (1.23 in bicyclo[1.1.1]pentane).
_BROKEN, _NEW = 1.25, 1.05


def same_chemistry(molecule: Chem.Mol, positions: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return for each geometry whether it has the molecule's bonds and stereochemistry, (k,).

    Args:
        molecule: n atoms with stereochemistry assigned.
        positions: (k, n, 3), nm.
    """
    radii = np.array([covalent_radius(atom.GetAtomicNum()) for atom in molecule.GetAtoms()])
    i, j = np.triu_indices(len(radii), 1)
    bonded = Chem.GetAdjacencyMatrix(molecule).astype(bool)[i, j]
    lengths = np.linalg.norm(positions[:, i] - positions[:, j], axis=-1) / (radii[i] + radii[j])
    kept = np.where(bonded, lengths < _BROKEN, lengths > _NEW).all(axis=1)
    name = Chem.MolToSmiles(Chem.RemoveHs(molecule))
    stereo = []
    for geometry in positions:
        copy = with_conformers(molecule, geometry[None])
        Chem.AssignStereochemistryFrom3D(copy)
        stereo.append(Chem.MolToSmiles(Chem.RemoveHs(copy)) == name)
    return np.asarray(kept & np.array(stereo, dtype=bool))
