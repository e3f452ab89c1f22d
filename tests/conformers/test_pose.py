"""Poses: atoms are matched, stereochemistry is read, and other molecules are refused."""

from __future__ import annotations

import numpy as np
import pytest
from complexes import side_by_side, write_pdb
from rdkit import Chem
from rdkit.Chem import rdMolTransforms

from nnpmm.conformers import match_pose, read_pose
from nnpmm.conformers.pose import Pose
from nnpmm.core.errors import InputFileError, RegionError, SelectionError
from nnpmm.structures import molecule_from_smiles

DRUG = "C[C@H](N)C(=O)Nc1ccc(O)cc1"


@pytest.fixture(scope="module")
def complex_file(tmp_path_factory):
    """A PDB file with a drug next to a water molecule."""
    topology, positions = side_by_side([("HOH", "O"), ("LIG", DRUG)])
    return write_pdb(tmp_path_factory.mktemp("pose") / "complex.pdb", topology, positions)


def shuffled(molecule, *, hydrogens=True, seed=5):
    """Return a molecule's conformer as a pose, with its atoms in another order."""
    kept = [a.GetIdx() for a in molecule.GetAtoms() if hydrogens or a.GetAtomicNum() > 1]
    order = np.random.default_rng(seed).permutation(kept)
    place = {int(atom): row for row, atom in enumerate(order)}
    ends = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in molecule.GetBonds()]
    positions = 0.1 * np.array(molecule.GetConformer().GetPositions())
    return Pose(
        "pose.pdb, resname LIG",
        tuple(molecule.GetAtomWithIdx(int(i)).GetAtomicNum() for i in order),
        tuple((place[i], place[j]) for i, j in ends if i in place and j in place),
        positions[order],
    )


def torsions(molecule):
    conformer = molecule.GetConformer()
    return [
        rdMolTransforms.GetDihedralDeg(conformer, *atoms)
        for atoms in ((0, 1, 3, 4), (1, 3, 5, 6), (3, 5, 6, 7))
    ]


def test_from_a_complex_to_the_ligand_in_its_own_order(complex_file):
    found = match_pose(molecule_from_smiles(DRUG, seed=9), read_pose(complex_file, "resname LIG"))
    original = molecule_from_smiles(DRUG, seed=3)  # which the complex contains
    assert torsions(found)[:2] == pytest.approx(torsions(original)[:2], abs=0.5)  # PDB digits
    assert Chem.MolToSmiles(Chem.RemoveHs(found)) == Chem.CanonSmiles(DRUG)


@pytest.mark.parametrize("hydrogens", [True, False])
def test_another_order_of_atoms(hydrogens):
    original, template = (molecule_from_smiles(DRUG, seed=seed) for seed in (4, 8))
    found = match_pose(template, shuffled(original, hydrogens=hydrogens))
    assert [a.GetAtomicNum() for a in found.GetAtoms()] == [
        a.GetAtomicNum() for a in template.GetAtoms()
    ]
    assert torsions(found)[:2] == pytest.approx(torsions(original)[:2], abs=1e-6)
    if not hydrogens:  # those that are added are at the right places
        lengths = [
            rdMolTransforms.GetBondLength(
                found.GetConformer(), b.GetBeginAtomIdx(), b.GetEndAtomIdx()
            )
            for b in found.GetBonds()
            if 1 in (b.GetBeginAtom().GetAtomicNum(), b.GetEndAtom().GetAtomicNum())
        ]
        assert 0.9 < min(lengths) and max(lengths) < 1.2


def test_bond_lengths_distinguish_equal_oxygens():
    """Without hydrogens only its length says which oxygen of an acid has the double bond."""
    original, template = (molecule_from_smiles("CC(O)=O", seed=seed) for seed in (4, 8))
    found = match_pose(template, shuffled(original, hydrogens=False)).GetConformer()
    single, double = (rdMolTransforms.GetBondLength(found, 1, oxygen) for oxygen in (2, 3))
    assert single - double > 0.08


def test_what_the_ligand_leaves_open_is_that_of_the_pose():
    original = molecule_from_smiles("C[C@H](N)C(=O)O", seed=4)
    found = match_pose(molecule_from_smiles("CC(N)C(=O)O", seed=1), shuffled(original))
    assert Chem.MolToSmiles(Chem.RemoveHs(found)) == Chem.CanonSmiles("C[C@H](N)C(=O)O")


@pytest.mark.parametrize(
    ("pose", "ligand", "words"),
    [
        ("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O", "found the stereoisomer"),
        ("C/C=C/C", r"C/C=C\C", "found the stereoisomer"),
        ("CCC(C)O", "CCCO", "found C4H10O, the ligand is C3H8O"),
        ("CC(=O)[O-]", "CC(=O)O", "found C2H3O2, the ligand is C2H4O2"),
        ("CCC(C)O", "CCCCO", "that do not fit"),
        ("CC(C)=O", "C=C(C)O", "that do not fit"),
    ],
)
def test_another_molecule_is_refused(pose, ligand, words):
    with pytest.raises(InputFileError, match=words):
        match_pose(
            molecule_from_smiles(ligand, seed=1), shuffled(molecule_from_smiles(pose, seed=4))
        )


def test_bond_orders_that_do_not_fit_are_seen_without_hydrogens_too():
    pose = shuffled(molecule_from_smiles("CCCC", seed=4), hydrogens=False)
    with pytest.raises(InputFileError, match=r"double bond.*bond orders do not fit"):
        match_pose(molecule_from_smiles("C=CC=C", seed=1), pose)


def test_some_hydrogens_missing_are_refused():
    pose = shuffled(molecule_from_smiles("CCO", seed=4))
    kept = [row for row, number in enumerate(pose.numbers) if number != 1 or row % 2]
    place = {row: n for n, row in enumerate(kept)}
    less = Pose(
        pose.name,
        tuple(pose.numbers[row] for row in kept),
        tuple((place[i], place[j]) for i, j in pose.bonds if i in place and j in place),
        pose.positions[kept],
    )
    with pytest.raises(InputFileError, match="with all hydrogens or with none"):
        match_pose(molecule_from_smiles("CCO", seed=1), less)


def test_a_part_of_a_molecule_is_refused(complex_file):
    with pytest.raises(RegionError, match="select all of it"):
        read_pose(complex_file, "resname LIG and element C")


def test_nothing_selected_is_refused(complex_file):
    with pytest.raises(SelectionError, match="resname DRG matches nothing"):
        read_pose(complex_file, "resname DRG")
