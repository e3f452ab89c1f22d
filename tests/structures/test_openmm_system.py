from __future__ import annotations

import dataclasses
import io
import math

import numpy as np
import openmm
import pytest
from conftest import shared_data
from openmm import app, unit

from nnpmm.core.errors import ForceFieldError, InputFileError
from nnpmm.structures import (
    create_ligand_system,
    forcefield_xml,
    molecule_from_file,
    molecule_from_smiles,
    parameterize,
    to_openmm_topology,
)

SMILES = (
    "CC(=O)Nc1ccc(O)cc1",
    "CC#CC(=O)[O-]",
    "CS(=O)(=O)Nc1ncccc1",
    "C1=CC1",
    "C1CC2CC12",
    "c1ccc2ccccc2c1",
)


def _state(system, positions):
    context = openmm.Context(
        system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference")
    )
    context.setPositions(positions)
    state = context.getState(getEnergy=True, getForces=True)
    return state.getPotentialEnergy()._value, state.getForces(asNumpy=True)._value


def _assert_template_equals_system(molecule, parameters):
    topology, positions = to_openmm_topology(molecule)
    positions = positions + np.random.default_rng(2).normal(scale=0.005, size=positions.shape)
    force_field = app.ForceField(
        "amber14-all.xml",
        "amber14/tip3pfb.xml",
        io.StringIO(forcefield_xml(molecule, parameters)),
    )
    system = force_field.createSystem(topology, residueTemplates={next(topology.residues()): "MOL"})
    expected_energy, expected_forces = _state(create_ligand_system(molecule, parameters), positions)
    energy, forces = _state(system, positions)
    assert energy == pytest.approx(expected_energy, rel=1e-9, abs=1e-8)
    np.testing.assert_allclose(forces, expected_forces, rtol=0, atol=1e-6)
    for i in range(molecule.GetNumAtoms()):
        expected_mass = create_ligand_system(molecule, parameters).getParticleMass(i)
        assert system.getParticleMass(i) == expected_mass


@pytest.mark.parametrize("smiles", SMILES)
def test_template_with_amber14_equals_the_vacuum_system(smiles):
    molecule = molecule_from_smiles(smiles)
    _assert_template_equals_system(molecule, parameterize(molecule, provider="fallback"))


def test_template_with_smirnoff_trefoils_equals_the_vacuum_system():
    molecule = molecule_from_smiles("CC(=O)N")
    parameters = parameterize(molecule, provider="fallback")
    centre, j, k, m = 1, 0, 2, 3
    trefoil = tuple(
        (centre, *others, 2, math.pi, 3.0) for others in ((j, k, m), (k, m, j), (m, j, k))
    )
    _assert_template_equals_system(molecule, dataclasses.replace(parameters, impropers=trefoil))
    for wrong, message in (
        (trefoil[:2], "another number of smirnoff impropers than 3"),
        (((j, centre, k, m, 2, math.pi, 3.0),), "its centre in position 2"),
        (((j, k, m, 4, 2, math.pi, 3.0),), "none of whose atoms binds the other three"),
    ):
        with pytest.raises(ForceFieldError, match=message):
            forcefield_xml(molecule, dataclasses.replace(parameters, impropers=wrong))


@pytest.mark.data
def test_template_of_a_mol2_file_with_its_own_atom_names():
    molecule = molecule_from_file(shared_data("nnpops-ligands/3lka_ligand.mol2"))
    parameters = parameterize(molecule, provider="fallback")
    _assert_template_equals_system(molecule, parameters)
    topology, _ = to_openmm_topology(molecule, residue_name="M4S")
    assert [atom.name for atom in topology.atoms()][:3] == ["C1", "N1", "O1"]
    assert next(topology.residues()).name == "M4S"


def test_names_with_equal_first_four_characters_are_replaced(tmp_path):
    molecule = molecule_from_smiles("CO")
    for names, kept in ((["C1234", "O1234"], True), (["HAA11", "HAA12"], False)):
        for atom in molecule.GetAtoms():
            atom.SetProp("_TriposAtomName", f"H{atom.GetIdx()}")
        for index, name in enumerate(names):
            molecule.GetAtomWithIdx(index).SetProp("_TriposAtomName", name)
        topology, positions = to_openmm_topology(molecule)
        assert (next(topology.atoms()).name == names[0]) == kept
        with open(tmp_path / "x.pdb", "w") as file:
            app.PDBFile.writeFile(topology, positions * unit.nanometer, file)
        assert app.PDBFile(str(tmp_path / "x.pdb")).topology.getNumAtoms() == 6


def test_amber_scaling_between_atoms_three_bonds_apart():
    molecule = molecule_from_smiles("CCCC")
    parameters = parameterize(molecule, provider="fallback")
    system = create_ligand_system(molecule, parameters)
    force = next(f for f in system.getForces() if isinstance(f, openmm.NonbondedForce))
    exceptions = {
        tuple(sorted(force.getExceptionParameters(n)[:2])): force.getExceptionParameters(n)[2:]
        for n in range(force.getNumExceptions())
    }
    charge, sigma, epsilon = (x._value for x in exceptions[(0, 3)])
    assert charge == pytest.approx(parameters.charges[0] * parameters.charges[3] / 1.2)
    assert sigma == pytest.approx(parameters.sigma[0])
    assert epsilon == pytest.approx(0.5 * parameters.epsilon[0])
    assert exceptions[(0, 2)][2]._value == 0.0


def test_topology_has_bonds_unique_names_and_nanometres():
    molecule = molecule_from_smiles("CC(=O)Nc1ccc(O)cc1")
    topology, positions = to_openmm_topology(molecule)
    names = [atom.name for atom in topology.atoms()]
    assert len(set(names)) == len(names) == 20
    assert topology.getNumBonds() == molecule.GetNumBonds()
    assert positions.dtype == np.float64
    np.testing.assert_allclose(positions * 10, molecule.GetConformer().GetPositions())
    molecule.RemoveAllConformers()
    with pytest.raises(InputFileError, match="without coordinates"):
        to_openmm_topology(molecule)
