"""Rotatable bonds, and the messages about bonds that cannot rotate."""

from __future__ import annotations

import pytest
from rdkit import Chem
from rdkit.Chem import rdMolDescriptors

from nnpmm.core.errors import SelectionError
from nnpmm.structures import molecule_from_smiles
from nnpmm.torsions import bond_from_text, bond_of_torsion, find_rotatable_bonds, rotatable_bond


@pytest.mark.parametrize(
    "smiles", ["CCCC", "c1ccccc1-c1ccccn1", "CC(=O)Nc1ccc(O)cc1", "CC#CC(C)CO", "C1CC1CC(=O)O"]
)
def test_as_many_as_rdkit_counts(smiles):
    molecule = molecule_from_smiles(smiles)
    expected = rdMolDescriptors.CalcNumRotatableBonds(
        Chem.RemoveHs(molecule), rdMolDescriptors.NumRotatableBondsOptions.NonStrict
    )
    assert len(find_rotatable_bonds(molecule)) == expected


def test_rotors_of_hydrogens_alone():
    ethanol = molecule_from_smiles("CCO")
    assert {bond.atoms for bond in find_rotatable_bonds(ethanol, hydrogen_rotors=True)} == {
        (1, 0),
        (1, 2),
    }
    with pytest.raises(SelectionError, match="no rotatable bond in CCO"):
        find_rotatable_bonds(ethanol)


def test_the_smaller_side_moves():
    molecule = molecule_from_smiles("CCc1ccccc1")
    bond = rotatable_bond(molecule, 2, 1)
    assert bond.atoms == (2, 1)
    assert molecule.GetAtomWithIdx(bond.torsion[3]).GetSymbol() == "C"
    assert set(bond.moved) == {0, *(a.GetIdx() for i in (0, 1) for a in _hydrogens(molecule, i))}
    assert bond == rotatable_bond(molecule, 1, 2)


def _hydrogens(molecule: Chem.Mol, index: int) -> list[Chem.Atom]:
    return [a for a in molecule.GetAtomWithIdx(index).GetNeighbors() if a.GetSymbol() == "H"]


@pytest.mark.parametrize(
    ("smiles", "pair", "words"),
    [
        ("c1ccccc1C", (0, 1), "bond of a ring"),
        ("CCC=C", (2, 3), "double bond"),
        ("CCCC", (0, 2), "no bond between these atoms"),
        ("CCCC", (0, 99), "among 14 atoms"),
        ("CCCC", (1, 1), "no such pair"),
        ("CCCl", (1, 2), "nothing to rotate at atom 2"),
        ("CC#N", (0, 1), "linear atom 1"),
    ],
)
def test_bonds_that_cannot_turn(smiles, pair, words):
    with pytest.raises(SelectionError, match=words):
        rotatable_bond(molecule_from_smiles(smiles), *pair)


def test_torsions_may_be_chosen():
    butane = molecule_from_smiles("CCCC")
    assert bond_of_torsion(butane, (0, 1, 2, 3)).torsion == (0, 1, 2, 3)
    with pytest.raises(SelectionError, match="chain of three bonds"):
        bond_of_torsion(butane, (3, 1, 2, 0))


@pytest.mark.parametrize("text", ["3", "3-", "a-b", "-1-2", "1-2-3", "1.5-2", ""])
def test_bonds_written_otherwise(text):
    with pytest.raises(SelectionError, match="two 0-based atom indices"):
        bond_from_text(molecule_from_smiles("CCCC"), text)


def test_bonds_by_two_or_four_atoms():
    butane = molecule_from_smiles("CCCC")
    assert bond_from_text(butane, " 1 - 2 ") == bond_from_text(butane, "0-1-2-3")
    assert bond_from_text(butane, "4-0-1-2").torsion == (4, 0, 1, 2)
