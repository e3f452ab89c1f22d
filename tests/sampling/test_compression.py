"""Compression of loose boxes: a liquid has its density, a gas is refused."""

from __future__ import annotations

import logging

import numpy as np
import openmm
import pytest
from openmm import app, unit

from nnpmm.core.errors import SimulationError
from nnpmm.sampling import Compression, compress_liquid, replace_box, require_liquid
from nnpmm.structures import create_liquid, molecule_from_smiles, parameterize, typical_density


def compressed(smiles: str, time: float, count: int) -> tuple[Compression, float]:
    molecule = molecule_from_smiles(smiles, seed=1)
    parameters = parameterize(molecule, provider="fallback")
    box = create_liquid(
        molecule, parameters, count, nonbonded_cutoff=0.7, hydrogen_mass=3.0, seed=1
    )
    barostat = openmm.MonteCarloBarostat(1 * unit.bar, 298.15, 25)
    barostat.setRandomNumberSeed(1)
    box.system.addForce(barostat)
    integrator = openmm.LangevinMiddleIntegrator(298.15, 1.0, 0.004)
    integrator.setRandomNumberSeed(1)
    platform = openmm.Platform.getPlatformByName("CPU")
    simulation = app.Simulation(box.topology, box.system, integrator, platform, {"Threads": "1"})
    simulation.context.setPositions(box.positions)
    typical = typical_density(molecule)
    return compress_liquid(simulation, time=time, typical=typical), typical


@pytest.mark.slow
def test_acetonitrile_reaches_its_density():
    """0.777 g/ml; the force field is within some per cent of it, a box of 50 fluctuates by 3 %."""
    found, typical = compressed("CC#N", 60.0, 50)
    require_liquid(found, typical=typical, temperature=298.15)
    assert found.densities[0] < 0.55
    assert found.density == pytest.approx(0.777, rel=0.1)
    assert found.motion[0] > 0.1  # nm^2: out of their cages


@pytest.mark.slow
def test_methane_is_not_liquid():
    found, typical = compressed("C", 60.0, 80)
    with pytest.raises(
        SimulationError, match=r"not liquid at 298\.15 K as built: found 0\.\d+ g/ml"
    ):
        require_liquid(found, typical=typical, temperature=298.15)


def test_drifting_density_is_refused():
    densities = np.concatenate([np.full(30, 0.6), np.full(30, 0.8), np.full(30, 0.85)])
    with pytest.raises(SimulationError, match=r"still changes: found 0\.800, then 0\.850"):
        require_liquid(Compression(densities, (1.0, 45.0)), typical=0.9, temperature=300)
    densities[60:] = 0.81
    require_liquid(Compression(densities, (1.0, 45.0)), typical=0.9, temperature=300)


def test_molecules_that_do_not_move_are_reported(caplog):
    liquid = np.full(90, 0.8)
    with caplog.at_level(logging.WARNING):
        require_liquid(Compression(liquid, (1.0, 45.0)), typical=0.9, temperature=300)
        assert not caplog.records
        require_liquid(Compression(liquid, (0.01, 45.0)), typical=0.9, temperature=300)
    assert "moved 0.10 nm in 45 ps" in caplog.text
    assert "solid or very viscous" in caplog.text


def test_replaced_box_is_set_in_system_and_topology():
    molecule = molecule_from_smiles("CC#N")
    parameters = parameterize(molecule, provider="fallback")
    old = create_liquid(molecule, parameters, 40, nonbonded_cutoff=0.6)
    new = replace_box(old, old.positions * 0.9, 0.9 * old.box_vectors)
    for vectors in (
        new.system.getDefaultPeriodicBoxVectors(),
        new.topology.getPeriodicBoxVectors(),
    ):
        found = [vector.value_in_unit(unit.nanometer) for vector in vectors]
        np.testing.assert_allclose(found, 0.9 * old.box_vectors, rtol=1e-12)
    kept = [vector._value for vector in old.system.getDefaultPeriodicBoxVectors()]
    np.testing.assert_allclose(kept, old.box_vectors, rtol=1e-12)
