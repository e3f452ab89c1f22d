"""Find stereocentres of a molecule that the input does not specify."""

from __future__ import annotations

from rdkit import Chem

__all__ = ["count_open_stereocenters"]

_DOUBLE = Chem.BondType.DOUBLE


def count_open_stereocenters(molecule: Chem.Mol) -> int:
    """Return the number of stereocentres and double bonds whose isomer is not specified.

    These are rdkit's potential stereocentres and double bonds, with three exceptions:

    - Cumulated double bonds are linear, as in azides, isocyanates and ketenes. Only allenes and
      longer cumulenes with two different substituents at both ends count, once each.
    - C=N-H next to another nitrogen, as in guanidines and amidines, does not count, because its
      hydrogen moves between the nitrogens.
    - Phosphorus and sulfur with two terminal oxygens do not count, because the oxygens are
      equivalent by resonance or exchange of the hydrogen.

    Args:
        molecule: with explicit hydrogens.
    """
    unspecified = Chem.StereoSpecified.Unspecified
    found = [s for s in Chem.FindPotentialStereo(molecule) if s.specified == unspecified]
    double = Chem.StereoType.Bond_Double
    bonds = [molecule.GetBondWithIdx(s.centeredOn) for s in found if s.type == double]
    isolated = [bond for bond in bonds if not _is_cumulated(bond)]
    centers = [molecule.GetAtomWithIdx(s.centeredOn) for s in found if s.type != double]
    return (
        sum(not _has_equal_oxygens(atom) for atom in centers)
        + sum(not _has_mobile_hydrogen(bond) for bond in isolated)
        + _count_cumulenes(molecule)
    )


def _is_cumulated(bond: Chem.Bond) -> bool:
    return any(_count_double_bonds(atom) > 1 for atom in (bond.GetBeginAtom(), bond.GetEndAtom()))


def _count_double_bonds(atom: Chem.Atom) -> int:
    return sum(bond.GetBondType() == _DOUBLE for bond in atom.GetBonds())


def _has_equal_oxygens(atom: Chem.Atom) -> bool:
    if atom.GetSymbol() not in ("P", "S"):
        return False
    terminal = [
        oxygen
        for oxygen in atom.GetNeighbors()
        if oxygen.GetSymbol() == "O"
        and all(n.GetIdx() == atom.GetIdx() or n.GetSymbol() == "H" for n in oxygen.GetNeighbors())
    ]
    return len(terminal) > 1


def _has_mobile_hydrogen(bond: Chem.Bond) -> bool:
    ends = {atom.GetSymbol(): atom for atom in (bond.GetBeginAtom(), bond.GetEndAtom())}
    if set(ends) != {"C", "N"}:
        return False
    nitrogens = sum(near.GetSymbol() == "N" for near in ends["C"].GetNeighbors())
    return nitrogens > 1 and any(near.GetSymbol() == "H" for near in ends["N"].GetNeighbors())


def _count_cumulenes(molecule: Chem.Mol) -> int:
    """Return the number of cumulenes whose two carbon ends have different substituents."""
    ranks = list(Chem.CanonicalRankAtoms(molecule, breakTies=False))
    return sum(
        all(_has_two_substituents(end, ranks) for end in ends) for ends in _cumulene_ends(molecule)
    )


def _cumulene_ends(molecule: Chem.Mol) -> list[tuple[Chem.Atom, Chem.Atom]]:
    """Return both ends of every chain of two or more cumulated double bonds outside rings."""
    found = []
    for start in molecule.GetAtoms():
        if _count_double_bonds(start) != 1:
            continue
        before, atom = None, start
        while True:
            bonds = [
                bond
                for bond in atom.GetBonds()
                if bond.GetBondType() == _DOUBLE
                and not bond.IsInRing()
                and bond.GetOtherAtomIdx(atom.GetIdx()) != before
            ]
            if len(bonds) != 1:
                break
            before, atom = atom.GetIdx(), bonds[0].GetOtherAtom(atom)
        ends = (start.GetIdx(), atom.GetIdx())
        if ends[0] < ends[1] and molecule.GetBondBetweenAtoms(*ends) is None:
            found.append((start, atom))
    return found


def _has_two_substituents(end: Chem.Atom, ranks: list[int]) -> bool:
    near = [
        ranks[bond.GetOtherAtomIdx(end.GetIdx())]
        for bond in end.GetBonds()
        if bond.GetBondType() != _DOUBLE
    ]
    return end.GetSymbol() == "C" and len(near) == 2 and near[0] != near[1]
