"""RMSD of conformers with symmetry: which are the same, and how many copies one stands for.

The automorphisms of the molecular graph exchange equivalent atoms. Two conformers are the same if
such an exchange and a rotation superimpose them. If the molecule is its own mirror image, they are
also the same if a reflection superimposes them. A conformer that some of these operations leave
unchanged has fewer copies than one that they all change. Its weight relative to the others is
therefore one over the number of operations, proper and improper, that leave it unchanged. This
combines the symmetry number of the rotational partition function with the two mirror images of a
chiral conformer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from nnpmm.conformers.screening import with_conformers

__all__ = ["SymmetricRmsd", "distinct", "has_mirror_image"]

# Acids, nitro groups and amidines without terminal hydrogens: rdkit has one of two resonance forms.
_TERMINAL = Chem.MolFromSmarts("[O,N;D1;$([O,N;D1]-[*]=[O,N;D1]),$([O,N;D1]=[*]-[O,N;D1])]~[*]")
_MOST_OPERATIONS = 20_000

_Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SymmetricRmsd:
    """RMSD over heavy atoms and hydrogens on atoms other than carbon, with symmetry.

    Attributes:
        atoms: rows that are compared, (a,).
        exchanges: the automorphisms of the graph of these atoms, (m, a), the identity among them.
        mirror: whether the molecule is its own mirror image.
    """

    atoms: NDArray[np.int64]
    exchanges: NDArray[np.int64]
    mirror: bool

    @staticmethod
    def of(molecule: Chem.Mol) -> SymmetricRmsd:
        """Return the measure of a molecule of n atoms, hydrogens explicit, with a conformer."""
        flat = Chem.RWMol(molecule)
        for atom in flat.GetAtoms():
            atom.SetIntProp("_row", atom.GetIdx())
        for atom in reversed(list(flat.GetAtoms())):
            (*near,) = atom.GetNeighbors()
            if atom.GetAtomicNum() == 1 and near and near[0].GetAtomicNum() == 6:
                flat.RemoveAtom(atom.GetIdx())
        for end, centre in flat.GetSubstructMatches(_TERMINAL):
            flat.GetBondBetweenAtoms(end, centre).SetBondType(Chem.BondType.ONEANDAHALF)
            flat.GetAtomWithIdx(end).SetFormalCharge(0)
        rows = [atom.GetIntProp("_row") for atom in flat.GetAtoms()]
        matches = flat.GetSubstructMatches(flat, uniquify=False, maxMatches=_MOST_OPERATIONS)
        return SymmetricRmsd(
            np.array(rows), np.array(matches, dtype=np.int64), has_mirror_image(molecule)
        )

    def between(self, first: _Array, second: _Array) -> float:
        """Return the least RMSD, nm, of two geometries (n, 3) over all operations."""
        return float(self._all(first, second).min())

    def symmetry_number(self, positions: _Array, tolerance: float) -> int:
        """Return how many operations leave a geometry (n, 3), nm, unchanged.

        Args:
            positions: (n, 3), nm.
            tolerance: RMSD, nm, below which it is unchanged.
        """
        return int((self._all(positions, positions) < tolerance).sum())

    def widths(self, positions: _Array) -> _Array:
        """Return widths (k, 3), nm, of geometries (k, n, 3), whose distances bound RMSDs.

        No operation changes the singular values of the centred positions over the square root of
        the number of atoms, and their differences are no larger than the RMSD (L. Mirsky, Quart.
        J. Math. 1960, 11, 50).
        """
        chosen = positions[:, self.atoms]
        centred = chosen - chosen.mean(axis=1, keepdims=True)
        return np.asarray(
            np.linalg.svd(centred, compute_uv=False) / np.sqrt(len(self.atoms)), dtype=np.float64
        )

    def _all(self, first: _Array, second: _Array) -> _Array:
        """Return the RMSD after each operation, (m,), or (2 m,) with reflections.

        W. Kabsch, Acta Cryst. 1976, A32, 922; a reflection takes the other sign of the last
        singular value.
        """
        x, y = (p[self.atoms] - p[self.atoms].mean(axis=0) for p in (first, second))
        covariance = np.einsum("ax,may->mxy", x, y[self.exchanges])
        values = np.linalg.svd(covariance, compute_uv=False)
        sign = np.where(np.linalg.det(covariance) < 0, -1.0, 1.0)
        rest = (x**2).sum() + (y**2).sum()
        overlaps = [values[:, 0] + values[:, 1] + sign * values[:, 2]]
        if self.mirror:
            overlaps.append(values[:, 0] + values[:, 1] - sign * values[:, 2])
        squares = (rest - 2 * np.concatenate(overlaps)) / len(self.atoms)
        return np.asarray(np.sqrt(np.maximum(squares, 0.0)))


def has_mirror_image(molecule: Chem.Mol) -> bool:
    """Return whether a molecule is its own mirror image, whatever its conformer.

    Args:
        molecule: n atoms with a conformer; its stereochemistry is read from that.
    """
    own = np.array(molecule.GetConformer().GetPositions()) / 10
    names = []
    for geometry in (own, own * [1.0, 1.0, -1.0]):
        copy = with_conformers(molecule, geometry[None])
        Chem.AssignStereochemistryFrom3D(copy)
        names.append(Chem.MolToSmiles(Chem.RemoveHs(copy)))
    return names[0] == names[1]


def distinct(
    measure: SymmetricRmsd,
    positions: _Array,
    energies: _Array,
    *,
    rmsd: float,
    energy: float = np.inf,
) -> NDArray[np.int64]:
    """Return the rows of geometries that are no duplicates, the lowest first.

    Args:
        measure: of the molecule.
        positions: (k, n, 3), nm.
        energies: (k,), kJ/mol.
        rmsd: nm, below which two geometries are the same.
        energy: kJ/mol; geometries whose energies differ by more are not the same.
    """
    widths = measure.widths(positions)
    kept: list[int] = []
    for row in np.argsort(energies, kind="stable").tolist():
        near = np.array(kept, dtype=np.int64)
        near = near[energies[row] - energies[near] <= energy]
        near = near[np.linalg.norm(widths[near] - widths[row], axis=1) < rmsd]
        if not any(measure.between(positions[row], positions[other]) < rmsd for other in near):
            kept.append(row)
    return np.array(kept, dtype=np.int64)
