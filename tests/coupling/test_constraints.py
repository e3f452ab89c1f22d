"""Constraints inside the region."""

from __future__ import annotations

import copy

import numpy as np
import openmm
import pytest
from cases import energy_and_forces, solvated_ligand
from toy import TOY

from nnpmm import create_hybrid_system, load_model
from nnpmm.core.errors import ConfigError, SimulationError
from nnpmm.coupling import Mechanical, apply_constraint_lengths
from nnpmm.models import FunctionModel


@pytest.fixture(scope="module")
def case():
    return solvated_ligand("CCO")


def constraints(system, region):
    found = [system.getConstraintParameters(i) for i in range(system.getNumConstraints())]
    members = set(region.tolist())
    return {(i, j): length._value for i, j, length in found if i in members and j in members}


def coupled(case, system, choice):
    coupling = Mechanical(constraints=choice)
    return create_hybrid_system(system, case.topology, case.region, TOY, coupling=coupling)


def test_bonds_to_hydrogen_are_kept_at_their_lengths(case):
    before = constraints(case.system, case.region)
    assert len(before) == 6
    assert constraints(coupled(case, case.system, "keep"), case.region) == before
    assert constraints(coupled(case, case.system, "none"), case.region) == {}


def test_other_constraints_are_released(case):
    """C-C, C-O and the H-H distances of constrained angles."""
    system = copy.deepcopy(case.system)
    symbols = [atom.element.symbol for atom in case.topology.atoms()]
    heavy = [i for i in case.region.tolist() if symbols[i] != "H"]
    hydrogens = [i for i in case.region.tolist() if symbols[i] == "H"]
    system.addConstraint(heavy[0], heavy[1], 0.15)
    system.addConstraint(hydrogens[0], hydrogens[1], 0.18)
    kept = constraints(coupled(case, system, "keep"), case.region)
    assert kept == constraints(case.system, case.region)


def test_energy_does_not_depend_on_constraints(case):
    kept, released = (case.context(coupled(case, case.system, c)) for c in ("keep", "none"))
    np.testing.assert_allclose(
        energy_and_forces(kept)[0], energy_and_forces(released)[0], rtol=0, atol=1e-9
    )


def test_unknown_choice_of_constraints_is_refused():
    with pytest.raises(ConfigError, match="found constraints='hbonds', allowed: 'none', 'keep'"):
        Mechanical(constraints="hbonds")


def test_constraints_of_the_environment_are_kept(case):
    outside = np.setdiff1d(np.arange(case.system.getNumParticles()), case.region)
    expected = constraints(case.system, outside)
    assert expected and constraints(coupled(case, case.system, "keep"), outside) == expected


def test_dynamics_satisfies_the_constraints(case):
    system = coupled(case, case.system, "keep")
    platform = openmm.Platform.getPlatformByName("Reference")
    integrator = openmm.LangevinMiddleIntegrator(300, 1, 0.001)
    integrator.setRandomNumberSeed(1)
    context = openmm.Context(system, integrator, platform)
    context.setPeriodicBoxVectors(*case.box)
    context.setPositions(case.positions)
    context.applyConstraints(1e-8)
    context.getIntegrator().step(5)
    x = context.getState(positions=True).getPositions(asNumpy=True)._value
    for (i, j), length in constraints(system, case.region).items():
        np.testing.assert_allclose(np.linalg.norm(x[i] - x[j]), length, rtol=0, atol=1e-5)


def test_constraint_lengths_are_those_of_the_network_minimum(case):
    """Only constraints inside the region change, in the copy of the system."""
    system = copy.deepcopy(case.system)
    before = constraints(case.system, case.region)
    apply_constraint_lengths(system, case.topology, case.region, TOY, case.positions)
    after = constraints(coupled(case, system, "keep"), case.region)
    assert before.keys() == after.keys()
    x = network_minimum(case)
    row = {int(atom): number for number, atom in enumerate(case.region)}
    for (i, j), length in after.items():
        np.testing.assert_allclose(length, np.linalg.norm(x[row[i]] - x[row[j]]), rtol=0, atol=1e-3)
    assert max(abs(after[pair] - before[pair]) for pair in after) > 1e-3
    outside = np.setdiff1d(np.arange(system.getNumParticles()), case.region)
    assert constraints(system, outside) == constraints(case.system, outside)


def network_minimum(case):
    """Positions (n, 3) at the network's minimum, by plain steepest descent with momentum."""
    evaluator, x = TOY.bind(case.numbers), case.whole_region.copy()
    velocity = np.zeros_like(x)
    for _ in range(20_000):
        velocity = 0.95 * velocity + 1e-7 * evaluator(x)[1]
        x += velocity
    assert (
        np.abs(evaluator(x)[1]).max() < 5
    )  # kJ/mol/nm: 1e-5 nm with bonds of some 4e5 kJ/mol/nm^2
    return x


def test_constraint_lengths_of_ani():
    """ANI's C-H and O-H bonds in methanol, between the accepted 0.094 and 0.111 nm."""
    case = solvated_ligand("CO")
    system = copy.deepcopy(case.system)
    model = load_model("ANI-1x", 0, backend="reference", precision="double")
    apply_constraint_lengths(system, case.topology, case.region, model, case.positions)
    lengths = np.array(list(constraints(system, case.region).values()))
    assert len(lengths) == 4
    assert 0.094 < lengths.min() < 0.099 < 0.108 < lengths.max() < 0.111


def test_failed_relaxation_of_constraint_lengths_is_an_error(case):
    def endless(positions, numbers, charge):
        return -1e3 * positions.sum(), np.full_like(positions, 1e3)

    with pytest.raises(SimulationError, match=r"a force of 1\.73e\+03 kJ/mol/nm is left"):
        apply_constraint_lengths(
            case.system, case.topology, case.region, FunctionModel(endless), case.positions
        )
