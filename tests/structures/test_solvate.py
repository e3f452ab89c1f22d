from __future__ import annotations

import random

import numpy as np
import openmm
import pytest
from conftest import shared_data
from openmm import app, unit
from rdkit.Geometry import Point3D

from nnpmm.core.errors import ConfigError, ForceFieldError, InputFileError
from nnpmm.structures import molecule_from_smiles, parameterize, solvate


@pytest.fixture(scope="module")
def paracetamol():
    molecule = molecule_from_smiles("CC(=O)Nc1ccc(O)cc1")
    return molecule, parameterize(molecule, provider="fallback")


def _nonbonded(system):
    return next(f for f in system.getForces() if isinstance(f, openmm.NonbondedForce))


def _total_charge(system):
    force = _nonbonded(system)
    return sum(force.getParticleParameters(i)[0]._value for i in range(force.getNumParticles()))


def _energy(box):
    context = openmm.Context(box.system, openmm.VerletIntegrator(0.001))
    context.setPositions(box.positions)
    return context.getState(getEnergy=True).getPotentialEnergy()._value


def test_paracetamol_in_water(paracetamol):
    molecule, parameters = paracetamol
    box = solvate(molecule, parameters, padding=1.0 * unit.nanometer)
    atoms = list(box.topology.atoms())
    assert [atoms[i].element.atomic_number for i in box.ligand_atoms] == [
        atom.GetAtomicNum() for atom in molecule.GetAtoms()
    ]
    assert {atoms[i].residue.name for i in box.ligand_atoms} == {"MOL"}
    force = _nonbonded(box.system)
    rows = np.array(
        [[x._value for x in force.getParticleParameters(int(i))] for i in box.ligand_atoms]
    )
    np.testing.assert_allclose(rows[:, 0], parameters.charges, rtol=0, atol=1e-12)
    np.testing.assert_allclose(rows[:, 2], parameters.epsilon, rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        box.positions[box.ligand_atoms] * 10, molecule.GetConformer().GetPositions()
    )
    assert np.isfinite(_energy(box)) and _energy(box) < 0
    assert _total_charge(box.system) == pytest.approx(0, abs=1e-6)
    _assert_box(box, molecule, padding=1.0)


def _assert_box(box, molecule, padding):
    x = molecule.GetConformer().GetPositions() * 0.1
    radius = np.linalg.norm(x - 0.5 * (x.min(axis=0) + x.max(axis=0)), axis=1).max()
    np.testing.assert_allclose(np.diag(box.box_vectors), 2 * (radius + padding))
    vectors = box.system.getDefaultPeriodicBoxVectors()
    np.testing.assert_allclose([list(v._value) for v in vectors], box.box_vectors, atol=1e-12)
    waters = sum(residue.name == "HOH" for residue in box.topology.residues())
    # Liquid water has 33.4 molecules per nm^3; paracetamol displaces about 0.2 nm^3. Gaps at the
    # faces and around the solute leave some out.
    density = waters / (np.linalg.det(box.box_vectors) - 0.2)
    assert 30 < density < 35


def test_constraints_and_hydrogen_mass(paracetamol):
    molecule, parameters = paracetamol
    stiff = solvate(molecule, parameters, padding=0.8, nonbonded_cutoff=0.8, hydrogen_mass=3.0)
    free = solvate(
        molecule, parameters, padding=0.8, nonbonded_cutoff=0.8, constrain_hydrogens=False
    )
    assert stiff.system.getNumConstraints() - free.system.getNumConstraints() == 9
    masses = [
        np.array([s.system.getParticleMass(int(i))._value for i in s.ligand_atoms])
        for s in (stiff, free)
    ]
    assert masses[0].sum() == pytest.approx(masses[1].sum(), abs=1e-9)
    hydrogens = [a.GetIdx() for a in molecule.GetAtoms() if a.GetAtomicNum() == 1]
    np.testing.assert_allclose(masses[0][hydrogens], 3.0)


def test_hydrogens_too_heavy_for_methane_are_refused():
    """OpenMM would give its carbon -0.357 amu."""
    molecule = molecule_from_smiles("C")
    parameters = parameterize(molecule, provider="fallback")
    with pytest.raises(ConfigError, match=r"hydrogen_mass 4\.1, which .* of -0\.357 amu"):
        solvate(molecule, parameters, hydrogen_mass=4.1)


