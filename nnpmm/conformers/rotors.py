"""Bonds that a search rotates, and the angles that it tries."""

from __future__ import annotations

from rdkit import Chem

from nnpmm.core.errors import SelectionError
from nnpmm.torsions.bonds import RotatableBond, find_rotatable_bonds

__all__ = ["rotatable_bonds", "rotors"]

_SP2, _SP3 = Chem.HybridizationType.SP2, Chem.HybridizationType.SP3
# A single bond with partial double-bond character: amides, esters, acids, thioamides, carbamates.
_PLANAR = Chem.MolFromSmarts("[$([CX3]=[O,S,N])]-!@[$([NX3,OX2,SX2])]")
_STAGGERED, _FLAT = (60.0, 180.0, 300.0), (0.0, 180.0)
_CONJUGATED, _MIXED = (40.0, 140.0, 220.0, 320.0), (0.0, 60.0, 120.0, 180.0, 240.0, 300.0)


def rotors(molecule: Chem.Mol) -> list[tuple[RotatableBond, tuple[float, ...]]]:
    """Return the bonds that a systematic search turns, each with its angles in degrees.

    Rotatable bonds between heavy atoms, hydroxyls and thiols: 60, 180 and 300 degrees between sp3
    atoms, 0 and 180 for amides, esters and acids, 40, 140, 220 and 320 between other sp2 atoms,
    and every 60 degrees between sp3 and sp2. What lies between them is left to the relaxation.

    Args:
        molecule: n atoms, hydrogens explicit.
    """
    planar = {frozenset(pair) for pair in molecule.GetSubstructMatches(_PLANAR)}
    found = []
    for bond in rotatable_bonds(molecule):
        kinds = {molecule.GetAtomWithIdx(atom).GetHybridization() for atom in bond.atoms}
        if frozenset(bond.atoms) in planar:
            angles: tuple[float, ...] = _FLAT
        elif kinds == {_SP2}:
            angles = _CONJUGATED
        else:
            angles = _STAGGERED if kinds == {_SP3} else _MIXED
        found.append((bond, angles))
    return found


def rotatable_bonds(molecule: Chem.Mol) -> list[RotatableBond]:
    """Return the rotatable bonds between heavy atoms, then those of hydroxyls and thiols.

    None for a rigid molecule.

    Args:
        molecule: n atoms, hydrogens explicit.
    """
    try:
        heavy = list(find_rotatable_bonds(molecule))
    except SelectionError:
        heavy = []
    try:
        every = find_rotatable_bonds(molecule, hydrogen_rotors=True)
    except SelectionError:
        return heavy
    names = {bond.name for bond in heavy}
    return heavy + [b for b in every if b.name not in names and _turns_hydroxyl(molecule, b)]


def _turns_hydroxyl(molecule: Chem.Mol, bond: RotatableBond) -> bool:
    atoms = [molecule.GetAtomWithIdx(index) for index in bond.atoms]
    return any(
        atom.GetAtomicNum() in (8, 16) and any(n.GetAtomicNum() == 1 for n in atom.GetNeighbors())
        for atom in atoms
    )
