"""Small ladders for tests: a few particles, and methane in a small box."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openmm
from numpy.typing import ArrayLike
from openmm import app

from nnpmm.sampling import ExchangeRecord, ExchangeSettings, ReplicaExchange, read_samples

TEMPERATURE, _TIMESTEP, _STEPS = 300.0, 0.02, 20

#: Settings of methane's solvation free energy with the force field.
METHANE = {
    "solute": {"smiles": "C", "parameters": "fallback"},  # fast, and the same in all processes
    "padding": "0.6 nm",
    "cutoff": "0.6 nm",
    "potentials": ["force field"],
    "platform": "CPU",
    "threads": 1,
    "ladder": {
        "electrostatics": [1, 0],
        "sterics": [0.6, 0.3, 0],
        "time": "2 ps",
        "interval": "0.1 ps",
        "equilibration": "1 ps",
        "state_equilibration": "0.1 ps",
    },
}


def argon(count: int) -> app.Topology:
    """Return the topology of argon atoms, each in a residue of its own."""
    topology = app.Topology()
    chain = topology.addChain()
    for _ in range(count):
        topology.addAtom("AR", app.element.argon, topology.addResidue("AR", chain))
    return topology


def sample(
    folder: Path,
    system: openmm.System,
    positions: ArrayLike,
    states: tuple[dict[str, float], ...],
    iterations: int,
) -> list[np.ndarray]:
    """Return the energies of a ladder: for each state, (iterations, states), kJ/mol."""
    settings = ExchangeSettings(
        states=states,
        temperature=TEMPERATURE,
        timestep=_TIMESTEP,
        steps=_STEPS,
        n_atoms=system.getNumParticles(),
        seed=3,
    )
    integrator = openmm.LangevinMiddleIntegrator(TEMPERATURE, 5.0, _TIMESTEP)
    integrator.setRandomNumberSeed(3)
    platform = openmm.Platform.getPlatformByName("Reference")
    simulation = app.Simulation(argon(system.getNumParticles()), system, integrator, platform)
    simulation.context.setPositions(positions)
    simulation.context.setVelocitiesToTemperature(TEMPERATURE, 3)
    sampler = ReplicaExchange(simulation, ExchangeRecord(folder, settings, resume=False))
    sampler.equilibrate(200)
    sampler.sample(iterations, checkpoint_every=iterations)
    return read_samples(folder).windows
