"""AMOEBA systems from a structure and OpenMM's ForceField files."""

from __future__ import annotations

import numpy as np
import openmm
import pytest
from amoeba_systems import BOX, water
from cases import energy_and_forces
from force_fields import dipeptide, with_water
from openmm import app, unit

from nnpmm.core.errors import ConfigError, ForceFieldError, InputFileError
from nnpmm.structures.amoeba_terms import shorten_amoeba_terms
from nnpmm.structures.inputs import AmoebaSystem, load_system


@pytest.fixture(scope="module")
def waters():
    """Seven waters; creating the context of a peptide would take seconds."""
    made = water()
    with_water(made, 6)
    made.topology.setUnitCellDimensions(BOX * unit.nanometer)
    return made


def write_pdb(folder, modeller):
    path = folder / "solute.pdb"
    with path.open("w") as file:
        app.PDBFile.writeFile(modeller.topology, modeller.positions, file, keepIds=True)
    return path


@pytest.fixture
def settings(tmp_path, waters):
    return {"type": "amoeba", "structure": write_pdb(tmp_path, waters), "vdw_cutoff": 0.8}


def force_of(mm, kind):
    (force,) = [f for f in mm.system.getForces() if isinstance(f, kind)]
    return force


@pytest.mark.slow
def test_energy_of_a_peptide_equals_that_of_a_direct_openmm_call(tmp_path):
    modeller = dipeptide()
    with_water(modeller, 6)
    modeller.topology.setUnitCellDimensions(BOX * unit.nanometer)
    settings = {"type": "amoeba", "structure": write_pdb(tmp_path, modeller), "vdw_cutoff": 0.8}
    mm = load_system(AmoebaSystem(**settings, polarization_tolerance=1e-7))
    np.testing.assert_allclose(mm.box_vectors, np.diag(BOX), atol=1e-4)
    expected = app.ForceField("amoeba2018.xml").createSystem(
        modeller.topology,
        nonbondedMethod=app.PME,
        nonbondedCutoff=0.7,
        vdwCutoff=0.8,
        polarization="mutual",
        mutualInducedTargetEpsilon=1e-7,
        rigidWater=False,
    )
    shorten_amoeba_terms(expected)
    platform = openmm.Platform.getPlatformByName("Reference")
    found = []
    for system in (mm.system, expected):
        context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
        context.setPeriodicBoxVectors(*mm.box_vectors)
        context.setPositions(mm.positions)
        found.append(energy_and_forces(context))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=0, atol=1e-5)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=0, atol=1e-3)


def test_settings_are_applied(settings):
    mm = load_system(
        AmoebaSystem(
            **settings, cutoff=0.65, polarization="extrapolated", box=(2.4, 2.5, 2.6),
            hydrogen_mass=3.0,
        )
    )  # fmt: skip
    multipoles = force_of(mm, openmm.AmoebaMultipoleForce)
    assert multipoles.getCutoffDistance()._value == pytest.approx(0.65)
    assert multipoles.getPolarizationType() == openmm.AmoebaMultipoleForce.Extrapolated
    assert force_of(mm, openmm.AmoebaVdwForce).getCutoffDistance()._value == pytest.approx(0.8)
    np.testing.assert_allclose(mm.box_vectors, np.diag([2.4, 2.5, 2.6]))
    waters = [atom.index for atom in mm.topology.atoms() if atom.residue.name == "HOH"]
    masses = [mm.system.getParticleMass(index)._value for index in waters[:3]]
    np.testing.assert_allclose(sorted(masses)[:2], [3.0, 3.0])
    assert mm.system.getNumConstraints() == 0


def test_system_without_cutoff(settings):
    mm = load_system(AmoebaSystem(**settings, nonbonded_method="NoCutoff"))
    assert mm.box_vectors is None
    assert not mm.system.usesPeriodicBoundaryConditions()


def test_missing_box_is_refused(settings):
    bare = [line for line in settings["structure"].read_text().splitlines() if "CRYST1" not in line]
    settings["structure"].write_text("\n".join(bare) + "\n")
    with pytest.raises(ConfigError, match=r"found PME, but neither the structure nor system.box"):
        load_system(AmoebaSystem(**settings))


def test_box_smaller_than_twice_the_cutoff_is_refused(settings):
    with pytest.raises(ConfigError, match=r"vdw_cutoff: found 1.2 nm, allowed: at most 1.1 nm"):
        load_system(AmoebaSystem(**{**settings, "vdw_cutoff": 1.2}))


def test_residues_without_parameters_are_named(settings):
    lines = settings["structure"].read_text().splitlines()
    first = next(k for k, line in enumerate(lines) if " H2  HOH" in line)
    settings["structure"].write_text("\n".join([*lines[:first], *lines[first + 1 :]]) + "\n")
    match = r"solute.pdb: amoeba2018 has no parameters for HOH 1 of chain 1 \(.+missing 1 H atom\)"
    with pytest.raises(InputFileError, match=match):
        load_system(AmoebaSystem(**settings))


@pytest.mark.parametrize("element", ["Script", "InitializationScript", "Include"])
def test_parameter_files_cannot_run_code(tmp_path, settings, element):
    marker = tmp_path / "ran"
    path = tmp_path / "ligand.xml"
    path.write_text(f"<ForceField><{element}>open({str(marker)!r}, 'w')</{element}></ForceField>")
    with pytest.raises(InputFileError, match=f"ligand.xml: has an element {element}, allowed"):
        load_system(AmoebaSystem(**settings, parameters=(path,)))
    assert not marker.exists()


def test_fixed_charges_together_with_amoeba_are_refused(tmp_path, settings):
    path = tmp_path / "charges.xml"
    atoms = "".join(
        f'<Atom type="{kind}" sigma="0.3" epsilon="0.1" charge="0"/>' for kind in range(1, 600)
    )
    path.write_text(
        '<ForceField><NonbondedForce coulomb14scale="0.5" lj14scale="0.5">'
        f"{atoms}</NonbondedForce></ForceField>"
    )
    with pytest.raises(ForceFieldError, match="found fixed charges next to amoeba2018"):
        load_system(AmoebaSystem(**settings, parameters=(path,)))


def test_invalid_parameter_file_is_refused(tmp_path, settings):
    path = tmp_path / "ligand.xml"
    path.write_text("<ForceField>")
    with pytest.raises(InputFileError, match=r"ligand.xml: cannot read the ForceField file"):
        load_system(AmoebaSystem(**settings, parameters=(path,)))
