"""Electrostatic embedding with the charges that a network predicts, AIMNet2's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import openmm
import pytest
from cases import Case, compute_in, energy_and_forces, solvated_ligand
from conftest import load_aimnet
from contracts import assert_forces_match_energy
from openmm import XmlSerializer

from nnpmm.coupling import (
    LAMBDA_EMBEDDING,
    Electrostatic,
    MultipleTimeSteps,
    Role,
    couple,
    groups_by_role,
)
from nnpmm.coupling.electrostatic.reference import reference_energy
from nnpmm.models.charges import evaluate_in_potential, network_charges
from nnpmm.models.protocol import last_energies

CUTOFF = 0.7


@pytest.fixture(scope="module")
def model():
    return load_aimnet(members=0, precision="double")


@pytest.fixture(scope="module", params=["CO", "C[NH3+]"])
def case(request) -> Case:
    return solvated_ligand(request.param)


def hybrid_of(case, model, **arguments):
    coupling = Electrostatic("network", cutoff=CUTOFF, **arguments)
    return couple(case.system, case.topology, case.region, model, coupling=coupling)


def charges_of(system: openmm.System) -> np.ndarray:
    (force,) = [f for f in system.getForces() if isinstance(f, openmm.NonbondedForce)]
    return np.array(
        [force.getParticleParameters(i)[0]._value for i in range(force.getNumParticles())]
    )


def test_embedding_energy_matches_the_double_sum_of_network_charges(case, model):
    hybrid = hybrid_of(case, model)
    fixed = charges_of(case.system)
    predicted = hybrid.evaluator.charges(case.whole_region)
    np.testing.assert_allclose(predicted.sum(), round(fixed[case.region].sum()), rtol=0, atol=1e-4)
    others = np.setdiff1d(np.arange(len(fixed)), case.region)
    expected = reference_energy(
        *(case.whole_region, predicted - fixed[case.region]),
        *(case.positions[others], fixed[others]),
        cutoff=CUTOFF,
        box=case.box,
    )
    context = case.context(hybrid.system)
    full = energy_and_forces(context)[0]
    context.setParameter(LAMBDA_EMBEDDING, 0.0)
    assert abs(expected) > 0.5
    np.testing.assert_allclose(full - energy_and_forces(context)[0], expected, rtol=0, atol=1e-4)


def test_forces_are_the_gradient(case, model):
    hybrid = hybrid_of(case, model)
    context = case.context(hybrid.system)
    group = hybrid.groups[Role.NETWORK]
    compute = compute_in(context, group)
    first_water = int(case.region[-1]) + 1
    atoms = np.array([*case.region[:3], first_water])
    assert_forces_match_energy(compute, case.positions, atoms=atoms, step=2e-5, atol=0.01)


def test_multiple_time_steps_do_not_change_the_energy(case, model):
    whole = hybrid_of(case, model, constraints="keep").system
    split = hybrid_of(case, model, constraints="keep", inside=MultipleTimeSteps()).system
    found, expected = case.state(split), case.state(whole)
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=1e-3)
    np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=1e-2)
    assert (
        groups_by_role(split)[Role.NETWORK] != groups_by_role(split)[Role.NEGATED_INNER_POTENTIAL]
    )


def test_system_round_trips_through_xml(case, model):
    hybrid = hybrid_of(case, replace(model, precision="single"))
    text = XmlSerializer.serialize(hybrid.system)
    assert len(text) < 5_000_000  # without the weights
    again = XmlSerializer.deserialize(text)
    np.testing.assert_allclose(
        case.state(again)[0], case.state(hybrid.system)[0], rtol=0, atol=1e-6
    )


def test_joint_evaluation_matches_separate_evaluations(case, model):
    positions = case.whole_region
    charge = round(charges_of(case.system)[case.region].sum())
    evaluator = model.bind(case.numbers, charge)
    potentials = np.random.default_rng(1).normal(0, 100, len(positions))
    together = evaluate_in_potential(evaluator, positions, potentials)
    kept = last_energies(evaluator, positions)  # as the log of a run reads it
    assert kept.energy == together.energy
    np.testing.assert_allclose(
        kept.member_energies, evaluator.member_energies(positions), rtol=0, atol=1e-6
    )
    energy, forces = evaluator(positions)
    charges = network_charges(evaluator)(positions)
    none = np.zeros(0)
    expected = forces - charges.pull_back(potentials, none, none)
    assert together.energy == pytest.approx(energy, rel=0, abs=1e-6)
    np.testing.assert_allclose(together.forces, expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(together.charges, charges.total, rtol=0, atol=1e-9)
    assert np.abs(expected - forces).max() > 1  # the potentials have an effect
