"""Compare NNP/MM at 4 fs (hydrogens of 3 amu, constraints kept) with 0.5 fs without constraints.

The system is toluene in a small box of water with one ANI-2x network. The script compares averages,
with errors from the statistical inefficiency: the temperature of region and water, the network
energy, and C-C bond lengths. Both runs sample the same configurations except for the constrained
bonds, whose vibrations are missing from the network energy. The network energy is therefore
compared with a third run at 1 fs with the same constraints. The script prints a table and writes
results/long_steps.json.
Usage: python benchmarks/long_steps.py [--ps 60]
"""

from __future__ import annotations

import argparse
import copy
import logging
from typing import Literal

import numpy as np
import openmm
from common import mean_with_error, write_results
from numpy.typing import NDArray
from openmm import app, unit

import nnpmm
from nnpmm.core.constants import GAS_CONSTANT
from nnpmm.coupling import Mechanical, Role, role_of
from nnpmm.integrators import apply_hydrogen_mass, longest_timestep
from nnpmm.structures import molecule_from_smiles, parameterize, solvate

TEMPERATURE, FRICTION, SAMPLE_PS = 300.0, 1.0, 0.04
# Time step (fs), constraints of the region, hydrogen mass (amu).
RUNS: dict[str, tuple[float, Literal["none", "keep"], float | None]] = {
    "4 fs, kept, 3 amu": (4.0, "keep", 3.0),
    "1 fs, kept, 1 amu": (1.0, "keep", None),
    "0.5 fs, free, 1 amu": (0.5, "none", None),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ps", type=float, default=60.0)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    molecule = molecule_from_smiles("Cc1ccccc1", seed=1)
    solvated = solvate(molecule, parameterize(molecule), padding=0.55, nonbonded_cutoff=0.7, seed=1)
    topology, mm_system = solvated.topology, solvated.system
    positions, box = np.array(solvated.positions), np.array(solvated.box_vectors, dtype=float)
    region = np.array(solvated.ligand_atoms)
    model = nnpmm.load_model("ANI-2x", members=0)
    rows = {}
    for name, (dt, constraints, mass) in RUNS.items():
        coupling = Mechanical(constraints=constraints)
        system = nnpmm.create_hybrid_system(mm_system, topology, region, model, coupling=coupling)
        if mass is not None:
            apply_hydrogen_mass(system, topology, mass)
        limit = longest_timestep(system, topology, region, model, positions)
        print(f"{name}: at most {1000 * limit.longest:.2g} fs, {limit.reason}")
        rows[name] = run(system, topology, region, positions, box, dt, arguments.ps)
        print(f"{name}: ", end="")
        print(", ".join(f"{k} {v:.4g} ± {e:.2g}" for k, (v, e) in rows[name].items()), flush=True)
    reference = rows["0.5 fs, free, 1 amu"]
    for key, (value, error) in rows["4 fs, kept, 3 amu"].items():
        other = rows["1 fs, kept, 1 amu"] if key == "NNP energy, kJ/mol" else reference
        distance = (value - other[key][0]) / np.hypot(error, other[key][1])
        print(f"{key:<32} 4 fs minus reference: {distance:+.2f} standard errors")
    print(write_results("long_steps", {"length_ps": arguments.ps, "runs": rows}))


def run(
    system: openmm.System,
    topology: app.Topology,
    region: NDArray[np.int64],
    positions: NDArray[np.float64],
    box: NDArray[np.float64],
    dt_fs: float,
    length_ps: float,
) -> dict[str, tuple[float, float]]:
    """Return averages with standard errors over a run after 10 ps of equilibration."""
    system = copy.deepcopy(system)
    integrator = openmm.LangevinMiddleIntegrator(TEMPERATURE, FRICTION, dt_fs / 1000)
    integrator.setRandomNumberSeed(5)
    integrator.setConstraintTolerance(1e-6)
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName("CPU"))
    context.setPeriodicBoxVectors(*box)
    context.setPositions(positions)
    openmm.LocalEnergyMinimizer.minimize(context, 10.0, 200)
    context.setVelocitiesToTemperature(TEMPERATURE, 5)
    integrator.step(round(10_000 / dt_fs))
    group = {f.getForceGroup() for f in system.getForces() if role_of(f) is Role.NETWORK}
    elements = [atom.element.symbol for atom in topology.atoms()]
    members = set(region.tolist())
    pairs = [(a.index, b.index) for a, b in topology.bonds() if a.index in members]
    carbon = np.array([p for p in pairs if elements[p[0]] == elements[p[1]] == "C"])
    water = np.setdiff1d(np.arange(len(elements)), region)
    series: dict[str, list[float]] = {}
    for _ in range(round(length_ps / SAMPLE_PS)):
        integrator.step(round(SAMPLE_PS * 1000 / dt_fs))
        state = context.getState(positions=True, velocities=True)
        x = state.getPositions(asNumpy=True)._value
        v = state.getVelocities(asNumpy=True)._value
        lengths = np.linalg.norm(x[carbon[:, 0]] - x[carbon[:, 1]], axis=1)
        energy = context.getState(energy=True, groups=group).getPotentialEnergy()._value
        found = {
            "T region, K": temperature(system, v, region),
            "T water, K": temperature(system, v, water),
            "NNP energy, kJ/mol": energy,
            "CH3-C bond, nm": lengths.max(),
            "mean C-C bond, nm": lengths.mean(),
        }
        for key, value in found.items():
            series.setdefault(key, []).append(float(value))
    return {key: mean_with_error(values) for key, values in series.items()}


def temperature(system: openmm.System, velocities: np.ndarray, atoms: np.ndarray) -> float:
    """Return the kinetic temperature of some atoms, K, counting only unconstrained motion."""
    members = set(atoms.tolist())
    mass = np.array([system.getParticleMass(int(i)).value_in_unit(unit.dalton) for i in atoms])
    constraints = sum(
        system.getConstraintParameters(k)[0] in members for k in range(system.getNumConstraints())
    )
    kinetic = 0.5 * (mass[:, None] * velocities[atoms] ** 2).sum()
    return 2 * kinetic / ((3 * len(atoms) - constraints) * GAS_CONSTANT)


if __name__ == "__main__":
    main()
