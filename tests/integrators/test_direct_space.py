"""The short range of the non-bonded forces: unchanged sum, and zero beyond its end."""

from __future__ import annotations

import copy

import numpy as np
import openmm
import pytest
from boxes import solvated, state_of, total_energies

from nnpmm.core.errors import ConfigError, ForceFieldError
from nnpmm.coupling import Role, role_of
from nnpmm.integrators import create_respa_integrator, split_time_scales
from nnpmm.integrators.direct_space import (
    split_direct_space,
)

METHODS = {
    "PME": openmm.NonbondedForce.PME,
    "Ewald": openmm.NonbondedForce.Ewald,
    "LJPME": openmm.NonbondedForce.LJPME,
    "reaction field": openmm.NonbondedForce.CutoffPeriodic,
    "cutoff": openmm.NonbondedForce.CutoffNonPeriodic,
}


@pytest.fixture(scope="module")
def box():
    """Butane in water: it has 1-4 pairs."""
    return solvated("CCCC", cutoff=0.8, constrained=True)


def with_method(box, method):
    system = copy.deepcopy(box.system)
    nonbonded(system).setNonbondedMethod(method)
    return system


def nonbonded(system):
    return next(f for f in system.getForces() if isinstance(f, openmm.NonbondedForce))


@pytest.mark.parametrize("method", METHODS)
def test_splitting_does_not_change_energy_and_forces(box, method):
    system = with_method(box, METHODS[method])
    energy, forces = state_of(system, box.positions)
    split_direct_space(system, 0.45, 0.6)
    found = state_of(system, box.positions)
    assert found[0] == pytest.approx(energy, abs=1e-3)
    np.testing.assert_allclose(found[1], forces, rtol=0, atol=1e-3)


def test_time_scales_add_up(box):
    system = with_method(box, openmm.NonbondedForce.PME)
    energy, forces = state_of(system, box.positions)
    splitting = split_time_scales(
        system, inner=0.0005, middle=0.002, outer=0.004, short_range=(0.45, 0.6)
    )
    parts = [state_of(system, box.positions, {group}) for _, group in splitting]
    assert len(parts) == 3
    assert sum(part for part, _ in parts) == pytest.approx(energy, abs=1e-3)
    np.testing.assert_allclose(sum(part for _, part in parts), forces, rtol=0, atol=1e-3)


def test_short_range_energy_of_a_pair():
    """Two ions have their full energy below the start, half midway, and none beyond the end."""
    system = openmm.System()
    force = openmm.NonbondedForce()
    force.setNonbondedMethod(openmm.NonbondedForce.CutoffNonPeriodic)
    force.setCutoffDistance(1.0)
    for charge, sigma in ((0.5, 0.2), (-0.4, 0.3)):
        system.addParticle(1.0)
        force.addParticle(charge, sigma, 0.6)
    system.addForce(force)
    split_direct_space(system, 0.5, 0.7)
    for each in system.getForces():
        each.setForceGroup(int(role_of(each) is Role.SHORT_RANGE))

    def plain(r):
        lennard_jones = 4 * 0.6 * ((0.25 / r) ** 12 - (0.25 / r) ** 6)
        return 138.93545764438198 * 0.5 * -0.4 / r + lennard_jones

    def short(r):
        return state_of(system, [[0, 0, 0], [r, 0, 0]], {1})[0]

    assert short(0.45) == pytest.approx(plain(0.45), rel=1e-6)
    assert short(0.6) == pytest.approx(0.5 * plain(0.6), rel=1e-6)  # half way
    assert short(0.71) == 0


def test_removing_the_negated_short_range_changes_the_energy(box):
    system = with_method(box, openmm.NonbondedForce.PME)
    energy, _ = state_of(system, box.positions)
    split_direct_space(system, 0.45, 0.6)
    names = [force.getName() for force in system.getForces()]
    system.removeForce(names.index(Role.NEGATED_SHORT_RANGE.value))
    assert abs(state_of(system, box.positions)[0] - energy) > 100


def test_energy_is_conserved_with_three_levels(box):
    system = with_method(box, openmm.NonbondedForce.PME)
    nonbonded(system).setUseSwitchingFunction(True)
    nonbonded(system).setSwitchingDistance(0.7)
    splitting = split_time_scales(
        system, inner=0.0005, middle=0.001, outer=0.002, short_range=(0.4, 0.55)
    )
    integrator = create_respa_integrator(system, splitting)
    energies, kinetic = total_energies(system, integrator, box.positions, 40)
    assert energies.std() < 0.01 * kinetic


@pytest.mark.parametrize(("start", "end"), [(0.0, 0.5), (0.6, 0.5), (0.5, 0.9)])
def test_invalid_distances_are_refused(box, start, end):
    system = copy.deepcopy(box.system)
    with pytest.raises(ConfigError, match=r"allowed: 0 < start < end <= 0.8 nm"):
        split_direct_space(system, start, end)


def test_systems_without_a_short_range_are_refused(box):
    with pytest.raises(ForceFieldError, match="needs exactly one, with a cutoff"):
        split_direct_space(with_method(box, openmm.NonbondedForce.NoCutoff), 0.4, 0.5)
    system = copy.deepcopy(box.system)
    nonbonded(system).addGlobalParameter("scale", 1.0)
    nonbonded(system).addParticleParameterOffset("scale", 0, 0.1, 0, 0)
    with pytest.raises(ForceFieldError, match="offsets"):
        split_direct_space(system, 0.4, 0.5)
    with pytest.raises(ConfigError, match="without a middle time step"):
        split_time_scales(
            copy.deepcopy(box.system), inner=0.001, outer=0.002, short_range=(0.4, 0.5)
        )
