"""Parts of MM systems: the same energies as systems made of the part alone."""

from __future__ import annotations

import numpy as np
import openmm
import pytest
from cases import energy_and_forces
from force_fields import FORCE_FIELD_CASES, amber14, charmm36_vacuum
from reader_cases import READER_CASES, READER_PARAMETERS

from nnpmm.core.errors import ConfigError, ForceFieldError, RegionError
from nnpmm.core.geometry import nearest_image
from nnpmm.freeenergy.binding.parts import in_new_water, part_of
from nnpmm.structures import MMSystem, molecule_from_smiles, parameterize, solvate
from nnpmm.structures.selection import is_water

IMPLICIT = {"GBn2", "OBC2", "GBSAOBCForce"}
CASES = [*(name for name in FORCE_FIELD_CASES if name not in IMPLICIT), *READER_PARAMETERS]


@pytest.fixture(scope="module", params=CASES)
def case(request, tmp_path_factory):
    if request.param in FORCE_FIELD_CASES:
        return FORCE_FIELD_CASES[request.param]()
    return READER_CASES[request.param](tmp_path_factory.mktemp("files"))


def state_of(system, positions, box=None):
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    if box is not None:
        context.setPeriodicBoxVectors(*box)
    context.setPositions(positions)
    return energy_and_forces(context)


def without_cutoff(system):
    for force in system.getForces():
        if isinstance(force, (openmm.NonbondedForce, openmm.CustomNonbondedForce)):
            force.setNonbondedMethod(type(force).NoCutoff)
    return system


def assert_same(found, expected):
    assert found[0] == pytest.approx(expected[0], abs=1e-4, rel=0)
    np.testing.assert_allclose(found[1], expected[1], atol=1e-3, rtol=0)


def test_part_of_the_region_equals_the_region_alone(case):
    alone = without_cutoff(part_of(case.system, case.region))
    positions = case.positions[case.region]
    assert_same(state_of(alone, positions), state_of(case.alone, positions))


def test_part_of_the_environment_equals_the_environment_alone(case):
    if case.environment is None:
        pytest.skip("these files have no environment of their own")
    rest = np.setdiff1d(np.arange(len(case.positions)), case.region)
    part = part_of(case.system, rest)
    positions = case.positions[rest]
    expected = state_of(case.environment, positions, case.box)
    assert_same(state_of(part, positions, case.box), expected)


def test_atoms_in_another_order(case):
    """With the environment before the region, all terms are renumbered and none is lost."""
    rest = np.setdiff1d(np.arange(len(case.positions)), case.region)
    order = np.concatenate([rest, case.region])
    energy, forces = state_of(case.system, case.positions, case.box)
    turned = part_of(case.system, order)
    assert turned.getNumConstraints() == case.system.getNumConstraints()
    found, found_forces = state_of(turned, case.positions[order], case.box)
    assert found == pytest.approx(energy, abs=1e-3, rel=0)
    np.testing.assert_allclose(found_forces, forces[order], atol=1e-2, rtol=0)


def test_unsupported_parts_are_refused():
    case = amber14()
    with pytest.raises(RegionError, match="joins atoms"):
        part_of(case.system, case.region[:-1])
    case.system.addForce(openmm.GBSAOBCForce())
    with pytest.raises(ForceFieldError, match="GBSAOBCForce, from which no part"):
        part_of(case.system, case.region)


@pytest.fixture(scope="module", params=["spce", "tip4pew"])
def large(request) -> MMSystem:
    molecule = molecule_from_smiles("CO", seed=1)
    parameters = parameterize(molecule, provider="fallback")
    return solvate(molecule, parameters, padding=0.9, water_model=request.param, seed=1)


@pytest.mark.parametrize("shape", ["cube", "dodecahedron"])
def test_molecule_in_new_water(large, shape):
    """The solute is unchanged; the water has its force field, the usual density and no clashes."""
    for force in large.system.getForces():
        if isinstance(force, openmm.NonbondedForce):
            force.setCutoffDistance(0.6)
    small = in_new_water(large, large.ligand_atoms, padding=0.75, box_shape=shape)
    n = len(large.ligand_atoms)
    assert small.ligand_atoms.tolist() == list(range(n))
    assert small.topology.getNumAtoms() == small.system.getNumParticles()
    before, after = (mm.positions[mm.ligand_atoms] for mm in (large, small))
    np.testing.assert_allclose(
        np.linalg.norm(after - after[0], axis=1), np.linalg.norm(before - before[0], axis=1),
        atol=1e-4, rtol=0,
    )  # fmt: skip
    for k in range(small.system.getNumConstraints()):
        i, j, length = small.system.getConstraintParameters(k)
        found = np.linalg.norm(small.positions[i] - small.positions[j])
        assert found == pytest.approx(length._value, abs=1e-5)
    oxygens = [
        next(residue.atoms()).index for residue in small.topology.residues() if is_water(residue)
    ]
    density = len(oxygens) / np.linalg.det(small.box_vectors)
    assert 29 < density < 34  # 33.4 waters per nm^3
    gaps = small.positions[oxygens][:, None] - after[None]
    gaps = np.linalg.norm(nearest_image(gaps, small.box_vectors), axis=-1)
    assert 0.2 < gaps.min() < 0.35
    apart = small.positions[oxygens][:, None] - small.positions[oxygens][None]
    apart = np.linalg.norm(nearest_image(apart, small.box_vectors), axis=-1)
    assert (
        np.sort(apart, axis=1)[:, 1].min() > 0.17
    )  # Modeller leaves such pairs at the faces of the box
    energy, _ = state_of(small.system, small.positions, small.box_vectors)
    assert np.isfinite(energy)


def test_box_that_needs_more_water_than_available_is_refused(large):
    with pytest.raises(ConfigError, match=r"needs \d+ waters, but the system has only \d+"):
        in_new_water(large, large.ligand_atoms, padding=1.2)


def test_vacuum_is_refused():
    case = charmm36_vacuum()
    mm = MMSystem(case.topology, case.positions, None, case.system, case.region)
    with pytest.raises(ForceFieldError, match="explicit water"):
        in_new_water(mm, case.region, padding=0.8)
