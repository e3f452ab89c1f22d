"""The Monte Carlo search finds all minima, repeats none, and keeps the molecule."""

from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem

from nnpmm.conformers import (
    etkdg_conformers,
    gibbs_reference,
    gibbs_score,
    monte_carlo_conformers,
    screening,
)
from nnpmm.conformers.fingerprints import FingerprintTorsions
from nnpmm.conformers.monte_carlo import Turns
from nnpmm.conformers.screening import ForceField, relax_by_force_field, with_conformers
from nnpmm.conformers.structure import same_chemistry
from nnpmm.conformers.symmetry import SymmetricRmsd, distinct
from nnpmm.core.errors import ConfigError
from nnpmm.structures import molecule_from_smiles
from nnpmm.torsions.internal import dihedral


def built(smiles, seed=1):
    molecule = molecule_from_smiles(smiles, seed=seed)
    Chem.AssignStereochemistryFrom3D(molecule)
    return molecule


def test_all_minima_of_pentane_and_then_an_end():
    """Four up to mirror images: aa, ag, g+g+, and g+g- (R. A. Scott and H. A. Scheraga, 1966)."""
    molecule = built("CCCCC")
    found = relax_by_force_field(molecule, monte_carlo_conformers(molecule, 500, seed=1))
    assert len(found.positions) < 30
    measure = SymmetricRmsd.of(molecule)
    rows = distinct(measure, found.positions, found.energies, rmsd=0.01, energy=0.1)
    assert len(rows) == 4


def test_turning_a_rotor_changes_its_torsion_alone():
    molecule = built("CC(C)CC(O)CCN")
    turns = Turns.of(molecule)
    start = 0.1 * np.array(molecule.GetConformer().GetPositions())
    before = dihedral(start, turns.torsions)
    for rotor in range(len(turns.counts)):
        after = turns.turn(start[None], np.array([rotor]), np.array([0.7]))[0]
        change = np.angle(np.exp(1j * (dihedral(after, turns.torsions) - before)))
        np.testing.assert_allclose(change, 0.7 * np.eye(len(before))[rotor], rtol=0, atol=1e-9)


def test_conformers_are_minimised_apart_and_of_the_same_stereoisomer():
    molecule = built("CC[C@H](C)CC(=O)N[C@@H](C)CO")
    found = monte_carlo_conformers(molecule, 40, seed=3, apart=0.05)
    field = ForceField(molecule)
    assert same_chemistry(molecule, found).all()
    again = [field.relax(geometry)[1] for geometry in found]
    np.testing.assert_allclose(again, field.energies(found), rtol=0, atol=1.0)
    same = monte_carlo_conformers(molecule, 40, seed=3, apart=0.05)
    np.testing.assert_array_equal(found, same)


def test_changes_begin_apart_from_all_before(monkeypatch):
    """Without minimisation the conformers after the starts are the changes themselves."""
    molecule = built("CCCCCCC")
    monkeypatch.setattr(ForceField, "relax", lambda self, x, steps=200: (x, 0.0))
    found = monte_carlo_conformers(molecule, 30, seed=1, apart=0.1)
    torsions = FingerprintTorsions.of(molecule)
    prints = torsions.angles(found)
    assert len(found) > 15
    for row in range(10, len(found)):
        assert torsions.deviations(prints[row], prints[:row]).min() >= 0.1


@pytest.mark.slow
def test_a_higher_score_than_distance_geometry():
    molecule = built("CCCCC(C)CCCC(CC)CCCC")
    field = ForceField(molecule, variant="MMFF94")
    relaxed = [field.relax(x) for x in etkdg_conformers(molecule, 40, seed=1)]
    plain = with_conformers(molecule, np.array([x for x, _ in relaxed]))
    reference = gibbs_reference(plain, [energy for _, energy in relaxed])
    found = monte_carlo_conformers(molecule, 40, seed=1, apart=0.05, variant="MMFF94")
    score = gibbs_score(with_conformers(molecule, found), field.energies(found), reference)
    assert score > 2


@pytest.mark.parametrize(("smiles", "count"), [("c1ccccc1", 3), ("C1CCCCC1", 3)])
def test_rigid_molecules_have_only_their_starts(smiles, count):
    assert len(monte_carlo_conformers(built(smiles), count, seed=1)) == count


def test_atoms_that_no_force_field_knows(monkeypatch):
    monkeypatch.setattr(screening, "force_field_of", lambda molecule: None)
    with pytest.raises(ConfigError, match="use the generator etkdg"):
        monte_carlo_conformers(built("CCC"), 3)


def test_the_force_field_agrees_with_the_minimiser_of_many():
    molecule = built("CCOC(=O)CN")
    start = monte_carlo_conformers(molecule, 5, seed=1)
    field = ForceField(molecule)
    many = relax_by_force_field(molecule, start, steps=200)
    for geometry, energy in zip(start, many.energies, strict=True):
        assert field.relax(geometry)[1] == pytest.approx(energy, abs=1e-3)
    uff = ForceField(built("C[Si](C)(C)C[B-](C)(C)C"))
    assert uff.energies(np.zeros((0, 26, 3))).shape == (0,)
