"""Rotatable bonds of a molecule, and the torsion that defines the rotation of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import Lipinski

from nnpmm.core.errors import SelectionError

__all__ = [
    "RotatableBond",
    "bond_from_text",
    "bond_of_torsion",
    "find_rotatable_bonds",
    "rotatable_bond",
]

_LINEAR = Chem.HybridizationType.SP


@dataclass(frozen=True)
class RotatableBond:
    """A single bond outside of rings.

    Attributes:
        torsion: atoms i, j, k, l; the bond is j-k.
        moved: atoms that rotate with l: k's side of the bond without k.
        name: atoms j and k with their elements, such as ``"C3-N7"``.
    """

    torsion: tuple[int, int, int, int]
    moved: tuple[int, ...]
    name: str

    @property
    def atoms(self) -> tuple[int, int]:
        """The bond's atoms j and k."""
        return self.torsion[1:3]

    def mask(self, n_atoms: int) -> NDArray[np.bool_]:
        """Return which of n atoms rotate with l, shape (n,)."""
        mask = np.zeros(n_atoms, dtype=bool)
        mask[list(self.moved)] = True
        return mask


def find_rotatable_bonds(
    molecule: Chem.Mol, *, hydrogen_rotors: bool = False
) -> tuple[RotatableBond, ...]:
    """Return the bonds worth scanning, in the order of their atoms.

    By rdkit's definition: single bonds outside of rings between atoms that have other heavy
    neighbours, none of them at a triple bond. Amide bonds are among them.

    Args:
        molecule: n atoms, hydrogens explicit.
        hydrogen_rotors: include bonds that rotate only hydrogens: methyl, hydroxyl, amino.

    Raises:
        SelectionError: there is none.
    """
    pairs = {tuple(sorted(pair)) for pair in _heavy_matches(molecule)}
    if hydrogen_rotors:
        pairs |= {
            (min(ends), max(ends))
            for bond in molecule.GetBonds()
            if _problem(molecule, ends := (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())) is None
        }
    if not pairs:
        smiles = Chem.MolToSmiles(Chem.RemoveHs(molecule))
        raise SelectionError(
            f"found no rotatable bond in {smiles}; name a single bond outside of rings by its "
            "atoms, or use another molecule"
        )
    return tuple(rotatable_bond(molecule, *pair) for pair in sorted(pairs))


def rotatable_bond(molecule: Chem.Mol, j: int, k: int) -> RotatableBond:
    """Return the bond between two atoms with the torsion that defines its rotation.

    The torsion's ends are the neighbours with the largest atomic number, and of these the first.

    Args:
        molecule: n atoms, hydrogens explicit.
        j: 0-based index of an atom.
        k: index of the other; the smaller side of the bond moves.

    Raises:
        SelectionError: no such atoms, no bond between them, or one that cannot rotate.
    """
    problem = _problem(molecule, (j, k))
    if problem is not None:
        raise SelectionError(f"bond {j}-{k}: {problem}")
    if len(_side(molecule, k, j)) > len(_side(molecule, j, k)):
        j, k = k, j
    return bond_of_torsion(molecule, (_end(molecule, j, k), j, k, _end(molecule, k, j)))


def bond_of_torsion(molecule: Chem.Mol, torsion: tuple[int, int, int, int]) -> RotatableBond:
    """Return the rotatable bond of a given torsion.

    Args:
        molecule: n atoms, hydrogens explicit.
        torsion: 0-based atoms i, j, k, l of a chain of bonds; l's side moves.

    Raises:
        SelectionError: they are not a chain, or the bond in their middle cannot rotate.
    """
    i, j, k, m = torsion
    problem = _problem(molecule, (j, k))
    if problem is not None:
        raise SelectionError(f"bond {j}-{k}: {problem}")
    outer = ((i, j), (m, k))
    if i == k or m == j or any(molecule.GetBondBetweenAtoms(*pair) is None for pair in outer):
        raise SelectionError(f"found the torsion {i}-{j}-{k}-{m}, expected a chain of three bonds")
    symbols = [molecule.GetAtomWithIdx(index).GetSymbol() for index in (j, k)]
    name = f"{symbols[0]}{j}-{symbols[1]}{k}"
    return RotatableBond(torsion, tuple(sorted(_side(molecule, k, j))), name)


