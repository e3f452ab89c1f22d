"""Minimisation: number of iterations, result against OpenMM, surroundings first."""

from __future__ import annotations

import numpy as np
import openmm
import pytest
import toys
from toys import prepared_water

from nnpmm.core.interrupts import StopFlag
from nnpmm.simulation import MinimizeConfig
from nnpmm.simulation.stages.minimization import minimize
from nnpmm.simulation.stages.progress import progress_display


def turned_water():
    """Water on a grid, every other molecule rotated by 90 degrees, far from a minimum."""
    prepared = prepared_water(periodic=True, per_edge=3)
    molecules = prepared.mm.positions.reshape(-1, 3, 3).copy()
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    molecules[::2] = (molecules[::2] - molecules[::2, :1]) @ turn + molecules[::2, :1]
    context = openmm.Context(
        prepared.hybrid.system,
        openmm.VerletIntegrator(0.001),
        openmm.Platform.getPlatformByName("Reference"),
    )
    context.setPositions(molecules.reshape(-1, 3))
    return context


def energy_of(context):
    return context.getState(energy=True).getPotentialEnergy()._value


def test_minimisation_lowers_the_energy_within_its_iterations():
    """More iterations reach lower energies, and constraints are satisfied."""
    energies = [energy_of(turned_water())]
    for bound in (5, 20, 100, 400):
        context, seen = turned_water(), []

        class Display:
            def update(self, status, seen=seen):
                seen.append(status.done)

        minimize(
            context, MinimizeConfig(max_iterations=bound, tolerance=1.0), Display(), StopFlag()
        )
        energies.append(energy_of(context))
        assert seen[-1] <= bound
        positions = context.getState(positions=True).getPositions(asNumpy=True)._value
        for k in range(context.getSystem().getNumConstraints()):
            i, j, length = context.getSystem().getConstraintParameters(k)
            found = np.linalg.norm(positions[i] - positions[j])
            assert found == pytest.approx(length._value, rel=1e-5)
    assert (np.diff(energies) < 0).all()


def test_minimisation_reaches_the_energy_of_openmm():
    found, expected = turned_water(), turned_water()
    settings = MinimizeConfig(max_iterations=2000, tolerance=1.0)
    with progress_display(False) as display:
        minimize(found, settings, display, StopFlag())
    openmm.LocalEnergyMinimizer.minimize(expected, 1.0, 2000)
    # The two minima can differ, so allow 5 % of the decrease in energy.
    gained = energy_of(turned_water()) - energy_of(expected)
    assert energy_of(found) < energy_of(expected) + 0.05 * gained


def test_surroundings_are_relaxed_without_the_network(monkeypatch):
    """A water overlaps with the region. Half of the iterations do not evaluate the network."""
    prepared = prepared_water(periodic=True, per_edge=3)
    positions = np.array(prepared.mm.positions)
    positions[3:6] += positions[0] + (0.0, 0.0, 0.15) - positions[3]
    calls, energies, call = [], [], toys.SpringEvaluator._evaluate

    def counted(self, x, box):
        calls.append(x)
        return call(self, x, box)

    monkeypatch.setattr(toys.SpringEvaluator, "_evaluate", counted)
    counts = []
    for region in (prepared.hybrid.region.atoms, ()):
        context = openmm.Context(prepared.hybrid.system, openmm.VerletIntegrator(0.001))
        context.setPositions(positions)
        calls.clear()
        with progress_display(False) as display:
            settings = MinimizeConfig(max_iterations=60, tolerance=1e-6)
            minimize(context, settings, display, StopFlag(), region)
        counts.append(len(calls))
        energies.append(energy_of(context))
    assert counts[0] < 0.7 * counts[1]
    assert max(energies) < -250  # the minima can differ; the initial energy is far above zero


def test_signal_ends_a_minimisation():
    prepared = prepared_water(periodic=True, per_edge=3)
    context = openmm.Context(prepared.hybrid.system, openmm.VerletIntegrator(0.001))
    context.setPositions(prepared.mm.positions)
    stop, seen = StopFlag(), []

    class Display:
        def update(self, status):
            seen.append(status)
            stop.signal_number = 15

    minimize(context, MinimizeConfig(max_iterations=10_000, tolerance=1e-9), Display(), stop)
    assert seen[-1].done == 1
