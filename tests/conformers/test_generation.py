"""Starting geometries: combinations are complete, distance geometry keeps the stereoisomer."""

from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import rdForceFieldHelpers, rdMolTransforms

from nnpmm.conformers import (
    confab,
    count_for,
    etkdg_conformers,
    generate,
    generation,
    systematic_conformers,
)
from nnpmm.conformers.screening import force_field_of, relax_by_force_field, with_conformers
from nnpmm.conformers.structure import same_chemistry
from nnpmm.core.errors import ConfigError, OptionalDependencyError
from nnpmm.structures import molecule_from_smiles


def built(smiles, seed=1):
    molecule = molecule_from_smiles(smiles, seed=seed)
    Chem.AssignStereochemistryFrom3D(molecule)
    return molecule


def test_systematic_combinations_of_pentane():
    molecule = built("CCCCC")
    copy = with_conformers(molecule, systematic_conformers(molecule))
    found = {
        tuple(
            round(rdMolTransforms.GetDihedralDeg(conformer, *torsion)) % 360
            for torsion in ((0, 1, 2, 3), (1, 2, 3, 4))
        )
        for conformer in copy.GetConformers()
    }
    assert found == {(a, b) for a in (60, 180, 300) for b in (60, 180, 300)}


@pytest.mark.parametrize(
    ("smiles", "angles"),
    [
        ("CC(=O)NC", {0.0, 180.0}),
        ("c1ccccc1-c1ccccc1", {40.0, 140.0, 220.0, 320.0}),
        ("CCC", set()),
        ("CO", {60.0, 180.0, 300.0}),
    ],
)
def test_angles_by_the_kind_of_bond(smiles, angles):
    found = {angle for _, each in generation.rotors(built(smiles)) for angle in each}
    assert found == angles


def test_overlapping_atoms_are_left_out():
    molecule = built("CCCCCCC")  # the ends overlap in gauche+ gauche- gauche+ gauche-
    positions = systematic_conformers(molecule)
    assert 0 < len(positions) < 81
    copy = with_conformers(molecule, positions)
    carbons = slice(0, 7)
    far = Chem.GetDistanceMatrix(molecule)[carbons, carbons] > 3
    for conformer in copy.GetConformers():
        distances = Chem.Get3DDistanceMatrix(copy, confId=conformer.GetId())[carbons, carbons]
        assert distances[far].min() > 1.7  # angstrom


def test_too_many_combinations_are_refused_with_an_alternative():
    with pytest.raises(ConfigError, match=r"found 10 rotatable bonds with 59049.*generator etkdg"):
        systematic_conformers(built("CCCCCCCCCCCCC"))


def test_distance_geometry_keeps_the_isomer_that_the_first_conformer_has():
    molecule = built("CC(O)C(F)CC=CC")
    positions = etkdg_conformers(molecule, 20)
    assert same_chemistry(molecule, positions).all()
    mirrored = positions * [1.0, 1.0, -1.0]
    assert not same_chemistry(molecule, mirrored).any()


def test_a_broken_bond_and_a_new_one_are_another_molecule():
    molecule = built("CCCO")
    intact = 0.1 * np.array(molecule.GetConformer().GetPositions())
    broken, joined = intact.copy(), intact.copy()
    broken[3] += 0.1
    joined[0] = intact[3] + [0.0, 0.0, 0.12]
    assert same_chemistry(molecule, np.array([intact, broken, joined])).tolist() == [
        True, False, False,
    ]  # fmt: skip


def test_strained_rings_keep_their_chemistry():
    molecule = built("OC(=O)C12CC(C1)(C2)N")  # bicyclo[1.1.1]pentane: 0.187 nm across
    assert same_chemistry(molecule, etkdg_conformers(molecule, 2)).all()


def test_the_own_conformer_comes_first_and_generators_follow():
    molecule = built("CCCC")
    found = generate(molecule, ("etkdg", "systematic"), count=4)
    assert found.shape == (1 + 4 + 3, 14, 3)
    own = 0.1 * np.array(molecule.GetConformer().GetPositions())
    assert np.abs(found[0] - own).max() < 1e-9


@pytest.mark.parametrize(("smiles", "count"), [("CCCC", 50), ("C" * 12, 200), ("C" * 17, 300)])
def test_numbers_of_conformers(smiles, count):
    assert count_for(built(smiles)) == count


def test_the_force_field_goes_downhill_and_water_screens_charges():
    molecule = built("OCCO")
    start = etkdg_conformers(molecule, 8)
    vacuum = relax_by_force_field(molecule, start)
    properties = rdForceFieldHelpers.MMFFGetMoleculeProperties(molecule, mmffVariant="MMFF94s")
    both = with_conformers(molecule, np.concatenate([start, vacuum.positions]))
    energies = [
        rdForceFieldHelpers.MMFFGetMoleculeForceField(both, properties, confId=k).CalcEnergy()
        for k in range(2 * len(start))
    ]
    before, after = 4.184 * np.array(energies).reshape(2, -1)
    assert (after < before).all()
    assert vacuum.energies == pytest.approx(after, abs=1e-6)
    water = relax_by_force_field(molecule, start, dielectric=78.5)
    assert force_field_of(molecule) == "MMFF94s"
    # The internal hydrogen bond of glycol spreads the energies in vacuum, much less in water.
    assert np.ptp(water.energies) < np.ptp(vacuum.energies)


def test_without_open_babel_confab_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(confab, "find_program", lambda name: None)
    with pytest.raises(OptionalDependencyError, match="pip install openbabel-wheel"):
        generate(built("CCCC"), ("confab",))


def test_confab_if_it_is_installed():
    if confab.find_program("obabel") is None:
        pytest.skip("obabel is not installed")
    molecule = built("CCCCC")
    found = confab.confab_conformers(molecule, 30)
    assert found.shape[1:] == (17, 3) and len(found) > 3
    assert same_chemistry(molecule, found).all()


def test_other_force_fields_and_none():
    assert force_field_of(built("C[Si](C)(C)C[B-](C)(C)C")) == "UFF"
    hydrogen = built("[H][H]")  # rdkit refuses to minimise a minimum
    minimum = 0.1 * np.array(hydrogen.GetConformer().GetPositions())
    assert relax_by_force_field(hydrogen, minimum[None]) is None
