"""Decoupling a region from its environment: the contract over force fields and input formats."""

from __future__ import annotations

import numpy as np
import openmm
import pytest
from cases import energy_and_forces, solvated_ligand
from contracts import assert_forces_match_energy_along
from force_fields import FORCE_FIELD_CASES
from reader_cases import READER_CASES, READER_PARAMETERS
from toy import TOY

from nnpmm import create_hybrid_system
from nnpmm.core.errors import ConfigError, ForceFieldError, RegionError
from nnpmm.coupling import LAMBDA_NNP, Interpolated, Mechanical
from nnpmm.freeenergy.alchemy import (
    LAMBDA_ELECTROSTATICS,
    LAMBDA_STERICS,
    AlchemicalState,
    decouple,
    decoupling_schedule,
    lambda_gradient,
)

IMPLICIT = {"GBn2", "OBC2", "GBSAOBCForce"}
ENERGY_TOLERANCE, FORCE_TOLERANCE = 1e-3, 1e-2  # kJ/mol, kJ/mol/nm
EWALD_TOLERANCE = 1e-6
CASES = [*(name for name in FORCE_FIELD_CASES if name not in IMPLICIT), *READER_PARAMETERS]


def exact_ewald(*systems):
    for system in systems:
        for force in system.getForces():
            if isinstance(force, openmm.NonbondedForce):
                force.setEwaldErrorTolerance(EWALD_TOLERANCE)


@pytest.fixture(scope="module", params=CASES)
def case(request, tmp_path_factory):
    if request.param in FORCE_FIELD_CASES:
        found = FORCE_FIELD_CASES[request.param]()
        exact_ewald(found.environment)
    else:
        found = READER_CASES[request.param](tmp_path_factory.mktemp("files"))
    exact_ewald(found.system)
    return found


@pytest.fixture(scope="module", params=["force field", "network"])
def whole(request, case) -> openmm.System:
    """The system before it is made alchemical."""
    if request.param == "force field":
        return case.system
    return create_hybrid_system(case.system, case.topology, case.region, TOY)


@pytest.fixture(scope="module")
def context(case, whole) -> openmm.Context:
    return case.context(decouple(whole, case.region))


def at(context, electrostatics, sterics, positions=None):
    """Energy (kJ/mol) and forces (n, 3) in kJ/mol/nm at an alchemical state."""
    for name, value in AlchemicalState(electrostatics, sterics).parameters.items():
        context.setParameter(name, value)
    if positions is not None:
        context.setPositions(positions)
        context.computeVirtualSites()
    return energy_and_forces(context)


def test_fully_coupled_state_equals_the_original_system(case, whole, context):
    energy, forces = case.state(whole)
    found, found_forces = at(context, 1, 1, case.positions)
    assert found == pytest.approx(energy, abs=ENERGY_TOLERANCE, rel=0)
    np.testing.assert_allclose(found_forces, forces, atol=FORCE_TOLERANCE, rtol=0)


def test_decoupled_state_is_the_sum_of_region_and_environment(case, whole, context):
    """The reference for the environment is a system built without the region."""
    if getattr(case, "environment", None) is None:
        pytest.skip("this case has no reference for the environment")
    box, rest = case.box, np.delete(np.arange(len(case.positions)), case.region)
    alone = openmm.Context(
        case.environment,
        openmm.VerletIntegrator(0.001),
        openmm.Platform.getPlatformByName("Reference"),
    )
    if box is not None:
        alone.setPeriodicBoxVectors(*box)
    alone.setPositions(case.positions[rest])
    environment, environment_forces = energy_and_forces(alone)
    if whole is case.system:
        inside, inside_forces = case.internal()
    else:
        inside, inside_forces = TOY.bind(case.numbers)(case.positions[case.region])
    energy, forces = at(context, 0, 0, case.positions)
    assert energy == pytest.approx(inside + environment, abs=ENERGY_TOLERANCE, rel=0)
    expected = np.empty_like(forces)
    expected[case.region], expected[rest] = inside_forces, environment_forces
    np.testing.assert_allclose(forces, expected, atol=FORCE_TOLERANCE, rtol=0)


def test_decoupled_energy_is_independent_of_the_place_of_the_region(case, context):
    """The environment has no effect on a decoupled region, even where atoms overlap."""
    energy, _ = at(context, 0, 0, case.positions)
    moved = case.positions.copy()
    moved[case.region] += [0.3, -0.2, 0.25]
    assert at(context, 0, 0, moved)[0] == pytest.approx(energy, abs=ENERGY_TOLERANCE, rel=0)
    at(context, 1, 1, case.positions)


def test_energies_of_overlapping_atoms_are_finite(case, context):
    """An atom of the environment is 0.001 nm from one of the region."""
    rest = np.delete(np.arange(len(case.positions)), case.region)
    moved = case.positions.copy()
    moved[case.region] += case.positions[rest[0]] - case.positions[case.region[0]]
    moved[case.region, 0] += 1e-3
    energies = [at(context, 0, sterics, moved)[0] for sterics in (0, 0.1, 0.5, 0.9)]
    assert np.isfinite(energies).all()
    # From 0 to 0.1, attraction by the other atoms may outweigh the repulsion of this pair.
    assert (np.diff(energies[1:]) > 0).all()
    at(context, 1, 1, case.positions)


