"""RMSD with symmetry against rdkit's, and how many copies a conformer stands for."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import rdMolAlign, rdMolTransforms

from nnpmm.conformers import SymmetricRmsd, distinct, etkdg_conformers, relax_by_force_field
from nnpmm.conformers.screening import with_conformers
from nnpmm.structures import molecule_from_smiles

TOLERANCE = 0.01  # nm


def geometries(smiles, count=6, seed=0):
    molecule = molecule_from_smiles(smiles, seed=1)
    Chem.AssignStereochemistryFrom3D(molecule)
    return molecule, etkdg_conformers(molecule, count, seed=seed)


@pytest.mark.parametrize(
    "smiles",
    [
        "CCC[C@H](O)c1ccccc1",
        "CC(C)(C)CC(=O)[O-]",
        "O=[N+]([O-])c1ccc(C(F)(F)F)cc1",
        "C[NH2+]CC",
        "O=C(O)CCS",
    ],
)
def test_against_rdkit(smiles):
    """rdkit's own search over automorphisms, without a mirror image, of the atoms compared."""
    molecule, positions = geometries(smiles)
    measure = SymmetricRmsd.of(molecule)
    measure = SymmetricRmsd(measure.atoms, measure.exchanges, mirror=False)
    reference = Chem.RWMol(with_conformers(molecule, positions))
    for index in reversed(range(molecule.GetNumAtoms())):
        if index not in set(measure.atoms.tolist()):
            reference.RemoveAtom(index)
    for i, j in itertools.combinations(range(len(positions)), 2):
        expected = 0.1 * rdMolAlign.GetBestRMS(Chem.Mol(reference), Chem.Mol(reference), i, j)
        assert measure.between(positions[i], positions[j]) == pytest.approx(expected, abs=1e-6)
        widths = measure.widths(positions[[i, j]])
        assert np.linalg.norm(widths[0] - widths[1]) <= expected + 1e-9  # a bound from below


def test_hydrogens_on_carbon_do_not_count_and_those_on_oxygen_do():
    molecule = molecule_from_smiles("CCO", seed=1)
    symbols = [
        molecule.GetAtomWithIdx(int(i)).GetSymbol() for i in SymmetricRmsd.of(molecule).atoms
    ]
    assert sorted(symbols) == ["C", "C", "H", "O"]


@pytest.mark.parametrize(
    ("smiles", "mirror"),
    [("CCCC", True), ("C[C@H](O)F", False), ("C/C=C/C", True),
     # Meso and levorotatory tartaric acid.
     ("OC(=O)[C@H](O)[C@H](O)C(=O)O", True), ("OC(=O)[C@H](O)[C@@H](O)C(=O)O", False)],
)  # fmt: skip
def test_which_molecules_are_their_own_mirror_images(smiles, mirror):
    assert SymmetricRmsd.of(molecule_from_smiles(smiles, seed=1)).mirror is mirror


def test_copies_of_pentanes_conformers():
    """Of nine combinations of torsions one is anti-anti, four anti-gauche, two gauche-gauche.

    The two gauche-gauche of equal sign are mirror images; the two of opposite sign are equal by
    exchange of the ends as well as by reflection, if none of them is distorted.
    """
    molecule = molecule_from_smiles("CCCCC", seed=1)
    conformer = molecule.GetConformer()
    rows, names = [], []
    for angles in itertools.product((180.0, 60.0, -60.0), repeat=2):
        for torsion, angle in zip(((0, 1, 2, 3), (1, 2, 3, 4)), angles, strict=True):
            rdMolTransforms.SetDihedralDeg(conformer, *torsion, angle)
        rows.append(0.1 * np.array(conformer.GetPositions()))
        names.append(angles)
    positions, measure = np.array(rows), SymmetricRmsd.of(molecule)
    energies = np.arange(9.0)  # of no meaning: all are looked at in this order
    kept = distinct(measure, positions, energies, rmsd=TOLERANCE)
    assert len(kept) == 4
    weights = np.array([1 / measure.symmetry_number(positions[row], TOLERANCE) for row in kept])
    copies = dict(zip((names[row] for row in kept), weights / weights.min(), strict=True))
    assert copies == {(180.0, 180.0): 1, (180.0, 60.0): 4, (60.0, 60.0): 2, (60.0, -60.0): 2}
    assert weights.sum() / weights.min() == 9


def test_two_enantiomers_are_never_the_same():
    molecule, positions = geometries("C[C@H](O)Cl", count=1)
    mirrored = positions[0] * [1.0, 1.0, -1.0]
    assert SymmetricRmsd.of(molecule).between(positions[0], mirrored) > 2 * TOLERANCE


def test_duplicates_of_the_same_energy_alone_are_left_out():
    molecule, _ = geometries("CCCO")
    found = relax_by_force_field(molecule, etkdg_conformers(molecule, 20))
    measure = SymmetricRmsd.of(molecule)
    few = distinct(measure, found.positions, found.energies, rmsd=0.03)
    # Propanol has nine combinations of two torsions, five if mirror images count once.
    assert 2 <= len(few) <= 5
    assert (np.diff(found.energies[few]) >= 0).all()
    split = distinct(
        measure, found.positions, found.energies + np.arange(20.0), rmsd=0.03, energy=0.5
    )
    assert len(split) == 20
