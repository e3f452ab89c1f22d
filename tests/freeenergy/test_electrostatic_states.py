"""Electrostatic embedding in alchemical states and in a solvation free energy's settings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import openmm
import pytest
from cases import Case, compute_in, energy_and_forces, solvated_ligand
from contracts import assert_forces_match_energy
from toy import TOY

from nnpmm import create_hybrid_system
from nnpmm.core.errors import RegionError
from nnpmm.coupling import LAMBDA_NNP, Electrostatic, Interpolated, Role, groups_by_role
from nnpmm.coupling.electrostatic import embedding_energy
from nnpmm.freeenergy.alchemy import (
    LAMBDA_ELECTROSTATICS,
    LAMBDA_STERICS,
    decouple,
    lambda_gradient,
)

CUTOFF = 0.7


@dataclass
class Stretched:
    """Charges of which 3 e/nm move from the first to the second atom as their bond gets longer."""

    start: np.ndarray

    def __call__(self, positions):
        bond = positions[1] - positions[0]
        length = np.linalg.norm(bond)
        flow = np.zeros(len(positions))
        flow[:2] = -1.0, 1.0

        def pull_back(weights):
            gradient = np.zeros_like(positions)
            gradient[1] = 3.0 * (weights @ flow) * bond / length
            gradient[0] = -gradient[1]
            return gradient

        return self.start + 3.0 * (length - 0.1) * flow, pull_back


@pytest.fixture(scope="module")
def case() -> Case:
    return solvated_ligand("CO")


def embedded(case: Case, **arguments) -> openmm.System:
    (force,) = [f for f in case.system.getForces() if isinstance(f, openmm.NonbondedForce)]
    start = np.array([force.getParticleParameters(int(i))[0]._value for i in case.region])
    coupling = Electrostatic(Stretched(start), cutoff=CUTOFF, **arguments)
    return create_hybrid_system(case.system, case.topology, case.region, TOY, coupling=coupling)


def test_fully_coupled_state_equals_the_original_system(case):
    found, expected = case.state(decouple(embedded(case), case.region)), case.state(embedded(case))
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=1e-3)
    np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=1e-2)


def test_decoupled_region_does_not_interact_with_the_charges(case):
    """Without charges, the energy of the network's force group does not depend on the position."""
    hybrid = decouple(embedded(case), case.region)
    context = case.context(hybrid)
    context.setParameter(LAMBDA_ELECTROSTATICS, 0.0)
    energy, forces = energy_and_forces(context, groups_by_role(hybrid)[Role.NETWORK])
    expected = TOY.bind(case.numbers)(case.whole_region)
    np.testing.assert_allclose(energy, expected[0], rtol=0, atol=1e-9)
    np.testing.assert_allclose(forces[case.region], expected[1], rtol=0, atol=1e-9)
    np.testing.assert_array_equal(np.delete(forces, case.region, axis=0), 0)


def test_embedding_energy_is_linear_in_lambda_electrostatics(case):
    full = embedding_energy(case.context(embedded(case)))
    assert abs(full) > 1
    context = case.context(decouple(embedded(case), case.region))
    for value in (1.0, 0.3):
        context.setParameter(LAMBDA_ELECTROSTATICS, value)
        np.testing.assert_allclose(embedding_energy(context), value * full, rtol=0, atol=1e-6)


def test_electrostatics_gradient_matches_finite_differences(case):
    context = case.context(decouple(embedded(case), case.region))
    context.setParameter(LAMBDA_ELECTROSTATICS, 0.4)
    found = lambda_gradient(context)[LAMBDA_ELECTROSTATICS]
    ends = []
    for value in (0.39, 0.41):
        context.setParameter(LAMBDA_ELECTROSTATICS, value)
        ends.append(energy_and_forces(context)[0])
    np.testing.assert_allclose(found, (ends[1] - ends[0]) / 0.02, rtol=0, atol=0.01)
    assert context.getParameter(LAMBDA_STERICS) == 1


def test_forces_at_an_intermediate_state_are_the_negative_gradient(case):
    hybrid = decouple(embedded(case), case.region)
    context = case.context(hybrid)
    context.setParameter(LAMBDA_ELECTROSTATICS, 0.5)
    group = groups_by_role(hybrid)[Role.NETWORK]
    compute = compute_in(context, group)
    atoms = np.array([0, 1, case.region[-1] + 1])
    assert_forces_match_energy(compute, case.positions, atoms=atoms, step=2e-5, atol=1e-3)


def test_interpolated_system_has_the_force_field_ladder_at_lambda_nnp_zero(case):
    """At lambda_nnp = 0 the energy is that of the force field for all charge factors."""
    hybrid = decouple(embedded(case, constraints="keep", inside=Interpolated()), case.region)
    plain = decouple(case.system, case.region)
    for value in (1.0, 0.5):
        energies = []
        for system in (hybrid, plain):
            context = case.context(system)
            context.setParameter(LAMBDA_ELECTROSTATICS, value)
            if system is hybrid:
                context.setParameter(LAMBDA_NNP, 0.0)
            energies.append(energy_and_forces(context)[0])
        np.testing.assert_allclose(energies[0], energies[1], rtol=0, atol=0.01)


def test_decoupling_part_of_the_environment_is_refused(case):
    water = np.arange(case.region[-1] + 1, case.region[-1] + 4)
    with pytest.raises(RegionError, match="allowed with electrostatic embedding"):
        decouple(embedded(case), water)