def bond_from_text(molecule: Chem.Mol, text: str) -> RotatableBond:
    """Return the bond that a text names: ``"3-7"``, or a torsion such as ``"1-3-7-8"``.

    Args:
        molecule: n atoms, hydrogens explicit.
        text: two or four 0-based atom indices.

    Raises:
        SelectionError: the text has another form, or the bond cannot rotate.
    """
    parts = [part.strip() for part in text.split("-")]
    if len(parts) not in (2, 4) or not all(p.isdecimal() and len(p) < 10 for p in parts):
        raise SelectionError(
            f"found the bond {text!r}, expected two 0-based atom indices such as '3-7', or the "
            "four of a torsion"
        )
    numbers = [int(part) for part in parts]
    if len(numbers) == 2:
        return rotatable_bond(molecule, numbers[0], numbers[1])
    return bond_of_torsion(molecule, (numbers[0], numbers[1], numbers[2], numbers[3]))


def _heavy_matches(molecule: Chem.Mol) -> list[tuple[int, int]]:
    """Return the matches of rdkit's pattern, which requires implicit hydrogens."""
    labelled = Chem.Mol(molecule)
    for atom in labelled.GetAtoms():
        atom.SetIntProp("_index", atom.GetIdx())
    heavy = Chem.RemoveHs(labelled)
    indices = [atom.GetIntProp("_index") for atom in heavy.GetAtoms()]
    matches: Sequence[tuple[int, int]] = heavy.GetSubstructMatches(Lipinski.RotatableBondSmarts)
    return [(indices[j], indices[k]) for j, k in matches]


def _problem(molecule: Chem.Mol, ends: tuple[int, int]) -> str | None:
    """Return why a bond cannot be turned, or None if it can."""
    n_atoms = molecule.GetNumAtoms()
    if not all(0 <= end < n_atoms for end in ends) or ends[0] == ends[1]:
        return f"found no such pair among {n_atoms} atoms, allowed: two of 0 to {n_atoms - 1}"
    bond = molecule.GetBondBetweenAtoms(*ends)
    if bond is None:
        return "found no bond between these atoms; indices are 0-based, hydrogens count"
    if bond.IsInRing():
        return "found a bond of a ring, allowed: bonds that turn freely, outside of rings"
    if bond.GetBondType() != Chem.BondType.SINGLE:
        return f"found a {bond.GetBondType().name.lower()} bond, allowed: single bonds"
    for end in ends:
        atom = molecule.GetAtomWithIdx(end)
        if atom.GetDegree() < 2:
            return f"found nothing to rotate at atom {end}, which has no other neighbour"
        if atom.GetHybridization() == _LINEAR:
            return f"found the linear atom {end}, around which no torsion is defined"
    return None


def _side(molecule: Chem.Mol, start: int, other: int) -> set[int]:
    """Return the atoms on the side of ``start`` of its bond to ``other``, without ``start``."""
    found, todo = {start}, [start]
    while todo:
        for atom in molecule.GetAtomWithIdx(todo.pop()).GetNeighbors():
            index = atom.GetIdx()
            if index not in found and index != other:
                found.add(index)
                todo.append(index)
    return found - {start}


def _end(molecule: Chem.Mol, start: int, other: int) -> int:
    neighbours = [a for a in molecule.GetAtomWithIdx(start).GetNeighbors() if a.GetIdx() != other]
    return min(neighbours, key=lambda a: (-a.GetAtomicNum(), a.GetIdx())).GetIdx()