@pytest.mark.parametrize("state", [(0.5, 1), (0, 0.5)])
def test_forces_are_the_negative_gradient(case, context, state):
    at(context, *state, case.positions)
    assert_forces_match_energy_along(
        lambda positions: at(context, *state, positions),
        case.positions,
        atoms=case.region,
        atol=0.1,
    )
    at(context, 1, 1, case.positions)


@pytest.mark.parametrize("state", [(1, 1), (0.4, 1), (0, 0.6), (0, 0.1)])
def test_lambda_gradients_match_finite_differences(case, context, state):
    at(context, *state, case.positions)
    gradient = lambda_gradient(context)
    step = 1e-4
    for name, value in zip((LAMBDA_ELECTROSTATICS, LAMBDA_STERICS), state, strict=True):
        energies = []
        for shift in (-step, step):
            context.setParameter(name, value + shift)
            energies.append(energy_and_forces(context)[0])
            context.setParameter(name, value)
        expected = (energies[1] - energies[0]) / (2 * step)
        assert gradient[name] == pytest.approx(expected, abs=0.05, rel=0)
    at(context, 1, 1, case.positions)


def test_long_range_correction_scales_with_the_volume():
    """With and without switching. A barostat needs the correct dependence on the volume."""
    case = solvated_ligand("CCO")
    (nonbonded,) = [f for f in case.system.getForces() if isinstance(f, openmm.NonbondedForce)]
    exact_ewald(case.system)
    for switch in (False, True):
        nonbonded.setUseSwitchingFunction(switch)
        nonbonded.setSwitchingDistance(0.55)
        contexts = [case.context(s) for s in (case.system, decouple(case.system, case.region))]
        for scale in (1, 1.05):
            energies = []
            for context in contexts:
                context.setPeriodicBoxVectors(*(case.box * scale))
                context.setPositions(case.positions * scale)
                energies.append(energy_and_forces(context)[0])
            assert energies[1] == pytest.approx(energies[0], abs=ENERGY_TOLERANCE, rel=0)


def test_interpolated_system_has_the_force_field_ladder_at_lambda_nnp_zero():
    """One system contains the ladders of both potentials."""
    case = solvated_ligand("CO")
    coupling = Mechanical(constraints="keep", inside=Interpolated())
    hybrid = create_hybrid_system(case.system, case.topology, case.region, TOY, coupling=coupling)
    context = case.context(decouple(hybrid, case.region))
    mm = case.context(decouple(case.system, case.region))
    context.setParameter(LAMBDA_NNP, 0.0)
    for state in decoupling_schedule((1, 0.5, 0), (0.5, 0)):
        values = (state.electrostatics, state.sterics)
        expected = at(mm, *values)[0]
        assert at(context, *values)[0] == pytest.approx(expected, abs=ENERGY_TOLERANCE, rel=0)


@pytest.mark.parametrize("name", sorted(IMPLICIT))
def test_implicit_solvent_is_refused(name):
    case = FORCE_FIELD_CASES[name]()
    with pytest.raises(ForceFieldError, match="cannot be decoupled; allowed: explicit solvent"):
        decouple(case.system, case.region)


def test_ljpme_is_refused():
    case = solvated_ligand("CO", openmm.NonbondedForce.LJPME)
    with pytest.raises(ForceFieldError, match=r"LJPME, .*use PME"):
        decouple(case.system, case.region)


def test_a_second_region_is_refused():
    case = solvated_ligand("CO")
    system = decouple(case.system, case.region)
    with pytest.raises(ForceFieldError, match="decouple both regions in one call"):
        decouple(system, [case.region.max() + k for k in (1, 2, 3)])


def test_a_region_that_cuts_bonds_is_refused():
    case = solvated_ligand("CO")
    with pytest.raises(RegionError, match="select whole molecules"):
        decouple(case.system, case.region[:-1])


def test_a_charged_region_is_refused_under_ewald_sums():
    case = solvated_ligand("CO")
    (nonbonded,) = [f for f in case.system.getForces() if isinstance(f, openmm.NonbondedForce)]
    atom = int(case.region[0])
    charge, *others = nonbonded.getParticleParameters(atom)
    nonbonded.setParticleParameters(atom, charge._value + 1, *others)
    with pytest.raises(RegionError, match=r"charge of \+1\.000 e; allowed: neutral"):
        decouple(case.system, case.region)


def test_input_system_is_not_changed():
    case = solvated_ligand("CO")
    before = openmm.XmlSerializer.serialize(case.system)
    decouple(case.system, case.region)
    assert openmm.XmlSerializer.serialize(case.system) == before


def test_charges_require_full_sterics():
    with pytest.raises(ConfigError, match="charges only where sterics is 1"):
        AlchemicalState(0.5, 0.5)
    with pytest.raises(ConfigError, match=r"found 1\.5, allowed: 0 to 1"):
        AlchemicalState(1.5, 1)


@pytest.mark.parametrize("values", [(1, 0.5), (0.5, 0), (1, 0.2, 0.5, 0), (1,)])
def test_schedules_must_decrease_from_one_to_zero(values):
    with pytest.raises(ConfigError, match="electrostatics: found"):
        decoupling_schedule(values)


def test_schedules_remove_charges_before_sterics():
    states = decoupling_schedule((1, 0), (0.5, 0))
    found = [(state.electrostatics, state.sterics) for state in states]
    assert found == [(1, 1), (0, 1), (0, 0.5), (0, 0)]