def test_ions_follow_the_seed_and_leave_the_global_generator_alone():
    molecule = molecule_from_smiles("CC(=O)[O-]")
    parameters = parameterize(molecule, provider="fallback")
    random.seed(1)
    expected = random.random()
    random.seed(1)
    boxes = [
        solvate(
            molecule,
            parameters,
            ionic_strength=0.15,
            box_shape="dodecahedron",
            padding=1.2,
            seed=seed,
        )
        for seed in (5, 5, 6)
    ]
    assert random.random() == expected
    np.testing.assert_array_equal(boxes[0].positions, boxes[1].positions)
    assert not np.array_equal(boxes[0].positions, boxes[2].positions)
    names = [residue.name for residue in boxes[0].topology.residues()]
    assert names.count("NA") == names.count("CL") + 1 >= 2
    assert _total_charge(boxes[0].system) == pytest.approx(0, abs=1e-6)
    charged = solvate(molecule, parameters, neutralize=False)
    assert _total_charge(charged.system) == pytest.approx(-1, abs=1e-6)


def test_four_site_water(paracetamol):
    box = solvate(*paracetamol, water_model="opc", padding=0.8, nonbonded_cutoff=0.8)
    assert any(box.system.isVirtualSite(i) for i in range(box.system.getNumParticles()))
    assert len(box.positions) == box.system.getNumParticles()


@pytest.mark.data
def test_protein_and_ligand_keep_their_coordinates(paracetamol):
    molecule, parameters = paracetamol
    pdb = app.PDBFile(str(shared_data("toluene/alanine-dipeptide-explicit.pdb")))
    modeller = app.Modeller(pdb.topology, pdb.positions)
    modeller.deleteWater()
    protein = (modeller.topology, modeller.positions)
    centre = np.array(modeller.positions.value_in_unit(unit.angstrom)).mean(axis=0)
    shifted = type(molecule)(molecule)
    conformer = shifted.GetConformer()
    for i, position in enumerate(conformer.GetPositions() + centre + np.array([0, 0, 8.0])):
        conformer.SetAtomPosition(i, Point3D(*position))
    box = solvate(shifted, parameters, protein=protein)
    assert list(box.ligand_atoms) == list(range(22, 42))
    np.testing.assert_allclose(box.positions[22:42] * 10, conformer.GetPositions(), atol=1e-9)
    assert np.isfinite(_energy(box))
    with pytest.raises(InputFileError, match=r"shape \(3, 3\) for 22 atoms"):
        solvate(shifted, parameters, protein=(modeller.topology, np.zeros((3, 3))))
    unknown, positions = pdb.topology, pdb.positions
    next(unknown.atoms()).element = app.element.gold
    with pytest.raises(ForceFieldError, match=r"does not describe, first ACE 1 .* contains Au"):
        solvate(shifted, parameters, protein=(unknown, positions))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"padding": -1.0}, "found padding -1.0, allowed: more than zero nanometer"),
        ({"padding": 1.0 * unit.kelvin}, "found a quantity in kelvin"),
        ({"ionic_strength": -0.1}, "found ionic_strength -0.1, allowed: zero or more"),
        ({"water_model": "tip9p"}, "found the water model 'tip9p', allowed: tip3p"),
        ({"box_shape": "sphere"}, "found the box shape 'sphere', allowed: cube"),
        ({"hydrogen_mass": 5.0}, "found hydrogen_mass 5.0, allowed: 1 to 4.1 amu"),
    ],
)
def test_bad_settings_are_named(paracetamol, settings, message):
    with pytest.raises(ConfigError, match=message):
        solvate(*paracetamol, **settings)


@pytest.mark.parametrize("shape", ["cube", "dodecahedron", "octahedron"])
def test_a_box_is_wide_enough_for_the_cutoff(shape, caplog):
    """Methane with the default padding of 1 nm, for example, in a dodecahedron."""
    molecule = molecule_from_smiles("C")
    parameters = parameterize(molecule, provider="fallback")
    with caplog.at_level("INFO"):
        box = solvate(molecule, parameters, padding=0.1, box_shape=shape)
    # As wide as 1.8 nm, twice the cutoff, also when its density has risen from 0.9 to 1 g/ml.
    assert np.diag(box.box_vectors).min() * 0.9 ** (1 / 3) > 1.8
    assert "because of the cutoff of 0.9 nm; the padding of 0.1 nm alone" in caplog.text


def test_water_as_a_ligand_is_refused():
    molecule = molecule_from_smiles("O")
    parameters = parameterize(molecule, provider="fallback")
    with pytest.raises(ForceFieldError, match=r"found water as the ligand, .* select one"):
        solvate(molecule, parameters)
