"""The coupling's contract over force fields and input formats, with a toy potential.

V_hybrid(all) - [V_MM(all) - V_MM(region, internal) + V_NNP(region)] = 0, where the
internal energy of the region is that of an independent system of the region alone.
"""

from __future__ import annotations

import numpy as np
import openmm
import pytest
from cases import compute_in, energy_and_forces
from contracts import assert_forces_match_energy, assert_invariant
from force_fields import FORCE_FIELD_CASES, ForceFieldCase
from reader_cases import READER_CASES, READER_PARAMETERS
from toy import TOY

from nnpmm import create_hybrid_system, load_model
from nnpmm.coupling import LAMBDA_NNP, Interpolated, Mechanical, Subtractive, nnp_derivative

ENERGY_TOLERANCE = 0.01
# All pairs inside the regions are within the cutoff of 1 nm. The tests reduce the error of the
# Ewald sum.
EWALD_TOLERANCE = 1e-6


@pytest.fixture(scope="module", params=[*FORCE_FIELD_CASES, *READER_PARAMETERS])
def case(request, tmp_path_factory) -> ForceFieldCase:
    if request.param in FORCE_FIELD_CASES:
        found = FORCE_FIELD_CASES[request.param]()
    else:
        found = READER_CASES[request.param](tmp_path_factory.mktemp("files"))
    for force in found.system.getForces():
        if isinstance(force, openmm.NonbondedForce):
            force.setEwaldErrorTolerance(EWALD_TOLERANCE)
    return found


@pytest.fixture(scope="module")
def network(case) -> float:
    return TOY.bind(case.numbers)(case.positions[case.region])[0]


@pytest.fixture(scope="module")
def mm(case):
    return case.state(case.system)


@pytest.fixture(scope="module")
def hybrid(case) -> openmm.System:
    return create_hybrid_system(case.system, case.topology, case.region, TOY)


@pytest.fixture(scope="module")
def interpolated(case) -> openmm.Context:
    coupling = Mechanical(inside=Interpolated())
    system = create_hybrid_system(case.system, case.topology, case.region, TOY, coupling=coupling)
    return case.context(system)


def test_energy_is_mm_minus_internal_plus_network(case, hybrid, mm, network):
    expected = mm[0] - case.internal()[0] + network
    np.testing.assert_allclose(case.state(hybrid)[0], expected, rtol=0, atol=ENERGY_TOLERANCE)


def test_forces_are_mm_minus_internal_plus_network(case, hybrid, mm):
    expected = mm[1].copy()
    inside = TOY.bind(case.numbers)(case.positions[case.region])[1]
    expected[case.region] += inside - case.internal()[1]
    np.testing.assert_allclose(case.state(hybrid)[1], expected, rtol=0, atol=0.05)


def test_forces_are_the_gradient(case, interpolated):
    compute = compute_in(interpolated)
    interpolated.setParameter(LAMBDA_NNP, 0.4)
    outside = np.setdiff1d(np.arange(len(case.positions)), case.region)
    atoms = np.array([*case.region[:2], outside[0]])
    assert_forces_match_energy(compute, case.positions, atoms=atoms, step=2e-5, atol=0.5)


def test_molecules_of_the_hybrid_system_are_those_of_the_mm_system(case, hybrid):
    found = openmm.Context(hybrid, openmm.VerletIntegrator(0.001)).getMolecules()
    expected = openmm.Context(case.system, openmm.VerletIntegrator(0.001)).getMolecules()
    assert sorted(map(sorted, found)) == sorted(map(sorted, expected))


def test_invariance(case, hybrid):
    if case.box is not None:
        pytest.skip("a periodic box is not invariant to rotation")
    context = case.context(hybrid)
    compute = compute_in(context)
    assert_invariant(compute, case.positions, atol=1e-3)


def test_interpolation_is_linear_between_mm_and_hybrid_system(case, interpolated, hybrid, mm):
    interpolated.setPositions(case.positions)
    ends = {0.0: mm, 1.0: case.state(hybrid)}
    for value, (energy, forces) in ends.items():
        interpolated.setParameter(LAMBDA_NNP, value)
        found = energy_and_forces(interpolated)
        np.testing.assert_allclose(found[0], energy, rtol=0, atol=ENERGY_TOLERANCE)
        np.testing.assert_allclose(found[1], forces, rtol=0, atol=0.1)
    for value in (0.25, 0.7):
        interpolated.setParameter(LAMBDA_NNP, value)
        linear = (1 - value) * ends[0.0][0] + value * ends[1.0][0]
        found = energy_and_forces(interpolated)[0]
        np.testing.assert_allclose(found, linear, rtol=0, atol=ENERGY_TOLERANCE)
        slope = ends[1.0][0] - ends[0.0][0]
        np.testing.assert_allclose(nnp_derivative(interpolated), slope, rtol=0, atol=0.02)
        assert interpolated.getParameter(LAMBDA_NNP) == value


def test_energy_equals_that_of_openmm_ml(case):
    """openmm-ml's own mixing, with the same network."""
    openmmml = pytest.importorskip("openmmml")
    elements = [atom.element for atom in case.topology.atoms()]
    if None in elements:
        pytest.skip("openmm-ml 1.8 cannot read a topology with virtual sites")
    choices = {"members": [0], "precision": "double"}
    model = load_model("ANI-1x", **choices)
    if {elements[i].symbol for i in case.region} - set(model.elements):
        pytest.skip("the region contains elements that ANI-1x does not know")
    potential = openmmml.MLPotential("nnpmm-ani1x", **choices)
    mixed = potential.createMixedSystem(case.topology, case.system, case.region.tolist())
    own = create_hybrid_system(case.system, case.topology, case.region, model)
    found, expected = case.state(own)[0], case.state(mixed)[0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=ENERGY_TOLERANCE)


def test_subtraction_equals_mechanical_embedding(case, hybrid):
    """Under PME, both keep the interaction of the region with its images."""
    coupling = Subtractive()
    other = create_hybrid_system(case.system, case.topology, case.region, TOY, coupling=coupling)
    found, expected = case.state(other), case.state(hybrid)
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=1e-6)
    np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=1e-5)
