"""Decoupling an AMOEBA region in two stages, of the force field and of hybrid systems."""

from __future__ import annotations

import copy

import numpy as np
import openmm
import pytest
from amoeba_systems import amoeba_case
from cases import energy_and_forces, solvated_ligand
from contracts import assert_forces_match_energy
from openmm import app, unit
from toy import TOY

from nnpmm import create_hybrid_system
from nnpmm.core.errors import ConfigError, ForceFieldError, RegionError
from nnpmm.coupling import LAMBDA_NNP, Interpolated, Subtractive
from nnpmm.freeenergy.alchemy import (
    AMOEBA_STERICS,
    LAMBDA_ELECTROSTATICS,
    decouple_amoeba,
    lambda_gradient,
)
from nnpmm.sampling import StateEnergies, separate_groups
from nnpmm.structures.amoeba_terms import shorten_amoeba_terms

TOLERANCE, FORCE_TOLERANCE = 1e-5, 1e-3  # kJ/mol, kJ/mol/nm, from the tolerance of induced dipoles
# A molecule with several polarization groups in a box, and fast cases.
CASES = {
    "glycine dipeptide": lambda: amoeba_case("glycine dipeptide", waters=4),
    "water": lambda: amoeba_case("water", waters=4),
    "water without cutoff": lambda: amoeba_case("water", app.NoCutoff, waters=4),
}
PARAMETERS = [
    ("glycine dipeptide", "network"),
    ("water", "force field"),
    ("water", "network"),
    ("water without cutoff", "force field"),
]


@pytest.fixture(scope="module", params=PARAMETERS, ids="-".join)
def both(request):
    """A case, and the system before it is made alchemical."""
    name, inside = request.param
    case = CASES[name]()
    if inside == "force field":
        return case, case.system
    hybrid = create_hybrid_system(
        case.system, case.topology, case.region, TOY, coupling=Subtractive()
    )
    return case, hybrid


@pytest.fixture(scope="module")
def case(both):
    return both[0]


@pytest.fixture(scope="module")
def whole(both):
    return both[1]


@pytest.fixture(scope="module")
def charging(case, whole):
    """A context of the stage that scales multipoles and polarization."""
    return case.context(decouple_amoeba(whole, case.region, "electrostatics"))


@pytest.fixture(scope="module")
def softening(case, whole):
    """A context of the stage with the soft core."""
    return case.context(decouple_amoeba(whole, case.region, "sterics"))


def at(context, name, value, positions):
    """Energy (kJ/mol) and forces (n, 3) in kJ/mol/nm at an alchemical state."""
    context.setParameter(name, value)
    context.setPositions(positions)
    return energy_and_forces(context)


def assert_same(found, expected):
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=FORCE_TOLERANCE)


def environment_atoms(case):
    return np.delete(np.arange(len(case.positions)), case.region)


def environment(case):
    """Energy and forces of the environment, from a system that OpenMM builds without the region."""
    modeller = app.Modeller(case.topology, case.positions * unit.nanometer)
    atoms = list(case.topology.atoms())
    modeller.delete([atoms[index] for index in case.region])
    options = {"nonbondedMethod": app.NoCutoff}
    if case.box is not None:
        options = {"nonbondedMethod": app.PME, "nonbondedCutoff": 0.7, "vdwCutoff": 0.8}
    system = app.ForceField("amoeba2018.xml").createSystem(
        modeller.topology,
        mutualInducedTargetEpsilon=1e-7,
        rigidWater=False,
        constraints=None,
        **options,
    )
    shorten_amoeba_terms(system)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    if case.box is not None:
        context.setPeriodicBoxVectors(*case.box)
    context.setPositions(case.positions[environment_atoms(case)])
    return energy_and_forces(context)


def test_fully_coupled_state_equals_the_original_system(case, whole, charging):
    assert_same(at(charging, LAMBDA_ELECTROSTATICS, 1, case.positions), case.state(whole))


def test_last_electrostatics_state_equals_first_sterics_state(case, charging, softening):
    off = at(charging, LAMBDA_ELECTROSTATICS, 0, case.positions)
    assert_same(off, at(softening, AMOEBA_STERICS, 1, case.positions))
    assert abs(off[0] - at(charging, LAMBDA_ELECTROSTATICS, 1, case.positions)[0]) > 1


def test_decoupled_state_is_the_sum_of_region_and_environment(case, whole, softening):
    inside = case.internal()
    if whole is not case.system:
        inside = TOY.bind(case.numbers)(case.whole_region)
    energy, outside = environment(case)
    forces = np.empty((len(case.positions), 3))
    forces[case.region], forces[environment_atoms(case)] = inside[1], outside
    assert_same(at(softening, AMOEBA_STERICS, 0, case.positions), (inside[0] + energy, forces))


def test_decoupled_energy_is_independent_of_the_place_of_the_region(case, softening):
    moved = case.positions.copy()
    moved[case.region] += [0.3, -0.2, 0.25]
    energies = [at(softening, AMOEBA_STERICS, 0, where)[0] for where in (case.positions, moved)]
    assert energies[1] == pytest.approx(energies[0], abs=TOLERANCE, rel=0)


def test_energies_of_overlapping_atoms_are_finite(case, softening):
    moved = case.positions.copy()
    moved[case.region] += (
        case.positions[environment_atoms(case)[0]] - case.positions[case.region[0]]
    )
    moved[case.region, 0] += 1e-3
    found = [at(softening, AMOEBA_STERICS, value, moved) for value in (0, 0.1, 0.5, 0.9)]
    assert all(np.isfinite(forces).all() for _, forces in found)
    energies = np.array([energy for energy, _ in found])
    assert (np.diff(energies[1:]) > 0).all()
    assert energies.max() - energies.min() < 1e6


def test_full_multipoles_diverge_where_atoms_overlap():
    """Therefore the second stage, in which atoms may overlap, has no multipoles."""
    case = amoeba_case("water", app.NoCutoff, waters=4)
    moved = case.positions.copy()
    moved[case.region] += (
        case.positions[environment_atoms(case)[0]] - case.positions[case.region[0]]
    )
    moved[case.region, 0] += 1e-3
    assert abs(case.state(case.system, moved)[0]) > 1e9


@pytest.mark.parametrize("stage", [0, 1], ids=["electrostatics", "sterics"])
def test_forces_are_the_negative_gradient(stage, case, charging, softening):
    context, name = ((charging, LAMBDA_ELECTROSTATICS), (softening, AMOEBA_STERICS))[stage]
    atoms = np.array([case.region[0], len(case.region)])
    assert_forces_match_energy(
        lambda positions: at(context, name, 0.6, positions),
        case.positions,
        atoms=atoms,
        step=1e-5,
        atol=0.2 if case.box is not None else 0.05,
    )


def test_electrostatics_gradient_matches_finite_differences(case, charging):
    """The energy is linear in the parameter, so finite differences are exact."""
    ends = [at(charging, LAMBDA_ELECTROSTATICS, x, case.positions)[0] for x in (0.59, 0.61)]
    charging.setParameter(LAMBDA_ELECTROSTATICS, 0.6)
    slope = (ends[1] - ends[0]) / 0.02
    found = lambda_gradient(charging)
    assert found == {LAMBDA_ELECTROSTATICS: pytest.approx(slope, abs=1e-4, rel=0)}
    assert charging.getParameter(LAMBDA_ELECTROSTATICS) == 0.6


def test_gradient_of_the_soft_core_is_refused(softening):
    with pytest.raises(ForceFieldError, match="gives no derivative"):
        lambda_gradient(softening)


@pytest.mark.parametrize(
    ("stage", "name"), [("electrostatics", LAMBDA_ELECTROSTATICS), ("sterics", AMOEBA_STERICS)]
)
def test_state_energies_match_single_evaluations(stage, name):
    """Energies by force group, as replica exchange evaluates them, also for lambda_nnp."""
    case = amoeba_case("water", waters=4)
    hybrid = create_hybrid_system(
        case.system, case.topology, case.region, TOY, coupling=Subtractive(inside=Interpolated())
    )
    system = decouple_amoeba(hybrid, case.region, stage)
    states = [{name: x, LAMBDA_NNP: w} for x, w in ((1, 1), (1, 0), (0.5, 0), (0, 0), (0, 1))]
    separate_groups(system, states[0])
    context = case.context(system)
    found = StateEnergies(context, states).evaluate()
    expected = []
    for state in states:
        for parameter, value in state.items():
            context.setParameter(parameter, value)
        expected.append(energy_and_forces(context)[0])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
    assert np.ptp(expected) > 1


def test_dispersion_correction_is_scaled_with_the_sterics():
    """In the decoupled state, the correction is that of the environment alone."""
    case = amoeba_case("water", waters=4)
    found = {}
    for used in (True, False):
        system = copy.deepcopy(case.system)
        (sterics,) = [f for f in system.getForces() if isinstance(f, openmm.AmoebaVdwForce)]
        sterics.setUseDispersionCorrection(used)
        context = case.context(decouple_amoeba(system, case.region, "sterics"))
        found[used] = [at(context, AMOEBA_STERICS, x, case.positions)[0] for x in (1, 0)]
    whole, decoupled = np.subtract(found[True], found[False])
    # All molecules are equal, and the number of interacting ones decreases from 5 to 4.
    np.testing.assert_allclose(decoupled / whole, (4 / 5) ** 2, rtol=0, atol=1e-6)


def test_xml_round_trip_and_unchanged_input():
    case = amoeba_case("water", waters=4)
    before = openmm.XmlSerializer.serialize(case.system)
    system = decouple_amoeba(case.system, case.region, "electrostatics")
    assert openmm.XmlSerializer.serialize(case.system) == before
    again = openmm.XmlSerializer.deserialize(openmm.XmlSerializer.serialize(system))
    assert_same(case.state(again), case.state(system))


def test_energy_is_independent_of_the_periodic_image():
    case = amoeba_case("water", waters=4)
    context = case.context(decouple_amoeba(case.system, case.region, "electrostatics"))
    expected = at(context, LAMBDA_ELECTROSTATICS, 0.5, case.positions)
    moved = case.positions.copy()
    moved[case.region] += case.box[0] - case.box[2]
    assert_same(at(context, LAMBDA_ELECTROSTATICS, 0.5, moved), expected)


def test_unsupported_systems_are_refused():
    case = amoeba_case("water", waters=4)
    with pytest.raises(ConfigError, match="found the stage 'all'"):
        decouple_amoeba(case.system, case.region, "all")
    with pytest.raises(RegionError, match="select whole molecules"):
        decouple_amoeba(case.system, case.region[:2], "sterics")
    for stage in ("electrostatics", "sterics"):
        system = decouple_amoeba(case.system, case.region, stage)
        with pytest.raises(ForceFieldError, match="decoupled region"):
            decouple_amoeba(system, case.region + 3, stage)
    fixed = solvated_ligand()
    with pytest.raises(ForceFieldError, match="found a NonbondedForce together with AMOEBA"):
        decouple_amoeba(fixed.system, fixed.region, "sterics")
    charged = amoeba_case("alaninium amide")
    with pytest.raises(RegionError, match=r"a charge of \+1.000 e; allowed with AMOEBA: neutral"):
        decouple_amoeba(charged.system, charged.region, "sterics")
